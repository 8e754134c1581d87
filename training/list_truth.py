"""What lists are judged by: what customers bought in a window, and what was known of them before it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd
import polars as pl

from features.history import History
from features.interactions import build_purchases
from features.snapshot import Snapshot
from models.recommender.contract import RecommenderMaterial

OF_WHAT_IS_SHOWN = ("novelty_at_10", "fallback_share_at_10", "coverage_at_10", "exposure_gini_at_10")
"""Metrics that need no purchase, only lists."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What the customers known at an origin bought in the window after it.

    `purchases`      customer_id, product_id, is_repeat: the customer had bought it before the origin
    `discoveries`    customer_id, category bought in the window and new to the customer, popular_place: its
                     place (from 1) among the categories new to the customer, the most popular first; NaN for
                     one that nobody bought before
    `order_counts`   orders before the origin, by customer (index, sorted)
    `categories`     by product, where it has one
    `buyer_shares`   share of the known customers who had bought a product; `rarest` is that of one customer
    `offered_count`  items that a list may hold
    `undefined`      metrics that cannot be told, with the reason
    """

    purchases: pd.DataFrame
    discoveries: pd.DataFrame
    order_counts: "pd.Series[int]"
    categories: Mapping[str, str]
    buyer_shares: Mapping[str, float]
    rarest: float
    offered_count: int
    undefined: dict[str, str] = field(default_factory=dict)

    @property
    def customer_ids(self) -> list[str]:
        """Who is judged, sorted."""
        return list(self.order_counts.index)


def read_purchases(history: History, origin: Snapshot, *, outcome_days: int) -> pl.DataFrame:
    """Return what was bought in the window from the origin: customer_id, product_id, category (or null)."""
    bought = build_purchases(history, origin, origin.shifted(outcome_days))
    categories = history.read("products").group_by("product_id").agg(pl.col("category").max())
    return bought.select("customer_id", "product_id").join(
        categories, on="product_id", how="left", maintain_order="left"
    )


def truth_of(material: RecommenderMaterial, purchases: pl.DataFrame) -> Truth:
    """Set what was bought after an origin (as from `read_purchases`) beside what was known at it."""
    known = material.interactions
    customers = known.group_by("customer_id").agg(pl.col("customer_order_count").max())
    bought = (
        purchases.join(customers, on="customer_id", how="semi").unique().sort("customer_id", "product_id")
    )
    judged = customers.join(bought, on="customer_id", how="semi").sort("customer_id")
    before = known.join(judged, on="customer_id", how="semi")
    repeats = before.select("customer_id", "product_id").with_columns(is_repeat=True)
    marked = bought.join(repeats, on=["customer_id", "product_id"], how="left", maintain_order="left")
    discoveries = _discoveries(bought, before, _popular_places(known))
    items = material.items
    counts = known.group_by("product_id").len().join(items.select("product_id"), on="product_id", how="semi")
    share = pl.col("len") / max(len(customers), 1)
    offered_count = int((items["is_active"] & items["in_stock"].fill_null(value=True)).sum())
    return Truth(
        purchases=marked.select(
            "customer_id", "product_id", pl.col("is_repeat").fill_null(value=False)
        ).to_pandas(),
        discoveries=discoveries.to_pandas(),
        order_counts=judged.to_pandas().set_index("customer_id")["customer_order_count"],
        categories=dict(items.select("product_id", "category").drop_nulls().iter_rows()),
        buyer_shares=dict(counts.select("product_id", share).iter_rows()),
        rarest=1 / max(len(customers), 1),
        offered_count=offered_count,
        undefined=_undefined(marked, discoveries, known["category"].drop_nulls().n_unique(), offered_count),
    )


def _popular_places(known: pl.DataFrame) -> pl.DataFrame:
    """Return the categories with their place (from 1) by recent customers, then by all customers."""
    buyers = (
        known.drop_nulls("category")
        .group_by("customer_id", "category")
        .agg(pl.col("recent_order_count").max() > 0)
        .group_by("category")
        .agg(pl.col("recent_order_count").sum().alias("recent"), pl.len().alias("buyers"))
    )
    ranked = buyers.sort("recent", "buyers", "category", descending=[True, True, False])
    return ranked.select("category").with_row_index("place", offset=1)


def _discoveries(bought: pl.DataFrame, before: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Return what `Truth.discoveries` describes.

    The place of a category among those new to a customer is its place among all, less the categories before
    it that the customer has bought from.
    """
    pair = ["customer_id", "category"]
    known = before.select(pair).drop_nulls().unique()
    new = bought.select(pair).drop_nulls().unique().join(known, on=pair, how="anti")
    new = new.join(places, on="category", how="left").sort(pair)
    passed = (
        new.join(
            known.join(places, on="category").select("customer_id", pl.col("place").alias("own")),
            on="customer_id",
        )
        .filter(pl.col("own") < pl.col("place"))
        .group_by(pair)
        .len()
    )
    place = pl.col("place").cast(pl.Float64) - pl.col("len").fill_null(0)
    return new.join(passed, on=pair, how="left", maintain_order="left").select(
        *pair, place.alias("popular_place")
    )


def _undefined(
    marked: pl.DataFrame, discoveries: pl.DataFrame, category_count: int, offered_count: int
) -> dict[str, str]:
    found: dict[str, str] = {}
    if not offered_count:
        found |= dict.fromkeys(OF_WHAT_IS_SHOWN, "nothing is on offer")
    if not marked["is_repeat"].any():
        found["repeat_recall_at_10"] = "nobody bought again what they had bought before"
    if not marked["is_repeat"].is_null().any():
        found["explore_recall_at_10"] = "nobody bought anything that was new to them"
    if discoveries.is_empty():
        reason = "nobody bought from a category new to them"
        if category_count < 2:
            reason = "all products are of one category" if category_count else "no product has a category"
        found |= dict.fromkeys(("discovery_at_10", "popular_discovery_at_10"), reason)
    return found
