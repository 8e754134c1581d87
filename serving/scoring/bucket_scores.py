"""The scores that depend on one customer alone: a bucket of features and facts in, typed rows out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import orjson
import pandas as pd
import polars as pl

from features.basis import BasisName
from features.errors import UserError
from features.settings import Settings
from models.contract import ChurnModel, ClvModel
from models.explanations import churn_effects, named_reasons
from serving.rows import CLV_HORIZONS_DAYS, HORIZONS_DAYS
from serving.scoring.horizons import Floats, churn_horizons, clv_horizons, days_until
from serving.scoring.worth import present_values

_SHARES = {"next_order_p25_date": 0.25, "next_order_p50_date": 0.5, "next_order_p75_date": 0.75}
_SIGNIFICANT_DIGITS = 9
_CENT_DIGITS = 2


class NoNumberError(UserError):
    """A champion's answer is no number."""


@dataclass(frozen=True, slots=True)
class Predictors:
    """The fitted champions of churn and value, the horizons that they serve, and how money is told."""

    churn: ChurnModel
    clv: ClvModel
    headline_days: int
    clv_days: int
    basis: BasisName = "net"
    discount_rate: float = 0.0

    @classmethod
    def of(cls, churn: ChurnModel, clv: ClvModel, *, headline_days: int, settings: Settings) -> "Predictors":
        """Return the predictors of two fitted models with the money and the horizon that settings ask for."""
        return cls(
            churn=churn,
            clv=clv,
            headline_days=headline_days,
            clv_days=settings.clv.horizon_days,
            basis=settings.shop.clv_basis,
            discount_rate=settings.clv.discount_rate,
        )

    @property
    def supported_days(self) -> int:
        """The longest horizon that both have learnt from known outcomes; beyond it they extrapolate."""
        return min(self.churn.supported_days_, self.clv.supported_days_)

    @property
    def asked_days(self) -> tuple[int, ...]:
        """Every horizon at which churn is asked for."""
        return churn_horizons(self.headline_days, self.clv_days)


def score_bucket(
    features: pd.DataFrame, facts: pl.DataFrame, predictors: Predictors, *, as_of: date
) -> pl.DataFrame:
    """Return a bucket's own scores: the facts, the predictions and the reasons of each customer.

    `features` has the index customer_id and one column a feature; `facts` is that of
    `serving.scoring.facts.read_facts` for the same bucket. Money is rounded to cents, probabilities
    to nine significant digits. Raises `NoNumberError`.
    """
    churn = _numbers(predictors.churn.predict(features, horizons_days=predictors.asked_days), "churn")
    columns = {
        "customer_id": features.index.to_list(),
        "recency_days": features["recency_days"].to_numpy(),
        "order_count": features["order_count"].to_numpy(),
        "spend_total": features["spend_total"].to_numpy(),
        **_churn_columns(churn, predictors),
        **_value_columns(features, churn, predictors),
        **_date_columns(churn, as_of),
        **_reason_columns(features, predictors),
    }
    return pl.DataFrame(columns).join(facts, on="customer_id", how="left", maintain_order="left")


def _numbers(answers: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return a champion's answers; what comes after would take what is no number for something else."""
    count = int((~np.isfinite(answers.to_numpy(dtype=np.float64)).all(axis=1)).sum())
    if count:
        raise NoNumberError(
            f"the {task} champion's answer is no number for {count} of {len(answers)} customers of a bucket; "
            f"nothing was published: go back to the one before (make rollback TASK={task}), or train again"
        )
    return answers


def _reason_columns(features: pd.DataFrame, predictors: Predictors) -> dict[str, pl.Series]:
    """Return the reasons as JSON lists and what they add to; null for everybody where there are none."""
    found = churn_effects(predictors.churn, features, horizon_days=predictors.headline_days)
    if found is None:
        nothing = [None] * len(features)
        return {"churn_reference": pl.Series(nothing, dtype=pl.Float64), "reasons": _texts(nothing)}
    # Trends are of gross money: beside margin their numbers would contradict what is said of them.
    unquoted = frozenset({"spend_trend"}) if predictors.basis == "margin" else frozenset[str]()
    reasons = named_reasons(found, features, without_numbers=unquoted)
    return {
        "churn_reference": pl.Series(found.reference).round_sig_figs(_SIGNIFICANT_DIGITS),
        "reasons": _texts([orjson.dumps(named).decode() for named in reasons]),
    }


def _texts(values: Sequence[str | None]) -> pl.Series:
    return pl.Series(values, dtype=pl.String)


def _churn_columns(churn: pd.DataFrame, predictors: Predictors) -> dict[str, Floats | list[bool]]:
    columns: dict[str, Floats | list[bool]] = {
        f"churn_probability_{days}": _digits(churn[days]) for days in HORIZONS_DAYS
    }
    columns["churn_probability"] = _digits(churn[predictors.headline_days])
    served = max(*HORIZONS_DAYS, predictors.headline_days, predictors.clv_days)
    columns["extrapolated"] = [served > predictors.supported_days] * len(churn)
    return columns


def _value_columns(features: pd.DataFrame, churn: pd.DataFrame, predictors: Predictors) -> dict[str, Floats]:
    clv, last, headline = predictors.clv, predictors.clv_days, predictors.headline_days
    horizons = list(clv_horizons(last))
    chance = 1.0 - churn[horizons]
    spend = _numbers(clv.predict(features, order_probability=chance, horizons_days=horizons), "clv")
    worth = pd.DataFrame(
        present_values(spend.to_numpy(), horizons, yearly_rate=predictors.discount_rate), columns=horizons
    )
    interval = clv.predict_interval(features, order_probability=chance, horizon_days=last)
    orders = clv.predict_order_count(features, order_probability=chance, horizon_days=last)
    at_stake = churn[headline].to_numpy() * _spend_if_order(features, clv, headline)
    columns = {f"predicted_clv_{days}": _cents(worth[days]) for days in CLV_HORIZONS_DAYS}
    expected = _floats(spend[last])
    # Whatever is spent comes when the expected spend does.
    kept = np.divide(_floats(worth[last]), expected, out=np.ones(len(expected)), where=expected > 0)
    return {
        **columns,
        "predicted_clv": _cents(worth[last]),
        "predicted_clv_low": _cents(interval["low"] * kept),
        "predicted_clv_median": _cents(interval["median"] * kept),
        "predicted_clv_high": _cents(interval["high"] * kept),
        "spend_if_order_low": _cents(interval["spend_if_order_low"] * kept),
        "spend_if_order_high": _cents(interval["spend_if_order_high"] * kept),
        "predicted_number_of_orders": np.round(_floats(orders), 3),
        "value_at_risk": _cents(at_stake),
    }


def _spend_if_order(features: pd.DataFrame, clv: ClvModel, days: int) -> Floats:
    """Return the expected spend within a horizon of whoever orders for certain."""
    certain = pd.DataFrame({days: np.ones(len(features))}, index=features.index)
    return _floats(clv.predict(features, order_probability=certain, horizons_days=[days])[days])


def _date_columns(churn: pd.DataFrame, as_of: date) -> dict[str, pl.Series]:
    within_a_year = [int(days) for days in churn.columns if int(days) <= HORIZONS_DAYS[-1]]
    curve = churn[within_a_year].to_numpy(dtype=np.float64)
    dates = {
        name: _dates(days_until(curve, within_a_year, ordered_share=share), as_of)
        for name, share in _SHARES.items()
    }
    return {**dates, "expected_date_of_next_order": dates["next_order_p50_date"]}


def _dates(days: Floats, as_of: date) -> pl.Series:
    """Turn "within n days" into the last day of that window; missing stays missing."""
    offsets = pl.Series(days).fill_nan(None).cast(pl.Int64)
    return (pl.lit(as_of) + pl.duration(days=pl.lit(offsets) - 1)).pipe(pl.select).to_series().cast(pl.Date)


def _floats(values: "pd.Series[Any]") -> Floats:
    return np.asarray(values.to_numpy(), dtype=np.float64)


def _digits(values: "pd.Series[float]") -> Floats:
    return np.asarray(pl.Series(_floats(values)).round_sig_figs(_SIGNIFICANT_DIGITS).to_numpy())


def _cents(values: "pd.Series[float] | Floats | Sequence[float]") -> Floats:
    # Adding 0.0 turns -0.0 into 0.0.
    return np.asarray(np.round(np.asarray(values, dtype=np.float64), _CENT_DIGITS) + 0.0)
