"""From what lists were judged by to what is told of them: metrics, exposure, and customers in segments."""

from collections.abc import Mapping
from datetime import date
from typing import Final

import numpy as np
import pandas as pd

from training.metrics_exposure import Exposure, exposure_draws, exposure_metrics
from training.recommender_rounds import LIST_METRICS
from training.resampling import Resample, Statistic, interval
from training.scorecard import Comparison, Segment, Summary
from training.summaries import Findings, Measures, with_intervals
from training.weighted import mean_of, share_of

Exposures = Mapping[tuple[str, date], Exposure]

SEGMENTS: Final = {"1": (1, 1), "2 to 4": (2, 4), "5 to 9": (5, 9), "10 or more": (10, np.inf)}
"""Customers by their orders before the origin, ends included."""
SEGMENT_METRICS = ("recall", "ndcg", "hit")


def _metrics(rows: pd.DataFrame) -> dict[str, float]:
    return {f"{name}_at_10": float(rows[name].mean()) for name in LIST_METRICS}


def _statistics(rows: pd.DataFrame) -> dict[str, Statistic]:
    return {f"{name}_at_10": _mean_of_known(rows[name]) for name in LIST_METRICS}


def _mean_of_known(column: "pd.Series[float]") -> Statistic:
    """Return the weighted mean over the customers for whom a metric is defined."""
    values = column.to_numpy(np.float64)
    is_known = np.isfinite(values)
    return share_of(np.where(is_known, values, 0.0), is_known)


LISTS = Measures(_metrics, _statistics)


def add_exposure(
    found: Findings, exposures: Exposures, rows: pd.DataFrame, *, resample: Resample, judged_days: int
) -> None:
    """Add what is shown to all customers together to the findings of the recipes and origins in `rows`."""
    judged = rows[["candidate", "origin"]].drop_duplicates()
    for name, days in judged.groupby("candidate", sort=True)["origin"]:
        candidate = str(name)
        shown = {day: exposures[candidate, day] for day in sorted(days) if (candidate, day) in exposures}
        values = {day: exposure_metrics(exposure) for day, exposure in shown.items()}
        draws = {day: exposure_draws(exposure, resample) for day, exposure in shown.items()}
        for metric in next(iter(values.values()), {}):
            by_origin = {day: drawn[metric] for day, drawn in draws.items()}
            summary = with_intervals({day: value[metric] for day, value in values.items()}, by_origin)
            found.summaries[candidate][judged_days][metric] = summary
            found.draws[candidate][metric] = by_origin


def is_undefined(summary: Summary | None) -> bool:
    """Say whether a metric has no value at any origin."""
    return summary is None or summary.mean is None


def segments_of(rows: pd.DataFrame, winner: str, rival: str | None, *, resample: Resample) -> list[Segment]:
    """Return the metrics of every recipe by how many orders a customer had before the origin.

    `rows` as in `training.recommender_rounds`; segments without customers are left out.
    """
    found = []
    for name, (least, most) in SEGMENTS.items():
        part = rows[rows["order_count"].between(least, most)]
        own = part[part["candidate"] == winner]
        if own.empty:
            continue
        means = part.groupby("candidate", sort=True)[list(SEGMENT_METRICS)].mean()
        metrics = {
            str(candidate): {f"{metric}_at_10": float(value) for metric, value in values.items()}
            for candidate, values in means.iterrows()
        }
        against = None if rival is None else _against(own, part[part["candidate"] == rival], rival, resample)
        found.append(Segment(name=name, customer_count=len(own), metrics=metrics, against=against))
    return found


def _against(own: pd.DataFrame, other: pd.DataFrame, rival: str, resample: Resample) -> Comparison | None:
    keys = ["origin", "customer_id"]
    pairs = own[[*keys, "ndcg"]].merge(other[[*keys, "ndcg"]], on=keys, suffixes=("", "_rival"))
    return _mean_gap(pairs.assign(gap=pairs["ndcg"] - pairs["ndcg_rival"]), rival, resample)


def discovery_gain(rows: pd.DataFrame, *, resample: Resample) -> Comparison | None:
    """Return by how much cross_sell is right more often than the most popular new categories.

    `rows` of one recipe, as in `training.recommender_rounds`; a customer counts once an origin. None where
    nobody bought from a category new to them.
    """
    gaps = rows.assign(gap=rows["discovery"] - rows["popular_discovery"]).dropna(subset="gap")
    return None if gaps.empty else _mean_gap(gaps, "popular", resample)


def _mean_gap(rows: pd.DataFrame, rival: str, resample: Resample) -> Comparison | None:
    gaps = rows["gap"].to_numpy(np.float64)
    drawn = resample.draws({"gap": mean_of(gaps)}, resample.groups_of(rows["customer_id"]))["gap"]
    mean = float(gaps.mean())
    ends = interval(mean, drawn)
    return None if ends is None else Comparison(rival=rival, mean=mean, low=ends[0], high=ends[1])
