"""Labels on a hand table, and outcomes that are not over yet.

Snapshot 2026-02-01. Known before it: ann, bob, cat, dan.

    customer  order  when         amount
    ann       o2     2026-02-01    10.00   the outcome's first instant
    ann       o2     2026-02-20    -4.00   a return: lowers money, makes no order
    ann       o3     2026-02-14    20.00
    bob       p1     2026-02-10    -5.00   a return of the order before: money without an order
    cat       q2     2026-03-02    30.00   day 29
    dan       r1     2026-02-03     6.00   a further line of the order that opened before: no new order
    eve       s1     2026-02-05     8.00   not in the cohort
"""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from features_shop import line, write_shop

from features.history import History
from features.labels import build_labels, is_known
from features.settings import Settings
from features.snapshot import Snapshot

D = Snapshot(date(2026, 2, 1))
LINES = [
    line("ann", "o1", "2026-01-05", 1.0),
    line("bob", "p1", "2026-01-06", 5.0),
    line("cat", "q1", "2026-01-07", 1.0),
    line("dan", "r1", "2026-01-08", 1.0),
    line("ann", "o2", "2026-02-01", 10.0),
    line("ann", "o2", "2026-02-20", -4.0),
    line("ann", "o3", "2026-02-14", 20.0),
    line("bob", "p1", "2026-02-10", -5.0),
    line("cat", "q2", "2026-03-02", 30.0),
    line("dan", "r1", "2026-02-03", 6.0),
    line("eve", "s1", "2026-02-05", 8.0),
]


@pytest.fixture
def history(tmp_path: Path) -> History:
    return write_shop(tmp_path, LINES)


def labels(history: History, horizons: list[int], *, until: date, basis: str = "net") -> pl.DataFrame:
    settings = Settings.model_validate({"shop": {"clv_basis": basis}})
    return build_labels(history, D, horizons_days=horizons, known_until=Snapshot(until), settings=settings)


def test_hand_table(history: History) -> None:
    table = labels(history, [14, 30], until=date(2026, 4, 1))
    assert table.columns == [
        "customer_id",
        "as_of",
        *("churned_14", "spend_14", "order_count_14"),
        *("churned_30", "spend_30", "order_count_30"),
    ]
    assert table.rows() == [
        ("ann", D.date, 0.0, 30.0, 2.0, 0.0, 26.0, 2.0),
        ("bob", D.date, 1.0, -5.0, 0.0, 1.0, -5.0, 0.0),
        ("cat", D.date, 1.0, 0.0, 0.0, 0.0, 30.0, 1.0),
        ("dan", D.date, 1.0, 6.0, 0.0, 1.0, 6.0, 0.0),
    ]


def test_gross_money_leaves_returns_out(history: History) -> None:
    table = labels(history, [30], until=date(2026, 4, 1), basis="gross")
    assert table["spend_30"].to_list() == [30.0, 0.0, 30.0, 6.0]


def test_an_outcome_that_is_not_over_is_unknown(history: History) -> None:
    table = labels(history, [14, 28, 29], until=date(2026, 3, 1))
    assert table["churned_28"].null_count() == 0
    assert table.select("churned_29", "spend_29", "order_count_29").null_count().row(0) == (4, 4, 4)


def test_nothing_on_or_after_known_until_is_read(tmp_path: Path, history: History) -> None:
    later = [line("cat", "q9", "2026-02-15T00:00", 99.0), line("bob", "p9", "2026-03-01", 99.0)]
    longer = write_shop(tmp_path / "longer", LINES + later)
    until = date(2026, 2, 15)
    assert labels(history, [14, 30], until=until).equals(labels(longer, [14, 30], until=until))


def test_a_horizon_is_known_from_its_last_day_on() -> None:
    assert is_known(D, horizon_days=28, known_until=Snapshot(date(2026, 3, 1)))
    assert not is_known(D, horizon_days=29, known_until=Snapshot(date(2026, 3, 1)))
