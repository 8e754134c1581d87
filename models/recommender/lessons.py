"""What rehearsals teach: candidates with features and truth, and who ordered at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from models.recommender.catalogue import Bools, Catalogue, Floats, Ints
from models.recommender.contract import Known, Rehearsal
from models.recommender.factors import AlsSettings
from models.recommender.lists import find_pairs, pair_keys
from models.recommender.material import learnt_factors, learnt_neighbours
from models.recommender.order_chance import chance_features
from models.recommender.ranking import ranking_features
from models.recommender.shoppers import read_shoppers
from models.recommender.sources import Sources

_BUYERS_MAX = 6_000
_CUSTOMERS_MAX = 50_000
_ROWS_MAX = 100_000
_LEVEL_ROWS_MAX = 50_000
_BLOCK_ROWS = 128
_LEVEL_MAX = 3.0

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lessons:
    """Candidates of those who ordered: features, whether they were bought, and what each row counts.

    `weights` steer the learning; `counts` are how many candidates a row stands for.
    """

    features: Matrix
    hit: Bools
    weights: Floats
    counts: Floats


@dataclass(frozen=True, slots=True)
class Chances:
    """Known customers: `chance_features`, and whether they ordered in the window."""

    features: Matrix
    ordered: Bools


def rehearse(rehearsal: Rehearsal, settings: AlsSettings) -> tuple[Lessons, Chances] | None:
    """Serve those who ordered in a rehearsal's window as of its beginning, and mark what they bought.

    None where no item was known then, or nobody who was known ordered: an outage teaches nothing.
    """
    return rehearsal.once(("lessons", settings), lambda: _rehearsed(rehearsal, settings))


def _rehearsed(rehearsal: Rehearsal, settings: AlsSettings) -> tuple[Lessons, Chances] | None:
    known = rehearsal.read()
    if known.items.is_empty():
        return None
    catalogue = Catalogue(known.items)
    factors = learnt_factors(known, catalogue, settings)
    sources = Sources(catalogue, factors, learnt_neighbours(known, catalogue))
    buyers, weights = _buyers(known, rehearsal.purchases, seed=settings.seed)
    if buyers.is_empty():
        return None
    truth = _purchase_keys(rehearsal.purchases, buyers, catalogue)
    snapshot, lessons = rehearsal.snapshot, []
    shoppers = read_shoppers(known.interactions, buyers.to_list(), catalogue=catalogue, snapshot=snapshot)
    for first, block in shoppers.blocks(_BLOCK_ROWS):
        found = sources.find(block)
        keys = pair_keys(found.rows + first, found.items, item_count=len(catalogue))
        features = ranking_features(found, block, catalogue).astype(np.float32)
        each = weights[found.rows + first]
        lessons.append(Lessons(features, find_pairs(keys, truth) >= 0, each, np.ones(len(keys))))
    chosen = known.interactions["customer_id"].unique().sort()
    chosen = chosen.sample(min(len(chosen), _CUSTOMERS_MAX), seed=settings.seed).sort()
    shoppers = read_shoppers(known.interactions, chosen.to_list(), catalogue=catalogue, snapshot=snapshot)
    ordered = chosen.is_in(rehearsal.purchases["customer_id"].unique().to_list())
    kept = thin_lessons(join_lessons(lessons), seed=settings.seed)
    return kept, Chances(chance_features(shoppers), ordered.to_numpy())


def join_lessons(lessons: Sequence[Lessons]) -> Lessons:
    """Join lessons end to end."""
    return Lessons(
        np.concatenate([lesson.features for lesson in lessons]),
        np.concatenate([lesson.hit for lesson in lessons]),
        np.concatenate([lesson.weights for lesson in lessons]),
        np.concatenate([lesson.counts for lesson in lessons]),
    )


def thin_lessons(lesson: Lessons, *, seed: int) -> Lessons:
    """Return all hits and, where there are too many rows, a sample of the misses that stands for all."""
    excess = len(lesson.hit) - _ROWS_MAX
    if excess <= 0:
        return lesson
    misses = np.flatnonzero(~lesson.hit)
    kept = max(len(misses) - excess, 1)
    sample = np.random.default_rng(seed).choice(misses, kept, replace=False)
    places = np.sort(np.concatenate([np.flatnonzero(lesson.hit), sample]))
    counts = np.where(lesson.hit, 1.0, len(misses) / kept)[places]
    return Lessons(
        lesson.features[places],
        lesson.hit[places],
        lesson.weights[places] * counts,
        lesson.counts[places] * counts,
    )


def level_shift(margins_of: Callable[[Matrix], Floats], lesson: Lessons) -> float:
    """Return the shift of logits by which as many candidates are expected to be bought as were.

    Weights make small baskets count for more than their share, which moves the level of what is learnt. It is
    found on rows evenly spread.
    """
    every = slice(None, None, max(1, -(-len(lesson.hit) // _LEVEL_ROWS_MAX)))
    margins, counts, bought = (
        margins_of(lesson.features[every]),
        lesson.counts[every],
        lesson.hit[every].sum(),
    )

    def excess(shift: float) -> float:
        return float((counts * expit(margins + shift)).sum() - bought)

    if not excess(-_LEVEL_MAX) < 0 < excess(_LEVEL_MAX):
        return 0.0
    return float(brentq(excess, -_LEVEL_MAX, _LEVEL_MAX))


def _buyers(known: Known, purchases: pl.DataFrame, *, seed: int) -> tuple[pl.Series, Floats]:
    """Return the known customers who bought in the window, sorted, and how much each counts.

    Who bought n items counts 1 ÷ √n: recall is a mean over customers, and large baskets are few.
    """
    customers = known.interactions.select(pl.col("customer_id").unique())
    bought = purchases.join(customers, on="customer_id", how="semi")
    buyers = bought.group_by("customer_id").len("item_count").sort("customer_id")
    taken = buyers.sample(min(len(buyers), _BUYERS_MAX), seed=seed).sort("customer_id")
    return taken["customer_id"], taken["item_count"].to_numpy() ** -0.5


def _purchase_keys(purchases: pl.DataFrame, buyers: pl.Series, catalogue: Catalogue) -> Ints:
    """Return the sorted keys of what was bought; rows are places in `buyers`."""
    rows = pl.DataFrame({"customer_id": buyers}).with_row_index("row")
    items = catalogue.items.select("product_id", "item_no")
    bought = purchases.join(rows, on="customer_id").join(items, on="product_id").sort("row", "item_no")
    return pair_keys(
        bought["row"].to_numpy().astype(np.int64), bought["item_no"].to_numpy(), item_count=len(catalogue)
    )
