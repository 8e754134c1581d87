"""Commands end in one line and a number, and say how far they are."""

import sys
from pathlib import Path

import pytest

from features.console import progress, run_command
from features.errors import UserError


def test_a_users_mistake_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def command() -> None:
        raise UserError("no orders in x.csv; name a file that has some")

    monkeypatch.setattr("sys.argv", ["command"])
    with pytest.raises(SystemExit) as stopped:
        run_command(command)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: no orders in x.csv; name a file that has some\n"


def test_progress_prints_a_line_a_step_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("train", total=2) as announce:
        announce("features")
        announce("churn")
    assert capsys.readouterr().err == "[train] features\n[train] churn\n"


def test_a_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def command() -> None:
        (tmp_path / "missing" / "file").write_text("")

    monkeypatch.setattr(sys, "argv", ["command"])
    with pytest.raises(SystemExit) as stopped:
        run_command(command)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("error: No such file or directory (")
