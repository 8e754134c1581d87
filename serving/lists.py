"""Recommendation lists of a whole shop, a bucket of customers at a time, and the products that they show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import polars as pl

from features.history import MONEY_SCALE, History
from features.interactions import build_interactions
from features.settings import Settings
from features.slots import CUSTOMER_KINDS, KINDS
from features.snapshot import Snapshot
from models.recommender.contract import NO_CUSTOMER, CustomerKind, Recommender
from models.recommender.packing import pack_lists
from serving.store import Item

ITEM_LIST_DEPTH = 20
_NO_PRODUCT = "no_product"
_PRODUCTS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class ListMaker:
    """Makes lists with a fitted recommender, or none where the shop has no such champion."""

    history: History
    snapshot: Snapshot
    settings: Settings
    recommender: Recommender | None
    items: list[Item] = field(default_factory=list)

    @property
    def unavailable(self) -> dict[str, str]:
        """Why a kind has no lists: kind -> reason."""
        if self.recommender is None:
            return dict.fromkeys(KINDS, _NO_PRODUCT)
        found = {kind: self.recommender.unavailable(kind) for kind in KINDS}
        return {kind: reason for kind, reason in found.items() if reason is not None}

    def tables(self, customers_by_bucket: Sequence[Sequence[str]]) -> Iterator[pd.DataFrame]:
        """Yield the lists of each bucket's customers, and at last those of nobody (customer "").

        These are the shop's, and `for_you` of somebody unknown.
        """
        if self.recommender is None:
            return
        for bucket, customer_ids in enumerate(customers_by_bucket):
            if customer_ids:
                yield self._lists([bucket], customer_ids, CUSTOMER_KINDS)
        yield self._lists([0], [NO_CUSTOMER], ("for_you",))
        depth = self.settings.recommender.stored_depth
        yield self.recommender.shop_lists(snapshot=self.snapshot, depth=depth)

    def item_tables(self) -> Iterator[pd.DataFrame]:
        """Yield the lists of the shop's products, some products at a time."""
        if self.recommender is None:
            return
        product_ids = [item.product_id for item in self.items]
        for first in range(0, len(product_ids), _PRODUCTS_AT_ONCE):
            block = product_ids[first : first + _PRODUCTS_AT_ONCE]
            yield self.recommender.item_lists(block, depth=ITEM_LIST_DEPTH)

    def pairs(self) -> pd.DataFrame:
        """Return the pairs that bundles rest on; without a recommender no row and no column."""
        return pd.DataFrame() if self.recommender is None else self.recommender.item_pairs()

    def pack_items(self, table: pd.DataFrame) -> Iterator[tuple[int, str, bytes]]:
        """Yield (item_no, kind, packed slots) of a table of products' lists."""
        numbers = {item.product_id: item.item_no for item in self.items}
        for product_id, kind, packed in pack_lists(table, numbers):
            yield numbers[product_id], kind, packed

    def pack(self, table: pd.DataFrame) -> Iterator[tuple[str, str, bytes]]:
        """Yield (customer_id, kind, packed slots) of a table of lists."""
        return pack_lists(table, {item.product_id: item.item_no for item in self.items})

    def _lists(
        self, buckets: Sequence[int], customer_ids: Sequence[str], kinds: Sequence[CustomerKind]
    ) -> pd.DataFrame:
        assert self.recommender is not None  # noqa: S101 - `tables` asks first
        interactions = build_interactions(
            self.history, self.snapshot, settings=self.settings, buckets=buckets
        )
        return self.recommender.recommend(
            interactions.filter(pl.col("customer_id").is_in(list(customer_ids))),
            customer_ids=customer_ids,
            snapshot=self.snapshot,
            kinds=kinds,
            depth=self.settings.recommender.stored_depth,
        )


def make_lists(
    history: History,
    snapshot: Snapshot,
    recommender: Recommender | None,
    *,
    settings: Settings,
) -> ListMaker:
    """Return a maker of lists for the customers of a snapshot."""
    items = [] if recommender is None else build_item_cards(history, recommender.items())
    return ListMaker(history, snapshot, settings, recommender, items)


def build_item_cards(history: History, items: pd.DataFrame) -> list[Item]:
    """Return the products of a recommender as lists show them.

    The price is the list price, else the median price paid for one; `items` has the index item_no and at
    least product_id, unit_price_minor and need_no (-1: not known).
    """
    own = pl.DataFrame(
        {
            "item_no": [int(number) for number in items.index],
            "product_id": items["product_id"].astype(str).to_list(),
            "need_no": [None if number < 0 else int(number) for number in items["need_no"]],
            "paid_minor": pl.Series(items["unit_price_minor"].to_numpy(dtype=np.float64)).fill_nan(None),
        }
    )
    known = history.read("products").unique("product_id", keep="last")
    price = pl.coalesce(pl.col("list_price_minor").cast(pl.Float64), "paid_minor") / MONEY_SCALE
    cards = own.join(known, on="product_id", how="left").with_columns(price.round(2).alias("price"))
    return [
        Item(**row) for row in cards.select(list(Item.model_fields)).sort("item_no").iter_rows(named=True)
    ]
