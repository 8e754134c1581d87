"""RFM: scores of 1 to 5 for recency, frequency and money, and the eleven group names that Shopify uses.

A score says which fifth of the shop a customer is in: 1 + floor(5 x share of customers with a strictly worse
value). Equal values get equal scores (the tie rule), so everybody with a single order has the same frequency.

The group comes from R and FM = (F + M) / 2:

    R      FM < 2     2 to 2.5      3 to 3.5          4              4.5 to 5
    5      NEW        NEW           ACTIVE            CHAMPIONS      CHAMPIONS
    4      PROMISING  PROMISING     ACTIVE            LOYAL          LOYAL
    3      PROMISING  PROMISING     NEEDS_ATTENTION   LOYAL          LOYAL
    1, 2   DORMANT    ALMOST_LOST   AT_RISK           AT_RISK        PREVIOUSLY_LOYAL

Whoever has not ordered is in PROSPECTS. Expressions are narwhals: they run on every engine.
"""

from typing import Any, Final

import narwhals as nw

GROUPS: Final = (
    "CHAMPIONS",
    "LOYAL",
    "ACTIVE",
    "NEW",
    "PROMISING",
    "NEEDS_ATTENTION",
    "AT_RISK",
    "ALMOST_LOST",
    "PREVIOUSLY_LOYAL",
    "DORMANT",
    "PROSPECTS",
)
_SCORED: Final = (
    ("recency_days", "rfm_recency", True),
    ("order_count", "rfm_frequency", False),
    ("spend_total", "rfm_monetary", False),
)
_FIFTHS = 5

Frame = nw.LazyFrame[Any]


def build_rfm(customers: Frame) -> Frame:
    """Add `rfm_recency`, `rfm_frequency`, `rfm_monetary` (1 to 5) and `rfm_segment` to a customer table.

    Needs `recency_days`, `order_count` and `spend_total`, without nulls; row order is not kept.
    """
    scored = customers
    for value, score, low_is_best in _SCORED:
        scored = _with_fifth(scored, value, score, low_is_best=low_is_best)
    return scored.with_columns(_segment().alias("rfm_segment"))


def _with_fifth(customers: Frame, value: str, score: str, *, low_is_best: bool) -> Frame:
    """Add the fifth of a value, counted per distinct value: ranks over a whole table are not portable."""
    counts = customers.group_by(value).agg(nw.len().cast(nw.Float64).alias("_count"))
    # Descending from the best: what is left below is strictly worse.
    order = nw.col(value) if low_is_best else -nw.col(value)
    at_least = nw.col("_count").cum_sum().over(order_by="_order")
    below = counts.with_columns(order.alias("_order")).with_columns(at_least.alias("_at_least"))
    total = customers.select(nw.len().cast(nw.Float64).alias("_total"))
    worse_share = (nw.col("_total") - nw.col("_at_least")) * _FIFTHS / nw.col("_total")
    fifths = below.join(total, how="cross").select(
        value, (1 + worse_share.floor()).cast(nw.Int64).alias(score)
    )
    return customers.join(fifths, on=value, how="left")


def _segment() -> nw.Expr:
    """Say the group; the table in the module's first lines is its whole definition."""
    recency, both = nw.col("rfm_recency"), nw.col("rfm_frequency") + nw.col("rfm_monetary")
    strong, some, few = both >= 8, both >= 6, both >= 4
    silent = _first(("PREVIOUSLY_LOYAL", both >= 9), ("AT_RISK", some), ("ALMOST_LOST", few), last="DORMANT")
    middle = _first(("LOYAL", strong), ("NEEDS_ATTENTION", some), last="PROMISING")
    recent = _first(("LOYAL", strong), ("ACTIVE", some), last="PROMISING")
    newest = _first(("CHAMPIONS", strong), ("ACTIVE", some), last="NEW")
    by_recency = nw.when(recency == 4).then(recent).otherwise(newest)
    not_silent = nw.when(recency == 3).then(middle).otherwise(by_recency)
    ordered = nw.when(recency <= 2).then(silent).otherwise(not_silent)
    return nw.when(nw.col("order_count") > 0).then(ordered).otherwise(nw.lit("PROSPECTS"))


def _first(*choices: tuple[str, nw.Expr], last: str) -> nw.Expr:
    answer: nw.Expr = nw.lit(last)
    for name, condition in reversed(choices):
        answer = nw.when(condition).then(nw.lit(name)).otherwise(answer)
    return answer
