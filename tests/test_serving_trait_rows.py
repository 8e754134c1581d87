"""Traits and purchases of a run: cut points, ages, and shops that record next to nothing."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from preset_shop import score_again
from serving_shop import fit_champions, make_orders, register, write_history

from features.layout import Layout
from features.snapshot import Snapshot, days_since_epoch
from serving.segments.presets import PRESETS, preset_text
from serving.segments.trait_rows import read_purchases, read_sold_products, trait_cuts
from serving.segments.words import compile_segment
from serving.store.contract import ScoreRun
from serving.store.sqlite_store import SqliteStore

# MLflow's own database layer uses what SQLAlchemy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
AS_OF = date(2026, 7, 1)


def cuts_of(values: list[float | None]) -> dict[str, list[float]]:
    """Return the cuts where everybody has a value of `predicted_clv`, and nobody one of `spend_30`."""
    nothing = pl.Series("spend_30", [None] * len(values), dtype=pl.Float64)
    return trait_cuts([pl.Series("predicted_clv", values, dtype=pl.Float64), nothing])


@pytest.mark.parametrize(
    ("values", "fifth", "half"),
    [
        ([5.0, 1.0, 4.0, 2.0, 3.0], 4.0, 3.0),
        ([4.0, 3.0, 2.0, 1.0], 4.0, 2.0),
        ([7.0], 7.0, 7.0),
        ([1.0, None, 1.0, 1.0, 9.0], 9.0, 1.0),
        ([-3.0, float("nan"), float("inf"), -1.0], -1.0, -3.0),
    ],
)
def test_at_most_the_share_lies_above_a_cut(values: list[float | None], fifth: float, half: float) -> None:
    cuts = cuts_of(values)
    assert list(cuts) == ["predicted_clv"]
    assert (cuts["predicted_clv"][15], cuts["predicted_clv"][9]) == (fifth, half)


def test_without_a_value_there_is_no_cut() -> None:
    assert cuts_of([None, None]) == {}
    assert cuts_of([]) == {}


def line(customer: str, days_ago: float, product: str | None, amount: float = 1.0, **more: Any) -> Any:
    at = datetime(2026, 7, 1, tzinfo=UTC) - timedelta(days=days_ago)
    return {
        "customer_id": customer,
        "order_id": f"{customer} {days_ago}",
        "line_id": f"{customer} {days_ago} {product}",
        "ordered_at": at,
        "ordered_days": days_since_epoch(at),
        "product_id": product,
        "amount_minor": int(amount * 10_000),
        "is_return": False,
        "loaded_at": at,
        **more,
    }


def test_the_newest_purchase_counts_and_returns_do_not(tmp_path: Path) -> None:
    history = write_history(
        tmp_path,
        [
            line("a", 200, "tea"),
            line("a", 10, "tea"),
            line("a", 5, "tea", -1, is_return=True),
            line("a", 0.5, None),
            line("b", 1, "mug"),
            line("b", -1, "kettle"),
            line("nobody", 3, "mug"),
        ],
        unit_cost_minor=None,
    )
    products = read_sold_products(history)
    assert products.rows() == [(1, "kettle", None), (2, "mug", None), (3, "tea", None)]
    numbers = pl.DataFrame({"row_number": [1, 2], "customer_id": ["a", "b"]})
    parts = read_purchases(history, Snapshot(AS_OF), products=products, numbers=numbers)
    assert sorted(row for part in parts for row in part.iter_rows()) == [(2, 2, 1), (3, 1, 10)]


@pytest.fixture(scope="module")
def champions(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what was learnt from an ordinary shop; it knows no products."""
    history = write_history(tmp_path_factory.mktemp("ordinary"), make_orders())
    return fit_champions(history, AS_OF, choice={"churn": "recency", "clv": "formula"})


def scored(root: Path, lines: list[Any], champions: Any) -> ScoreRun:
    """Score a shop that has no product and no event, as of the day after its newest order."""
    write_history(root, lines)
    register(root, champions, as_of=AS_OF)
    score_again(root)
    store = SqliteStore.of(Layout(root))
    return store.open_run(store.live_run_id())


@pytest.mark.parametrize(
    "lines",
    [
        [line("only", 0.5, None)],
        [line(f"c{n}", n + 0.5, None) for n in range(40)],
        [line(f"c{n}", n + 0.5, None, -2) for n in range(40)],
    ],
    ids=["one customer", "one-time buyers", "negative money"],
)
@pytest.mark.slow
def test_a_shop_that_records_next_to_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, champions: Any, lines: list[Any]
) -> None:
    monkeypatch.setattr("serving.registry.check_bundle", lambda *_: None)
    run = scored(tmp_path, lines, champions)

    def count(text: str) -> int:
        return asyncio.run(run.count_segment(compile_segment(text, run.meta)))

    everybody = len(lines)
    assert count("order_count_365 == 1") == everybody
    nothing = ("view_count", "last_click_at", "loyalty_tier", "country", "item_count", "coupon_order_count")
    for name in nothing:
        assert count(f"{name} is null") == everybody
    assert count("bought('tea') or bought_category('Tea')") == 0
    for preset in PRESETS:
        assert 0 <= count(asyncio.run(preset_text(preset, run))) <= everybody
