"""The commands `make webhook` and `make deliver`."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from change_runs import log_of, made_state, row, run
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook
from webhook_shop import Receiver

from features.console import run_command
from serving import deliver, webhooks
from serving.databases import open_state
from serving.environment import Environment

Asked = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Asked:
    """Run a command; return its exit code, standard output, standard error."""

    def call(*words: str, command: Any = webhooks._command) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["webhooks", *words, "--var", str(tmp_path)])
        monkeypatch.chdir(tmp_path)
        code: object = 0
        try:
            run_command(command)
        except SystemExit as stopped:
            code = stopped.code
        shown = capsys.readouterr()
        return code if isinstance(code, int) else 0, shown.out, shown.err

    return call


def for_development(folder: Path) -> None:
    (folder / "regulars.toml").write_text("[changes]\nwebhook_private_addresses = true\n")


def test_the_command_makes_lists_changes_and_removes(
    tmp_path: Path, ask: Asked, httpserver: HTTPServer
) -> None:
    for_development(tmp_path)
    assert ask()[1].startswith("no webhooks: make webhook URL=")
    receiver = Receiver(httpserver)
    code, out, err = ask("--url", receiver.url + "?token=canary", "--events", "all")
    assert code == 0
    secret = out.strip()
    assert secret.startswith("whsec_")
    assert secret not in err
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or secret[6:].encode() not in path.read_bytes()
    assert (tmp_path / "private/webhooks.key").stat().st_mode & 0o777 == 0o600
    listed = ask()[1]
    endpoint_id = listed.split()[0]
    assert "canary" not in listed + err
    assert "band_changed,first_order" in listed
    assert "working, 0 waiting" in listed
    log = log_of(open_state(Environment(var=tmp_path)))
    log.report_run([row("c1")], run(1))
    log.report_run([row("c1", historic_number_of_orders=5)], run(2))
    assert ask(command=deliver._command) == (0, "1 taken, 0 failed and to be tried again\n", "")
    (request,) = receiver.received
    Webhook(secret).verify(request.get_data(), dict(request.headers))
    new = ask("--rotate", endpoint_id)[1].strip()
    assert new.startswith("whsec_")
    assert new != secret
    assert ask("--enable", endpoint_id) == (0, f"{endpoint_id} is tried again\n", "")
    assert ask("--remove", endpoint_id) == (0, f"{endpoint_id} is forgotten\n", "")
    assert ask()[1].startswith("no webhooks")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--url", "https://hooks.example.com/"], "a webhook needs EVENTS; choose from band_changed"),
        (["--url", "https://hooks.example.com/", "--events", "everything"], "EVENTS=everything is unknown"),
        (["--url", "http://hooks.example.com/", "--events", "all"], "goes over https"),
        (["--url", "https://127.0.0.1/", "--events", "all"], "this one is private or reserved"),
        (["--url", "https://u:canary@hooks.example.com/", "--events", "all"], "no user and no password"),
        (["--events", "all"], "a new webhook needs a URL"),
        (["--remove", "wh_nobody"], "there are no webhooks"),
        (["--remove", "wh_1", "--enable", "wh_2"], "one at a time"),
    ],
)
def test_a_mistake_is_one_clear_line_and_makes_nothing(
    tmp_path: Path, ask: Asked, words: list[str], message: str
) -> None:
    code, out, err = ask(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert "canary" not in err
    assert not (tmp_path / "state").exists()


def test_one_that_fails_is_listed_with_what_it_answered(
    tmp_path: Path, ask: Asked, httpserver: HTTPServer
) -> None:
    for_development(tmp_path)
    receiver = Receiver(httpserver, 503)
    ask("--url", receiver.url, "--events", "all")
    log = log_of(open_state(Environment(var=tmp_path)))
    log.report_run([row("c1")], run(1))
    log.report_run([row("c1", historic_number_of_orders=5)], run(2))
    ask(command=deliver._command)
    assert re.search(r"failing since .* UTC, once: it answered 503, 1 waiting$", ask()[1].strip())


def test_a_webhook_that_nobody_knows_is_named(tmp_path: Path, ask: Asked) -> None:
    made_state(tmp_path)
    for word in ("--remove", "--enable", "--rotate"):
        code, _, err = ask(word, "wh_nobody")
        assert (code, err) == (2, "error: no webhook has the id 'wh_nobody'; `make webhook` lists them\n")


def test_without_a_state_there_is_nothing_to_deliver(ask: Asked) -> None:
    code, out, err = ask(command=deliver._command)
    assert (code, out) == (2, "")
    assert "there are no webhooks" in err
