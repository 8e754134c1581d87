"""The contract of every recommender, and what it learns from.

A recommender is fitted on purchases known at an origin and keeps only what belongs to items: it holds no
customer. To serve one it reads that one's interactions (`features.interactions`), so that a customer who
was unknown at the time of fitting is served like any other.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, Self

import pandas as pd
import polars as pl

from features.once import Once
from features.snapshot import Snapshot
from models.contract import Model

CustomerKind = Literal["for_you", "buy_again", "cross_sell", "upsell"]
ShopKind = Literal["popular", "trending", "new"]
ItemKind = Literal["similar", "bundle"]
Kind = CustomerKind | ShopKind | ItemKind
Unavailable = Literal[
    "no_product",
    "no_category",
    "one_category",
    "no_price",
    "no_dearer_item",
    "no_repurchase",
    "nothing_rises",
    "nothing_new",
    "nothing_alike",
    "nothing_bought_together",
]
NO_CUSTOMER = ""
"""The customer_id of lists that belong to nobody."""

LIST_COLUMNS = (
    "customer_id",
    "kind",
    "rank",
    "product_id",
    "score",
    "reason",
    "source",
    "evidence_product_id",
    "value",
    "spread",
)
ITEM_LIST_COLUMNS = ("of_product_id", *LIST_COLUMNS[1:])


@dataclass(frozen=True, slots=True)
class Known:
    """What was known at a snapshot; what is derived from it is derived once, by `once`."""

    interactions: pl.DataFrame
    items: pl.DataFrame
    once: Once


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """An earlier origin whose outcome is known at the origin: the known before it, the truth after it.

    `purchases` is `[snapshot, snapshot + outcome_days)` and ends on or before the origin. `read` reads the
    known when it is needed, and nothing keeps it: what is learnt from it is small, and kept by `once`.
    """

    snapshot: Snapshot
    purchases: pl.DataFrame
    read: Callable[[], Known]
    once: Once


@dataclass(frozen=True, slots=True)
class ShelfReaders:
    """Read what only the lists of the shop and of items need: `build_trends` and `build_baskets`."""

    trends: Callable[[], pl.DataFrame]
    baskets: Callable[[], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class RecommenderMaterial:
    """What a recommender may learn from at an origin; nothing in it is dated on or after the origin.

    `interactions`, `items`  as of the origin (`build_interactions`, `build_items`)
    `rehearsals`             newest first; empty where the history is too short
    `popularity_days`        how far back recent counts reach
    `shelf`                  None where a recommender is judged by customers' lists and never serves
    `customer_share`         of the customers, those whose purchases are here; 1 but in a very large shop

    What several recommenders derive from it alike (factors, tables) is derived once, by `once`.
    """

    origin: Snapshot
    outcome_days: int
    interactions: pl.DataFrame
    items: pl.DataFrame
    rehearsals: tuple[Rehearsal, ...]
    popularity_days: int
    shelf: ShelfReaders | None = None
    customer_share: float = 1.0
    once: Once = field(default_factory=Once, repr=False, compare=False)


class Recommender(Model, Protocol):
    """Ranked lists with reasons: for customers given by their interactions, for the shop, for items.

    `popularity_days_` is the window of `popular`, `trending` and `new`.
    """

    popularity_days_: int

    def fit(self, material: RecommenderMaterial) -> Self:
        """Learn from purchases; raises `NotEnoughDataError` where no line names a product."""
        ...

    def hide(self, product_ids: Collection[str]) -> None:
        """Keep products out of every list, and no others any more: what comes next takes their places.

        Ids that are not among the items are left alone. That a hidden product was bought still speaks for
        others, and `save` writes what it would have written before.
        """
        ...

    def recommend(
        self,
        interactions: pl.DataFrame,
        *,
        customer_ids: Sequence[str],
        snapshot: Snapshot,
        kinds: Sequence[CustomerKind],
        depth: int,
    ) -> pd.DataFrame:
        """Return `LIST_COLUMNS`, sorted as `customer_ids`, then as `kinds`, then by rank (from 1).

        `interactions` are those of the customers, as of `snapshot`; a customer without any gets the popular
        items with the source `fallback`. `for_you` holds `depth` items where the catalogue has them; other
        kinds may hold fewer, or none. What `reason`, `value` and `spread` mean: `features.slots`.
        """
        ...

    def shop_lists(self, *, snapshot: Snapshot, depth: int) -> pd.DataFrame:
        """Return the lists of the whole shop: `LIST_COLUMNS`, the customer is `NO_CUSTOMER`.

        Counts are those of the day of fitting; what is `new` is judged at `snapshot`.
        """
        ...

    def item_lists(self, product_ids: Sequence[str], *, depth: int) -> pd.DataFrame:
        """Return the lists of items: `ITEM_LIST_COLUMNS`, sorted as `product_ids`, kind, rank.

        `product_ids` are among `items()`; an item may have no list of a kind.
        """
        ...

    def item_pairs(self) -> pd.DataFrame:
        """Return what `bundle` lists rest on: `models.recommender.bundles.BundleTable.pairs`."""
        ...

    def unavailable(self, kind: Kind) -> Unavailable | None:
        """Say why nobody can have a list of this kind in this shop, or None where somebody can."""
        ...

    def items(self) -> pd.DataFrame:
        """Return the items that can appear: item_no (dense from 0, the index), product_id and attributes.

        `popular_rank` counts the offered items from 1, the most popular first; missing where not offered.
        """
        ...

    def owned(
        self, interactions: pl.DataFrame, *, customer_ids: Sequence[str], snapshot: Snapshot
    ) -> pd.DataFrame:
        """Return what customers bought of these items: one row per (row, item_no), sorted so.

        `row` is the place in `customer_ids`, `age_days` the whole days since the last purchase, rounded up.
        `may_repeat` is false for what was sent back (half or more of it) and for a durable that this
        customer did not buy again: neither is ever offered to them.
        """
        ...
