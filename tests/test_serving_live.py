"""A serving process follows the pointer without failing or mixing; cursors stay with their run."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from serving_runs import publish, stored_row
from starlette.testclient import TestClient
from test_serving_api import open_client

from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.state.database import State
from serving.state.migrate import make
from serving.state.overlays import Laid, Overlays, Rescored
from serving.store.errors import RunGoneError
from serving.store.overlay_run import OverlaidRun
from serving.web.live import LiveRuns
from serving.web.problems import ProblemError


@asynccontextmanager
async def followed(var: Path) -> AsyncIterator[LiveRuns]:
    runs = LiveRuns(open_store(Environment(var=var)), Overlays(open_state(Environment(var=var))))
    await runs.refresh()
    yield runs
    await runs.aclose()


@pytest.mark.usefixtures("database")
def test_a_new_run_is_picked_up(tmp_path: Path) -> None:
    async def follow() -> None:
        async with followed(tmp_path) as runs:
            before = runs.current()
            publish(tmp_path, ["c1"])
            assert runs.current() is before
            await runs.refresh()
            assert (before.meta.score_run_id, runs.current().meta.score_run_id) == ("s_0001", "s_0002")
            assert await before.get_score("c1") == await runs.current().get_score("c1") == stored_row("c1")

    publish(tmp_path, ["c1"])
    asyncio.run(follow())


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


@pytest.mark.usefixtures("database")
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


@pytest.mark.usefixtures("database")
def test_only_a_few_old_runs_stay_open(tmp_path: Path) -> None:
    async def pin() -> None:
        async with followed(tmp_path) as runs:
            assert (await runs.pinned("s_0003", 0)).base is runs.current().base
            assert (await runs.pinned("s_0001", 0)).meta.score_run_id == "s_0001"
            for unknown in ("s_0099", "s_1", 's_0001"; DROP SCHEMA regulars_scores'):
                with pytest.raises(RunGoneError):
                    await runs.pinned(unknown, 0)
        with pytest.raises(ProblemError):
            runs.current()

    for _ in range(3):
        publish(tmp_path, ["c1"])
    asyncio.run(pin())


def lay(state: State, *rescored: Rescored, run: str = "s_0001") -> None:
    with state.writing() as connection:
        Overlays(state).put_in(connection, run, rescored, inbox_sequence=0)


def risen(customer_id: str, value_at_risk: float, *audiences: str) -> Rescored:
    return Rescored(customer_id, stored_row(customer_id, value_at_risk=value_at_risk), {}, b"", audiences)


@pytest.mark.usefixtures("database")
def test_a_cursor_keeps_the_scores_that_its_first_page_saw(tmp_path: Path) -> None:
    def page(client: TestClient, cursor: str | None = None) -> Any:
        given = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        return client.get("/v1/audiences/at-risk/members", params=given).json()

    def values(client: TestClient, cursor: str | None) -> list[tuple[str, float]]:
        seen = []
        while cursor is not None:
            found = page(client, cursor)
            seen += [(member["customer_id"], member["value_at_risk"]) for member in found["members"]]
            cursor = found["next_cursor"]
        return seen

    publish(tmp_path, ["a", "b", "c", "d"])
    state = open_state(Environment(var=tmp_path))
    make(state)
    lay(state, risen("b", 2.0, "at-risk"), risen("c", 3.0, "at-risk"))
    with open_client(tmp_path) as client:
        cursor = page(client)["next_cursor"]
        before = values(client, cursor)
        assert before == [("b", 2.0), ("c", 3.0), ("d", 31.4)]
        lay(state, risen("b", 22.0, "at-risk"), risen("c", 33.0), risen("d", 44.0, "at-risk"))
        with open_client(tmp_path) as another:
            # It has never heard of the first overlays but from the state.
            assert values(another, cursor) == before
            assert values(another, page(another)["next_cursor"]) == [("b", 22.0), ("d", 44.0)]
        Overlays(state).forget(kept_runs=["s_0001"], now=datetime.now(UTC) + timedelta(minutes=59))
        with open_client(tmp_path) as another:
            assert values(another, cursor) == before
        Overlays(state).forget(kept_runs=["s_0001"], now=datetime.now(UTC) + timedelta(minutes=61))
        with open_client(tmp_path) as another:
            # An hour later what the first page saw is gone: then it is what counts by now.
            assert values(another, cursor) == [("b", 22.0), ("d", 31.4)]
            assert values(another, page(another)["next_cursor"]) == [("b", 22.0), ("d", 44.0)]
    state.close()


def test_a_late_answer_puts_no_older_scores_back(tmp_path: Path) -> None:
    class Late(Overlays):
        """The first look comes back after the second one."""

        def __init__(self, state: State) -> None:
            super().__init__(state)
            self.first_seen, self.go = threading.Event(), threading.Event()

        def list_after(self, score_run_id: str, sequence: int) -> list[Laid]:
            found = super().list_after(score_run_id, sequence)
            if not self.first_seen.is_set():
                self.first_seen.set()
                self.go.wait(timeout=30)
            return found

    async def follow() -> None:
        run = OverlaidRun(store.open_run("s_0001"), overlays)
        first = asyncio.create_task(run.follow())
        await asyncio.to_thread(overlays.first_seen.wait, 30)
        lay(state, risen("a", 9.0, "at-risk"))
        second = asyncio.create_task(run.follow())
        await asyncio.sleep(0.05)
        overlays.go.set()
        await asyncio.gather(first, second)
        (member,) = await run.list_members("at-risk")
        assert (member.row, run.through) == (stored_row("a", value_at_risk=9.0), 2)
        run.close()

    publish(tmp_path, ["a"])
    store, state = open_store(Environment(var=tmp_path)), open_state(Environment(var=tmp_path))
    make(state)
    lay(state, risen("a", 5.0, "at-risk"))
    overlays = Late(state)
    asyncio.run(follow())
