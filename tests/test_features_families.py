"""Every family on a hand table: numbered rows, literal answers.

Snapshot 2026-04-01 00:00 UTC, a Wednesday. `ago` counts 24-hour days back from it.

     #  customer  order  when              ago  product  amount
     1  ann       o1     2026-01-01 12:00   90  milk      10.00   2 units
     2  ann       o1     2026-01-01 12:00   90  bread      5.00   discount 1.00
     3  ann       o2     2026-01-31 12:00   60  milk      20.00   coupon
     4  ann       o3     2026-03-01 12:00   31  wine      30.00
     5  ann       o3     2026-03-06 12:00   26  wine     -10.00   return
     6  ann       o4     2026-03-22 12:00   10  milk      40.00
     7  bob       p1     2026-03-25 00:00    7  tea       12.50
     8  cat       q1     2025-04-10 00:00  356  milk      50.00
     9  cat       q2     2025-06-20 00:00  285  wine      70.00
    10  cat       q3     2024-04-05 00:00  726  milk      11.00
    11  ann       o5     2026-04-01 00:00       milk      99.00   the first instant that is not known
"""

import math
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from features_shop import event, line, write_shop

from features.build import build_features
from features.families import FEATURES
from features.families.calendar import positions_of
from features.settings import Settings
from features.snapshot import Snapshot

LINES = [
    line("ann", "o1", "2026-01-01T12:00", 10.0, product="milk", quantity=2),
    line("ann", "o1", "2026-01-01T12:00", 5.0, product="bread", discount=1.0),
    line("ann", "o2", "2026-01-31T12:00", 20.0, product="milk", coupon="WELCOME"),
    line("ann", "o3", "2026-03-01T12:00", 30.0, product="wine"),
    line("ann", "o3", "2026-03-06T12:00", -10.0, product="wine"),
    line("ann", "o4", "2026-03-22T12:00", 40.0, product="milk"),
    line("bob", "p1", "2026-03-25T00:00", 12.5, product="tea"),
    line("cat", "q1", "2025-04-10T00:00", 50.0, product="milk"),
    line("cat", "q2", "2025-06-20T00:00", 70.0, product="wine"),
    line("cat", "q3", "2024-04-05T00:00", 11.0, product="milk"),
    line("ann", "o5", "2026-04-01T00:00", 99.0, product="milk"),
]
EVENTS = [
    event("ann", "campaign_sent", "2026-03-31T09:00"),
    event("ann", "Email Opened", "2026-03-30T09:00"),
    event("ann", "campaign_sent", "2026-01-15T09:00"),
    event("ann", "product_viewed", "2026-03-29T09:00"),
    event("ann", "product_viewed", "2026-03-10T09:00"),
    event("ann", "checkout_started", "2026-03-10T09:05"),
    event("ann", "coupon_redeemed", "2026-01-31T12:00"),
    event("ann", "something_else", "2026-03-30T10:00"),
    event("ann", "product_viewed", "2026-04-01T00:00"),
]
CATEGORIES = {"milk": "dairy", "bread": "bakery", "wine": "drinks", "tea": "drinks"}
D = Snapshot(date(2026, 4, 1))

ANN = {
    # rfm
    "recency_days": 9.5,
    "order_count": 4,
    "spend_total": 95.0,
    "tenure_days": 89.5,
    "mean_order_value": 23.75,
    "order_day_count": 4,
    "first_to_last_days": 80.0,
    "repeat_spend_mean": 30.0,
    "orders_per_30_days": 120 / 89.5,
    "order_count_7": 0,
    "order_count_14": 1,
    "order_count_30": 1,
    "order_count_60": 3,
    "order_count_90": 4,
    "decayed_order_count_30": 2**-3 + 2**-2 + 2 ** (-31 / 30) + 2 ** (-1 / 3),
    # the gaps are 30, 29 and 21 days
    "mean_gap_days": 80 / 3,
    "median_gap_days": 29,
    "max_gap_days": 30,
    "last_gap_days": 21,
    "previous_gap_days": 29,
    "recent_gap_mean_days": 80 / 3,
    "gap_deviation_days": 4.932882862,
    "gap_cv": 4.932882862 / (80 / 3),
    "last_gap_over_mean_gap": 21 / (80 / 3),
    "recent_gap_over_mean_gap": 1.0,
    "recency_over_recent_gap": 9.5 / (80 / 3),
    "recency_over_mean_gap": 9.5 / (80 / 3),
    "recency_over_median_gap": 9.5 / 29,
    "recency_over_max_gap": 9.5 / 30,
    "recency_gap_score": (9.5 - 80 / 3) / 4.932882862,
    "shorter_gap_share": 0.0,
    "recency_over_usual_gap": 9.5 / 30,
    "silence_share": 9.5 / 89.5,
    "active_week_share": 4 / 13,
    "active_month_share": 1.0,
    "weekend_share": 0.75,
    # order days are worth 15, 20, 30 and 40
    "spend_7": 0.0,
    "spend_30": 30.0,
    "spend_60": 80.0,
    "spend_90": 95.0,
    "max_order_value": 40.0,
    "last_order_value": 40.0,
    "order_value_over_usual": 26.25 / 25,
    "last_order_value_over_mean": 40 / 26.25,
    "order_value_cv": 11.08677891 / 26.25,
    "order_value_slope": 8.5 / 26.25,
    "order_count_change_30": -1 / 3,
    "order_count_change_90": 1.0,
    "spend_change_30": -10 / 90,
    "decayed_spend_30": round(15 / 8 + 20 / 4 + 30 * 2 ** (-31 / 30) + 40 * 2 ** (-1 / 3), 4),
    # breadth
    "line_count": 5,
    "lines_per_order": 1.25,
    "quantity_per_order": 1.5,
    "line_value_mean": 21.0,
    "product_count": 3,
    "category_count": 3,
    "new_product_count_90": 3,
    "new_category_count_90": 3,
    "repeat_line_share_90": 0.4,
    "new_products_per_order": 0.75,
    "repeat_line_share": 0.4,
    # what came back, and what was cheaper
    "return_count": 1,
    "return_count_90": 1,
    "returns_per_order": 0.25,
    "returned_spend_share": 10 / 105,
    "return_recency_days": 26,
    "discount_share": 1 / 106,
    "discounted_order_share": 0.25,
    "coupon_order_share": 0.25,
    "coupon_order_share_180": 0.25,
    "returned_spend_share_180": 10 / 105,
    "discount_share_90": 1 / 106,
    "discounted_order_share_90": 0.25,
    # acts of the customer lie 2, 2, 3, 22, 22 and 60 days back; messages are none
    "act_recency_days": 2,
    "act_recency_over_order_recency": 2 / 9.5,
    "act_count_7": 3,
    "act_count_30": 5,
    "act_count_90": 6,
    "view_count_7": 1,
    "view_count_30": 2,
    "cart_count_30": 1,
    "message_count_30": 1,
    "message_count_90": 2,
    "open_count_30": 1,
    "open_share_90": 0.5,
    "redemption_count_90": 1,
    "ticket_count_90": None,
    "click_share_90": None,
    # calendar
    "quarter_position_sin": 0.0,
    "quarter_position_cos": 1.0,
    "month_position_cos": 1.0,
    "year_position_sin": math.sin(2 * math.pi * 90 / 365),
    "to_year_end_days": 92,
    "from_year_end_days": 90,
    "order_count_year_ago_30": None,
}
BOB = {
    "recency_days": 7.0,
    "tenure_days": 7.0,
    "order_count_7": 1,
    "first_to_last_days": 0.0,
    "repeat_spend_mean": None,
    "mean_gap_days": None,
    "gap_cv": None,
    "recency_over_usual_gap": 7 / 30,
    "order_value_slope": None,
    "active_week_share": 1.0,
    "weekend_share": 0.0,
    "return_count": 0,
    "return_recency_days": None,
    "returned_spend_share": 0.0,
    "act_count_90": 0,
    "act_recency_days": None,
    "season_order_share": None,
    "repeat_line_share": 0.0,
}
CAT = {
    "recency_days": 285.0,
    "tenure_days": 726.0,
    "order_count_30": 0,
    "order_count_365": 2,
    "order_count_year_ago_30": 1,
    "order_count_year_ago_90": 2,
    "spend_year_ago_90": 120.0,
    "season_order_share": 1.0,
    "last_gap_days": 71,
    "previous_gap_days": 370,
    "shorter_gap_share": 0.5,
    "repeat_line_share": 1 / 3,
    "spend_change_30": 0.0,
    "lines_per_order_90": None,
}


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    history = write_shop(tmp_path_factory.mktemp("shop"), LINES, events=EVENTS, categories=CATEGORIES)
    return build_features(history, D, settings=Settings())


@pytest.mark.parametrize(("customer", "expected"), [("ann", ANN), ("bob", BOB), ("cat", CAT)])
def test_hand_table(features: pl.DataFrame, customer: str, expected: dict[str, float | None]) -> None:
    row = features.filter(pl.col("customer_id") == customer).row(0, named=True)
    computed = {name: _nan_if_none(row[name]) for name in expected}
    answers = {name: _nan_if_none(answer) for name, answer in expected.items()}
    assert computed == pytest.approx(answers, rel=1e-8, abs=1e-12, nan_ok=True)


def _nan_if_none(value: float | None) -> float:
    return math.nan if value is None else value


def test_every_family_has_literal_answers() -> None:
    answered = ANN.keys() | BOB.keys() | CAT.keys()
    unanswered = [feature.name for feature in FEATURES if feature.name not in answered]
    assert len(answered) >= 90
    # The rest differ from an answered one by the number of days in their name only.
    stems = {name.rstrip("0123456789") for name in answered}
    others = {name for name in unanswered if name.rstrip("0123456789") not in stems}
    assert others == {
        "click_count_30",
        "click_count_90",
        "feedback_count_180",
        "half_year_position_sin",
        "half_year_position_cos",
        "month_position_sin",
        "year_position_cos",
    }


def test_gross_basis_leaves_returns_out_of_money(tmp_path: Path) -> None:
    history = write_shop(tmp_path, LINES)
    settings = Settings.model_validate({"shop": {"clv_basis": "gross"}})
    row = build_features(history, D, settings=settings).row(0, named=True)
    assert (row["spend_total"], row["spend_30"], row["mean_order_value"]) == (105.0, 40.0, 26.25)


def test_what_the_shop_does_not_record_is_missing_for_everybody(tmp_path: Path) -> None:
    bare = [line("ann", "o1", "2026-01-01", 10.0), line("bob", "p1", "2026-02-01", 5.0)]
    table = build_features(write_shop(tmp_path, bare), D, settings=Settings())
    missing = {name for name in table.columns if table[name].null_count() == table.height}
    assert {"product_count", "category_count", "discount_share", "coupon_order_share"} <= missing
    assert {"return_count", "act_count_90", "view_count_7", "open_share_90"} <= missing
    assert not missing & {"order_count", "line_count", "spend_total", "year_position_sin"}


@pytest.mark.parametrize(
    ("day", "name", "share"),
    [
        (date(2024, 12, 31), "year", 365 / 366),
        (date(2023, 7, 2), "year", 182 / 365),
        (date(2023, 7, 2), "half_year", 364 / 365),
        (date(2023, 12, 31), "quarter", 91 / 92),
        (date(2024, 2, 29), "month", 28 / 29),
    ],
)
def test_positions_of_a_day(day: date, name: str, share: float) -> None:
    assert positions_of(day)[name] == pytest.approx(share)
