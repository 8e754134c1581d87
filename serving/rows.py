"""The one declaration of a score row: the names that store, API, CSV and `scores.parquet` share, in order.

A column belongs to the row (it is stored once a customer) or to the run (it is the same for everybody and
stored once). Every nullable column is always present; what is null is explained in `null_reasons`.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "string", "integer", "number", "boolean", "date", "datetime", "reasons", "null_reasons", "quality"
]
Unit = Literal["", "probability", "percentile", "days", "orders", "money", "quintile", "share"]

HORIZONS_DAYS = (30, 60, 90, 180, 365)
CLV_HORIZONS_DAYS = (30, 90, 180, 365)

_SQL_TYPES: dict[Kind, str] = {
    "string": "TEXT",
    "integer": "INTEGER",
    "number": "REAL",
    "boolean": "INTEGER",
    "date": "TEXT",
    "datetime": "TEXT",
    "reasons": "TEXT",
    "null_reasons": "TEXT",
    "quality": "TEXT",
}

NULL_REASONS: dict[str, str] = {
    "beyond_365_days": "the churn curve does not fall that far within a year",
    "method_has_none": "the method that made this score has no such part",
    "no_consent_data": "the shop's data does not say",
    "no_model": "there is no champion for this yet",
    "no_product": "the order lines name no product",
    "not_found": "no such customer in this score run",
    "suppressed": "the person asked not to be scored, or was erased",
    "not_graded": "the grade needs a scorecard that this run does not have",
    "no_repeat_orders": "nobody in the shop has ordered twice",
    "not_one_order": "only whoever has ordered once can order a second time",
    "not_lapsed": "only a lapsed customer can be reactivated",
    "one_order": "a gap needs at least two orders",
    "too_few_customers": "the shop is too small to be ranked in fifths",
}
"""Every reason why a value may be null, with its meaning."""


@dataclass(frozen=True, slots=True)
class Column:
    """One name of the flat score row.

    `of_run` says that the value is the run's, not the row's.
    """

    name: str
    kind: Kind
    meaning: str
    unit: Unit = ""
    nullable: bool = False
    of_run: bool = False

    @property
    def sql_type(self) -> str:
        """The column's type in the store."""
        return _SQL_TYPES[self.kind]


def _churn_columns() -> list[Column]:
    return [
        Column(
            f"churn_probability_{days}",
            "number",
            f"P(no order within {days} days)",
            "probability",
            nullable=True,
        )
        for days in HORIZONS_DAYS
    ]


def _clv_columns() -> list[Column]:
    return [
        Column(
            f"predicted_clv_{days}", "number", f"expected spend within {days} days", "money", nullable=True
        )
        for days in CLV_HORIZONS_DAYS
    ]


COLUMNS: tuple[Column, ...] = (
    Column("customer_id", "string", "the shop's own id, byte for byte"),
    Column("status", "string", "ok, stale, insufficient_data, not_found or suppressed"),
    Column("method", "string", "what made the churn scores: ml, btyd, formula or baseline", nullable=True),
    Column("as_of", "date", "everything before this day is known", nullable=True),
    Column("scored_at", "datetime", "when the run was made", of_run=True),
    Column("score_run_id", "string", "the scoring run", of_run=True),
    Column("churn_model_version", "integer", "registered version", nullable=True, of_run=True),
    Column("clv_model_version", "integer", "registered version", nullable=True, of_run=True),
    Column("recommender_model_version", "integer", "registered version", nullable=True, of_run=True),
    Column(
        "churn_probability", "number", "P(no order within churn_horizon_days)", "probability", nullable=True
    ),
    Column("churn_horizon_days", "integer", "the headline horizon", "days", nullable=True, of_run=True),
    *_churn_columns(),
    Column("extrapolated", "boolean", "a horizon lies beyond what the data could teach", nullable=True),
    Column(
        "first_season",
        "boolean",
        "the shop has not lived through this time of the year yet: intervals are wider",
        of_run=True,
    ),
    Column(
        "churn_percentile", "integer", "share of customers with a lower risk", "percentile", nullable=True
    ),
    Column("risk_band", "string", "low, medium or high against the shop's usual risk", nullable=True),
    Column("usual_churn_probability", "number", "mean of customers not lapsed", "probability", True, True),
    Column("lapsed", "boolean", "silent longer than the 95th percentile of the shop's gaps", nullable=True),
    Column(
        "reactivation_probability",
        "number",
        "P(order within churn_horizon_days), if lapsed",
        "probability",
        True,
    ),
    Column(
        "second_order_probability_60",
        "number",
        "P(order within 60 days) of whoever has ordered once",
        "probability",
        nullable=True,
    ),
    Column("next_order_p25_date", "date", "a quarter will have ordered by then", nullable=True),
    Column("next_order_p50_date", "date", "half will have ordered by then", nullable=True),
    Column("next_order_p75_date", "date", "three quarters will have ordered by then", nullable=True),
    Column("expected_date_of_next_order", "date", "the same as next_order_p50_date", nullable=True),
    Column(
        "predicted_number_of_orders", "number", "expected within clv_horizon_days", "orders", nullable=True
    ),
    Column("historic_number_of_orders", "integer", "orders so far", "orders", nullable=True),
    Column("average_days_between_orders", "number", "mean gap between orders", "days", nullable=True),
    Column("average_order_value", "number", "money so far over orders so far", "money", nullable=True),
    Column("predicted_clv", "number", "expected spend within clv_horizon_days", "money", nullable=True),
    Column("predicted_clv_low", "number", "10th percentile of that spend", "money", nullable=True),
    Column("predicted_clv_median", "number", "median of that spend", "money", nullable=True),
    Column("predicted_clv_high", "number", "90th percentile of that spend", "money", nullable=True),
    *_clv_columns(),
    Column(
        "spend_if_order_low", "number", "10th percentile of the spend, given an order", "money", nullable=True
    ),
    Column(
        "spend_if_order_high",
        "number",
        "90th percentile of the spend, given an order",
        "money",
        nullable=True,
    ),
    Column("clv_horizon_days", "integer", "the horizon of predicted_clv", "days", nullable=True, of_run=True),
    Column("clv_method", "string", "what made the value scores", nullable=True),
    Column("historic_clv", "number", "money so far", "money", nullable=True),
    Column("total_clv", "number", "historic_clv + predicted_clv", "money", nullable=True),
    Column("currency", "string", "ISO 4217", of_run=True),
    Column(
        "clv_basis",
        "string",
        "gross (before returns), net (after returns) or margin (net less cost of goods)",
        of_run=True,
    ),
    Column("is_in_top_share", "boolean", "among the fifth with the highest predicted_clv", nullable=True),
    Column(
        "makes_most_revenue",
        "boolean",
        "among the fewest who are expected to bring 80 % of the money",
        nullable=True,
    ),
    Column(
        "value_at_risk",
        "number",
        "churn_probability x expected spend if the customer orders",
        "money",
        nullable=True,
    ),
    Column("rfm_recency", "integer", "5 = ordered most recently", "quintile", nullable=True),
    Column("rfm_frequency", "integer", "5 = most orders", "quintile", nullable=True),
    Column("rfm_monetary", "integer", "5 = most money", "quintile", nullable=True),
    Column("rfm_segment", "string", "one of Shopify's eleven groups", nullable=True),
    Column(
        "lifecycle_stage",
        "string",
        "lost, lapsed, new, onboarding, at_risk, slipping, won_back, loyal or active",
        nullable=True,
    ),
    Column("email_consent", "boolean", "may be e-mailed; null is unknown", nullable=True),
    Column("last_order_at", "datetime", "the newest order", nullable=True),
    Column(
        "churn_reference",
        "number",
        "the churn probability from which the reasons add and take away",
        "probability",
        nullable=True,
    ),
    Column("reasons", "reasons", "what moves the churn probability, largest first", nullable=True),
    Column("null_reasons", "null_reasons", "why a value is null: name -> code"),
    Column("quality", "quality", "grade and beats_baseline of the churn model"),
)
"""The flat score row, in the order in which it is always written."""

NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS)
STORED: tuple[Column, ...] = tuple(column for column in COLUMNS if not column.of_run)
STORED_NAMES: tuple[str, ...] = tuple(column.name for column in STORED)
RUN_NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS if column.of_run)
NULLABLE_NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS if column.nullable)
BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}
