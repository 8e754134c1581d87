"""RFM on a table whose answers are worked by hand, on two engines."""

from typing import Any

import duckdb
import narwhals as nw
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.rfm import GROUPS, build_rfm

# id, recency_days, order_count, spend_total -> R, F, M, segment
HAND = [
    ("a", 1.0, 10.0, 500.0, 5, 5, 5, "CHAMPIONS"),
    ("b", 2.0, 1.0, 10.0, 5, 1, 1, "NEW"),
    ("c", 5.0, 6.0, 300.0, 4, 4, 4, "LOYAL"),
    ("d", 6.0, 1.0, 20.0, 4, 1, 1, "PROMISING"),
    ("e", 9.0, 2.0, 90.0, 3, 3, 3, "NEEDS_ATTENTION"),
    ("f", 9.0, 2.0, 95.0, 3, 3, 3, "NEEDS_ATTENTION"),
    ("g", 90.0, 1.0, 30.0, 2, 1, 2, "DORMANT"),
    ("h", 95.0, 4.0, 200.0, 2, 4, 4, "AT_RISK"),
    ("i", 200.0, 8.0, 600.0, 1, 5, 5, "PREVIOUSLY_LOYAL"),
    ("j", 300.0, 1.0, 40.0, 1, 1, 2, "DORMANT"),
]
NAMES = ("customer_id", "recency_days", "order_count", "spend_total")
ANSWERS = ("rfm_recency", "rfm_frequency", "rfm_monetary", "rfm_segment")


def scored(customers: pl.DataFrame, engine: str = "polars") -> pl.DataFrame:
    native: Any = customers.lazy() if engine == "polars" else duckdb.from_arrow(customers.to_arrow())
    rows = build_rfm(nw.from_native(native)).collect("polars").to_native()
    return pl.DataFrame(rows).sort("customer_id")


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_scores_and_groups_worked_by_hand(engine: str) -> None:
    customers = pl.DataFrame([row[:4] for row in HAND], schema=NAMES, orient="row")
    assert scored(customers, engine).select(ANSWERS).rows() == [row[4:] for row in HAND]


def test_somebody_without_an_order_is_a_prospect() -> None:
    customers = pl.DataFrame([("a", 1.0, 0.0, 0.0)], schema=NAMES, orient="row")
    assert scored(customers)["rfm_segment"].to_list() == ["PROSPECTS"]


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=1, max_size=60))
def test_equal_values_score_alike_and_better_ones_never_lower(rows: list[tuple[int, int, int]]) -> None:
    table = [(str(n), float(r), float(f + 1), float(m)) for n, (r, f, m) in enumerate(rows)]
    result = scored(pl.DataFrame(table, schema=NAMES, orient="row"))
    for value, score, sign in (("recency_days", "rfm_recency", -1), ("order_count", "rfm_frequency", 1)):
        pairs = sorted({(sign * v, s) for v, s in result.select(value, score).rows()})
        assert len({v for v, _ in pairs}) == len(pairs)
        assert [s for _, s in pairs] == sorted(s for _, s in pairs)
        assert {s for _, s in pairs} <= {1, 2, 3, 4, 5}
    assert set(result["rfm_segment"]) <= set(GROUPS)
