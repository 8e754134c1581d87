"""What all recommenders share: every list but `for_you`, by simple rules, and the bundle's files."""

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from features.slots import ITEM_KINDS
from features.snapshot import Snapshot
from models.contract import Method, NotEnoughDataError, Scalar
from models.plain import read_arrays, read_state, write_arrays, write_state
from models.recommender.buy_again import buy_again
from models.recommender.catalogue import Catalogue
from models.recommender.contract import (
    ITEM_LIST_COLUMNS,
    NO_CUSTOMER,
    CustomerKind,
    Kind,
    RecommenderMaterial,
    Unavailable,
)
from models.recommender.cross_sell import CrossSellTable
from models.recommender.factors import one_blas_thread
from models.recommender.for_you import fill_with_popular
from models.recommender.item_shelf import ItemShelf
from models.recommender.lists import Picks, to_frame
from models.recommender.shop_shelf import Trends, new_picks, popular_picks
from models.recommender.shoppers import Shoppers, read_shoppers
from models.recommender.upsell import UpsellTable

# Scores by neighbours reach thousands of items a customer: few customers at a time.
_BLOCK_ROWS = 128
_SHOWN_ATTRIBUTES = [
    "product_id",
    "name",
    "category",
    "subcategory",
    "brand",
    "unit_price_minor",
    "in_stock",
    "recent_customer_count",
]


class ListRecommender(ABC):
    """Serves all kinds; a subclass says how `for_you` is learnt and ranked, and stores what that takes."""

    name: ClassVar[str]
    method: ClassVar[Method]

    catalogue_: Catalogue
    cross_sell_: CrossSellTable
    outcome_days_: int
    customer_share_: float
    popularity_days_: int
    trends_: Trends
    item_shelf_: ItemShelf

    def fit(self, material: RecommenderMaterial) -> Self:
        """Learn from purchases; raises `NotEnoughDataError` where no line names a product."""
        if material.items.is_empty():
            raise NotEnoughDataError("no_product: no order line names a product; map a column to product_id")
        self.outcome_days_ = material.outcome_days
        self.popularity_days_ = material.popularity_days
        self._origin_days = material.origin.end_days
        self.customer_share_ = material.customer_share
        with one_blas_thread():
            self._hold(*material.once("shelves", lambda: _shelves(material)))
        self.trends_ = material.once("trends", lambda: _trends(material, self.catalogue_))
        with one_blas_thread():
            self._learn(material)
        return self

    def hide(self, product_ids: Collection[str]) -> None:
        """Keep products out of every list; see `models.recommender.contract.Recommender`."""
        self.catalogue_.hide(product_ids)
        self.cross_sell_.place(self.catalogue_)
        self._upsell = UpsellTable(self.catalogue_, self.item_shelf_.bundles.companions)

    def recommend(
        self,
        interactions: pl.DataFrame,
        *,
        customer_ids: Sequence[str],
        snapshot: Snapshot,
        kinds: Sequence[CustomerKind],
        depth: int,
    ) -> pd.DataFrame:
        """Return `LIST_COLUMNS`; see `models.recommender.contract.Recommender`."""
        shoppers = read_shoppers(
            interactions,
            customer_ids,
            catalogue=self.catalogue_,
            snapshot=snapshot,
            categories=self.cross_sell_.categories,
        )
        available = [kind for kind in kinds if self.unavailable(kind) is None]

        def serve(block: tuple[int, Shoppers]) -> list[Picks]:
            return [self._picks(kind, block[1], depth).shifted(block[0]) for kind in available]

        # Blocks are independent, and NumPy, LightGBM and implicit let go of the interpreter's lock.
        with one_blas_thread(), ThreadPoolExecutor(os.cpu_count()) as pool:
            served = list(pool.map(serve, shoppers.blocks(_BLOCK_ROWS)))
        lists = [(kind, picks) for block in served for kind, picks in zip(available, block, strict=True)]
        return to_frame(lists, customer_ids=customer_ids, catalogue=self.catalogue_)

    def shop_lists(self, *, snapshot: Snapshot, depth: int) -> pd.DataFrame:
        """Return `LIST_COLUMNS`; see `models.recommender.contract.Recommender`."""
        lists = [
            ("popular", popular_picks(self.catalogue_, depth=depth)),
            ("trending", self.trends_.picks(self.catalogue_, depth=depth)),
            ("new", self._new(snapshot.end_days, depth)),
        ]
        return to_frame(lists, customer_ids=[NO_CUSTOMER], catalogue=self.catalogue_)

    def item_lists(self, product_ids: Sequence[str], *, depth: int) -> pd.DataFrame:
        """Return `ITEM_LIST_COLUMNS`; see `models.recommender.contract.Recommender`."""
        asked = self.catalogue_.item_nos(product_ids)
        lists = [
            (kind, self.item_shelf_.picks(kind, asked, self.catalogue_, depth=depth)) for kind in ITEM_KINDS
        ]
        found = to_frame(lists, customer_ids=product_ids, catalogue=self.catalogue_)
        return found.set_axis(list(ITEM_LIST_COLUMNS), axis="columns")

    def item_pairs(self) -> pd.DataFrame:
        """Return `models.recommender.bundles.BundleTable.pairs`."""
        return self.item_shelf_.bundles.pairs(self.catalogue_)

    def unavailable(self, kind: Kind) -> Unavailable | None:
        """Say why nobody can have a list of this kind in this shop, or None where somebody can."""
        if not self.catalogue_.is_available.any():
            return "no_product"
        if kind in ITEM_KINDS:
            return self.item_shelf_.unavailable(kind, self.catalogue_)
        if kind == "new":
            return None if len(self._new(self._origin_days, 1)) else "nothing_new"
        return self._unavailable_of_sold(kind)

    def items(self) -> pd.DataFrame:
        """Return the items that can appear; see `models.recommender.contract.Recommender`."""
        popular = self.catalogue_.popular
        ranks = pl.DataFrame({"item_no": popular, "popular_rank": np.arange(1, len(popular) + 1)})
        shown = self.catalogue_.items.select("item_no", *_SHOWN_ATTRIBUTES)
        table = shown.join(ranks, on="item_no", how="left", maintain_order="left").to_pandas()
        return table.assign(need_no=self.catalogue_.need_nos).set_index("item_no")

    def owned(
        self, interactions: pl.DataFrame, *, customer_ids: Sequence[str], snapshot: Snapshot
    ) -> pd.DataFrame:
        """Return what customers bought; see `models.recommender.contract.Recommender`."""
        shoppers = read_shoppers(interactions, customer_ids, catalogue=self.catalogue_, snapshot=snapshot)
        ages = np.ceil(shoppers.ages_days).astype(np.int64)
        columns = {"row": shoppers.rows, "item_no": shoppers.items, "age_days": ages}
        return pd.DataFrame(columns | {"may_repeat": shoppers.repeats})

    @abstractmethod
    def params(self) -> dict[str, Scalar]:
        """Return the constructor's arguments, flat."""

    def save(self, folder: Path) -> None:
        """Write plain files: nothing in them belongs to a customer."""
        state = {
            "params": self.params(),
            "outcome_days": self.outcome_days_,
            "popularity_days": self.popularity_days_,
            "origin_days": self._origin_days,
            "items": self.catalogue_.state(),
            "cross_sell": self.cross_sell_.state(),
        }
        write_state(folder, state)
        shelves = self.trends_.arrays() | self.item_shelf_.arrays()
        write_arrays(folder, self.catalogue_.arrays() | self.cross_sell_.arrays() | shelves | self._arrays())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        state, arrays = read_state(folder), read_arrays(folder)
        loaded = cls(**state["params"])
        loaded.outcome_days_ = int(state["outcome_days"])
        loaded.popularity_days_ = int(state["popularity_days"])
        loaded._origin_days = float(state["origin_days"])
        loaded.trends_, item_shelf = Trends.restore(arrays), ItemShelf.restore(arrays)
        catalogue = Catalogue.restore(state["items"], arrays)
        with one_blas_thread():
            cross_sell = CrossSellTable.restore(state["cross_sell"], arrays)
        cross_sell.place(catalogue)
        upsell = UpsellTable(catalogue, item_shelf.bundles.companions)
        loaded._hold(catalogue, cross_sell, item_shelf, upsell)
        return loaded

    @abstractmethod
    def _learn(self, material: RecommenderMaterial) -> None:
        """Learn what `for_you` needs beyond the catalogue."""

    @abstractmethod
    def _rank(self, shoppers: Shoppers, depth: int) -> Picks:
        """Return `for_you` of the customers who own items; rows that come out short are filled."""

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """Return further arrays to store."""
        return {}

    def _hold(
        self, catalogue: Catalogue, cross_sell: CrossSellTable, item_shelf: ItemShelf, upsell: UpsellTable
    ) -> None:
        self.catalogue_ = catalogue
        self.cross_sell_ = cross_sell
        self.item_shelf_ = item_shelf
        self._upsell = upsell

    def _unavailable_of_sold(self, kind: Kind) -> Unavailable | None:
        if not len(self.catalogue_.popular):
            return "no_product"
        if kind == "trending":
            return None if len(self.trends_.picks(self.catalogue_, depth=1)) else "nothing_rises"
        if kind == "buy_again":
            return None if self.catalogue_.repurchase_rates.any() else "no_repurchase"
        if kind == "cross_sell":
            return self.cross_sell_.unavailable()
        return self._upsell.unavailable(self.catalogue_) if kind == "upsell" else None

    def _new(self, end_days: float, depth: int) -> Picks:
        return new_picks(self.catalogue_, end_days=end_days, window_days=self.popularity_days_, depth=depth)

    def _picks(self, kind: CustomerKind, shoppers: Shoppers, depth: int) -> Picks:
        if kind == "buy_again":
            return buy_again(shoppers, self.catalogue_, outcome_days=self.outcome_days_, depth=depth)
        if kind == "cross_sell":
            return self.cross_sell_.picks(shoppers, self.catalogue_, depth=depth)
        if kind == "upsell":
            return self._upsell.picks(shoppers, self.catalogue_, depth=depth)
        ranked = self._rank(shoppers, depth)
        return fill_with_popular(ranked, shoppers, self.catalogue_, depth=depth)


def _shelves(
    material: RecommenderMaterial,
) -> tuple[Catalogue, CrossSellTable, ItemShelf, UpsellTable]:
    catalogue = Catalogue(material.items)
    cross_sell = CrossSellTable.fit(material.interactions)
    cross_sell.place(catalogue)
    item_shelf = ItemShelf.fit(material, catalogue)
    return catalogue, cross_sell, item_shelf, UpsellTable(catalogue, item_shelf.bundles.companions)


def _trends(material: RecommenderMaterial, catalogue: Catalogue) -> Trends:
    return Trends.none() if material.shelf is None else Trends.fit(material.shelf.trends(), catalogue)
