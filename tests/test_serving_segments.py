"""Segments of a run on both stores: counts and lists, compared with what the conditions say."""

import asyncio
import json
import random
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from random_segments import CUT, PRODUCTS, random_customer, random_segment
from segment_shop import NUMBERS, publish_customers

from features.layout import Layout
from serving.audiences.control_group import ControlGroup
from serving.databases import open_store
from serving.environment import Environment
from serving.people.erasure import Places
from serving.people.subject_access import write_access
from serving.segments.traits import TRAIT_NAMES
from serving.segments.words import SEGMENTS, compile_segment
from serving.state.database import State
from serving.state.migrate import make
from serving.store.contract import ScoreRun, ScoreStore
from serving.store.records import SegmentOrder, SegmentPlace

Ask = Callable[[Coroutine[Any, Any, Any]], Any]
CUTS = {name: [CUT] * 19 for name in NUMBERS}


@pytest.fixture
def store(database: str, tmp_path: Path) -> ScoreStore:
    return open_store(Environment(var=tmp_path))


@pytest.fixture
def ask(store: ScoreStore) -> Iterator[Ask]:
    with asyncio.Runner() as runner:
        yield runner.run
        runner.run(store.aclose())


def live(store: ScoreStore) -> ScoreRun:
    return store.open_run(store.live_run_id())


def members(ask: Ask, run: ScoreRun, text: str, **wanted: Any) -> list[str]:
    found = ask(run.list_segment(compile_segment(text, run.meta), limit=10_000, **wanted))
    return [place.customer_id for place in found]


def test_random_segments_mean_what_they_say(store: ScoreStore, ask: Ask, tmp_path: Path) -> None:
    dice = random.Random(6)
    customers = [random_customer(dice, number) for number in range(120)]
    publish_customers(tmp_path, customers, products=PRODUCTS, cuts=CUTS)
    run = live(store)
    sizes = set()
    for _ in range(400):
        text, holds = random_segment(dice)
        wanted = [each["customer_id"] for each in customers if holds(each)]
        assert members(ask, run, text) == wanted, text
        assert ask(run.count_segment(compile_segment(text, run.meta))) == len(wanted), text
        sizes.add(len(wanted))
    assert len(sizes) > 50
    run.close()


SHOP = (
    {"customer_id": "a", "predicted_clv": 10.0, "country": "KR", "bought": {"tea": 3, "mug": 200}},
    {"customer_id": "b", "predicted_clv": None, "country": None, "bought": {"tea": 181}},
    {"customer_id": "c", "predicted_clv": 30.0, "country": "KR", "churn_probability_90": 0.7},
    {"customer_id": "d", "predicted_clv": 30.0, "country": "GB", "bought": {"mug": 180}},
    {"customer_id": "e", "predicted_clv": None, "country": "KR"},
)
PRICED = {"tea": "Drinks", "mug": None}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("bought('tea')", "ab"),
        ("bought('tea', 180d)", "a"),
        ("bought('tea', 181d)", "ab"),
        ("not bought('tea', 180d)", "bcde"),
        ("bought(['tea', 'mug'], 180d)", "ad"),
        ("bought_category('Drinks')", "ab"),
        ("bought('Tea')", ""),
        ("bought('tea') and bought('mug')", "a"),
        ("churn_probability_90 > 0.6 and predicted_clv > 20 and not bought('tea', 180d)", "c"),
    ],
)
def test_what_was_bought(tmp_path: Path, text: str, wanted: str) -> None:
    publish_customers(tmp_path, SHOP, products=PRICED)
    with asyncio.Runner() as runner:
        run = live(open_store(Environment(var=tmp_path)))
        assert "".join(members(runner.run, run, text)) == wanted


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        (None, "abcde"),
        (SegmentOrder("predicted_clv"), "cdabe"),
        (SegmentOrder("predicted_clv", is_falling=False), "acdbe"),
        (SegmentOrder("country"), "aceDb".lower()),
        (SegmentOrder("country", is_falling=False), "daceb"),
    ],
)
def test_pages_join_in_every_order(
    store: ScoreStore, ask: Ask, tmp_path: Path, order: SegmentOrder | None, wanted: str
) -> None:
    publish_customers(tmp_path, SHOP, products=PRICED)
    run = live(store)
    everybody, seen, after = compile_segment("status == 'ok'", run.meta), "", None
    while page := ask(run.list_segment(everybody, after=after, limit=2, order=order)):
        seen, after = seen + "".join(place.customer_id for place in page), page[-1]
    assert seen == wanted
    with pytest.raises(ValueError, match="one of its attributes"):
        ask(run.list_segment(everybody, order=SegmentOrder("1; DROP TABLE traits")))


def test_known_values_are_the_most_frequent_first(store: ScoreStore, ask: Ask, tmp_path: Path) -> None:
    publish_customers(tmp_path, SHOP, products=PRICED)
    run = live(store)
    assert ask(run.list_values("country")) == ["KR", "GB"]
    assert ask(run.list_values("category")) == ["Drinks"]
    assert ask(run.list_values("acquisition_channel")) == []
    with pytest.raises(ValueError, match="only texts"):
        ask(run.list_values("predicted_clv"))


def test_traits_are_read_by_customer(store: ScoreStore, ask: Ask, tmp_path: Path) -> None:
    customers = [{"customer_id": each, "item_count": 3.0, "first_order_at": None} for each in ("a", "b'")]
    publish_customers(tmp_path, customers)
    found = ask(live(store).get_traits(["b'", "nobody"]))
    assert list(found) == ["b'"]
    assert tuple(found["b'"]) == TRAIT_NAMES
    assert (found["b'"]["item_count"], found["b'"]["first_order_at"]) == (3.0, None)


def test_whoever_is_erased_is_in_no_segment(store: ScoreStore, ask: Ask, tmp_path: Path) -> None:
    publish_customers(tmp_path, SHOP, products=PRICED)
    with store.hold() as eraser:
        eraser.forget(["a"], ControlGroup.of(Layout(tmp_path).private))
    run = live(store)
    assert members(ask, run, "bought('tea') or country == 'KR'") == ["b", "c", "e"]
    for path in (tmp_path / "scores" / "runs").glob("*.sqlite"):
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM purchases").fetchone() == (2,)
            assert connection.execute("SELECT count(*) FROM traits").fetchone() == (4,)


def test_documents_keep_no_figure_of_a_few_once_somebody_is_erased(
    store: ScoreStore, ask: Ask, tmp_path: Path
) -> None:
    cell = {"from": "NEW", "customer_count": 1, "customer_share": 0.2, "spend_365": 1234.56}
    body = json.dumps({"groups": [cell, cell | {"customer_count": 5}]})
    publish_customers(tmp_path, SHOP, products=PRICED, documents={"moves": body})
    assert json.loads(ask(live(store).get_document("moves")))["groups"][0]["spend_365"] == 1234.56
    with store.hold() as eraser:
        eraser.forget(["a"], ControlGroup.of(Layout(tmp_path).private))
    few, many = json.loads(ask(live(store).get_document("moves")))["groups"]
    assert few == cell | {"spend_365": None}
    assert many["spend_365"] == 1234.56


def test_somebody_is_erased_from_a_run_of_an_earlier_release(tmp_path: Path) -> None:
    """It has no traits and no purchases."""
    publish_customers(tmp_path, SHOP, products=PRICED)
    (path,) = (tmp_path / "scores" / "runs").glob("*.sqlite")
    path.chmod(0o644)
    with closing(sqlite3.connect(path)) as connection:
        for table in ("traits", "purchases", "sold_products"):
            connection.execute(f"DROP TABLE {table}")
        connection.commit()
    with open_store(Environment(var=tmp_path)).hold() as eraser:
        assert eraser.forget(["a"], ControlGroup.of(Layout(tmp_path).private)) == (1, 1)


def test_whoever_asks_what_is_held_is_shown_their_traits(tmp_path: Path) -> None:
    """Also after an upgrade, when a run of the release before is still kept: it is named."""
    publish_customers(tmp_path, SHOP, products=PRICED)
    (path,) = (tmp_path / "scores" / "runs").glob("*.sqlite")
    path.chmod(0o644)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE meta SET document = json_set(document, '$.schema_version', 4)")
        connection.commit()
    publish_customers(tmp_path, SHOP, products=PRICED)
    state = State.of(Layout(tmp_path))
    make(state)
    places = Places(Layout(tmp_path), state, open_store(Environment(var=tmp_path)))
    write_access(places, tmp_path / "access" / "1", ["a"], with_identity=False)
    held = json.loads((tmp_path / "access" / "1" / "access.json").read_text(encoding="utf-8"))["stores"]
    (traits,) = held["traits"]
    assert (traits["customer_id"], traits["score_run_id"], traits["country"]) == ("a", "s_0002", "KR")
    assert sorted(row["score_run_id"] for row in held["scores"]) == ["s_0001", "s_0002"]
    (old,) = [row for row in held["scores"] if row["score_run_id"] == "s_0001"]
    assert "another release" in old["note"]


def test_places_tell_the_value_that_the_order_goes_by(tmp_path: Path) -> None:
    publish_customers(tmp_path, SHOP, products=PRICED)
    run = live(open_store(Environment(var=tmp_path)))
    found = asyncio.run(
        run.list_segment(compile_segment("lapsed is null", run.meta), order=SegmentOrder("country"), limit=1)
    )
    assert found == [SegmentPlace(1, "a", "KR")]


def test_every_attribute_of_a_segment_is_no_word_of_sql() -> None:
    """Names stand in SQL without quotes."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE t ({', '.join(SEGMENTS.attributes)})")
