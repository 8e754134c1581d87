"""What the blend's ranker knows about each candidate."""

import numpy as np

from models.recommender.catalogue import Catalogue, Floats, Ints
from models.recommender.lists import find_pairs, pair_keys, places_in_runs
from models.recommender.rhythm import usual_gaps_days
from models.recommender.shoppers import Shoppers
from models.recommender.sources import Candidates

_GROUPS = ("category", "need")
_OF_OWN = (
    "own_orders",
    "own_share",
    "own_recent_orders",
    "own_recent_share",
    "own_weight_7",
    "own_weight_30",
    "own_weight_90",
    "own_age_days",
    "own_gap_days",
    "own_age_gaps",
)
_OF_ITEM = (
    "item_repurchase_rate",
    "item_gap_days",
    "item_recent_buyers",
    "item_order_share",
    "item_price",
    "item_trend",
    "item_week_trend",
    "item_month_trend",
)
_OF_TASTE = ("taste", "taste_place", "neighbour", "neighbour_place")
_OF_GROUP = ("orders", "order_share", "weight_30", "own_order_share", "item_order_share")
_OF_CUSTOMER = (
    "tier_distance",
    "customer_orders",
    "customer_silent_days",
    "customer_tenure_days",
    "customer_orders_per_day",
    "customer_weight_7",
    "customer_weight_30",
    "customer_basket_size",
    "customer_variety",
)
RANKING_FEATURES = (
    *_OF_OWN,
    *_OF_ITEM,
    *_OF_TASTE,
    *(f"{group}_{name}" for group in _GROUPS for name in _OF_GROUP),
    *_OF_CUSTOMER,
)
_WEEK_DAYS = 7.0


def ranking_features(found: Candidates, shoppers: Shoppers, catalogue: Catalogue) -> Floats:
    """Return one row a candidate, columns as in `RANKING_FEATURES`; `own_*` is NaN if not owned."""
    columns = (
        _own(found, shoppers)
        | _item_figures(found, catalogue)
        | _closeness(found)
        | _group(found, shoppers, catalogue, catalogue.category_nos, name="category")
        | _group(found, shoppers, catalogue, catalogue.need_nos, name="need")
        | _customer(found, shoppers, catalogue)
    )
    columns["own_gap_days"] = _of_owned(_own_gaps(shoppers, catalogue), found)
    columns["own_age_gaps"] = columns["own_age_days"] / _of_owned(usual_gaps_days(shoppers, catalogue), found)
    return np.column_stack([columns[name] for name in RANKING_FEATURES])


def _own(found: Candidates, shoppers: Shoppers) -> dict[str, Floats]:
    orders = _of_owned(shoppers.order_counts, found)
    recent = _of_owned(shoppers.recent_counts, found)
    week, month, quarter = (_of_owned(column, found) for column in shoppers.order_weights.T)
    return {
        "own_orders": orders,
        "own_share": orders / shoppers.order_counts_all[found.rows],
        "own_recent_orders": recent,
        "own_recent_share": recent / orders,
        "own_weight_7": week,
        "own_weight_30": month,
        "own_weight_90": quarter,
        "own_age_days": _of_owned(shoppers.ages_days, found),
    }


def _item_figures(found: Candidates, catalogue: Catalogue) -> dict[str, Floats]:
    recent = catalogue.recent_order_counts
    week, month, quarter = catalogue.order_weights.T
    figures = {
        "item_repurchase_rate": catalogue.repurchase_rates,
        "item_gap_days": catalogue.repurchase_gaps_days,
        "item_recent_buyers": catalogue.recent_customer_counts.astype(np.float64),
        "item_order_share": recent / max(recent.sum(), 1),
        "item_price": catalogue.unit_prices,
        "item_trend": np.log((recent + 1) / (catalogue.order_counts + 1)),
        "item_week_trend": np.log((week + 1) / (month + 1)),
        "item_month_trend": np.log((month + 1) / (quarter + 1)),
    }
    return {name: values[found.items] for name, values in figures.items()}


def _closeness(found: Candidates) -> dict[str, Floats]:
    return {
        "taste": found.taste,
        "taste_place": _places_within(found.rows, found.taste),
        "neighbour": found.neighbour,
        "neighbour_place": _places_within(found.rows, found.neighbour),
    }


def _group(
    found: Candidates, shoppers: Shoppers, catalogue: Catalogue, groups: Ints, *, name: str
) -> dict[str, Floats]:
    """Return what the customer bought of the candidate's group (category or need); NaN where it has none."""
    count = int(groups.max(initial=-1)) + 1
    known = groups[shoppers.items] >= 0
    pairs = pair_keys(shoppers.rows[known], groups[shoppers.items[known]], item_count=count)
    bought, places = np.unique(pairs, return_inverse=True)
    at = find_pairs(pair_keys(found.rows, groups[found.items], item_count=count), bought)

    def of_group(weights: Floats) -> Floats:
        sums = np.append(np.bincount(places, weights=weights[known], minlength=len(bought)), 0.0)
        return np.where(groups[found.items] >= 0, sums[at], np.nan)

    orders = of_group(shoppers.order_counts)
    own = np.nan_to_num(_of_owned(shoppers.order_counts, found))
    recent = catalogue.recent_order_counts.astype(np.float64)
    total = np.bincount(groups[groups >= 0], weights=recent[groups >= 0], minlength=max(count, 1))
    item_groups = groups[found.items]
    return {
        f"{name}_orders": orders,
        f"{name}_order_share": orders / _total_orders(shoppers)[found.rows],
        f"{name}_weight_30": of_group(shoppers.order_weights[:, 1]),
        f"{name}_own_order_share": own / np.maximum(orders, 1.0),
        f"{name}_item_order_share": np.where(
            item_groups >= 0, recent[found.items] / np.maximum(total[item_groups], 1.0), np.nan
        ),
    }


def _customer(found: Candidates, shoppers: Shoppers, catalogue: Catalogue) -> dict[str, Floats]:
    total, orders = _total_orders(shoppers), shoppers.order_counts_all
    tiers = np.bincount(
        shoppers.rows, shoppers.order_counts * catalogue.price_tiers[shoppers.items], shoppers.count
    )
    distinct = np.bincount(shoppers.rows, minlength=shoppers.count).astype(np.float64)
    sums = shoppers.order_weight_sums()
    figures: dict[str, Floats] = {
        "customer_orders": orders,
        "customer_silent_days": shoppers.silent_days,
        "customer_tenure_days": shoppers.tenures_days,
        "customer_orders_per_day": orders / np.maximum(shoppers.tenures_days, _WEEK_DAYS),
        "customer_weight_7": sums[:, 0],
        "customer_weight_30": sums[:, 1],
        "customer_basket_size": total / np.maximum(orders, 1.0),
        "customer_variety": distinct / total,
    }
    columns = {name: values[found.rows] for name, values in figures.items()}
    return columns | {"tier_distance": catalogue.price_tiers[found.items] - (tiers / total)[found.rows]}


def _total_orders(shoppers: Shoppers) -> Floats:
    """Return each row's sum of orders over items, at least 1."""
    return np.maximum(np.bincount(shoppers.rows, shoppers.order_counts, shoppers.count), 1.0)


def _own_gaps(shoppers: Shoppers, catalogue: Catalogue) -> Floats:
    return np.where(shoppers.order_counts > 1, usual_gaps_days(shoppers, catalogue), np.nan)


def _places_within(rows: Ints, values: Floats) -> Floats:
    """Return each value's place within its row, the largest 0; rows are sorted, ties keep their order."""
    order = np.lexsort((-values, rows))
    places = np.empty(len(rows))
    places[order] = places_in_runs(rows[order])
    return places


def _of_owned(values: Floats, found: Candidates) -> Floats:
    column = np.full(len(found.rows), np.nan)
    column[found.owned >= 0] = values[found.owned[found.owned >= 0]]
    return column
