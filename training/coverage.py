"""How honest intervals are tenth by tenth, and whether the sum of all predictions is what came in."""

from datetime import date
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.metrics_clv import BOUNDS
from training.scorecard import CoverageRow, Total

_DECILES = 10


def coverage_by_decile(rows: pd.DataFrame) -> list[CoverageRow]:
    """Return the coverage of one recipe's intervals by tenth of predicted spend, the lowest first.

    `rows` are of one recipe and horizon, all origins; the tenths are cut at each origin, customers in the
    order of their rows where predictions are equal. Rows without an interval stay out.
    """
    if not set(BOUNDS) <= set(rows.columns):
        return []
    known = rows.dropna(subset=list(BOUNDS))
    if known.empty:
        return []
    deciles = known.groupby("origin")["prediction"].transform(_deciles)
    return [_coverage(int(number), part) for number, part in known.groupby(deciles, sort=True)]


def totals_of(rows: pd.DataFrame) -> dict[str, dict[date, Total]]:
    """Return the total of all customers by recipe and origin; `rows` are of one horizon."""
    sums = rows.groupby(["candidate", "origin"], sort=True)[["prediction", "outcome"]].sum()
    found: dict[str, dict[date, Total]] = {}
    for key, row in sums.iterrows():
        candidate, origin = cast("tuple[str, date]", key)
        total = Total(predicted=float(row["prediction"]), actual=float(row["outcome"]))
        found.setdefault(candidate, {})[origin] = total
    return found


def _deciles(predictions: "pd.Series[float]") -> npt.NDArray[np.int64]:
    places = np.argsort(np.argsort(predictions.to_numpy(), kind="stable"), kind="stable")
    return 1 + places * _DECILES // len(places)


def _coverage(decile: int, part: pd.DataFrame) -> CoverageRow:
    # Bounds are never below 0, so spend below 0 counts as 0, as in `interval_metrics`.
    outcomes, high = part["outcome"].to_numpy(np.float64), part["high"].to_numpy(np.float64)
    spend, buys, positive = outcomes.clip(min=0.0), part["ordered"].to_numpy(np.bool_), high > 0
    inside = (spend >= part["spend_if_order_low"]) & (spend <= part["spend_if_order_high"])
    return CoverageRow(
        decile=decile,
        customer_count=len(part),
        predicted_mean=float(part["prediction"].mean()),
        actual_mean=float(outcomes.mean()),
        inside_share=float(((spend >= part["low"]) & (spend <= high)).mean()),
        positive_high_count=int(positive.sum()),
        above_high_share=float((spend > high)[positive].mean()) if positive.any() else None,
        buyer_count=int(buys.sum()),
        buyers_inside_share=float(inside[buys].mean()) if buys.any() else None,
    )
