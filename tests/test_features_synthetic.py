"""The made-up shop: what happens in it agrees with its truth, and the same specification is the same shop."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from features.ingest import load
from features.layout import Layout
from features.sources import Request
from features.synthetic.shop import SyntheticShop, write_shop
from features.synthetic.spec import ShopSpec

SPEC = ShopSpec(customer_count=12_000, day_count=600)
DAY, HORIZON_DAYS = 400.0, 90


@pytest.fixture(scope="module")
def shop() -> SyntheticShop:
    return SyntheticShop(SPEC)


@pytest.fixture(scope="module")
def lines(shop: SyntheticShop) -> pl.DataFrame:
    found = pl.concat([block.order_lines for block in shop.blocks()])
    epoch_day = SPEC.first_day.toordinal() - 719_163
    return found.with_columns((pl.col("ordered_at").dt.epoch("us") / 86_400e6 - epoch_day).alias("day"))


def seen_after(shop: SyntheticShop, lines: pl.DataFrame) -> pl.DataFrame:
    """Return orders and gross spend of the window after `DAY`, beside the truth, of everybody known."""
    oracle = shop.oracle()
    window = (pl.col("day") >= DAY) & (pl.col("day") < DAY + HORIZON_DAYS) & ~pl.col("is_return")
    seen = (
        lines.filter(window)
        .group_by("customer_id")
        .agg(pl.col("order_id").n_unique(), pl.col("amount").sum())
    )
    truth = pl.DataFrame(
        {
            "customer_id": oracle.people.ids,
            "probability": oracle.order_probability(DAY, HORIZON_DAYS),
            "orders": oracle.expected_orders(DAY, HORIZON_DAYS),
            "spend": oracle.expected_spend(DAY, HORIZON_DAYS),
        }
    )
    joined = truth.filter(pl.col("probability").is_not_nan()).join(seen, on="customer_id", how="left")
    return joined.with_columns(pl.col("order_id", "amount").fill_null(0))


def test_as_many_order_as_the_truth_says_at_every_level(shop: SyntheticShop, lines: pl.DataFrame) -> None:
    known = seen_after(shop, lines)
    ordered = (known["order_id"] > 0).to_numpy()
    expected = known["probability"].to_numpy()
    for low, high in ((0.01, 0.3), (0.3, 0.6), (0.6, 0.9), (0.9, 1.0)):
        chosen = (expected > low) & (expected <= high)
        error = np.sqrt((expected[chosen] * (1 - expected[chosen])).sum()) / chosen.sum()
        assert abs(ordered[chosen].mean() - expected[chosen].mean()) < 3.5 * error
    assert not ordered[expected == 0].any()


def test_orders_and_spend_add_up_to_the_truth(shop: SyntheticShop, lines: pl.DataFrame) -> None:
    known = seen_after(shop, lines)
    assert known["order_id"].sum() == pytest.approx(known["orders"].sum(), rel=0.05)
    assert known["amount"].sum() == pytest.approx(known["spend"].sum(), rel=0.05)


def test_nobody_orders_before_birth_or_after_death(shop: SyntheticShop, lines: pl.DataFrame) -> None:
    truth = shop.oracle().table()
    orders = lines.filter(~pl.col("is_return")).join(truth, on="customer_id")
    assert (orders["day"] >= orders["born_days"] - 1 / 86_400).all()
    assert (orders["day"] <= orders["died_days"]).all()
    assert set(truth["customer_id"]) == set(orders["customer_id"])
    assert lines["day"].min() >= 0  # type: ignore[operator]
    assert lines["day"].max() < SPEC.day_count  # type: ignore[operator]


@pytest.mark.parametrize("lift", [-0.3, 0.0, 0.5, 1.5])
def test_offers_raise_and_lower_orders_by_their_lift(
    shop: SyntheticShop, lines: pl.DataFrame, lift: float
) -> None:
    """Orders of who was sent an offer against who was not, over all campaigns, within 3.5 standard errors."""
    people = shop.oracle().people
    orders = lines.filter(~pl.col("is_return")).unique("order_id")
    found, paces = np.zeros(2), np.zeros(2)
    for campaign, start in enumerate(SPEC.campaign_starts_days()):
        end = start + SPEC.campaign_days
        window = orders.filter((pl.col("day") >= start) & (pl.col("day") < end))
        counts = dict(window.group_by("customer_id").len().iter_rows())
        chosen = np.flatnonzero((people.born < start) & (people.died > end) & (people.lifts == lift))
        sent = people.offered[chosen, campaign]
        ordered = np.array([counts.get(people.ids[row], 0) for row in chosen])
        found += [ordered[~sent].sum(), ordered[sent].sum()]
        paces += [people.rates[chosen][~sent].sum(), people.rates[chosen][sent].sum()]
    ratio = (found[1] / paces[1]) / (found[0] / paces[0])
    error = ratio * np.sqrt((1 / found).sum())
    assert error < 0.2
    assert abs(ratio - (1 + lift)) < 3.5 * error


def test_planted_pairs_meet_far_above_chance(shop: SyntheticShop, lines: pl.DataFrame) -> None:
    baskets = lines.filter(~pl.col("is_return")).select("order_id", "product_id").unique()
    size = baskets["order_id"].n_unique()
    lifts = []
    for first, second in shop.assortment.pairs():
        with_first = baskets.filter(pl.col("product_id") == first)["order_id"]
        with_second = baskets.filter(pl.col("product_id") == second)["order_id"]
        both = with_first.is_in(with_second.implode()).sum()
        lifts.append(both * size / max(len(with_first) * len(with_second), 1))
    assert np.median(lifts) > 3


@pytest.mark.slow
def test_the_same_specification_is_the_same_shop_and_a_larger_one_keeps_its_first_customers(
    shop: SyntheticShop, lines: pl.DataFrame
) -> None:
    again = pl.concat([block.order_lines for block in SyntheticShop(SPEC).blocks()])
    assert_frame_equal(again, lines.drop("day"))
    other = next(SyntheticShop(replace(SPEC, seed=2)).blocks()).order_lines
    assert not other.equals(again)
    larger = next(SyntheticShop(replace(SPEC, customer_count=30_000)).blocks())
    assert_frame_equal(larger.order_lines, next(shop.blocks()).order_lines)


@pytest.mark.parametrize("customer_count", [1, 50])
def test_the_smallest_shop_can_be_loaded(tmp_path: Path, customer_count: int) -> None:
    write_shop(SyntheticShop(ShopSpec(customer_count=customer_count, day_count=120)), tmp_path / "shop")
    companions = {name: tmp_path / "shop" / f"{name}.parquet" for name in ("products", "customers", "events")}
    request = Request(files=(tmp_path / "shop" / "order_lines.parquet",), companions=companions)
    report = load(request, layout=Layout(tmp_path / "var"), time_zone="UTC")
    assert report.history["customers"] == customer_count
    truth = pl.read_parquet(tmp_path / "shop" / "truth.parquet")
    assert len(truth) == customer_count
