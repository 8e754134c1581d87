"""One clean line of JSON a request, and nothing in it that names a customer."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from export_shop import open_bench, run_jobs
from serving_runs import publish
from starlette.testclient import TestClient

from features.layout import Layout
from serving.api import create_app
from serving.environment import Environment
from serving.state.database import State
from serving.state.keys import Keys
from serving.state.migrate import make
from serving.web.calls import Call
from serving.web.logs import JsonFormatter, RequestLog, json_logging
from serving.worker import Tally

CANARY = "canary-3141"
ONE = "/v1/customers/{customer_id}/predictions"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TestClient, io.BytesIO, Keys]]:
    """Serve a run in which one customer is the canary; return the client, the log and the keys."""
    publish(tmp_path, ["c1", CANARY])
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, write_through=True))
    state = State.of(Layout(tmp_path))
    make(state)
    app = create_app(Environment(var=tmp_path))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        yield client, written, Keys(state)


def lines(written: io.BytesIO) -> list[dict[str, object]]:
    """Return the lines since the last look."""
    text = written.getvalue().decode()
    written.seek(0)
    written.truncate()
    return [json.loads(line) for line in text.splitlines()]


def test_a_request_is_one_line(served: tuple[TestClient, io.BytesIO, Keys]) -> None:
    client, written, keys = served
    key, secret = keys.add("first", ["predictions:read"])
    client.app.state.context.guard.refresh()  # type: ignore[attr-defined]
    answer = client.get("/v1/customers/c1/predictions", headers={"authorization": f"Bearer {secret}"})
    (line,) = lines(written)
    duration = line.pop("duration_ms")
    assert isinstance(duration, float)
    assert 0 < duration < 60_000
    assert str(line.pop("time")).endswith("Z")
    assert line == {
        "level": "info",
        "event": "request",
        "request_id": answer.headers["x-request-id"],
        "method": "GET",
        "route": "/v1/customers/{customer_id}/predictions",
        "status": 200,
        "key_id": key.key_id,
    }


@pytest.mark.parametrize(
    ("path", "route", "status", "level"),
    [
        (f"/v1/customers/{CANARY}/predictions", "", 200, "info"),
        (f"/v1/predictions?customer_id={CANARY}", "/v1/predictions", 200, "info"),
        (f"/v1/customers/{CANARY}x/predictions", "", 404, "info"),
        (f"/v1/customers/{CANARY}%0A%1B[31m/predictions", "", 422, "warning"),
        (f"/{CANARY}", "unmatched", 404, "info"),
        ("/assets/console.css", "/assets", 200, "info"),
        (f"/assets/{CANARY}", "/assets", 404, "info"),
        ("/readyz", "/readyz", 200, "info"),
    ],
)
def test_no_line_holds_a_customer(
    served: tuple[TestClient, io.BytesIO, Keys], path: str, route: str, status: int, level: str
) -> None:
    client, written, _ = served
    given = {"x-request-id": f"{CANARY}\x1b[31m", "authorization": f"Bearer {CANARY}", "referer": CANARY}
    assert client.get(path, headers=given).status_code == status
    raw = written.getvalue()
    assert CANARY.encode() not in raw
    assert b"\x1b" not in raw
    (line,) = lines(written)
    assert (line["route"], line["status"], line["level"]) == (route or ONE, status, level)
    assert line["key_id"] is None


def test_another_name_and_an_odd_method_are_told_plainly(
    served: tuple[TestClient, io.BytesIO, Keys],
) -> None:
    client, written, _ = served
    client.get("/readyz", headers={"host": "evil.example"})
    client.request("BREW", "/readyz")
    first, second = lines(written)
    assert (first["route"], first["status"]) == ("unmatched", 421)
    assert (second["method"], second["status"]) == ("other", 405)


def test_a_surprise_is_told_without_its_words(
    served: tuple[TestClient, io.BytesIO, Keys], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, written, _ = served

    def fail(*_: object) -> None:
        raise KeyError(CANARY)

    monkeypatch.setattr("serving.present.RunView.flat", fail)
    answer = client.get(f"/v1/customers/{CANARY}/predictions")
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == answer.json()["instance"]
    assert CANARY.encode() not in written.getvalue()
    failure, line = lines(written)
    assert (failure["level"], failure["error"]) == ("error", "KeyError")
    assert failure["event"] == f"request {answer.json()['instance']} failed"
    assert any("routes/customers.py" in str(place) for place in failure["at"])  # type: ignore[attr-defined]
    assert (line["status"], line["level"]) == (500, "error")


@pytest.mark.parametrize(
    ("mode", "statuses"), [("all", [200, 404, 429, 503]), ("errors", [429, 503]), ("off", [])]
)
def test_the_setting_says_which_requests_get_a_line(mode: str, statuses: list[int]) -> None:
    written = io.BytesIO()
    log = RequestLog(mode, written)  # type: ignore[arg-type]
    for status in (200, 404, 429, 503):
        log.note(Call("r", "GET", "/", status, 0.001, None))
    assert [line["status"] for line in lines(written)] == statuses


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    """F3: `/dev/full` is a disk without space; a closed stream is a reader who went."""
    gone = io.BytesIO()
    gone.close()
    with Path("/dev/full").open("wb", buffering=0) as full:
        for stream in (full, gone):
            RequestLog("all", stream).note(Call("r", "GET", "/", 200, 0.001, None))  # type: ignore[arg-type]


def test_warnings_have_the_same_form(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, write_through=True))
    with json_logging():
        logging.getLogger("serving.web.guard").warning("keys: %s", "one\ntwo\x1b[31m\x7f\x9b")
        logging.getLogger("serving.web.guard").info("too little to tell")
    assert written.getvalue().count(b"\n") == 1
    assert written.getvalue().isascii()
    assert b"\x7f" not in written.getvalue()
    (line,) = lines(written)
    assert (line["level"], line["logger"]) == ("warning", "serving.web.guard")
    assert line["event"] == "keys: one\ntwo\x1b[31m\x7f\x9b"
    logging.getLogger("serving.web.guard").warning("outside of the block")
    assert written.getvalue() == b""


def test_the_worker_tells_more_of_itself_and_no_more_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, write_through=True))
    seconds = iter([0.0, 1.0, 5.0, 15.0, 16.0, 16.2])
    with json_logging(told=("serving",)):
        tally = Tally(clock=lambda: next(seconds))
        for count in (50, 1, 50, 7, 0, 1):
            tally.add(count)
        logging.getLogger("alembic").info("no concern of ours")
    events = [line["event"] for line in lines(written)]
    assert events == ["108 customers scored again"]
    logging.getLogger("serving.worker").info("outside of the block")
    assert written.getvalue() == b""


def test_an_error_keeps_its_words_to_itself() -> None:
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        details = (type(error), error, error.__traceback__)
    record = logging.LogRecord("serving", logging.ERROR, "", 0, "failed", None, details)
    line = JsonFormatter().format(record)
    assert CANARY not in line
    assert json.loads(line)["error"] == "ValueError"
    assert json.loads(line)["at"][0].endswith("test_an_error_keeps_its_words_to_itself")


def test_a_list_that_is_taken_is_told_with_its_size_and_nobody_in_it(
    served: tuple[TestClient, io.BytesIO, Keys],
) -> None:
    client, written, _ = served
    told = ("list", "form", "row_count", "with_identity", "is_whole")
    for path, wanted in {
        "/v1/audiences/at-risk/export.csv": ("at-risk", "plain", 2, False, True),
        "/v1/audiences/at-risk/export.csv?format=excel": ("at-risk", "excel", 2, False, True),
        "/v1/recommendations/export.csv?items=1": ("recommendations for_you", "plain", 2, False, True),
    }.items():
        assert CANARY in client.get(path).text
        assert CANARY.encode() not in written.getvalue()
        (line,) = lines(written)
        assert tuple(line[name] for name in told) == wanted
    client.get("/v1/audiences/nobody/export.csv")
    (line,) = lines(written)
    assert "list" not in line


def test_a_file_of_a_job_is_told_when_it_is_fetched(served: tuple[TestClient, io.BytesIO, Keys]) -> None:
    client, written, _ = served
    job = client.post("/v1/exports", json={"audience": "at-risk", "format": "ndjson"}).headers["location"]
    run_jobs(open_bench(client.app.state.context.environment.layout.root))  # type: ignore[attr-defined]
    (file,) = client.get(job).json()["files"]
    lines(written)
    assert client.get(file["url"]).status_code == 200
    (line,) = lines(written)
    assert (line["list"], line["form"], line["row_count"], line["is_whole"]) == ("at-risk", "ndjson", 2, None)
