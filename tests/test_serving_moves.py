"""Where customers stood before: told by hand on ten customers, and at the edges of shops."""

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from features_shop import line, write_shop
from preset_shop import make_preset_shop
from starlette.testclient import TestClient
from test_serving_api import open_client

from features.build import read_parts
from features.history import History
from features.layout import Layout
from features.rfm import quintile_11, shopify_2021
from features.settings import MovesSettings, Settings
from features.shop_rfm import read_rfm
from features.snapshot import Snapshot
from features.suppression import Marker, Suppressed
from serving.databases import open_store
from serving.environment import Environment
from serving.people.erasure import Places
from serving.people.subject_access import write_access
from serving.scoring.moves import cuts_before, groups_before, moves_document, totals_before
from serving.scoring.past_stages import PastStages, before_of, month_starts, read_past_stages
from serving.segments.words import compile_segment
from serving.state.database import State
from serving.store.contract import ScoreRun
from serving.store.sqlite_store import SqliteStore

# MLflow's own database layer uses what SQLAlchemy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

NINETY = Settings()
GROUPS = [
    # Ann and Gus, Bob, Fay, Dot, Ivy, Jan, Cem, Eve, Hal
    ("PROSPECTS", "ACTIVE", 2, 190.0),
    ("AT_RISK", "AT_RISK", 1, 150.0),
    ("LOYAL", "CHAMPIONS", 1, 60.0),
    ("PROSPECTS", "PROMISING", 1, 30.0),
    ("PROMISING", "ALMOST_LOST", 1, 20.0),
    ("PROMISING", "DORMANT", 1, 12.0),
    ("DORMANT", "DORMANT", 1, 10.0),
    ("NEW", "PROMISING", 1, 10.0),
    ("DORMANT", "PROMISING", 1, 5.0),
]
STAGES = [
    ("prospect", "new", 1, 160.0),  # Gus
    ("lapsed", "lapsed", 1, 150.0),  # Bob
    ("prospect", "onboarding", 2, 60.0),  # Ann, Dot
    ("loyal", "loyal", 1, 60.0),  # Fay
    ("lapsed", "onboarding", 3, 42.0),  # Cem, Ivy, Jan: the shop's gaps have become longer
    ("new", "onboarding", 1, 10.0),  # Eve
    ("lapsed", "active", 1, 5.0),  # Hal, who came back on 1 May
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    var = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving.registry.check_bundle", lambda *_: None)
        make_preset_shop(var)
    return var


@pytest.fixture(scope="module")
def client(shop: Path) -> Iterator[TestClient]:
    with open_client(shop) as opened:
        yield opened


def live(var: Path) -> ScoreRun:
    store = SqliteStore.of(Layout(var))
    return store.open_run(store.live_run_id())


def members(run: ScoreRun, text: str) -> list[str]:
    found = asyncio.run(run.list_segment(compile_segment(text, run.meta), limit=100))
    return [place.customer_id for place in found]


def document(run: ScoreRun, name: str) -> Any:
    text = asyncio.run(run.get_document(name))
    assert text is not None
    return json.loads(text)


def flat(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["from"], row["to"], row["customer_count"], row["spend_365"]) for row in rows]


def test_a_run_tells_who_moved_from_where_to_where(shop: Path) -> None:
    found = document(live(shop), "moves")
    assert (found["before_date"], found["customer_count"]) == ("2026-04-02", 10)
    assert flat(found["groups"]) == GROUPS
    assert flat(found["stages"]) == STAGES


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("rfm_segment_before == 'LOYAL' and rfm_segment == 'CHAMPIONS'", "fay"),
        ("rfm_segment_before == 'PROSPECTS'", "ann dot gus"),
        ("clock_stage_before == 'lapsed' and clock_stage != 'lapsed'", "cem hal ivy jan"),
        ("clock_stage_before == 'prospect'", "ann dot gus"),
        ("rfm_segment_before is null or clock_stage is null or clock_stage_before is null", ""),
    ],
)
def test_the_segment_language_knows_where_customers_stood(shop: Path, text: str, wanted: str) -> None:
    assert " ".join(members(live(shop), text)) == wanted


def test_groups_before_are_those_of_the_date_itself(shop: Path) -> None:
    run = live(shop)
    then = read_rfm(History.open(Layout(shop).history), Snapshot(date(2026, 4, 2)), settings=NINETY)
    wanted = dict(then.customers.select("customer_id", "rfm_segment").iter_rows())
    assert wanted.keys() == {"bob", "cem", "eve", "fay", "hal", "ivy", "jan"}
    traits = asyncio.run(run.get_traits(["ann", *wanted]))
    assert {each: traits[each]["rfm_segment_before"] for each in wanted} == wanted


def test_clock_stages_are_the_stages_but_for_those_at_risk(shop: Path) -> None:
    run = live(shop)
    rows = asyncio.run(run.list_segment(compile_segment("not lapsed or lapsed", run.meta), limit=100))
    assert len(rows) == 10
    assert members(run, "clock_stage == 'at_risk'") == []
    differing = [
        stage
        for stage in ("lapsed", "new", "onboarding", "active", "loyal")
        if members(run, f"lifecycle_stage == '{stage}' and clock_stage != '{stage}'")
    ]
    assert differing == []


def test_months_count_everybody_who_had_ordered_by_then(shop: Path) -> None:
    found = document(live(shop), "stages")
    assert [(each["date"], each["customer_count"]) for each in found] == [
        ("2025-11-01", 1),
        ("2025-12-01", 1),  # Bob's first order is of that day's morning
        ("2026-01-01", 2),
        ("2026-02-01", 4),
        ("2026-03-01", 5),  # Ivy's is of ten o'clock on 1 March
        ("2026-04-01", 6),
        ("2026-05-01", 8),
        ("2026-06-01", 9),
        ("2026-07-01", 10),
    ]
    assert found[0]["stages"] == {"new": 1}
    assert found[5]["stages"] == {"lapsed": 4, "onboarding": 1, "loyal": 1}
    assert found[-1]["stages"] == {"lapsed": 1, "new": 1, "onboarding": 6, "loyal": 1, "active": 1}


def test_a_customer_has_a_history_of_stages(shop: Path) -> None:
    run = live(shop)
    told = {
        each: json.loads(asyncio.run(run.get_timeline(each)) or "{}")["stages"] for each in ("hal", "gus")
    }
    assert told["hal"] == [
        ["2025-11-01", "new"],
        ["2025-12-01", "active"],  # nobody has ordered twice yet, so nobody lapses
        ["2026-03-01", "lapsed"],
        ["2026-06-01", "active"],
    ]
    assert told["gus"] == [["2026-07-01", "new"]]


def test_whoever_asks_what_is_held_is_shown_their_stages(shop: Path, tmp_path: Path) -> None:
    places = Places(Layout(shop), State.of(Layout(shop)), open_store(Environment(var=shop)))
    write_access(places, tmp_path / "access", ["hal"], with_identity=False)
    held = json.loads((tmp_path / "access" / "access.json").read_text(encoding="utf-8"))["stores"]
    assert held["timelines"][0]["stages"][-1] == ["2026-06-01", "active"]
    assert held["traits"][0]["clock_stage_before"] == "lapsed"


def test_the_page_leads_to_the_customers_of_each_line(client: TestClient) -> None:
    page = client.get("/moves").text
    condition = quote('rfm_segment_before == "LOYAL" and rfm_segment == "CHAMPIONS"', safe="")
    assert f'/segments?q={condition}"' in page
    assert "Since 2 Apr 2026 (90 days): 5 moved, 3 new, 2 stayed." in page
    assert "Not yet a customer</bdi> → <bdi>Active" in page
    listed = client.get(f"/segments?q={condition}").text
    assert "fay" in listed
    assert "1 customer (10 %)" in listed


def test_every_line_counts_whom_its_condition_finds(shop: Path, client: TestClient) -> None:
    run = live(shop)
    for by, name in (("groups", "rfm_segment"), ("stages", "clock_stage")):
        for start, end, count, _ in GROUPS if by == "groups" else STAGES:
            found = members(run, f"{name}_before == '{start}' and {name} == '{end}'")
            assert (by, start, end, len(found)) == (by, start, end, count)
        assert client.get(f"/moves?by={by}").status_code == 200


def test_the_moves_leave_as_counts_alone(client: TestClient) -> None:
    answer = client.get("/moves.csv?by=stages")
    assert answer.headers["content-disposition"] == 'attachment; filename="moves-stages-2026-07-01.csv"'
    assert answer.headers["cache-control"] == "no-store"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0] == {
        "before_date": "2026-04-02",
        "as_of": "2026-07-01",
        "from": "prospect",
        "to": "new",
        "customer_count": "1",
        "spend_365": "160.0",
        "currency": "EUR",
    }
    assert len(rows) == len(STAGES)
    assert "fay" not in answer.text


def test_the_customer_page_tells_the_stages_so_far(client: TestClient) -> None:
    page = client.get("/customers/hal").text
    assert "<td>1 Mar 2026</td><td>lapsed</td>" in page
    assert "<td>1 Jun 2026</td><td>active</td>" in page


def test_what_is_compared_is_one_of_two(client: TestClient) -> None:
    assert client.get("/moves?by=%3Cscript%3E").status_code == 422
    assert client.get("/moves.csv?by=people").status_code == 422


# --- shops at their edges


def order(customer: str, at: str, amount: float = 10.0) -> dict[str, Any]:
    return line(customer, f"{customer}-{at}", at, amount)


def stages_of(folder: Path, rows: list[dict[str, Any]], snapshot: Snapshot, **more: Any) -> PastStages:
    settings = Settings(moves=MovesSettings(before_days=more.pop("before_days", 90)))
    return read_past_stages(write_shop(folder, rows), snapshot, settings=settings, headline_days=30, **more)


def test_one_customer_with_one_order(tmp_path: Path) -> None:
    past = stages_of(tmp_path, [order("a", "2026-06-20T12:00")], Snapshot(date(2026, 7, 2)))
    assert past.before == date(2026, 4, 3)
    assert past.at(past.before).rows() == [("a", None)]
    assert past.counts == [
        {"date": "2026-07-01", "customer_count": 1, "stages": {"new": 1}},
        {"date": "2026-07-02", "customer_count": 1, "stages": {"new": 1}},
    ]
    assert past.monthly.rows() == [("a", "new", "new")]


def test_a_shop_without_repeat_buyers_has_nobody_lapsed(tmp_path: Path) -> None:
    """Nobody ever ordered twice: new for the headline horizon, then active, lost after nine months."""
    rows = [order("a", "2025-06-01T12:00"), order("b", "2026-06-20T12:00"), order("c", "2026-03-01T12:00")]
    past = stages_of(tmp_path, rows, Snapshot(date(2026, 7, 1)))
    assert (past.gaps.p95_days, past.cuts.usual_gap_days) == (None, None)
    told = dict(past.at(date(2026, 7, 1)).rows())
    assert told == {"a": "lost", "b": "new", "c": "active"}
    assert dict(past.at(past.before).rows()) == {"a": "lost", "b": None, "c": "active"}


def test_midnight_of_the_month_is_the_shops(tmp_path: Path) -> None:
    """15:00 UTC on 31 May is the first of June in Seoul: not yet a customer when June begins."""
    rows = [order("a", "2026-05-31T14:59"), order("b", "2026-05-31T15:00")]
    past = stages_of(tmp_path, rows, Snapshot(date(2026, 6, 2), "Asia/Seoul"))
    assert [(each["date"], each["customer_count"]) for each in past.counts] == [
        ("2026-06-01", 1),
        ("2026-06-02", 2),
    ]


def test_months_reach_back_a_year_and_no_further() -> None:
    snapshot = Snapshot(date(2026, 7, 15))
    found = month_starts(snapshot, first_days=0.0)
    assert (found[0], found[-2], found[-1], len(found)) == (
        date(2025, 8, 1),
        date(2026, 7, 1),
        date(2026, 7, 15),
        13,
    )
    assert month_starts(Snapshot(date(2026, 7, 1)), first_days=0.0)[-2:] == (
        date(2026, 6, 1),
        date(2026, 7, 1),
    )
    assert month_starts(snapshot, first_days=None) == (date(2026, 7, 15),)


def test_who_is_suppressed_is_in_no_stage(tmp_path: Path) -> None:
    rows = [order("a", "2026-06-20T12:00"), order("b", "2026-06-20T12:00")]
    marker = Marker.of(b"a pepper of some length")
    gone = Suppressed(frozenset({marker.mark("a")}), marker)
    past = stages_of(tmp_path, rows, Snapshot(date(2026, 7, 1)), suppressed=gone)
    assert past.counts == [{"date": "2026-07-01", "customer_count": 1, "stages": {"new": 1}}]
    assert past.monthly["customer_id"].to_list() == ["b"]


def rows_before(
    folder: Path, rows: list[dict[str, Any]], snapshot: Snapshot, *, days: int = 90
) -> pl.DataFrame:
    history, settings = (
        write_shop(folder, rows, bucket_count=1),
        Settings(moves=MovesSettings(before_days=days)),
    )
    own = read_parts(history, engine="polars", snapshot=snapshot, buckets=[0])
    known = pl.DataFrame({"customer_id": sorted({row["customer_id"] for row in rows})})
    totals = totals_before(history, own, snapshot, bucket=0, settings=settings)
    return known.join(totals, on="customer_id", how="left")


def test_a_shop_that_was_too_small_for_groups_says_nothing(tmp_path: Path) -> None:
    rows = [order(each, "2026-01-01T12:00") for each in "abcd"] + [order("e", "2026-06-20T12:00")]
    known = rows_before(tmp_path, rows, Snapshot(date(2026, 7, 1)))
    found = groups_before(known, cuts_before([known], quintile_11()))
    assert dict(found.rows()) == {**dict.fromkeys("abcd"), "e": "PROSPECTS"}


def test_tiers_have_their_own_names(tmp_path: Path) -> None:
    """Of three customers the best by all three axes is on top: 3 + 3 + 3, 2 + 1 + 2, 1 + 1 + 1."""
    rows = [
        order("a", "2026-03-20T12:00", 50.0),
        order("a", "2026-03-21T12:00", 50.0),
        order("b", "2025-11-20T12:00", 20.0),
        order("c", "2025-06-20T12:00", 10.0),
        order("d", "2026-06-20T12:00", 10.0),
    ]
    known = rows_before(tmp_path, rows, Snapshot(date(2026, 7, 1)))
    found = groups_before(known, cuts_before([known.head(2), known.tail(2)], shopify_2021()))
    assert dict(found.rows()) == {"a": "top", "b": "middle", "c": "bottom", "d": "PROSPECTS"}


def test_a_window_of_observation_looks_back_from_the_earlier_date(tmp_path: Path) -> None:
    """Sixty days before 2 April reach to 1 February, which no window of sixty days before 1 July does."""
    rows = [order("a", "2026-02-10T12:00", 7.0), order("b", "2026-01-10T12:00")]
    found = rows_before(tmp_path, rows, Snapshot(date(2026, 7, 1), "UTC", 60))
    told = dict(found.rows())
    assert told["b"] is None
    assert (told["a"]["order_count"], told["a"]["spend_total"]) == (1.0, 7.0)


def test_the_money_of_a_move_is_that_of_the_last_year(tmp_path: Path) -> None:
    past = stages_of(tmp_path, [order("a", "2026-06-20T12:00")], Snapshot(date(2026, 7, 1)), before_days=7)
    rows = pl.DataFrame(
        {
            "rfm_segment": ["LOYAL", "LOYAL", None],
            "rfm_segment_before": ["NEW", "NEW", None],
            "clock_stage": ["new", "new", "active"],
            "clock_stage_before": ["new", "prospect", "active"],
            "spend_365": [10.004, -3.0, None],
        }
    )
    found = moves_document(rows, past)
    assert found["before_date"] == "2026-06-24"
    assert flat(found["groups"]) == [("NEW", "LOYAL", 2, 7.0), (None, None, 1, 0.0)]
    assert flat(found["stages"]) == [
        ("new", "new", 1, 10.0),
        ("active", "active", 1, 0.0),
        ("prospect", "new", 1, -3.0),
    ]


def test_before_is_a_calendar_day_where_clocks_change() -> None:
    """Ninety days before 1 June in Berlin is 3 March at midnight, an hour more than 90 × 24 hours earlier."""
    before = before_of(Snapshot(date(2026, 6, 1), "Europe/Berlin"), NINETY)
    assert before.date == date(2026, 3, 3)
    assert Snapshot(date(2026, 6, 1), "Europe/Berlin").end_days - before.end_days == pytest.approx(
        90 - 1 / 24
    )
