"""A serving process follows the pointer without failing or mixing; cursors stay with their run."""

from pathlib import Path

import pytest
from serving_runs import publish
from test_serving_api import open_client

from features.settings import Layout
from serving.live import LiveRuns
from serving.problems import ProblemError
from serving.sqlite_store import SqliteStore
from serving.store import RunGoneError


def followed(var: Path) -> LiveRuns:
    runs = LiveRuns(SqliteStore.of(Layout(var)))
    runs.refresh()
    return runs


def test_a_new_run_is_picked_up(tmp_path: Path) -> None:
    publish(tmp_path, ["c1"])
    runs = followed(tmp_path)
    before = runs.current()
    publish(tmp_path, ["c1"])
    assert runs.current() is before
    runs.refresh()
    assert (before.meta.score_run_id, runs.current().meta.score_run_id) == ("s_0001", "s_0002")


def test_a_broken_pointer_keeps_the_run_in_hand_and_is_not_ready(tmp_path: Path) -> None:
    publish(tmp_path, ["c1"])
    with open_client(tmp_path) as client:
        (tmp_path / "scores/control.sqlite").write_bytes(b"no database" * 100)
        assert client.get("/readyz").status_code == 503
        assert client.get("/v1/customers/c1/predictions").status_code == 200


def test_a_deleted_run_is_not_ready_and_no_empty_list(tmp_path: Path) -> None:
    publish(tmp_path, ["c1"])
    with open_client(tmp_path) as client:
        (tmp_path / "scores/runs/s_0001.sqlite").unlink()
        assert client.get("/readyz").status_code == 503
    with open_client(tmp_path) as client:
        assert client.get("/v1/audiences/at-risk/members").status_code == 503
        assert client.get("/readyz").status_code == 503


def test_a_cursor_stays_with_its_run_until_that_is_gone(tmp_path: Path) -> None:
    publish(tmp_path, ["a", "b", "c"])
    with open_client(tmp_path) as client:
        page = client.get("/v1/audiences/at-risk/members?limit=1").json()
        publish(tmp_path, ["x", "y", "z"])
        assert client.get("/readyz").json()["score_run_id"] == "s_0002"
        path = f"/v1/audiences/at-risk/members?limit=2&cursor={page['next_cursor']}"
        old = client.get(path).json()
        assert (old["score_run_id"], [m["customer_id"] for m in old["members"]]) == ("s_0001", ["b", "c"])
        assert client.get("/v1/customers/x/predictions").status_code == 200
    for _ in range(3):
        publish(tmp_path, ["x", "y", "z"])
    with open_client(tmp_path) as client:
        assert client.get(path).status_code == 410
        assert client.get(f"/?cursor={page['next_cursor']}").status_code == 200


def test_only_a_few_old_runs_stay_open(tmp_path: Path) -> None:
    for _ in range(3):
        publish(tmp_path, ["c1"])
    runs = followed(tmp_path)
    assert runs.pinned("s_0003") is runs.current()
    assert runs.pinned("s_0001").meta.score_run_id == "s_0001"
    with pytest.raises(RunGoneError):
        runs.pinned("s_0099")
    runs.close()
    with pytest.raises(ProblemError):
        runs.current()
