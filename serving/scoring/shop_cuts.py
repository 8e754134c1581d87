"""Where one shop's customers are told apart: measured once over a run, then enough to place anybody.

A run keeps them, so that a customer who is scored again is placed among the customers of that run.
"""

import math

import narwhals as nw
import polars as pl
from pydantic import BaseModel, ConfigDict

from features.high_value import flag_high_value
from features.rfm import RfmCuts, RfmScheme, find_cuts
from features.rfm_scales import Edges
from features.settings import RiskSettings
from serving.scoring.risk import RiskCuts, risk_band, risk_cuts
from serving.scoring.stages import StageCuts

RFM_NAMES = ("rfm_recency", "rfm_frequency", "rfm_monetary", "rfm_segment")
_MEASURED = ("customer_id", "recency_days", "churn_probability", "predicted_clv", "order_count")
_VALUE_FLAGS = ("makes_most_revenue", "is_in_top_share")


class ShopCuts(BaseModel):
    """The cut points of a run's customers.

    `lapsed_after_days`    silent for longer: lapsed; None where nobody ever ordered twice
    `usual_probability`    the mean churn probability of customers not lapsed; a band begins at `medium_from`
                           and `high_from`
    `percentile_over`      the churn probabilities above which percentiles 1 to 99 begin
    `rfm_edges`            the edges of recency, frequency and money; None where customers are too few
    `most_revenue_from`    the least predicted CLV of the customers who make most of the revenue
    `top_share_from`       and of the top share; None where nobody is expected to bring anything
    `stages`               what lifecycle stages are told by
    """

    model_config = ConfigDict(frozen=True)

    lapsed_after_days: float | None
    usual_probability: float | None
    medium_from: float | None
    high_from: float | None
    percentile_over: tuple[float, ...]
    rfm_edges: tuple[Edges, Edges, Edges] | None
    most_revenue_from: float | None
    top_share_from: float | None
    stages: StageCuts = StageCuts()

    @property
    def risk(self) -> RiskCuts:
        """The usual risk and where the bands begin."""
        return RiskCuts(self.usual_probability, self.medium_from, self.high_from)


def cut_columns(rfm: RfmScheme) -> list[str]:
    """Return the columns that cut points are measured from."""
    return sorted({*_MEASURED, *rfm.columns})


def measure_cuts(
    bucket_rows: pl.DataFrame,
    *,
    risk: RiskSettings,
    lapsed_after_days: float | None,
    rfm: RfmScheme,
    stages: StageCuts,
) -> ShopCuts:
    """Measure a run's customers: rows of `serving.scoring.bucket_scores` with the columns `cut_columns`."""
    rows = bucket_rows.with_columns(_lapsed(lapsed_after_days))
    usual = rows.filter(~pl.col("lapsed").fill_null(value=False))["churn_probability"].mean()
    bands = risk_cuts(None if usual is None else round(float(usual), 6), risk)  # type: ignore[arg-type]
    values = rows.select("customer_id", pl.col("predicted_clv").alias("value")).lazy()
    flags: pl.DataFrame = flag_high_value(nw.from_native(values)).collect("polars").to_native()
    lows = [flags.filter(pl.col(flag))["value"].min() for flag in _VALUE_FLAGS]
    table = nw.from_native(rows.select("customer_id", *rfm.columns).lazy())
    return ShopCuts(
        lapsed_after_days=lapsed_after_days,
        usual_probability=bands.usual,
        medium_from=bands.medium_from,
        high_from=bands.high_from,
        percentile_over=_percentile_edges(rows["churn_probability"]),
        rfm_edges=find_cuts(table, rfm).edges if rows.height >= rfm.bin_count_max else None,
        most_revenue_from=lows[0],  # type: ignore[arg-type]
        top_share_from=lows[1],  # type: ignore[arg-type]
        stages=stages.with_orders(rows["order_count"]),
    )


def place(bucket_rows: pl.DataFrame, cuts: ShopCuts, rfm: RfmScheme) -> pl.DataFrame:
    """Add what a customer is among the shop's: lapsed, band, percentile, high value, RFM."""
    back = (1.0 - pl.col("churn_probability")).round_sig_figs(9)
    rows = bucket_rows.with_columns(_lapsed(cuts.lapsed_after_days)).with_columns(
        pl.when(pl.col("lapsed")).then(back).alias("reactivation_probability"),
        risk_band(cuts.risk),
        _percentile(cuts.percentile_over),
        _reaches(cuts.most_revenue_from).alias("makes_most_revenue"),
        _reaches(cuts.top_share_from).alias("is_in_top_share"),
    )
    if cuts.rfm_edges is None:
        scores = [pl.lit(None, dtype=pl.Int64).alias(name) for name in RFM_NAMES[:3]]
        return rows.with_columns(*scores, pl.lit(None, dtype=pl.String).alias(RFM_NAMES[3]))
    table = nw.from_native(rows.select("customer_id", *rfm.columns).lazy())
    scored: pl.DataFrame = RfmCuts(rfm, cuts.rfm_edges).score(table).collect("polars").to_native()
    return rows.join(scored.select("customer_id", *RFM_NAMES), on="customer_id", how="left")


def _lapsed(after_days: float | None) -> pl.Expr:
    return (pl.col("recency_days") > pl.lit(after_days, dtype=pl.Float64)).alias("lapsed")


def _percentile_edges(probabilities: pl.Series) -> tuple[float, ...]:
    """Return above which risk at least 1, 2, … 99 whole percent of the customers have a lower one."""
    ordered = probabilities.sort()
    ranks = [math.ceil(percent * len(ordered) / 100) for percent in range(1, 100)]
    return tuple(float(ordered[rank - 1]) for rank in ranks)


def _percentile(edges: tuple[float, ...]) -> pl.Expr:
    """Whole percent of the run's customers with a strictly lower risk, 0 to 99."""
    marks = pl.Series(edges, dtype=pl.Float64)
    return (
        pl.col("churn_probability")
        .map_batches(lambda risks: marks.search_sorted(risks, side="left"), return_dtype=pl.UInt32)
        .cast(pl.Int64)
        .alias("churn_percentile")
    )


def _reaches(least: float | None) -> pl.Expr:
    if least is None:
        return pl.lit(value=False)
    return pl.col("predicted_clv").fill_null(0.0) >= least
