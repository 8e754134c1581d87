"""High value in both definitions, against hand tables and against counting one by one."""

from typing import Any

import duckdb
import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.high_value import flag_high_value

ENGINES = ("polars", "duckdb")


def flags(values: list[float | None], engine: str = "polars", **shares: float) -> tuple[str, str]:
    """Return who is flagged, by position a, b, c …: by revenue, by rank."""
    ids = [chr(97 + number) for number in range(len(values))]
    rows = pl.DataFrame({"customer_id": ids, "value": values}, schema_overrides={"value": pl.Float64})
    native: Any = rows.lazy() if engine == "polars" else duckdb.from_arrow(rows.to_arrow())
    found = pl.DataFrame(flag_high_value(nw.from_native(native), **shares).collect("polars").to_native())
    assert sorted(found["customer_id"]) == ids
    assert found.null_count().select("makes_most_revenue", "is_in_top_share").row(0) == (0, 0)
    chosen = [
        "".join(sorted(found.filter(pl.col(name))["customer_id"]))
        for name in ("makes_most_revenue", "is_in_top_share")
    ]
    return chosen[0], chosen[1]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("values", "by_revenue", "by_rank"),
    [
        # Total 100: 50 + 30 make the 80; of ten the first two are 20 %.
        ([50.0, 30.0, 5.0, 5.0, 4.0, 2.0, 1.0, 1.0, 1.0, 1.0], "ab", "ab"),
        # 50 + 29 fall short by 1, and the two of 6 are in together.
        ([50.0, 29.0, 6.0, 6.0, 4.0, 1.0, 1.0, 1.0, 1.0, 1.0], "abcd", "ab"),
        # The line of the 20 % runs through three equal values: all are in. 33 of 39 are 85 %.
        ([9.0, 8.0, 8.0, 8.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], "abcd", "abcd"),
        # Whoever brought nothing, or gave back, is in neither set and takes nothing from the revenue.
        ([10.0, 0.0, -50.0, None, float("nan")], "a", "a"),
        ([0.0, 0.0, -1.0], "", ""),
        ([7.0], "a", "a"),
        ([3.0, 3.0, 3.0], "abc", "abc"),
        ([], "", ""),
    ],
)
def test_flags_by_hand(engine: str, values: list[float | None], by_revenue: str, by_rank: str) -> None:
    assert flags(values, engine) == (by_revenue, by_rank)


def test_the_shares_can_be_chosen() -> None:
    assert flags([4.0, 3.0, 2.0, 1.0], revenue_share=0.4, customer_share=0.5) == ("a", "ab")


@given(st.lists(st.integers(-3, 12), min_size=1, max_size=25), st.sampled_from(ENGINES))
@settings(max_examples=40, deadline=None)
def test_the_rule_counted_one_by_one(numbers: list[int], engine: str) -> None:
    revenue = sum(max(number, 0) for number in numbers)
    by_revenue, by_rank = flags([float(number) for number in numbers], engine)
    for position, number in enumerate(numbers):
        higher = [other for other in numbers if other > number]
        letter = chr(97 + position)
        assert (letter in by_revenue) == (number > 0 and 10 * sum(higher) < 8 * revenue)
        assert (letter in by_rank) == (number > 0 and 10 * len(higher) < 2 * len(numbers))
