"""The return curve against silences worked out by hand, and against a shop whose truth is known."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from features_shop import line, write_shop
from hypothesis import given
from hypothesis import strategies as st

from features.fully_churned import read_fully_churned
from features.history import History
from features.ingest import load
from features.layout import Layout
from features.return_curve import ReturnCurve, read_category_curves, read_return_curve
from features.snapshot import Snapshot
from features.sources import Request
from features.synthetic.shop import SyntheticShop
from features.synthetic.shop import write_shop as write_synthetic
from features.synthetic.spec import ShopSpec

SPEC = ShopSpec(customer_count=4_000, day_count=600, season_strength=0.0, campaign_count=0)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> History:
    folder = tmp_path_factory.mktemp("shop")
    write_synthetic(SyntheticShop(SPEC), folder)
    companions = {"products": folder / "products.parquet"}
    request = Request(files=(folder / "order_lines.parquet",), companions=companions)
    load(request, layout=Layout(folder / "var"), time_zone="UTC")
    return History.open(folder / "var" / "history")


def test_open_silences_are_cut_off_and_no_departures() -> None:
    """Ten silences of 5 days ended; of ten open for 10 days nothing more is known."""
    curve = ReturnCurve.fit(np.full(10, 5), np.full(10, 10))
    assert curve.silent_shares[4:6].tolist() == [1.0, 0.5]
    assert curve.silent_shares[10] == 0.5
    assert curve.watched_counts[[0, 5, 6, 10]].tolist() == [20, 20, 10, 10]


def test_the_chance_of_coming_back_is_conditional_on_the_silence() -> None:
    curve = ReturnCurve.fit(np.repeat([5, 50], [60, 20]), np.full(40, 120))
    assert curve.coming_back(0, within_days=60) == pytest.approx(80 / 120)
    assert curve.coming_back(5, within_days=45) == pytest.approx(20 / 60)
    assert curve.coming_back(50, within_days=60) == pytest.approx(0.0)
    assert curve.coming_back(100, within_days=60) is None
    assert curve.patience_days == 60
    assert curve.window_days(chance=0.1) == 50
    assert curve.window_days(chance=0.4) == 5


def test_a_shop_without_repeat_orders_has_no_patience() -> None:
    curve = ReturnCurve.fit(np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert (curve.reach_days, curve.window_days(chance=0.1)) == (0, None)


@given(st.lists(st.integers(1, 200), max_size=80), st.lists(st.integers(0, 200), min_size=1, max_size=80))
def test_a_curve_falls_and_answers_are_probabilities(ended: list[int], still_open: list[int]) -> None:
    curve = ReturnCurve.fit(np.array(ended, dtype=np.int64), np.array(still_open, dtype=np.int64))
    assert (np.diff(curve.silent_shares) <= 1e-12).all()
    assert (np.diff(curve.watched_counts) <= 0).all()
    for days in range(0, curve.reach_days, 7):
        found = curve.coming_back(days, within_days=curve.patience_days)
        assert found is None or -1e-12 <= found <= 1


def test_order_days_of_a_hand_written_shop(tmp_path: Path) -> None:
    orders = [line("ann", str(n), f"2026-01-{day:02d}T10:00", 1.0) for n, day in enumerate((1, 4, 9))]
    history = write_shop(tmp_path, [*orders, line("bob", "b", "2026-01-02T10:00", 1.0)])
    curve = read_return_curve(history, Snapshot(SPEC.first_day.replace(year=2026, month=1, day=20)))
    # Ann was silent for 3 and 5 days and is for 11 (10.6 days ago), bob for 17.
    assert curve.watched_counts[[0, 4, 6, 11, 17]].tolist() == [4, 3, 2, 1, 1]


def chances_by_silence(synthetic: History, days: int) -> pl.DataFrame:
    """Return the true chance of an order within so many days, and how long each customer is silent."""
    as_of = Snapshot(SPEC.first_day + timedelta(days=SPEC.day_count))
    recency = (
        synthetic.read("order_lines")
        .filter(~pl.col("is_return"))
        .group_by("customer_id")
        .agg(days=as_of.end_days - pl.col("ordered_days").max())
    )
    oracle = SyntheticShop(SPEC).oracle()
    chances = oracle.order_probability(float(SPEC.day_count), days)
    truth = pl.DataFrame({"customer_id": oracle.people.ids, "chance": chances})
    return truth.join(recency, on="customer_id")


def test_the_window_is_where_the_truth_says_that_few_come_back(synthetic: History) -> None:
    curve = read_return_curve(synthetic, Snapshot(SPEC.first_day + timedelta(days=SPEC.day_count)))
    silent = chances_by_silence(synthetic, curve.patience_days)
    for chance in (0.1, 0.3):
        window = curve.window_days(chance=chance)
        assert window is not None
        about = silent.filter((pl.col("days") - window).abs() <= 15)
        assert len(about) > 50
        assert about["chance"].mean() == pytest.approx(chance, abs=0.07)


def test_beyond_the_point_of_having_left_for_good_hardly_anybody_is_there(synthetic: History) -> None:
    """The point is measured, and of those who are silent longer fewer than a tenth of the fresh come back."""
    found = read_fully_churned(synthetic, Snapshot(SPEC.first_day + timedelta(days=SPEC.day_count)))
    assert found.source == "measured"
    silent = chances_by_silence(synthetic, found.patience_days)
    gone, fresh = silent.filter(pl.col("days") > found.span.days), silent.filter(pl.col("days") < 7)
    assert min(len(gone), len(fresh)) > 100
    assert float(gone["chance"].mean()) < 0.1 * float(fresh["chance"].mean())  # type: ignore[arg-type]


def test_categories_have_curves_of_their_own(synthetic: History) -> None:
    as_of = SPEC.first_day + timedelta(days=SPEC.day_count)
    shop = read_return_curve(synthetic, Snapshot(as_of))
    curves = read_category_curves(synthetic, Snapshot(as_of), count=3)
    assert len(curves) == 3
    for curve in curves.values():
        assert curve.silent_shares[60] > shop.silent_shares[60]
