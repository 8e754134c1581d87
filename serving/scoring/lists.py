"""Recommendation lists of a whole shop, a bucket of customers at a time, and the products that they show."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl

from features.history import MONEY_SCALE, History
from features.interactions import build_interactions
from features.item_filter import compile_filter
from features.margin import known_costs
from features.owned import AGE_DAYS_MAX
from features.settings import RecommenderSettings, Settings
from features.slots import CUSTOMER_KINDS, KINDS
from features.snapshot import Snapshot
from models.recommender.contract import LIST_COLUMNS, NO_CUSTOMER, CustomerKind, Recommender
from models.recommender.packing import pack_lists
from serving.store.records import Item
from serving.store.sqlite_run import SCHEMA

_NO_PRODUCT = "no_product"
_PRODUCTS_AT_ONCE = 5_000
# The lists of a customer take some 20 kB before they are packed.
_CUSTOMERS_AT_ONCE = 5_000


class MadeLists(NamedTuple):
    """The lists of some customers, and (customer_id, packed purchases) of those who bought something."""

    table: pd.DataFrame
    owned: list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class ListMaker:
    """Makes lists with a fitted recommender, or none where the shop has no such champion.

    `denied` are the products that the settings name or whose category they name: no list holds them, and no
    reason speaks of them.
    """

    history: History
    snapshot: Snapshot
    settings: Settings
    recommender: Recommender | None
    items: list[Item] = field(default_factory=list)
    denied: frozenset[str] = frozenset()

    @property
    def unavailable(self) -> dict[str, str]:
        """Why a kind has no lists: kind -> reason."""
        if self.recommender is None:
            return dict.fromkeys(KINDS, _NO_PRODUCT)
        found = {kind: self.recommender.unavailable(kind) for kind in KINDS}
        return {kind: reason for kind, reason in found.items() if reason is not None}

    @property
    def unknown_denied(self) -> list[str]:
        """Denied product ids and categories that nothing in the shop's data has, sorted."""
        denied = self.settings.recommender
        if not (denied.deny_product_ids or denied.deny_categories):
            return []
        products = self.history.read("products")
        ids = {*products["product_id"], *(item.product_id for item in self.items)}
        unknown = {*denied.deny_product_ids} - ids | {*denied.deny_categories} - {*products["category"]}
        return sorted(unknown)

    def of_bucket(self, customer_ids: Sequence[str], *, bucket: int) -> Iterator[MadeLists]:
        """Yield the lists of customers of a bucket in their order, some thousands at a time."""
        if self.recommender is None or not customer_ids:
            return
        interactions = self._interactions([bucket])
        for first in range(0, len(customer_ids), _CUSTOMERS_AT_ONCE):
            some = customer_ids[first : first + _CUSTOMERS_AT_ONCE]
            yield self._lists(interactions, some, CUSTOMER_KINDS)

    def of_nobody(self) -> Iterator[MadeLists]:
        """Yield the lists of nobody (customer ""): `for_you` of somebody unknown, and the shop's."""
        if self.recommender is None:
            return
        yield self._lists(self._interactions([0]), [NO_CUSTOMER], ("for_you",))
        yield MadeLists(self.recommender.shop_lists(snapshot=self.snapshot, depth=self._depth), [])

    def of_customers(self, customer_ids: Sequence[str], *, bucket: int) -> MadeLists:
        """Return the lists of some customers of one bucket; none without a recommender."""
        if self.recommender is None or not customer_ids:
            return MadeLists(pd.DataFrame(columns=list(LIST_COLUMNS)), [])
        return self._lists(self._interactions([bucket]), customer_ids, CUSTOMER_KINDS)

    def item_tables(self) -> Iterator[pd.DataFrame]:
        """Yield the lists of the shop's products, some products at a time."""
        if self.recommender is None:
            return
        product_ids = [item.product_id for item in self.items]
        for first in range(0, len(product_ids), _PRODUCTS_AT_ONCE):
            block = product_ids[first : first + _PRODUCTS_AT_ONCE]
            yield self.recommender.item_lists(block, depth=self._depth)

    def pairs(self) -> pd.DataFrame:
        """Return the pairs that bundles rest on; without a recommender no row and no column."""
        if self.recommender is None:
            return pd.DataFrame()
        return self.recommender.item_pairs()

    def pack_items(self, table: pd.DataFrame) -> Iterator[tuple[int, str, bytes]]:
        """Yield (item_no, kind, packed slots) of a table of products' lists."""
        numbers = {item.product_id: item.item_no for item in self.items}
        for product_id, kind, packed in pack_lists(table, numbers):
            yield numbers[product_id], kind, packed

    def pack(self, table: pd.DataFrame) -> Iterator[tuple[str, str, bytes]]:
        """Yield (customer_id, kind, packed slots) of a table of lists."""
        return pack_lists(table, {item.product_id: item.item_no for item in self.items})

    @property
    def _depth(self) -> int:
        return self.settings.recommender.stored_depth

    def _interactions(self, buckets: Sequence[int]) -> pl.DataFrame:
        return build_interactions(self.history, self.snapshot, settings=self.settings, buckets=buckets)

    def _lists(
        self, found: pl.DataFrame, customer_ids: Sequence[str], kinds: Sequence[CustomerKind]
    ) -> MadeLists:
        assert self.recommender is not None  # noqa: S101 - who calls asks first
        interactions = found.filter(pl.col("customer_id").is_in(list(customer_ids)))
        table = self.recommender.recommend(
            interactions,
            customer_ids=customer_ids,
            snapshot=self.snapshot,
            kinds=kinds,
            depth=self._depth,
        )
        owned = self.recommender.owned(interactions, customer_ids=customer_ids, snapshot=self.snapshot)
        return MadeLists(unnamed(table, self.denied), list(pack_purchases(owned, customer_ids)))


def make_lists(
    history: History,
    snapshot: Snapshot,
    recommender: Recommender | None,
    *,
    settings: Settings,
) -> ListMaker:
    """Return a maker of lists for the customers of a snapshot."""
    if recommender is None:
        return ListMaker(history, snapshot, settings, None)
    cards, chosen = build_item_cards(history, recommender.items()), settings.recommender
    denied = denied_ids(cards, chosen)
    hidden = denied | not_offered(cards, chosen)
    recommender.hide(hidden)
    items = [card._replace(popular_rank=None) if card.product_id in hidden else card for card in cards]
    return ListMaker(history, snapshot, settings, recommender, items, denied)


def build_item_cards(history: History, items: pd.DataFrame) -> list[Item]:
    """Return the products of a recommender as lists show them and as requests filter them.

    The price is the list price, else the median price paid for one; `items` is `Recommender.items()`.
    """
    own = pl.DataFrame(
        {
            "item_no": [int(number) for number in items.index],
            "product_id": items["product_id"].astype(str).to_list(),
            "need_no": [None if number < 0 else int(number) for number in items["need_no"]],
            "paid_minor": pl.Series(items["unit_price_minor"].to_numpy(dtype=np.float64)).fill_nan(None),
            "popular_rank": pl.Series(items["popular_rank"].to_numpy(dtype=np.float64)).fill_nan(None),
            "recent_customer_count": items["recent_customer_count"].to_numpy(dtype=np.int64),
        }
    )
    known = history.read("products").unique("product_id", keep="last")
    price = pl.coalesce(pl.col("list_price_minor").cast(pl.Float64), "paid_minor") / MONEY_SCALE
    cost = known_costs() / MONEY_SCALE
    cards = own.join(known, on="product_id", how="left").with_columns(
        price.round(2).alias("price"),
        (price - cost).round(2).alias("unit_margin"),
        pl.col("popular_rank").cast(pl.Int64),
    )
    return [Item(**row) for row in cards.select(list(Item._fields)).sort("item_no").iter_rows(named=True)]


def denied_ids(items: Sequence[Item], settings: RecommenderSettings) -> frozenset[str]:
    """Return the ids of the items that the settings name, or whose category they name."""
    ids, categories = set(settings.deny_product_ids), set(settings.deny_categories)
    return frozenset(
        item.product_id for item in items if item.product_id in ids or item.category in categories
    )


def not_offered(items: Sequence[Item], settings: RecommenderSettings) -> set[str]:
    """Return the ids of the items that are out of stock by now or fail `offer_only`."""
    sold_out = {item.product_id for item in items if item.in_stock is False}
    return sold_out | _failing(items, settings.offer_only) if settings.offer_only else sold_out


def _failing(items: Sequence[Item], filter_text: str) -> set[str]:
    """Return the ids of the items that fail a filter, by the same database as requests are filtered by."""
    condition = compile_filter(filter_text)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        marks = ", ".join("?" * len(Item._fields))
        connection.executemany(f"INSERT INTO items VALUES ({marks})", items)  # noqa: S608 - marks only
        query = f"SELECT product_id FROM items WHERE NOT {condition.sql}"  # noqa: S608 - values are bound
        return {row[0] for row in connection.execute(query, condition.values)}


def unnamed(table: pd.DataFrame, denied: Collection[str]) -> pd.DataFrame:
    """Return lists whose reasons name none of some products, nor a number that would need the name."""
    named = table["evidence_product_id"].isin(list(denied))
    if not named.any():
        return table
    return table.assign(
        evidence_product_id=table["evidence_product_id"].mask(named), value=table["value"].mask(named)
    )


def pack_purchases(owned: pd.DataFrame, customer_ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield (customer_id, the bytes of `features.owned`) from `Recommender.owned`, in bulk."""
    ordered = owned.sort_values(["row", "may_repeat", "age_days", "item_no"], kind="stable")
    rows, numbers = ordered["row"].to_numpy(), ordered["item_no"].to_numpy(dtype="<u4").tobytes()
    ages = ordered["age_days"].clip(0, AGE_DAYS_MAX).to_numpy(dtype="<u2").tobytes()
    begins = np.flatnonzero(np.diff(rows, prepend=-1))
    ends = np.append(begins, len(rows))[1:]
    never = np.add.reduceat(~ordered["may_repeat"].to_numpy(), begins, dtype="<u4") if len(rows) else ()
    for row, begin, end, count in zip(rows[begins], begins, ends, never, strict=True):
        head = int(count).to_bytes(4, "little")
        yield customer_ids[row], head + numbers[4 * begin : 4 * end] + ages[2 * begin : 2 * end]
