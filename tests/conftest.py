"""Fixtures of more than one file: the ingest command, run in this process on a folder of its own."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from ingest_runs import Ingest, Run

from features import ingest
from features.console import run_app

# How long an example takes says something of the machine, not of the program.
settings.register_profile("regulars", deadline=None)
settings.load_profile("regulars")


@pytest.fixture(scope="session", autouse=True)
def runs_stay_fresh() -> Iterator[None]:
    """Hand-made runs have a fixed date; what the calendar says today is no matter of most tests."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("REGULARS_STALE_AFTER_DAYS", "0")
        yield


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ingest:
    """Run the command in this process, on `var` under a temporary folder."""
    monkeypatch.setenv("REGULARS_PEPPER", "pepper")

    def call(*words: str | Path, var: str = "var") -> Run:
        monkeypatch.setenv("VAR", str(tmp_path / var))
        monkeypatch.setattr(sys, "argv", ["ingest", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            run_app(ingest.app)
        shown = capsys.readouterr()
        code = stopped.value.code
        return Run(code if isinstance(code, int) else 0, shown.out, shown.err, tmp_path / var)

    return call


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Write a file and return its path."""

    def write(content: str | bytes, name: str = "orders.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
