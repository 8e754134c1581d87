"""The contract of a score store, fulfilled by SQLite and PostgreSQL; runs published whole or not at all."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from serving_runs import LIST, NASTY_IDS, meta, publish, stored_row

from features.item_filter import Condition, compile_filter
from features.layout import Layout
from features.slots import pack_slots
from serving.databases import open_store
from serving.environment import Environment
from serving.rows import STORED_NAMES
from serving.store.contract import ScoreRun, ScoreStore
from serving.store.errors import NoRunError, PublishError, RunGoneError, StoreError
from serving.store.records import LINE, AudienceCounts, Item, MatchingItems
from serving.store.sqlite_run import SqliteRun
from serving.store.sqlite_store import SqliteStore

Ask = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def store(database: str, tmp_path: Path) -> ScoreStore:
    """Every store fulfils the same contract."""
    return open_store(Environment(var=tmp_path))


@pytest.fixture
def ask(store: ScoreStore) -> Iterator[Ask]:
    """Read in one event loop, as a server does."""
    with asyncio.Runner() as runner:
        yield runner.run
        runner.run(store.aclose())


def live(store: ScoreStore) -> ScoreRun:
    return store.open_run(store.live_run_id())


def live_file(folder: Path) -> SqliteRun:
    store = SqliteStore.of(Layout(folder))
    return store.open_run(store.live_run_id())


def test_an_empty_store_says_what_to_run(store: ScoreStore) -> None:
    with pytest.raises(NoRunError, match="make score"):
        store.live_run_id()
    assert list(store.list_runs()) == []


def test_what_was_written_is_read(store: ScoreStore, ask: Ask, tmp_path: Path) -> None:
    publish(tmp_path)
    run = live(store)
    for customer in NASTY_IDS:
        row = ask(run.get_score(customer))
        assert row == stored_row(customer)
        lists = ask(run.get_recommendations(customer))
        assert list(lists["for_you"]) == list(LIST)
    assert ask(run.get_score("nobody")) is None
    assert ask(run.get_recommendations("nobody")) == {}
    assert ask(run.get_fallback())["for_you"][0].source == "fallback"
    assert run.meta.score_run_id == "s_0001"
    assert run.meta.customer_count == 2 + len(NASTY_IDS)
    assert run.meta.as_of == meta().as_of
    run.close()


def test_items_are_found_by_number(store: ScoreStore, ask: Ask, tmp_path: Path) -> None:
    publish(tmp_path)
    assert ask(live(store).first_customer_id()) == " lead"
    items = ask(live(store).get_items([1, 0, 99]))
    assert {number: item.product_id for number, item in items.items()} == {0: "p/0", 1: "00007"}


def test_a_filter_is_read_once_and_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one reading lasts, others are answered; two wait for it, and one gives up."""
    publish(tmp_path)
    begun, may_end, match = threading.Event(), threading.Event(), SqliteRun._match
    readings: list[Condition | None] = []

    def slow(run: SqliteRun, condition: Condition | None) -> MatchingItems:
        readings.append(condition)
        begun.set()
        assert may_end.wait(timeout=30)
        return match(run, condition)

    async def ask(run: SqliteRun) -> None:
        wanted = compile_filter("price < 1000000 or price is null")
        given_up, waiting = (asyncio.create_task(run.match_items(wanted)) for _ in range(2))
        assert await asyncio.to_thread(begun.wait, 30)
        assert await run.get_score("c1") is not None
        given_up.cancel()
        may_end.set()
        assert list((await waiting).popular) == list((await run.match_items(None)).popular)
        assert given_up.cancelled()
        await run.match_items(wanted)
        assert readings == [wanted, None]

    monkeypatch.setattr(SqliteRun, "_match", slow)
    asyncio.run(ask(live_file(tmp_path)))


def test_a_filter_of_a_damaged_run_is_an_error_each_time(tmp_path: Path) -> None:
    publish(tmp_path)
    run = live_file(tmp_path)
    (run_path := next((tmp_path / "scores" / "runs").glob("*.sqlite"))).chmod(0o644)
    run_path.unlink()
    for _ in range(2):
        with pytest.raises(StoreError, match="cannot be read"):
            asyncio.run(run.match_items(compile_filter("price < 5")))


def test_members_come_in_order_and_pages_join(store: ScoreStore, ask: Ask, tmp_path: Path) -> None:
    ids = [f"c{number:03d}" for number in range(25)][::-1]
    publish(tmp_path, ids)
    run = live(store)
    seen: list[str] = []
    after = 0
    while page := ask(run.list_members("at-risk", after=after, limit=7)):
        seen += [member.row[STORED_NAMES.index("customer_id")] for member in page]
        after = page[-1].position
    assert seen == ids
    assert ask(run.list_members("at-risk", clv_min=122.01)) == []
    assert len(ask(run.list_members("at-risk", clv_min=122.0))) == 25
    tops = ask(run.list_top_products(ids))
    assert tops["c000"].product_id == "00007"


def test_a_member_is_kept_with_its_line_as_it_was_written(store: ScoreStore, ask: Ask) -> None:
    ids, lines = ["c2", "c1", "c3"], [b'"a, ""b""",1', None, "김철수,2\r\n".encode()]
    counts = AudienceCounts(member_count=3)
    with store.begin_run() as writer:
        writer.write_scores(stored_row(customer) for customer in sorted(ids))
        writer.write_audience("at-risk", ids, lines)
        writer.write_audience("dormant", ids)
        writer.publish(meta(audiences=dict.fromkeys(("at-risk", "dormant"), counts)))
    run = live(store)
    members = ask(run.list_members("at-risk", names=("customer_id", LINE)))
    assert [member.row for member in members] == list(zip(ids, lines, strict=True))
    members = ask(run.list_members("dormant", names=("customer_id", LINE)))
    assert [member.row for member in members] == [(customer, None) for customer in ids]


def test_a_newer_run_goes_live_and_the_oldest_is_forgotten(store: ScoreStore, tmp_path: Path) -> None:
    for _ in range(5):
        publish(tmp_path, ["c1"])
    assert [(run.score_run_id, run.is_live) for run in store.list_runs()] == [
        ("s_0005", True),
        ("s_0004", False),
        ("s_0003", False),
    ]
    with pytest.raises(RunGoneError):
        store.open_run("s_0002")


def test_a_run_that_was_not_published_leaves_nothing(store: ScoreStore, tmp_path: Path) -> None:
    publish(tmp_path, ["c1"])
    with suppress(ZeroDivisionError), store.begin_run() as writer:
        writer.write_scores([stored_row("c2")])
        _ = 1 / 0
    assert store.live_run_id() == "s_0001"
    assert not list(tmp_path.rglob("*.partial*"))


def test_two_publishers_at_once_one_wins(store: ScoreStore, ask: Ask, tmp_path: Path) -> None:
    with store.begin_run(), pytest.raises(PublishError, match="another scoring run"):
        store.begin_run()
    publish(tmp_path, ["c1"])
    assert ask(live(store).get_score("c1"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([stored_row("c1"), stored_row("c1")], "scored twice"),
        ([stored_row("c1", predicted_clv=None)], "null without a reason"),
        ([stored_row("c1", predicted_clv=float("nan"))], "null without a reason"),
        ([stored_row("c1", null_reasons='{"reactivation_probability": null}')], "null without a reason"),
    ],
)
def test_a_wrong_run_is_refused(
    store: ScoreStore, ask: Ask, tmp_path: Path, rows: list[Any], message: str
) -> None:
    publish(tmp_path, ["before"])
    with store.begin_run() as writer:
        writer.write_scores(rows)
        with pytest.raises(PublishError, match=message):
            writer.publish(meta())
    assert ask(live(store).get_score("before"))


def test_ids_come_in_byte_order_and_all_are_found(store: ScoreStore, ask: Ask, tmp_path: Path) -> None:
    ids = ["é", "e\u0301", "Z", "a", "z", "A", "a ", " ", "ß", "🙂", "\uffee", "_", "a_", "\u007e"]
    publish(tmp_path, ids)
    run = live(store)
    assert ask(run.first_customer_id()) == " "
    assert set(ask(run.get_scores([*ids, "nobody", "é "]))) == set(ids)
    assert [customer for _, customer in ask(run.list_customers(after=3, limit=99))] == ids[3:]
    assert set(ask(run.list_kind("for_you", ids))) == set(ids)


def test_what_a_run_says_of_products_is_read_back(store: ScoreStore, ask: Ask) -> None:
    items = [
        Item(0, "p0", "Tea", "Drinks", "Green", "Acme", 4.1, 0.1 + 0.2, "u", "i", 3, in_stock=True),
        Item(1, "p1", in_stock=False, popular_rank=2, recent_customer_count=5),
        Item(2, "p2", popular_rank=1, recent_customer_count=9),
    ]
    with store.begin_run() as writer:
        writer.write_scores([stored_row("c1")])
        writer.write_items(items)
        writer.write_item_lists([(0, "similar", pack_slots(LIST)), (0, "bundle", pack_slots(LIST[:1]))])
        writer.write_owned([("c1", bytes(4))])
        writer.write_timelines([("c1", '{"orders": []}')])
        writer.write_documents({"week": '{"days": 7}'})
        writer.publish(meta())
    run = live(store)
    assert ask(run.get_timeline("c1")) == '{"orders": []}'
    assert ask(run.get_timeline("nobody")) is None
    assert ask(run.get_document("week")) == '{"days": 7}'
    assert ask(run.get_document("none")) is None
    assert ask(run.get_items([2, 1, 0, 7])) == dict(enumerate(items))
    assert sorted(ask(run.item_numbers(["p2", "p0", "none", "p0"]))) == [0, 2]
    found = ask(run.get_item_lists(["p0", "p1", "none"]))
    assert {name: lists.item for name, lists in found.items()} == {"p0": items[0], "p1": items[1]}
    assert {kind: list(slots) for kind, slots in found["p0"].lists.items()} == {
        "similar": list(LIST),
        "bundle": list(LIST[:1]),
    }
    assert found["p1"].lists == {}
    matching = ask(run.match_items(None))
    assert (list(matching.popular), list(matching.buyers), matching.passes) == ([2, 1], [9, 5], b"\1\1\1")
    assert ask(run.match_items(compile_filter("price > 1000"))).passes == b""
    assert ask(run.get_owned("c1")) == ask(run.get_owned("nobody"))


def test_an_empty_shop_can_be_published(store: ScoreStore, ask: Ask, tmp_path: Path) -> None:
    publish(tmp_path, [])
    with pytest.raises(StoreError, match="no customer"):
        ask(live(store).first_customer_id())
    assert ask(live(store).list_members("at-risk")) == []


def test_a_damaged_run_is_an_error_and_never_an_empty_answer(tmp_path: Path) -> None:
    publish(tmp_path, [f"c{number}" for number in range(2000)])
    store = SqliteStore.of(Layout(tmp_path))
    path = tmp_path / "scores/runs/s_0001.sqlite"
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[4096 * 20 :] = b"\x00" * (len(content) - 4096 * 20)
    path.write_bytes(content)
    with pytest.raises(StoreError):
        asyncio.run(live(store).list_members("at-risk", limit=5000))
    path.write_bytes(content[:100])
    with pytest.raises(StoreError, match="make score"):
        live(store)


def test_a_run_of_another_layout_is_refused(store: ScoreStore, tmp_path: Path) -> None:
    publish(tmp_path, ["c1"], schema_version=99)
    with pytest.raises(StoreError, match="layout 99"):
        live(store)


def test_a_published_run_cannot_be_written(tmp_path: Path) -> None:
    publish(tmp_path, ["c1"])
    path = tmp_path / "scores/runs/s_0001.sqlite"
    assert path.stat().st_mode & 0o222 == 0
    run = SqliteStore.of(Layout(tmp_path)).open_run("s_0001")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        run._connection.execute("DELETE FROM scores")


_PUBLISH_FOR_EVER = """
import sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from serving_runs import publish
print("ready", flush=True)
while True:
    publish(Path({var!r}), [f"c{{n}}" for n in range(300)])
"""


@pytest.mark.slow
@pytest.mark.parametrize("delay_seconds", [0.0, 0.013, 0.031, 0.058, 0.11])
def test_a_killed_publisher_leaves_a_whole_run_live(
    store: ScoreStore, ask: Ask, tmp_path: Path, delay_seconds: float
) -> None:
    publish(tmp_path, [f"c{number}" for number in range(300)])
    script = _PUBLISH_FOR_EVER.format(tests=str(Path(__file__).parent), var=str(tmp_path))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay_seconds)
        process.send_signal(signal.SIGKILL)
    run = live(store)
    assert run.meta.customer_count == 300
    assert len(ask(run.list_members("at-risk", limit=1000))) == 300
    # The next one is not hindered by what the killed one left.
    assert int(publish(tmp_path, ["c1"]).score_run_id[2:]) > int(run.meta.score_run_id[2:])
    assert not list(tmp_path.rglob("*.partial*"))


def test_the_fallback_belongs_to_no_customer(store: ScoreStore, ask: Ask) -> None:
    with store.begin_run() as writer:
        writer.write_scores([stored_row("c1")])
        writer.write_items([Item(item_no=0, product_id="p")])
        writer.write_recommendations([("", "for_you", pack_slots(LIST))])
        writer.publish(meta())
    assert ask(live(store).get_score("")) is None
