"""What a recommender learns from at an origin, read from the history."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
import polars as pl
from scipy import sparse

from features.baskets import build_baskets
from features.history import History
from features.interactions import build_interactions, build_purchases
from features.items import build_items
from features.once import Once
from features.replenishment import build_gap_errors
from features.settings import Engine, Settings
from features.snapshot import Snapshot
from features.trends import build_trends
from models.recommender.catalogue import Catalogue
from models.recommender.contract import Known, RecommenderMaterial, Rehearsal, ShelfReaders
from models.recommender.factors import AlsSettings, ItemFactors
from models.recommender.neighbours import ItemNeighbours

# A small shop learns from three windows; a large one has enough in the newest, which teaches best.
REHEARSAL_COUNT_MAX = 3
PURCHASES_WANTED = 40_000
# Taste is learnt from as many lines as one machine holds easily; buckets are random samples of customers.
LINES_MAX = 20_000_000


def build_material(
    history: History,
    origin: Snapshot,
    *,
    settings: Settings,
    buckets: Sequence[int] | None = None,
    engine: Engine = "polars",
    past: Once | None = None,
) -> RecommenderMaterial:
    """Read everything that a recommender may learn from at an origin; nothing dated on or after it.

    `buckets` limits the customers learnt from (default: all, or as many as hold `LINES_MAX` lines); the item
    table is always of the whole shop.
    Rehearsals go back from the origin, window by window, until they hold enough purchases. Calls that share
    `past` (and all else but the origin) derive once what they learn from a snapshot. These are the rounds of
    a back-test, which serves nobody: what only lists need, and no ranking, is left out.
    """
    chosen = _enough_buckets(history) if buckets is None else buckets
    reader = _Reader(history, settings, chosen, engine, past or Once())
    days = settings.recommender.outcome_days
    rehearsals: list[Rehearsal] = []
    purchase_count = 0
    for number in range(1, REHEARSAL_COUNT_MAX + 1):
        if purchase_count >= PURCHASES_WANTED:
            break
        start = origin.shifted(-days * number)
        if not reader.has_orders_before(start):
            break
        rehearsal = reader.rehearsal(start, days)
        rehearsals.append(rehearsal)
        purchase_count += len(rehearsal.purchases)
    known = reader.known(origin)
    items = reader.with_gap_errors(known, origin) if past is None else known.items
    return RecommenderMaterial(
        origin=origin,
        outcome_days=days,
        interactions=known.interactions,
        items=items,
        rehearsals=tuple(rehearsals),
        popularity_days=settings.recommender.popularity_days,
        shelf=reader.shelf(origin, known.items) if past is None else None,
        customer_share=len(chosen) / history.manifest.bucket_count,
        once=known.once,
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    history: History
    settings: Settings
    buckets: Sequence[int]
    engine: Engine
    past: Once

    def has_orders_before(self, snapshot: Snapshot) -> bool:
        first_days = self.history.manifest.first_order_days
        return first_days is not None and first_days < snapshot.end_days

    def known(self, snapshot: Snapshot) -> Known:
        """Read interactions and items as of a snapshot; one reads at a time, since it takes the most room."""
        with self.past("reading", Lock):
            return self._read(snapshot)

    def _read(self, snapshot: Snapshot) -> Known:
        interactions = build_interactions(
            self.history, snapshot, settings=self.settings, buckets=self.buckets, engine=self.engine
        )
        is_whole = len(self.buckets) == self.history.manifest.bucket_count
        items = build_items(
            self.history,
            snapshot,
            settings=self.settings,
            engine=self.engine,
            interactions=interactions if is_whole else None,
        )
        return Known(interactions, items, self._once(snapshot))

    def with_gap_errors(self, known: Known, snapshot: Snapshot) -> pl.DataFrame:
        """Return the items with how well their next purchase can be foreseen."""
        errors = build_gap_errors(
            self.history,
            snapshot,
            interactions=known.interactions,
            items=known.items,
            buckets=self.buckets,
            engine=self.engine,
        )
        return known.items.with_columns(errors["gap_error_share"])

    def rehearsal(self, start: Snapshot, days: int) -> Rehearsal:
        end = start.shifted(days)
        purchases = build_purchases(self.history, start, end, buckets=self.buckets, engine=self.engine)
        return Rehearsal(start, purchases, lambda: self.known(start), self._once(start))

    def shelf(self, snapshot: Snapshot, items: pl.DataFrame) -> ShelfReaders:
        history, settings, engine = self.history, self.settings, self.engine
        return ShelfReaders(
            trends=lambda: build_trends(history, snapshot, items=items, settings=settings, engine=engine),
            baskets=lambda: build_baskets(
                history, snapshot, items=items, buckets=self.buckets, engine=engine
            ),
        )

    def _once(self, snapshot: Snapshot) -> Once:
        return self.past(snapshot, Once)


def _enough_buckets(history: History) -> range:
    count, lines = history.manifest.bucket_count, history.manifest.row_counts["order_lines"]
    return range(count if lines <= LINES_MAX else max(1, count * LINES_MAX // lines))


def learnt_factors(
    known: RecommenderMaterial | Known, catalogue: Catalogue, settings: AlsSettings
) -> ItemFactors:
    """Return the factors of a snapshot's interactions, learnt once."""
    return known.once(
        settings, lambda: ItemFactors.fit(owned_matrix(known.interactions, catalogue), settings)
    )


def learnt_neighbours(known: RecommenderMaterial | Known, catalogue: Catalogue) -> ItemNeighbours:
    """Return the item neighbours of a snapshot's interactions, learnt once."""
    owned = known.interactions
    return known.once("neighbours", lambda: ItemNeighbours.fit(owned_matrix(owned, catalogue)))


def owned_matrix(interactions: pl.DataFrame, catalogue: Catalogue) -> sparse.csr_matrix:
    """Return customers (sorted by id) × items of the catalogue with the number of orders of each."""
    pairs = interactions.join(catalogue.items.select("product_id", "item_no"), on="product_id")
    pairs = pairs.sort("customer_id", "item_no")
    rows = pairs["customer_id"].rle_id().to_numpy()
    counts = pairs["order_count"].to_numpy().astype(np.float32)
    row_count = int(rows[-1]) + 1 if len(rows) else 0
    columns = pairs["item_no"].to_numpy()
    return sparse.csr_matrix((counts, (rows, columns)), shape=(row_count, len(catalogue)))
