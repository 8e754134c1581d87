"""Candidates of `for_you` and what the blend's ranker knows about each of them."""

from dataclasses import dataclass

import numpy as np

from models.recommender.catalogue import Bools, Catalogue, Floats, Ints
from models.recommender.factors import ItemFactors
from models.recommender.lists import find_pairs, pair_keys, places_in_runs
from models.recommender.rhythm import usual_gaps_days
from models.recommender.shoppers import Shoppers

RANKING_FEATURES = (
    "own_orders",
    "own_share",
    "own_recent_orders",
    "own_recent_share",
    "own_age_days",
    "own_gap_days",
    "own_age_gaps",
    "item_repurchase_rate",
    "item_gap_days",
    "item_recent_buyers",
    "item_trend",
    "taste",
    "customer_orders",
    "customer_silent_days",
    "customer_tenure_days",
    "customer_orders_per_day",
)
OWNED_MAX = 100
NEAR_MIN = 50
POPULAR_COUNT = 30
_WEEK_DAYS = 7.0


@dataclass(frozen=True, slots=True)
class Candidates:
    """Distinct (row, item) pairs, sorted; `owned` is the place among the shoppers' pairs, -1 if not owned."""

    rows: Ints
    items: Ints
    owned: Ints
    by_taste: Bools
    taste: Floats


def find_candidates(
    shoppers: Shoppers, catalogue: Catalogue, factors: ItemFactors, *, depth: int
) -> Candidates:
    """Return the items worth ranking: own ones that may repeat, the nearest by taste, the popular.

    Rows of customers who own nothing have no candidates.
    """
    size = len(catalogue)
    customers = factors.fold_in(shoppers.owned(size))
    near_rows, near_items, _ = factors.nearest(
        customers, count=max(depth, NEAR_MIN), is_offered=catalogue.is_offered
    )
    near = np.sort(pair_keys(near_rows, near_items, item_count=size))
    own = _own_items(shoppers, catalogue)
    popular = catalogue.popular[:POPULAR_COUNT]
    shown = pair_keys(
        np.repeat(np.arange(shoppers.count), len(popular)), np.tile(popular, shoppers.count), item_count=size
    )
    keys = _distinct(np.concatenate([own, near, shown]))
    known = pair_keys(shoppers.rows, shoppers.items, item_count=size)
    owned = find_pairs(keys, known)
    wanted = shoppers.has_items[keys // size]
    wanted[owned >= 0] &= shoppers.repeats[owned[owned >= 0]]
    keys, owned = keys[wanted], owned[wanted]
    rows, items = keys // size, keys % size
    return Candidates(
        rows=rows,
        items=items,
        owned=owned,
        by_taste=find_pairs(keys, near) >= 0,
        taste=factors.scores(customers, rows, items),
    )


def ranking_features(found: Candidates, shoppers: Shoppers, catalogue: Catalogue) -> Floats:
    """Return one row a candidate, columns as in `RANKING_FEATURES`; `own_*` is NaN if not owned."""
    gaps = usual_gaps_days(shoppers, catalogue)
    orders = _of_owned(shoppers.order_counts, found)
    recent = _of_owned(shoppers.recent_counts, found)
    ages = _of_owned(shoppers.ages_days, found)
    recent_orders = catalogue.recent_order_counts[found.items]
    tenures = shoppers.tenures_days[found.rows]
    customer_orders = shoppers.order_counts_all[found.rows]
    columns = {
        "own_orders": orders,
        "own_share": orders / customer_orders,
        "own_recent_orders": recent,
        "own_recent_share": recent / orders,
        "own_age_days": ages,
        "own_gap_days": _of_owned(np.where(shoppers.order_counts > 1, gaps, np.nan), found),
        "own_age_gaps": ages / _of_owned(gaps, found),
        "item_repurchase_rate": catalogue.repurchase_rates[found.items],
        "item_gap_days": catalogue.repurchase_gaps_days[found.items],
        "item_recent_buyers": catalogue.recent_customer_counts[found.items].astype(np.float64),
        "item_trend": np.log((recent_orders + 1) / (catalogue.order_counts[found.items] + 1)),
        "taste": found.taste,
        "customer_orders": customer_orders,
        "customer_silent_days": shoppers.silent_days[found.rows],
        "customer_tenure_days": tenures,
        "customer_orders_per_day": customer_orders / np.maximum(tenures, _WEEK_DAYS),
    }
    return np.column_stack([columns[name] for name in RANKING_FEATURES])


def _own_items(shoppers: Shoppers, catalogue: Catalogue) -> Ints:
    """Return the keys of each row's most ordered offered items."""
    offered = shoppers.ranked[catalogue.is_offered[shoppers.items[shoppers.ranked]]]
    chosen = offered[places_in_runs(shoppers.rows[offered]) < OWNED_MAX]
    return pair_keys(shoppers.rows[chosen], shoppers.items[chosen], item_count=len(catalogue))


def _distinct(keys: Ints) -> Ints:
    ordered = np.sort(keys)
    return ordered[np.diff(ordered, prepend=-1) > 0]


def _of_owned(values: Floats, found: Candidates) -> Floats:
    column = np.full(len(found.rows), np.nan)
    column[found.owned >= 0] = values[found.owned[found.owned >= 0]]
    return column
