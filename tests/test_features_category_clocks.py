"""Clocks of categories and products, against gaps counted by hand and shops whose habits are known."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path
from random import Random
from statistics import mean, pvariance
from typing import Any

import numpy as np
import polars as pl
import pytest
from features_shop import line, write_shop
from hypothesis import given
from hypothesis import strategies as st

from features import build, self_lift
from features.category_clocks import Clock, read_clocks
from features.generation import GenerationWriter
from features.history import History
from features.return_curve import ReturnCurve
from features.rhythm import Rhythm, count_neighbours
from features.self_lift import STRETCH_DAYS, SelfLiftTally, false_discoveries_held
from features.settings import FeatureSettings, Settings
from features.snapshot import Snapshot

DAY_COUNT = 720
FIRST = date(2024, 1, 1)
AS_OF = Snapshot(FIRST + timedelta(days=DAY_COUNT))
CATEGORIES = {name: name.upper() for name in ("milk", "socks", "poster", "tree", "novel")}


def test_gaps_that_are_still_open_make_the_clock_later() -> None:
    """Of 100 purchases 40 were followed after 10 days, 30 after 100, and 30 are open for 50 days."""
    curve = ReturnCurve.fit(np.repeat([10, 100], [40, 30]), np.full(30, 50))
    # Of the 70 gaps that are over, most are of 10 days. But beyond day 50 all who were watched took 100.
    assert [curve.days_until(share) for share in (0.25, 0.4, 0.5, 0.75)] == [10, 10, 100, 100]
    assert curve.returned_share == 1.0
    nobody = ReturnCurve.fit(np.zeros(0, np.int64), np.full(50, 20))
    assert (nobody.returned_share, nobody.days_until(0.5)) == (0.0, None)


def bought(customer: int, day: int, what: str) -> dict[str, Any]:
    at = f"{FIRST + timedelta(days=day)}T10:00"
    return line(f"c{customer:03d}", f"{customer}-{day}", at, 5.0, product=what)


def shop_lines() -> Iterable[dict[str, Any]]:
    """120 customers order every twelve days or so: milk always, and what their habits say.

    Socks are worn out after 90 days. Two in five like novels and take one with every other order, whenever
    they read. A tree is bought around Christmas, and again if the first one is too small. A poster is bought
    once, by everybody, some time.
    """
    random = Random(7)
    for customer in range(120):
        likes_novels, poster_day = customer % 5 < 2, random.randrange(DAY_COUNT)
        socks_due = float(random.randrange(90))
        day, tree_count = random.randrange(12), 0
        while day < DAY_COUNT:
            yield bought(customer, day, "milk")
            if day >= socks_due:
                yield bought(customer, day, "socks")
                socks_due = day + random.gauss(90, 8)
            if likes_novels and random.random() < 0.5:
                yield bought(customer, day, "novel")
            if (day % 360) > 320 and tree_count < 2 and customer % 2:
                yield bought(customer, day, "tree")
                tree_count += 1
            if day >= poster_day:
                yield bought(customer, day, "poster")
                poster_day = DAY_COUNT
            day += random.randrange(8, 17)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_shop(tmp_path_factory.mktemp("shop"), list(shop_lines()), categories=CATEGORIES)


def clocks_of(history: History, **more: Any) -> dict[str, Clock]:
    settings = more.pop("settings", Settings())
    kind = more.pop("kind", "category")
    return {clock.name: clock for clock in read_clocks(history, AS_OF, kind=kind, settings=settings, **more)}


def test_what_is_used_up_is_told_from_taste_season_and_need_of_once(shop: History) -> None:
    clocks = clocks_of(shop)
    assert [name for name, clock in clocks.items() if clock.is_replenishable] == ["SOCKS"]
    socks, novel, tree = clocks["SOCKS"], clocks["NOVEL"], clocks["TREE"]
    # 90 days, give or take 8, then up to 16 until the next order.
    assert 84 <= socks.quarter_days <= socks.median_days <= socks.three_quarter_days <= 110
    assert (socks.next_times_chance, socks.customer_count) == (0.0, 120)
    assert socks.again_share > 0.95
    # Who reads novels is likelier than others to buy one, but not after one purchase less than after two.
    assert novel.times_chance_low is not None
    assert novel.times_chance_low > 2
    assert novel.next_times_chance == pytest.approx(1.0, abs=0.1)
    # The second tree follows the first one at once.
    assert tree.next_times_chance is not None
    assert tree.next_times_chance > 5
    # A poster is bought once: nobody has a gap. Milk is in every order: nothing can be told.
    assert "POSTER" not in clocks
    assert (clocks["MILK"].times_chance, clocks["MILK"].next_times_chance) == (None, None)


def test_what_is_seldom_bought_again_is_not_used_up(tmp_path: Path) -> None:
    """Of 300 customers with twelve orders all buy a sofa, and every fifth another one half a year later.

    Nobody buys two in a row, which by chance 10 of the 60 would: they wait, but they do not come back for it.
    """
    lines = [
        bought(customer, 30 * order, "sofa" if is_sofa else "tea")
        for customer in range(300)
        for order in range(12)
        for is_sofa in [order == customer % 6 or (not customer % 5 and order == customer % 6 + 6)]
    ]
    sofa = clocks_of(write_shop(tmp_path, lines), kind="product_id")["sofa"]
    assert (sofa.gap_count, sofa.customer_count, sofa.next_times_chance) == (60, 300, 0.0)
    assert sofa.times_chance is not None
    assert sofa.times_chance < 0.5
    assert sofa.again_share < 0.5
    assert not sofa.is_replenishable


def test_products_have_clocks_like_categories(shop: History) -> None:
    products, categories = clocks_of(shop, kind="product_id"), clocks_of(shop)
    assert {name.upper() for name in products} == set(categories)
    renamed = {"name": "SOCKS", "title": "SOCKS"}
    assert asdict(products["socks"]) | renamed == asdict(categories["SOCKS"])
    assert next(iter(products)) == "milk"
    assert list(clocks_of(shop, kind="product_id", clock_count_max=2)) == ["milk", "novel"]
    assert json.loads(json.dumps(asdict(products["tree"])))["is_replenishable"] is False


def test_a_clock_has_the_name_of_the_catalogue(tmp_path: Path) -> None:
    lines = [bought(customer, day, what) for customer in range(30) for day in (1, 9) for what in ("a", "b")]
    history = write_shop(tmp_path, lines, categories={"a": "tea"})
    products = history.read("products").with_columns(name=pl.lit("Assam, 100 g"))
    with GenerationWriter(tmp_path, bucket_count=2, currency="EUR", previous=history) as writer:
        for bucket in range(2):
            writer.keep("order_lines", bucket=bucket)
        writer.write("products", products)
        history = writer.commit()
    titles = {name: clock.title for name, clock in clocks_of(history, kind="product_id").items()}
    assert titles == {"a": "Assam, 100 g", "b": "b"}
    assert [clock.title for clock in clocks_of(history).values()] == ["tea"]


def test_parts_of_a_shop_add_up_on_either_engine(shop: History, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = clocks_of(shop)
    assert clocks_of(shop, settings=Settings(features=FeatureSettings(engine="duckdb"))) == whole
    monkeypatch.setattr(build, "LINES_AT_ONCE", 1)
    monkeypatch.setattr(self_lift, "_CELLS_AT_ONCE", 100)
    assert clocks_of(shop) == whole


def test_a_clock_counts_days_and_no_returns(tmp_path: Path) -> None:
    """Each of 30 customers buys twice on one day, gives one back, and buys again after 10 days and 1 hour."""
    lines = []
    for number in range(30):
        who = f"c{number}"
        lines += [
            line(who, f"{who}a", "2025-01-01T09:00", 5.0, product="socks"),
            line(who, f"{who}b", "2025-01-01T20:00", 5.0, product="socks"),
            line(who, f"{who}a", "2025-01-05T09:00", -5.0, product="socks"),
            line(who, f"{who}c", "2025-01-11T21:00", 5.0, product="socks"),
        ]
    clock = clocks_of(write_shop(tmp_path, lines, categories=CATEGORIES))["SOCKS"]
    assert (clock.gap_count, clock.customer_count, clock.median_days) == (30, 30, 10)
    # Every second purchase was followed by none.
    assert clock.again_share == 0.5


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [line("ann", "1", "2025-01-01", 5.0, product="socks")],
        [line("ann", "1", "2025-01-01", -5.0, product="socks")],
        [line("ann", str(day), f"2025-01-{day:02d}", 5.0) for day in range(1, 31)],
        [line("ann", str(day), f"2025-01-{day:02d}", 5.0, product="socks") for day in range(1, 29)],
    ],
)
def test_odd_shops_have_no_clocks(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    history = write_shop(tmp_path, lines)
    assert clocks_of(history) == {}
    assert clocks_of(history, kind="product_id") == {}


def days_frame(rows: Iterable[tuple[str, int]]) -> pl.DataFrame:
    schema = {"customer_id": pl.String, "days_ago": pl.Int64}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def bought_frame(rows: Iterable[tuple[str, int, int]]) -> pl.DataFrame:
    schema = {"customer_id": pl.String, "days_ago": pl.Int64, "thing": pl.Int64}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def test_neighbours_of_all_patterns_average_to_what_chance_makes() -> None:
    """Three purchases on five order days: over the ten patterns, 1.2 on average with a variance of 0.36."""
    days = [("ann", day) for day in (3, 7, 20, 21, 50)]
    found = []
    for pattern in combinations((3, 7, 20, 21, 50), 3):
        counts = count_neighbours(days_frame(days), bought_frame(("ann", day, 0) for day in pattern))
        assert counts.row(0)[2:] == (pytest.approx(1.2), pytest.approx(0.36))
        found.append(counts["observed"].item())
    assert (mean(found), pvariance(found)) == (pytest.approx(1.2), pytest.approx(0.36))


def test_who_always_or_once_buys_a_thing_says_nothing_of_its_rhythm() -> None:
    days = days_frame((who, day) for who in ("always", "once") for day in (1, 2, 3))
    bought = bought_frame([("always", 1, 0), ("always", 2, 0), ("always", 3, 0), ("once", 2, 0)])
    assert count_neighbours(days, bought).height == 0
    assert Rhythm.of(0.0, 0.0, 0.0) is None


def test_the_lift_of_two_customers_worked_out_by_hand() -> None:
    """On four order days of two customers in one stretch, a thing is bought twice: p = 1/2, w = 1.

    Both by ann: D = 2 · ½ · ½ + 2 · ½ · ½ = 1, E = 4 · ¼ = 1, V = 2 · 4 · 1/16 = ½: twice as often as chance.
    One by each: D = −1: never again.
    """
    days = days_frame((who, day) for who in ("ann", "bob") for day in (1, 2))
    for bought, times in (([("ann", 1, 0), ("ann", 2, 0)], 2.0), ([("ann", 1, 0), ("bob", 2, 0)], 0.0)):
        tally = SelfLiftTally(1, 1)
        tally.add(days, bought_frame(bought))
        (lift,) = tally.lifts()
        assert lift is not None
        assert lift.times_chance == pytest.approx(times)
        # z = ± 1 ÷ √½ = ± 1.4142: the tail beyond is 0.0786.
        assert lift.p_value == pytest.approx(0.0786 if times else 0.9214, abs=1e-4)
        assert lift.low == pytest.approx(max(0.0, times - 1.644854 * 0.5**0.5), abs=1e-6)


def by_definition(orders: list[tuple[str, int, bool]], stretch_count: int) -> tuple[float, float, float]:
    """Return D, E and V pair by pair."""
    shares = []
    for stretch in range(stretch_count):
        held = [holds for _, day, holds in orders if (day - 1) // STRETCH_DAYS == stretch]
        shares.append(sum(held) / len(held) if held else 0.0)
    excess = expected = variance = 0.0
    for customer in {who for who, _, _ in orders}:
        own = [(shares[(day - 1) // STRETCH_DAYS], holds) for who, day, holds in orders if who == customer]
        weight = 1 / (len(own) - 1) if len(own) > 1 else 0.0
        for one, (p, holds) in enumerate(own):
            for other, (q, also) in enumerate(own):
                if one != other:
                    excess += weight * (holds - p) * (also - q)
                    expected += weight * p * q
                    variance += 2 * weight**2 * p * (1 - p) * q * (1 - q)
    return excess, expected, variance


ORDERS = st.dictionaries(
    st.tuples(st.sampled_from("abcde"), st.integers(1, 90)), st.booleans(), min_size=1, max_size=40
)


@given(ORDERS)
def test_the_sums_over_customers_are_the_sums_over_pairs(drawn: dict[tuple[str, int], bool]) -> None:
    orders = [(who, day, holds) for (who, day), holds in drawn.items()]
    tally = SelfLiftTally(1, 3)
    for part in ("ab", "cde"):
        mine = [row for row in orders if row[0] in part]
        tally.add(
            days_frame((who, day) for who, day, _ in mine),
            bought_frame((who, day, 0) for who, day, holds in mine if holds),
        )
    excess, expected, variance = by_definition(orders, 3)
    (lift,) = tally.lifts()
    if lift is None:
        assert min(expected, variance) == pytest.approx(0.0, abs=1e-9)
    elif min(expected, variance) > 1e-6:
        assert lift.times_chance == pytest.approx(max(0.0, 1 + excess / expected), abs=1e-6)


def test_chance_alone_is_seldom_called_a_repeat_and_a_season_neither() -> None:
    """1,000 customers with 20 orders in two stretches; 200 things that everybody buys at random.

    Things of even number are bought ten times as often in the first stretch: a season, and no repeat.
    """
    random = np.random.default_rng(3)
    days = [(f"c{who}", day) for who in range(1_000) for day in (*range(1, 11), *range(31, 41))]
    shares = np.array([[0.1, 0.01] if thing % 2 == 0 else [0.05, 0.05] for thing in range(200)])
    tally = SelfLiftTally(200, 2)
    held = random.random((len(days), 200)) < shares[:, [(day - 1) // 30 for _, day in days]].T
    rows = [(*days[place], thing) for place, thing in np.argwhere(held).tolist()]
    tally.add(days_frame(days), bought_frame(rows))
    p_values = [lift.p_value for lift in tally.lifts() if lift is not None]
    assert len(p_values) == 200
    # 5 % of 200 are 10; 20 or more come by chance in one of 300 draws.
    assert sum(p < 0.05 for p in p_values[::2]) + sum(p < 0.05 for p in p_values[1::2]) < 20
    assert not any(false_discoveries_held(p_values, share=0.01))
    assert 0.4 < float(np.mean(p_values)) < 0.6


def test_of_many_findings_few_may_be_false() -> None:
    """Benjamini and Hochberg's own example of 15 p-values at 5 %: the four smallest stand."""
    values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459]
    values += [0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert false_discoveries_held(values) == [True] * 4 + [False] * 11
    assert false_discoveries_held([]) == []
