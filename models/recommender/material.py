"""What a recommender learns from at an origin, read from the history."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy import sparse

from features.history import History
from features.interactions import Engine, build_interactions, build_purchases
from features.items import build_items
from features.settings import Settings
from features.snapshot import Snapshot
from models.recommender.catalogue import Catalogue
from models.recommender.contract import RecommenderMaterial, Rehearsal

REHEARSAL_COUNT = 1


def build_material(
    history: History,
    origin: Snapshot,
    *,
    settings: Settings,
    buckets: Sequence[int] | None = None,
    engine: Engine = "polars",
) -> RecommenderMaterial:
    """Read everything that a recommender may learn from at an origin; nothing dated on or after it.

    `buckets` limits the customers learnt from (default: all); the item table is always of the whole shop.
    """
    days = settings.recommender.outcome_days
    rehearsals = []
    for number in range(1, REHEARSAL_COUNT + 1):
        start = origin.shifted(-days * number)
        interactions = build_interactions(history, start, settings=settings, buckets=buckets, engine=engine)
        if interactions.is_empty():
            break
        purchases = build_purchases(history, start, start.shifted(days), buckets=buckets, engine=engine)
        items = build_items(history, start, settings=settings, engine=engine)
        rehearsals.append(Rehearsal(start, interactions, items, purchases))
    return RecommenderMaterial(
        origin=origin,
        outcome_days=days,
        interactions=build_interactions(history, origin, settings=settings, buckets=buckets, engine=engine),
        items=build_items(history, origin, settings=settings, engine=engine),
        rehearsals=tuple(rehearsals),
    )


def owned_matrix(interactions: pl.DataFrame, catalogue: Catalogue) -> sparse.csr_matrix:
    """Return customers (sorted by id) × items of the catalogue with the number of orders of each."""
    pairs = interactions.join(catalogue.items.select("product_id", "item_no"), on="product_id")
    pairs = pairs.sort("customer_id", "item_no")
    rows = pairs["customer_id"].rle_id().to_numpy()
    counts = pairs["order_count"].to_numpy().astype(np.float32)
    row_count = int(rows[-1]) + 1 if len(rows) else 0
    columns = pairs["item_no"].to_numpy()
    return sparse.csr_matrix((counts, (rows, columns)), shape=(row_count, len(catalogue)))
