"""Risk against what is usual in this shop: cut points and bands."""

from dataclasses import dataclass

import polars as pl

from features.settings import RiskSettings


@dataclass(frozen=True, slots=True)
class RiskCuts:
    """The shop's usual risk, the mean of its customers not lapsed, and where the bands begin."""

    usual: float | None
    medium_from: float | None
    high_from: float | None


def risk_cuts(usual: float | None, risk: RiskSettings) -> RiskCuts:
    """Return the cut points of a usual risk.

    A band begins at `times` the usual risk. Where most customers leave, that would lie near or above 1, so
    there it begins where the chance to stay is `times` smaller than usual; the lower of the two counts (they
    meet at a usual risk of 1 / (times + 1)).

    >>> risk_cuts(0.16, RiskSettings()).high_from, risk_cuts(0.8, RiskSettings()).high_from
    (0.24, 0.866667)
    """
    if usual is None:
        return RiskCuts(None, None, None)
    return RiskCuts(usual, _cut(usual, risk.medium_from_times_usual), _cut(usual, risk.high_from_times_usual))


def _cut(usual: float, times: float) -> float:
    return round(min(usual * times, 1.0 - (1.0 - usual) / times), 6)


def risk_band(cuts: RiskCuts) -> pl.Expr:
    """Say low, medium or high from `churn_probability`."""
    risk = pl.col("churn_probability")
    if cuts.usual is None:
        return pl.lit(None, dtype=pl.String).alias("risk_band")
    high = pl.when(risk >= cuts.high_from).then(pl.lit("high"))
    return (
        high.when(risk >= cuts.medium_from).then(pl.lit("medium")).otherwise(pl.lit("low")).alias("risk_band")
    )
