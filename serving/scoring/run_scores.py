"""The scores that depend on the whole shop: usual risk, bands, percentiles, RFM."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from features.rfm import RfmScheme
from serving.rows import NULLABLE_NAMES, STORED_NAMES
from serving.scoring.shop_cuts import RFM_NAMES, ShopCuts, place
from serving.scoring.stages import lifecycle_stage

NULL_REASON_OF = {
    "average_days_between_orders": "one_order",
    "email_consent": "no_consent_data",
    "expected_date_of_next_order": "beyond_365_days",
    "lapsed": "no_repeat_orders",
    "next_order_p25_date": "beyond_365_days",
    "next_order_p50_date": "beyond_365_days",
    "next_order_p75_date": "beyond_365_days",
    "reactivation_probability": "not_lapsed",
    "churn_reference": "method_has_none",
    "reasons": "method_has_none",
    "second_order_probability_60": "not_one_order",
    **dict.fromkeys(RFM_NAMES, "too_few_customers"),
}


@dataclass(frozen=True, slots=True)
class RunLabels:
    """What is the same in every row of a run but stored with it."""

    as_of: date
    headline_days: int
    churn_method: str
    clv_method: str
    grade: str | None
    has_recommender: bool
    beats_baseline: bool | None


def complete_rows(
    bucket_rows: pl.DataFrame, labels: RunLabels, *, cuts: ShopCuts, rfm: RfmScheme
) -> pl.DataFrame:
    """Turn rows of `serving.scoring.bucket_scores` into stored ones, placed by the cut points of a run."""
    rows = place(bucket_rows, cuts, rfm).with_columns(_second_order(), _total_clv())
    stage = lifecycle_stage(
        cuts.stages, lapsed_after_days=cuts.lapsed_after_days, headline_days=labels.headline_days
    )
    rows = _with_labels(rows.with_columns(stage), labels)
    missing = () if labels.has_recommender else ("recommender_model_version",)
    return _with_null_reasons(rows, of_run=missing).select(STORED_NAMES).sort("customer_id")


def stored_expression(name: str, kind: str) -> pl.Expr:
    """Return a column as the store takes it: dates and instants as ISO text, booleans as 0 and 1."""
    column = pl.col(name)
    if kind == "date":
        return column.dt.strftime("%Y-%m-%d")
    if kind == "datetime":
        return column.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    if kind == "boolean":
        return column.cast(pl.Int64)
    return column


def _second_order() -> pl.Expr:
    again = (1.0 - pl.col("churn_probability_60")).round_sig_figs(9)
    return pl.when(pl.col("order_count") == 1).then(again).alias("second_order_probability_60")


def _total_clv() -> pl.Expr:
    return (pl.col("historic_clv") + pl.col("predicted_clv")).round(2).alias("total_clv")


def _with_labels(rows: pl.DataFrame, labels: RunLabels) -> pl.DataFrame:
    quality = json.dumps({"grade": labels.grade, "beats_baseline": labels.beats_baseline})
    return rows.with_columns(
        pl.lit("ok").alias("status"),
        pl.lit(labels.churn_method).alias("method"),
        pl.lit(labels.clv_method).alias("clv_method"),
        pl.lit(labels.as_of).alias("as_of"),
        pl.lit(quality).alias("quality"),
    )


def _with_null_reasons(rows: pl.DataFrame, *, of_run: Sequence[str]) -> pl.DataFrame:
    """Explain every null; rows share few patterns of nulls, so each pattern is written once.

    `of_run` names the values that are null in the whole run.
    """
    nullable = [name for name in NULLABLE_NAMES if name in rows.columns]
    flags = [
        pl.when(pl.col(name).is_null()).then(pl.lit(f"{name} ")).otherwise(pl.lit("")) for name in nullable
    ]
    marked = rows.with_columns(pl.concat_str(flags).alias("_nulls"))
    patterns = marked["_nulls"].unique()
    written = {pattern: _explanation([*pattern.split(), *of_run], rows) for pattern in patterns}
    return marked.with_columns(
        pl.col("_nulls").replace_strict(written, return_dtype=pl.String).alias("null_reasons")
    )


def _explanation(names: list[str], rows: pl.DataFrame) -> str:
    reasons = {name: NULL_REASON_OF.get(name, "no_model") for name in names}
    if rows["quality"].item(0) and json.loads(rows["quality"].item(0))["grade"] is None:
        reasons["quality.grade"] = "not_graded"
    return json.dumps(reasons)
