"""The made-up shop on which the recommender's memory is measured, and the table of its steps."""

from pathlib import Path

import polars as pl
import pytest

from benchmarks.recommender_scale import Size, learn, table_text, write_shop
from features.history import History

SIZE = Size(customers=1_000, items=600, lines=6_000)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_shop(SIZE, tmp_path_factory.mktemp("shop") / "history", lambda _: None)


def test_the_shop_is_of_the_size_asked_for(shop: History) -> None:
    lines = shop.read("order_lines")
    assert lines["customer_id"].n_unique() == 1_000
    assert shop.manifest.row_counts["products"] == 600
    assert len(lines) == pytest.approx(6_000, rel=0.1)
    assert lines["ordered_days"].max() < 20_605  # 2026-06-01
    again = lines.group_by("customer_id", "product_id").len().filter(pl.col("len") > 1)
    assert again["len"].sum() > 0.2 * len(lines)


@pytest.mark.slow
def test_the_same_size_is_the_same_shop(shop: History, tmp_path: Path) -> None:
    other = write_shop(SIZE, tmp_path / "history", lambda _: None)
    assert other.manifest.data_hash == shop.manifest.data_hash


def test_the_table_adds_up_seconds_and_takes_the_highest_memory() -> None:
    text = table_text([("read", 1.5, 2**30), ("learn", 2.5, 2**29)])
    assert [line.split() for line in text.splitlines()] == [
        ["wall", "s", "peak", "GB"],
        ["read", "1.5", "1.00"],
        ["learn", "2.5", "0.50"],
        ["all", "4.0", "1.00"],
    ]


@pytest.mark.slow
def test_every_step_is_measured(shop: History) -> None:
    rows = learn(shop.root, SIZE.items)
    names = [name for name, _, _ in rows]
    assert names[:4] == ["read purchases", "item neighbours", "ALS", "baskets and bundles"]
    assert names[-2:] == ["save the bundle", "1,000 customers' lists"]
    assert all(seconds >= 0 and peak > 0 for _, seconds, peak in rows)
