"""The queries of segments' sizes and profiles: one pass over `traits` for any number of conditions."""

from collections.abc import Sequence
from typing import Any, Final

from features.item_filter import Condition
from serving.rows import HORIZONS_DAYS
from serving.segments.profile_traits import Looked

Query = tuple[str, tuple[Any, ...]]

_ORDERS: Final = "(1.0 - churn_probability_90)"
# The 10th and the 90th percentile of a normal distribution lie so many standard deviations apart.
_TENTHS_APART: Final = 2.5631
# 2³² and that over the golden ratio, made odd.
_WHOLE: Final = 2**32
_GOLDEN: Final = 2_654_435_769


def size_query(conditions: Sequence[Condition], *, clv_days: int | None) -> Query:
    """Return the query of each condition's members: in one row, four numbers a condition.

    How many they are, the money expected of them within 90 days, its variance, and the mean probability that
    one of them orders within 90 days. `clv_days` is the horizon of `predicted_clv`.
    """
    numbers = (("sum", "1"), ("sum", "predicted_clv_90"), ("sum", _variance(clv_days)), ("avg", _ORDERS))
    if len(conditions) == 1:
        (condition,) = conditions
        columns = [f"{how}({number})" for how, number in numbers]
        return f"SELECT {', '.join(columns)} FROM @traits WHERE {condition.sql}", condition.values  # noqa: S608 - values are bound
    columns, values = [], list[Any]()
    for condition in conditions:
        for how, number in numbers:
            columns.append(f"{how}(CASE WHEN {condition.sql} THEN {number} END)")
            values += condition.values
    return f"SELECT {', '.join(columns)} FROM @traits", tuple(values)  # noqa: S608 - values are bound


def _variance(clv_days: int | None) -> str:
    """Return the SQL of the variance of one customer's spend within 90 days, of expectation m.

    An order comes with probability p or does not, and given one the spend has the variance v² of its mean m/p
    squared, so that together it is m² ÷ p · (1 − p + v²). v is told by the percentiles of the spend given an
    order, over the mean of that; where they are not known it is 1, as of an exponential distribution.
    """
    spread = "1.0"
    if clv_days in HORIZONS_DAYS:
        mean = f"(predicted_clv / nullif(1.0 - churn_probability_{clv_days}, 0.0))"
        width = f"((spend_if_order_high - spend_if_order_low) / {_TENTHS_APART} / nullif({mean}, 0.0))"
        spread = f"coalesce({width} * {width}, 1.0)"
    squared = f"predicted_clv_90 * predicted_clv_90 / nullif({_ORDERS}, 0.0)"
    return f"{squared} * (churn_probability_90 + {spread})"


def profile_query(
    conditions: Sequence[Condition], looked: Sequence[Looked], *, member_step: int = 1, other_step: int = 1
) -> Query:
    """Return the query of how often traits are found among the members of conditions.

    Its rows are (place in `looked`, value, customers, members of the first condition, of the second, …), once
    for each value. Of the members of the first condition one in `member_step` is looked at, of the others one
    in `other_step`, always the same ones.
    """
    flags = ", ".join(
        f"CASE WHEN {each.sql} THEN 1 ELSE 0 END AS m{place}" for place, each in enumerate(conditions)
    )
    traits = ", ".join(f"{each.sql} AS t{place}" for place, each in enumerate(looked))
    sums = ", ".join(f"sum(m{place})" for place in range(len(conditions)))
    values = [value for condition in conditions for value in condition.values]
    # The cheap test first; it keeps whatever the larger step keeps, too.
    kept = _every(min(member_step, other_step))
    if member_step != other_step:
        kept += f" AND CASE WHEN {conditions[0].sql} THEN {_every(member_step)} ELSE {_every(other_step)} END"
        values += conditions[0].values
    arms = " UNION ALL ".join(
        f"SELECT {place}, t{place}, count(*), {sums} FROM seen GROUP BY t{place}"  # noqa: S608 - our own names
        for place in range(len(looked))
    )
    # One level: a table within would be made for every customer first.
    seen = f"SELECT {flags}, {traits} FROM @traits WHERE {kept}"  # noqa: S608 - values are bound
    return f"WITH seen AS MATERIALIZED ({seen}) {arms}", tuple(values)


def _every(step: int) -> str:
    """Return the SQL that keeps one row in `step`, spread evenly over any part of a run.

    The place times the golden ratio, modulo 1 (Knuth's multiplicative hashing): unlike every so-many-th row,
    it hits every second or tenth one as often as the others. No `%`: a driver reads a place for a value.
    """
    if step <= 1:
        return "1 = 1"
    spread = f"(row_number * {_GOLDEN})"
    return f"{spread} - {spread} / {_WHOLE} * {_WHOLE} < {_WHOLE // step}"
