"""What every `for_you` shares: leaving out what is not wanted again, filling short lists, and the reasons."""

import numpy as np

from features.slots import REASON_NUMBERS, SOURCES
from models.recommender.catalogue import Bools, Catalogue, Ints
from models.recommender.factors import ItemFactors
from models.recommender.lists import NO_ITEM, Picks, concat, find_pairs, pair_keys, places_in_runs
from models.recommender.neighbours import ItemNeighbours
from models.recommender.popular import popular_for_all
from models.recommender.rhythm import usual_gaps_days
from models.recommender.shoppers import Shoppers

# Fillers follow the last ranked item in steps too small to matter and large enough for float32.
_FILL_STEP = 1e-5
_OWNED_AS_EVIDENCE = 30


def drop_unwanted(picks: Picks, shoppers: Shoppers, *, item_count: int) -> Picks:
    """Leave out owned items that are not to be offered again (durables, returned ones)."""
    unwanted = ~shoppers.repeats
    known = pair_keys(shoppers.rows[unwanted], shoppers.items[unwanted], item_count=item_count)
    return picks.take(find_pairs(pair_keys(picks.rows, picks.items, item_count=item_count), known) < 0)


def fill_with_popular(ranked: Picks, shoppers: Shoppers, catalogue: Catalogue, *, depth: int) -> Picks:
    """Follow short lists by popular items that are not in them, up to `depth`; the ranked stay first."""
    size = len(catalogue)
    lengths = np.bincount(ranked.rows, minlength=shoppers.count)
    if (lengths >= depth).all():
        return ranked
    owned = np.bincount(shoppers.rows, minlength=shoppers.count)
    pool = popular_for_all(shoppers, catalogue, depth=depth + int(owned[lengths < depth].max()))
    pool = drop_unwanted(pool.take(lengths[pool.rows] < depth), shoppers, item_count=size)
    taken = np.sort(pair_keys(ranked.rows, ranked.items, item_count=size))
    pool = pool.take(find_pairs(pair_keys(pool.rows, pool.items, item_count=size), taken) < 0)
    pool = pool.take(places_in_runs(pool.rows) < depth - lengths[pool.rows])
    floor = np.full(shoppers.count, np.inf)
    np.minimum.at(floor, ranked.rows, ranked.scores)
    follows = np.isfinite(floor[pool.rows])
    last = floor[pool.rows[follows]]
    steps = _FILL_STEP * (places_in_runs(pool.rows)[follows] + 1) * np.maximum(1.0, np.abs(last))
    pool.scores[follows] = last - steps
    return concat([ranked, pool]).by_row()


def explain(
    picks: Picks,
    shoppers: Shoppers,
    catalogue: Catalogue,
    *,
    factors: ItemFactors | None = None,
    neighbours: ItemNeighbours | None = None,
    by_taste: Bools | None = None,
) -> Picks:
    """Write reasons and sources into picks and return them.

    Owned items are `due_again` (days) when their usual gap has passed, else `bought_before` (orders). Others
    are `buyers_also_bought` (their share) with the nearest owned item where neighbours know one, else
    `like_what_you_buy` with the most alike owned item where `by_taste` says so, else `popular` (buyers).
    """
    size = len(catalogue)
    known = pair_keys(shoppers.rows, shoppers.items, item_count=size)
    owned = find_pairs(pair_keys(picks.rows, picks.items, item_count=size), known)
    _mark(picks, owned < 0, reason="popular", source="popular")
    picks.values[:] = catalogue.recent_customer_counts[picks.items]
    _mark(picks, owned >= 0, reason="bought_before", source="personalised")
    picks.values[owned >= 0] = shoppers.order_counts[owned[owned >= 0]]
    gaps = usual_gaps_days(shoppers, catalogue)
    due_in = np.round(gaps - shoppers.ages_days)
    is_due = (owned >= 0) & (due_in[owned] <= 0) if len(due_in) else np.zeros(len(picks), dtype=bool)
    _mark(picks, is_due, reason="due_again", source="personalised")
    picks.values[is_due] = due_in[owned[is_due]]
    spreads = gaps[owned[is_due]] * catalogue.gap_error_shares[picks.items[is_due]]
    picks.spreads[is_due] = np.round(spreads)
    if factors is not None and by_taste is not None:
        chosen = np.flatnonzero((owned < 0) & by_taste)
        evidence = _alike(picks.take(chosen), shoppers, factors)
        found = chosen[evidence != NO_ITEM]
        _mark(picks, found, reason="like_what_you_buy", source="personalised")
        picks.values[found] = np.nan
        picks.evidence[found] = evidence[evidence != NO_ITEM]
    if neighbours is not None:
        chosen = np.flatnonzero(owned < 0)
        evidence, shares = neighbours.evidence(picks.items[chosen], picks.rows[chosen], shoppers)
        found = chosen[evidence != NO_ITEM]
        _mark(picks, found, reason="buyers_also_bought", source="personalised")
        picks.values[found] = shares[evidence != NO_ITEM]
        picks.evidence[found] = evidence[evidence != NO_ITEM]
    return picks


def _mark(picks: Picks, chosen: Bools | Ints, *, reason: str, source: str) -> None:
    picks.reasons[chosen] = REASON_NUMBERS[reason]
    picks.sources[chosen] = SOURCES.index(source)


def _alike(picks: Picks, shoppers: Shoppers, factors: ItemFactors) -> Ints:
    """Return for each pick (sorted by row) the row's owned item that is most like it, -1 without one."""
    if not len(picks):
        return np.zeros(0, np.int64)
    order = shoppers.most_ordered(_OWNED_AS_EVIDENCE)
    owned = _padded(shoppers.rows[order], shoppers.items[order], row_count=shoppers.count)
    asked = _padded(picks.rows, picks.items, row_count=shoppers.count)
    return factors.most_alike(asked, owned)[picks.rows, places_in_runs(picks.rows)]


def _padded(rows: Ints, items: Ints, *, row_count: int) -> Ints:
    places = places_in_runs(rows)
    table = np.full((row_count, int(places.max(initial=0)) + 1), NO_ITEM, np.int64)
    table[rows, places] = items
    return table
