"""Made-up customers with a known way of buying, and the examples that a recipe learns from."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.examples import Examples
from features.settings import BoostingSettings
from features.snapshot import Snapshot
from models.boosting import Recipe

ORIGIN = date(2026, 1, 1)
HEADLINE_DAYS = 30
GRID_DAYS = (14, 30, 60, 90, 180, 365)
SPEND_WINDOWS_DAYS = (7, 14, 30, 60, 90, 180, 365)

QUICK = Recipe(
    boosting=BoostingSettings(tree_count=30, learning_rate=0.1, rows_per_leaf_min=20),
    outcomes_min=20,
    thread_count=1,
)

Orders = list[tuple[NDArray[np.float64], NDArray[np.float64]]]


def simulate_orders(customer_count: int, *, days: int = 300, seed: int = 5) -> Orders:
    """Return each customer's order times and amounts: own rate, and a chance to stop after each order."""
    generator = np.random.default_rng(seed)
    orders = []
    for _ in range(customer_count):
        rate, stop = generator.gamma(1.5, 1 / 40), generator.beta(1.0, 6.0)
        usual, at, times = generator.lognormal(3.0, 0.6), generator.uniform(0, days * 0.8), []
        while at < days:
            times.append(at)
            if generator.random() < stop:
                break
            at += max(generator.exponential(1 / rate), 1.0)
        orders.append((np.array(times), usual * generator.lognormal(0, 0.3, len(times))))
    return orders


def feature_row(times: NDArray[np.float64], amounts: NDArray[np.float64], at: float) -> dict[str, float]:
    """Return the features of one customer at a moment, from what came before it (at least one order)."""
    known, money = times[times < at], amounts[times < at]
    gaps = np.diff(known)
    row = {
        "recency_days": at - known[-1],
        "order_count": float(len(known)),
        "spend_total": money.sum(),
        "tenure_days": at - known[0],
        "mean_order_value": money.mean(),
        "order_day_count": float(len(known)),
        "first_to_last_days": known[-1] - known[0],
        "repeat_spend_mean": money[1:].mean() if len(money) > 1 else np.nan,
        "median_gap_days": np.median(gaps) if len(gaps) else np.nan,
        "line_count": float(len(known)),
        "line_value_mean": money.mean(),
    }
    row["order_count_30"] = float((known >= at - HEADLINE_DAYS).sum())
    return row | {f"spend_{days}": money[known >= at - days].sum() for days in SPEND_WINDOWS_DAYS}


def outcome_row(
    times: NDArray[np.float64], amounts: NDArray[np.float64], at: float, *, until: float = np.inf
) -> dict[str, float]:
    """Return `churned_h`, `spend_h`, `order_count_h`; missing where `[at, at + h)` ends after `until`."""
    row = {}
    for days in GRID_DAYS:
        within = (times >= at) & (times < at + days)
        values = (float(not within.any()), amounts[within].sum(), float(within.sum()))
        for name, value in zip(("churned", "spend", "order_count"), values, strict=True):
            row[f"{name}_{days}"] = value if at + days <= until else np.nan
    return row


def make_examples(orders: Orders, *, days: int = 300, snapshot_count: int = 12) -> Examples:
    """Return the examples of an origin at the end of some orders, a snapshot every 8 days before it."""
    parts = [_at(orders, days - 8.0 * number, until=days) for number in range(1, snapshot_count + 1)]
    current, _ = _at(orders, float(days), until=days)
    return Examples(
        origin=Snapshot(ORIGIN),
        headline_days=HEADLINE_DAYS,
        horizons_days=GRID_DAYS,
        features=pd.concat([features for features, _ in parts]),
        labels=pd.concat([labels for _, labels in parts]),
        current=current.droplevel("as_of"),
    )


def outcomes(orders: Orders, *, days: int = 300) -> pd.DataFrame:
    """Return the truth after the origin for the customers of `make_examples(…).current`."""
    seen = [pair for pair in orders if (pair[0] < days).any()]
    return pd.DataFrame([outcome_row(*pair, float(days)) for pair in seen])


def _at(orders: Orders, at: float, *, until: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    seen = [(number, pair) for number, pair in enumerate(orders) if (pair[0] < at).any()]
    day = ORIGIN - timedelta(days=int(until - at))
    index = pd.MultiIndex.from_tuples(
        [(f"customer-{number:05d}", day) for number, _ in seen], names=["customer_id", "as_of"]
    )
    names = list(feature_row(np.array([0.0]), np.array([1.0]), 1.0))
    labels = list(outcome_row(np.array([0.0]), np.array([1.0]), 1.0))
    features = pd.DataFrame([feature_row(*pair, at) for _, pair in seen], index=index, columns=names)
    truth = pd.DataFrame(
        [outcome_row(*pair, at, until=until) for _, pair in seen], index=index, columns=labels
    )
    return features.astype(np.float64), truth.astype(np.float64)
