"""One round of a back-test: at one origin every recipe is refitted and its predictions are kept.

Prediction tables (pandas) have the columns candidate, origin, customer_id, order_count (so far),
horizon_days, prediction, outcome; those of value add ordered (whether an order came) and, at the headline
horizon, low, high, spend_if_order_low and spend_if_order_high.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import pandas as pd

from features.examples import Examples
from models.contract import ChurnModel, ClvModel, NotEnoughDataError, StandsAlone
from models.registry_names import Task
from training.metrics_exposure import Exposure


@dataclass(slots=True)
class Backtest:
    """What the rounds of a back-test stored: prediction tables, list metrics, who was left out and why.

    `newest` is what the recipes learnt from at the newest origin, `previous` at the one before. Of lists
    there are also what was shown, by recipe and origin, and why a metric has no value.
    """

    origins: list[date]
    newest: Examples | None = None
    previous: Examples | None = None
    churn: pd.DataFrame = field(default_factory=pd.DataFrame)
    clv: pd.DataFrame = field(default_factory=pd.DataFrame)
    recommender: pd.DataFrame = field(default_factory=pd.DataFrame)
    recalls: dict[str, dict[int, float]] = field(default_factory=dict)
    exposures: dict[tuple[str, date], Exposure] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)
    left_out: dict[Task, dict[str, str]] = field(
        default_factory=lambda: {"churn": {}, "clv": {}, "recommender": {}}
    )


KEYS = ["candidate", "origin", "customer_id", "horizon_days"]


def alone_name(candidate: str) -> str:
    """Return under which name a rule is judged as it stands alone.

    >>> alone_name("formula")
    'formula_alone'
    """
    return f"{candidate}_alone"


def churn_round(
    candidates: Mapping[str, ChurnModel],
    examples: Examples,
    outcomes: pd.DataFrame,
    *,
    horizons: Sequence[int],
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Fit and judge every churn candidate at one origin.

    `outcomes` has the cohort's `churned_h` columns (index customer_id, as `examples.current`). Returns the
    predictions, and for each candidate that could not be fitted the reason.
    """
    tables, left_out = [], {}
    for name, candidate in candidates.items():
        try:
            probabilities = candidate.fit(examples).predict(examples.judged, horizons_days=horizons)
        except NotEnoughDataError as error:
            left_out[name] = str(error)
            continue
        tables.append(_long(name, examples, probabilities, outcomes, label="churned"))
    return _stack(tables), left_out


def clv_round(
    candidates: Mapping[str, ClvModel],
    examples: Examples,
    outcomes: pd.DataFrame,
    *,
    order_probability: pd.DataFrame,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Fit and judge every CLV candidate at one origin; `order_probability` has a column a horizon judged.

    A rule is judged twice: as it would serve, and alone (`alone_name`), which has no interval.
    """
    tables, left_out = [], {}
    horizons = [int(h) for h in order_probability.columns]
    for name, candidate in candidates.items():
        try:
            spends = candidate.fit(examples).predict(
                examples.judged, order_probability=order_probability, horizons_days=horizons
            )
        except NotEnoughDataError as error:
            left_out[name] = str(error)
            continue
        table = _long(name, examples, spends, outcomes, label="spend")
        if isinstance(candidate, StandsAlone):
            alone = candidate.predict_alone(examples.judged, horizons_days=horizons)
            tables.append(_long(alone_name(name), examples, alone, outcomes, label="spend"))
        intervals = candidate.predict_interval(
            examples.judged, order_probability=order_probability, horizon_days=examples.headline_days
        )
        intervals = intervals.assign(horizon_days=examples.headline_days).set_index(
            "horizon_days", append=True
        )
        tables.append(table.join(intervals, on=["customer_id", "horizon_days"]))
    return _stack(tables), left_out


def _long(
    name: str, examples: Examples, predictions: pd.DataFrame, outcomes: pd.DataFrame, *, label: str
) -> pd.DataFrame:
    """Turn one column a horizon into one row a customer and horizon, with the outcome beside it."""
    parts = []
    for horizon in predictions.columns:
        part = pd.DataFrame(
            {
                "candidate": name,
                "origin": examples.origin.date,
                "customer_id": predictions.index.astype(str),
                "order_count": examples.judged["order_count"].to_numpy(dtype=float),
                "horizon_days": int(horizon),
                "prediction": predictions[horizon].to_numpy(),
                "outcome": outcomes[f"{label}_{horizon}"].reindex(predictions.index).to_numpy(dtype=float),
            }
        )
        if label == "spend":
            part["ordered"] = (outcomes[f"churned_{horizon}"].reindex(predictions.index) == 0).to_numpy()
        parts.append(part[part["outcome"].notna()])
    return pd.concat(parts, ignore_index=True)


def _stack(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    kept = list(tables)
    return (
        pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=[*KEYS, "prediction", "outcome"])
    )


def pivot(predictions: pd.DataFrame, candidate: str, origin: date) -> pd.DataFrame:
    """Return one candidate's predictions at one origin: index customer_id, one column a horizon."""
    chosen = predictions[(predictions["candidate"] == candidate) & (predictions["origin"] == origin)]
    return chosen.pivot_table(index="customer_id", columns="horizon_days", values="prediction", sort=False)
