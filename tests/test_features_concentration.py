"""How sales are spread, against shops whose curve can be drawn by hand."""

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path

import narwhals as nw
import numpy as np
import polars as pl
import pytest
from features_shop import line, write_shop
from hypothesis import given
from hypothesis import strategies as st

from features.concentration import Concentration, TopShare, measure_concentration, read_concentration
from features.high_value import flag_high_value
from features.settings import Settings, ShopSettings
from features.snapshot import Snapshot


def tops_of(found: Concentration) -> list[tuple[int, float | None]]:
    return [(top.customer_count, top.revenue_share) for top in found.tops]


def test_the_top_fifth_of_a_small_shop() -> None:
    """Ten customers: 57, then 43 in all."""
    found = measure_concentration(pl.Series([30.0, 27.0, 10.0, 8.0, 7.0, 6.0, 5.0, 4.0, 2.0, 1.0]))
    # Of ten there are no top 1 % and no top 5 %.
    assert tops_of(found) == [(0, None), (0, None), (1, 0.3), (2, 0.57), (5, 0.82)]
    assert (found.customer_count, found.revenue, found.negative_count) == (10, 100.0, 0)
    assert found.lorenz[:4] == ((0.0, 0.0), (0.1, 0.01), (0.2, 0.03), (0.3, 0.07))
    assert (len(found.lorenz), found.lorenz[-1]) == (11, (1.0, 1.0))


def test_a_share_of_customers_is_rounded_up_to_whole_ones() -> None:
    found = measure_concentration(pl.Series([4.0, 3.0, 1.0, 1.0, 1.0, 0.0, 0.0]))
    assert tops_of(found)[3:] == [(2, 0.7), (4, 0.9)]


@pytest.mark.parametrize(
    ("revenues", "gini"),
    [
        ([5.0, 5.0, 5.0, 5.0], 0.0),
        ([0.0, 0.0, 0.0, 8.0], 0.75),
        ([1.0, 3.0], 0.25),
        ([1.0, 2.0, 3.0], 0.222222222),
        ([7.0], 0.0),
    ],
)
def test_gini_of_known_shops(revenues: list[float], gini: float) -> None:
    assert measure_concentration(pl.Series(revenues)).gini == gini


def test_whoever_took_more_than_they_bought_brought_nothing() -> None:
    found = measure_concentration(pl.Series([60.0, 40.0, 0.0, -25.0, -5.5]))
    assert (found.revenue, found.negative_count, found.negative_revenue) == (100.0, 2, -30.5)
    assert found.tops[3] == TopShare(0.20, 1, 0.6)
    assert found.lorenz == ((0.0, 0.0), (0.2, 0.0), (0.4, 0.0), (0.6, 0.0), (0.8, 0.4), (1.0, 1.0))


@pytest.mark.parametrize("revenues", [[], [0.0, 0.0], [-3.0]])
def test_without_sales_there_is_no_curve(revenues: list[float]) -> None:
    found = measure_concentration(pl.Series(revenues, dtype=pl.Float64))
    assert (found.gini, found.lorenz, found.customer_count) == (None, (), len(revenues))
    assert {top.revenue_share for top in found.tops} == {None}


def test_a_large_shop_has_101_points_on_the_very_curve() -> None:
    """1,000 customers of 1 … 1,000: the p of the least make (p² + p ÷ 1,000) ÷ 1.001."""
    found = measure_concentration(pl.Series(np.arange(1000, 0, -1), dtype=pl.Float64))
    assert len(found.lorenz) == 101
    assert found.lorenz[25] == (0.25, pytest.approx((0.0625 + 0.00025) / 1.001, abs=1e-9))
    assert found.gini == pytest.approx(999 / 3000, abs=1e-9)
    assert found.tops[0] == TopShare(0.01, 10, pytest.approx(9_955 / 500_500, abs=1e-9))


MONEY = st.lists(st.integers(-5_000, 100_000).map(lambda cents: cents / 100), min_size=1, max_size=300)


@given(MONEY, st.integers(2, 50))
def test_the_curve_is_convex_and_the_same_in_any_order_and_unit(revenues: list[float], factor: int) -> None:
    found = measure_concentration(pl.Series(revenues))
    assert found == measure_concentration(pl.Series(revenues[::-1]))
    scaled = measure_concentration(pl.Series([factor * each for each in revenues]))
    assert scaled.lorenz == found.lorenz
    assert scaled.gini == found.gini
    slopes = np.diff([share for _, share in found.lorenz])
    assert (np.diff(slopes) >= -1e-8).all()
    assert found.gini is None or -1e-9 <= found.gini < 1
    shares = [top.revenue_share or 0.0 for top in found.tops]
    assert shares == sorted(shares)


@given(st.lists(st.integers(1, 10_000), min_size=5, max_size=200, unique=True))
def test_the_top_fifth_is_that_of_high_value(cents: list[int]) -> None:
    """Without ties the two definitions of the top 20 % are one."""
    values = pl.DataFrame(
        {"customer_id": [str(n) for n in range(len(cents))], "value": [c / 100 for c in cents]}
    )
    flags = flag_high_value(nw.from_native(values.lazy())).collect("polars").to_native()
    assert measure_concentration(values["value"]).tops[3].customer_count == flags["is_in_top_share"].sum()


@pytest.mark.parametrize(("basis", "revenue"), [("gross", 130.0), ("net", 90.0)])
def test_sales_are_on_the_shops_basis(tmp_path: Path, basis: str, revenue: float) -> None:
    settings = Settings(shop=ShopSettings(clv_basis=basis))  # type: ignore[arg-type]
    lines = [
        line("ann", "1", "2026-01-01", 90.0),
        line("bob", "2", "2026-01-02", 40.0),
        line("bob", "2", "2026-01-09", -50.0),
        line("only returns", "3", "2026-01-03", -7.0),
        line("tomorrow", "4", "2026-02-01", 500.0),
    ]
    found = read_concentration(write_shop(tmp_path, lines), Snapshot(date(2026, 2, 1)), settings=settings)
    assert (found.customer_count, found.revenue) == (2, revenue)
    assert json.loads(json.dumps(asdict(found)))["gini"] == found.gini
