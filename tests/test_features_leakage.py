"""Nothing dated on or after a snapshot changes a feature."""

import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from features_shop import event, line, write_shop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from features.build import build_features
from features.examples import ExampleBuilder
from features.settings import Settings, ShopSettings
from features.snapshot import Snapshot

D = Snapshot(date(2026, 3, 1))
MIDNIGHT = datetime(2026, 3, 1)
COSTS = {"milk": 3.5, "wine": 70.0}
CATEGORIES = {"milk": "dairy", "bread": "bakery", "wine": "drinks"}
Rows = list[dict[str, Any]]


def rows_between(first_hour: int, last_hour: int, *, count_max: int) -> st.SearchStrategy[Rows]:
    """Draw lines whose instants lie in a range of hours around the snapshot."""
    return st.lists(
        st.builds(
            lambda customer, order, hour, amount, product, discount: line(
                customer,
                order,
                (MIDNIGHT + timedelta(hours=hour)).isoformat(),
                float(amount),
                product=product,
                discount=discount,
                coupon="X" if discount else None,
            ),
            st.sampled_from(["ann", "bob", "cat"]),
            st.sampled_from(["1", "2", "3", "4", "5"]),
            st.integers(first_hour, last_hour),
            st.integers(-20, 60),
            st.sampled_from([None, "milk", "bread", "wine"]),
            st.sampled_from([None, 0.5]),
        ),
        max_size=count_max,
    )


def features_of(rows: Rows, events: Rows, *, basis: Any = "net") -> pl.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        history = write_shop(Path(folder), rows, events=events, categories=CATEGORIES, costs=COSTS)
        return build_features(history, D, settings=Settings(shop=ShopSettings(clv_basis=basis)))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    past=rows_between(-24 * 400, -1, count_max=12),
    future=rows_between(0, 24 * 60, count_max=8),
    other_future=rows_between(0, 24 * 60, count_max=3),
    basis=st.sampled_from(["net", "margin"]),
)
def test_the_future_changes_no_feature(past: Rows, future: Rows, other_future: Rows, basis: str) -> None:
    """Adding rows on or after the snapshot, changing them or deleting them: the table stays byte for byte."""
    acts = [event("ann", "product_viewed", "2026-02-27T10:00")]
    later = [
        event("ann", "product_viewed", "2026-03-01T00:00"),
        event("bob", "ticket", "2026-03-02T00:00"),
    ]
    alone = features_of(past, acts, basis=basis)
    assert_frame_equal(alone, features_of(past + future, acts + later, basis=basis), check_exact=True)
    assert_frame_equal(alone, features_of(other_future + past, acts + later, basis=basis), check_exact=True)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(past=rows_between(-24 * 400, -1, count_max=12), future=rows_between(0, 24 * 60, count_max=8))
def test_a_builder_that_read_everything_knows_no_more(past: Rows, future: Rows) -> None:
    """`ExampleBuilder` reads every line once; its features are those of a history that ends there."""
    with tempfile.TemporaryDirectory() as folder:
        everything = write_shop(Path(folder), past + future, categories=CATEGORIES, costs=COSTS)
        built = ExampleBuilder(everything, Settings()).features_at(D)
    alone = features_of(past, [])
    assert built.index.to_list() == alone["customer_id"].to_list()
    for name in built.columns:
        expected = alone[name].fill_null(float("nan")).to_list()
        assert [repr(value) for value in built[name]] == [repr(value) for value in expected], name


def test_an_order_that_straddles_the_snapshot_is_known_as_far_as_it_goes() -> None:
    """An order with lines on both sides: it opens before, its later line is neither money nor breadth yet."""
    rows = [
        line("ann", "1", "2026-02-28T23:00", 10.0, product="milk"),
        line("ann", "1", "2026-03-01T01:00", 90.0, product="wine", discount=5.0, coupon="X"),
    ]
    row = features_of(rows, []).row(0, named=True)
    assert (row["order_count"], row["spend_total"], row["product_count"]) == (1.0, 10.0, 1.0)
    assert row["discount_share"] is None
