"""From a table of stored predictions to metrics by recipe, horizon and origin, with their intervals."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.resampling import Floats, Resample, Statistic, interval
from training.scorecard import Comparison, Summary, summary_of

HIGHER_IS_BETTER = frozenset({"auc", "normalised_gini", "ndcg_at_10", "recall_at_10"})


@dataclass(frozen=True, slots=True)
class Measures:
    """How rows of one recipe, origin and horizon are judged: plainly, and the same for the bootstrap."""

    metrics: Callable[[pd.DataFrame], dict[str, float]]
    statistics: Callable[[pd.DataFrame], dict[str, Statistic]]


@dataclass(frozen=True, slots=True)
class Findings:
    """What was measured: `summaries` by candidate, horizon and metric; `draws` at the judged horizon.

    A set of draws belongs to a candidate, a metric and an origin; draw k is of the same customers everywhere.
    """

    summaries: dict[str, dict[int, dict[str, Summary]]] = field(default_factory=dict)
    draws: dict[str, dict[str, dict[date, Floats]]] = field(default_factory=dict)


def measure(
    predictions: pd.DataFrame, measures: Measures, *, resample: Resample, judged_days: int
) -> Findings:
    """Measure every recipe at every horizon and origin; intervals are made at the judged horizon only."""
    found = Findings()
    for key, part in predictions.groupby(["candidate", "horizon_days"], sort=True):
        candidate, horizon = cast("tuple[str, int]", key)
        values: dict[date, dict[str, float]] = {}
        draws: dict[date, dict[str, Floats]] = {}
        for origin, rows in part.groupby("origin", sort=True):
            day = cast("date", origin)
            values[day] = measures.metrics(rows)
            if horizon == judged_days:
                groups = resample.groups_of(rows["customer_id"])
                draws[day] = resample.draws(measures.statistics(rows), groups)
        names = next(iter(values.values()))
        by_name = {name: {day: drawn[name] for day, drawn in draws.items()} for name in names}
        found.summaries.setdefault(candidate, {})[int(horizon)] = {
            name: with_intervals({day: row[name] for day, row in values.items()}, by_name[name])
            for name in names
        }
        if draws:
            found.draws[candidate] = by_name
    return found


def with_intervals(by_origin: Mapping[date, float], draws: Mapping[date, Floats]) -> Summary:
    """Return a metric's summary with an interval at each origin, and one of the mean over them."""
    summary = summary_of(by_origin)
    defined = [day for day, value in by_origin.items() if np.isfinite(value) and day in draws]
    if not defined or summary.mean is None:
        return summary
    pooled = interval(summary.mean, mean_draws(draws, defined))
    found = {day: interval(by_origin[day], draws[day]) for day in defined}
    return summary.model_copy(
        update={
            "low": pooled[0] if pooled else None,
            "high": pooled[1] if pooled else None,
            "intervals_by_origin": {day: ends for day, ends in found.items() if ends is not None},
        }
    )


def mean_draws(draws: Mapping[date, Floats], origins: Iterable[date]) -> Floats:
    """Return the mean over origins, draw by draw."""
    mean: npt.NDArray[np.float64] = np.mean([draws[day] for day in origins], axis=0)
    return mean


def differences(
    found: Findings, rival: str, *, names: Iterable[str], judged_days: int
) -> dict[str, dict[str, Comparison]]:
    """Return how much better each recipe is than the rival, by metric; paired, over the origins both have.

    Positive means better, whichever way the metric points. The rival itself is not among them.
    """
    result: dict[str, dict[str, Comparison]] = {}
    for candidate in found.draws:
        if candidate == rival:
            continue
        compared = {name: _difference(found, (candidate, rival), name, judged_days) for name in names}
        result[candidate] = {name: gap for name, gap in compared.items() if gap is not None}
    return result


def _difference(found: Findings, pair: tuple[str, str], name: str, judged_days: int) -> Comparison | None:
    own, others = (found.summaries[who][judged_days][name].by_origin for who in pair)
    gaps = {
        day: value - other
        for day, value in own.items()
        if value is not None and (other := others.get(day)) is not None
    }
    if not gaps:
        return None
    mean = float(np.mean(list(gaps.values())))
    own_draws, other_draws = (mean_draws(found.draws[who][name], gaps) for who in pair)
    ends = interval(mean, own_draws - other_draws)
    if ends is None:
        return None
    if name in HIGHER_IS_BETTER:
        return Comparison(rival=pair[1], mean=mean, low=ends[0], high=ends[1])
    return Comparison(rival=pair[1], mean=-mean, low=-ends[1], high=-ends[0])
