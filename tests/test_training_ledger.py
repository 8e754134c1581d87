"""Grading: what was said of four customers as of 2025-03-01, and what came within 30 and 90 days of it.

who   before   after                                    churned 30, 90   spent 30, 90
a     order    orders for 20 on 2025-03-10              no, no           20, 20
b     order    sends goods for 4 back on 2025-03-05     yes, yes         -4, -4
c     order    orders for 50 on 2025-03-31 00:00        yes, no          0, 50
d     order    nothing                                  yes, yes         0, 0
e     nothing  orders on 2025-03-02 and later           was never scored
f     order, loaded later; orders on 2025-03-03         was never scored
"""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from features_shop import line, write_shop
from ledger_runs import AS_OF, keep, ledger_run, said
from made_up_shop import run

from features.layout import Layout
from features.ledger import forget
from features.settings import Settings
from training.context import open_context
from training.ledger import ledger_report
from training.ledger_report import LedgerReport, ledger_text

ORDERS = [
    line("a", "a1", "2025-02-01", 10.0),
    line("b", "b1", "2025-02-10", 12.0),
    line("c", "c1", "2025-01-15", 14.0),
    line("d", "d1", "2025-02-20", 16.0),
    line("f", "f1", "2025-02-15", 18.0),
    line("a", "a2", "2025-03-10", 20.0),
    line("b", "b1", "2025-03-05", -4.0),
    line("c", "c2", "2025-03-31", 50.0),
    line("e", "e1", "2025-03-02", 99.0),
    line("f", "f2", "2025-03-03", 99.0),
    line("e", "e2", "2025-04-09", 99.0),
    line("e", "e3", "2025-06-01", 99.0),
]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "var")
    layout.history.parent.mkdir()
    write_shop(layout.history, ORDERS)
    return layout


def grade(layout: Layout, as_of: str | None = None, settings: Settings | None = None) -> LedgerReport:
    return ledger_report(open_context(layout, settings or Settings(), as_of=as_of))


def lines_of(report: LedgerReport) -> Sequence[str]:
    return [text.strip() for text in ledger_text(report).splitlines()]


def test_what_came_stands_beside_what_was_said(layout: Layout) -> None:
    keep(layout.ledger)
    report = grade(layout)
    (check,) = report.runs
    assert (check.gone_count, check.waiting, check.clv_left_out) == (0, {}, None)
    short, long = check.churn
    assert (short.horizon_days, short.customer_count) == (30, 4)
    assert (short.predicted_share, short.churned_share, short.auc) == (pytest.approx(0.6), 0.75, 1.0)
    assert short.log_loss == pytest.approx(0.2990, abs=5e-5)  # -(ln .8 + ln .6 + ln .7 + ln .9) / 4
    assert short.ece == pytest.approx(0.25)  # (.2 + .4 + .3 + .1) / 4
    assert [tuple(part.model_dump().values()) for part in short.calibration] == [
        (pytest.approx(p), came, 1) for p, came in ((0.2, 0.0), (0.6, 1.0), (0.7, 1.0), (0.9, 1.0))
    ]
    assert (long.horizon_days, long.predicted_share, long.churned_share) == (90, pytest.approx(0.35), 0.5)
    assert long.auc == 0.75  # b .3 and d .6 against a .1 and c .4: only b is below c
    assert (report.churn, report.clv) == (check.churn, check.clv)


def test_money_is_graded_as_totals_and_by_its_interval(layout: Layout) -> None:
    keep(layout.ledger)
    short, long = grade(layout).clv
    assert (short.predicted_total, short.actual_total) == (25.0, 16.0)
    assert (short.total_bias, short.above_high_share, short.inside_share) == (0.5625, None, None)
    assert (long.predicted_total, long.actual_total) == (65.0, 66.0)
    # c spent 50 where the high end was 30, of three whose high end was above 0; b spent less than nothing.
    assert (long.above_high_share, long.inside_share) == (pytest.approx(1 / 3), 0.75)


def test_the_page_says_it_in_a_line_a_run_and_horizon(layout: Layout) -> None:
    keep(layout.ledger)
    assert lines_of(grade(layout)) == [
        "Ledger as of 2025-06-02 · 1 run",
        "",
        "2025-03-01 · s_0001 · 4 customers · churn ml version 7, value btyd version 5",
        "said 60.0 % would not order within 30 days; 75.0 % did not (n = 4) · "
        "log-loss 0.299, ECE 0.250, AUC 1.000",
        "said 35.0 % would not order within 90 days; 50.0 % did not (n = 4) · "
        "log-loss 0.583, ECE 0.400, AUC 0.750",
        "said net spend of 25.00 EUR within 30 days; 16.00 EUR came (n = 4) · total off by +56.2 %",
        "said net spend of 65.00 EUR within 90 days; 66.00 EUR came (n = 4) · total off by -1.5 %, "
        "33.3 % above the high end, 75.0 % inside the interval",
    ]


def test_a_horizon_waits_until_its_last_day_is_over(layout: Layout) -> None:
    keep(layout.ledger)
    (check,) = grade(layout, "2025-03-30").runs
    assert (check.churn, check.clv, check.gone_count) == ((), (), None)
    assert check.waiting == {30: date(2025, 3, 31), 90: date(2025, 5, 30)}
    (check,) = grade(layout, "2025-03-31").runs
    assert [part.horizon_days for part in check.churn] == [30]
    assert check.waiting == {90: date(2025, 5, 30)}
    assert "waiting: 90 days until 2025-05-30" in lines_of(grade(layout, "2025-05-29"))
    assert grade(layout, "2025-05-30").runs[0].waiting == {}


def test_days_that_no_order_reaches_are_not_taken_for_silence(layout: Layout) -> None:
    keep(layout.ledger)
    write_shop(layout.history, [row for row in ORDERS if row["order_id"] != "e3"])
    report = grade(layout, "2025-06-02")
    assert report.as_of == date(2025, 4, 10)
    assert report.runs[0].waiting == {90: date(2025, 5, 30)}


def test_nothing_later_than_the_date_is_read(layout: Layout) -> None:
    keep(layout.ledger)
    before = grade(layout, "2025-04-10")
    write_shop(
        layout.history, [row for row in ORDERS if row["ordered_at"] < datetime(2025, 4, 10, tzinfo=UTC)]
    )
    assert grade(layout, "2025-04-10") == before


def test_a_date_counts_once_by_its_newest_run(layout: Layout) -> None:
    late = {"score_run_id": "s_0002", "scored_at": datetime(2025, 3, 1, 9, tzinfo=UTC)}
    newest = keep(layout.ledger, said(churn_probability_30=0.5), **late)
    older = keep(layout.ledger)
    report = grade(layout)
    assert report.superseded == {older.name: newest.name}
    assert [check.run.score_run_id for check in report.runs] == ["s_0002"]
    assert (report.churn[0].customer_count, report.churn[0].predicted_share) == (4, 0.5)
    assert f"scored again: {older.name}, graded as {newest.name}" in lines_of(report)


def test_runs_of_different_dates_are_pooled(layout: Layout) -> None:
    keep(layout.ledger)
    keep(layout.ledger, said(("a", "c"), churn_probability_30=0.3), as_of=date(2025, 3, 11))
    report = grade(layout)
    # As of 2025-03-11, within 30 days: c ordered, a did not.
    assert [check.churn[0].churned_share for check in report.runs] == [0.75, 0.5]
    pooled = report.churn[0]
    assert (pooled.customer_count, pooled.churned_share) == (6, pytest.approx(4 / 6))
    assert pooled.predicted_share == pytest.approx((2.4 + 0.6) / 6)
    assert report.clv[0].actual_total == 66.0
    assert "all runs together" in lines_of(report)


def test_who_left_the_history_is_not_graded(layout: Layout) -> None:
    keep(layout.ledger, said(("a", "b", "c", "d", "gone")))
    (check,) = grade(layout).runs
    assert (check.gone_count, check.churn[0].customer_count) == (1, 4)
    forget(layout.ledger, ["gone"])
    assert grade(layout).runs[0].churn == check.churn


def test_another_shops_run_is_left_out(layout: Layout) -> None:
    path = keep(layout.ledger, said(("a", "x", "y")))
    report = grade(layout)
    assert report.runs == ()
    assert "scored 3 customers, of whom 1 are in this history" in report.left_out[path.name]
    keep(layout.ledger, said(("a", "x")))
    assert grade(layout).left_out == {}


@pytest.mark.parametrize("length", [0, 40, -9])
def test_a_damaged_file_is_one_line_and_the_run_before_it_is_graded(layout: Layout, length: int) -> None:
    keep(layout.ledger)
    damaged = keep(layout.ledger, score_run_id="s_0002", scored_at=datetime(2025, 3, 1, 9, tzinfo=UTC))
    damaged.write_bytes(damaged.read_bytes()[:length])
    report = grade(layout)
    assert [check.run.score_run_id for check in report.runs] == ["s_0001"]
    (said_of_it,) = [text for text in lines_of(report) if text.startswith("left out:")]
    assert str(damaged) in said_of_it
    assert "is damaged" in said_of_it


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"clv_basis": "gross"}, "spend was said in EUR gross, and now it is EUR net"),
        ({"currency": "USD"}, "spend was said in USD net, and now it is EUR net"),
        (
            {"clv_basis": "margin", "margin_share": 0.3},
            "spend was said in EUR margin 0.3, and now it is EUR net",
        ),
    ],
)
def test_money_of_another_basis_is_not_compared(layout: Layout, changes: Any, reason: str) -> None:
    keep(layout.ledger, **changes)
    report = grade(layout)
    assert (report.clv, report.runs[0].clv_left_out) == ((), reason)
    assert len(report.churn) == 2
    assert f"not graded: {reason}" in lines_of(report)


def test_a_run_is_graded_by_its_own_midnights(layout: Layout) -> None:
    """In New York, c ordered in the evening of 2025-03-30: within 30 days."""
    keep(layout.ledger, time_zone="America/New_York")
    assert grade(layout).churn[0].churned_share == 0.5


def test_what_was_not_said_is_not_graded(layout: Layout) -> None:
    keep(layout.ledger, said().with_columns(churn_probability_30=None))
    (check,) = grade(layout).runs
    assert [part.horizon_days for part in check.churn] == [90]


def test_an_observation_window_changes_no_outcome(layout: Layout) -> None:
    keep(layout.ledger)
    short = Settings.model_validate({"features": {"observation_days": 10}})
    assert grade(layout, settings=short).churn == grade(layout).churn


def test_an_empty_ledger_and_an_empty_run_say_so(layout: Layout) -> None:
    report = grade(layout)
    assert (report.runs, report.churn, report.left_out) == ((), (), {})
    assert any("no run is kept yet" in text for text in lines_of(report))
    keep(layout.ledger, said(()))
    assert grade(layout).runs[0].churn == ()


def test_the_command_prints_and_writes_the_report(layout: Layout) -> None:
    keep(layout.ledger)
    keep(layout.ledger, as_of=date(2025, 5, 20))
    done = run("training.ledger", "--as-of", "2025-06-01", var=layout.root)
    assert done.returncode == 0, done.stderr
    assert "said 60.0 % would not order within 30 days; 75.0 % did not (n = 4)" in done.stdout
    assert "waiting: 30 days until 2025-06-19, 90 days until 2025-08-18" in done.stdout
    written = (layout.reports / "ledger.json").read_text(encoding="utf-8")
    report = LedgerReport.model_validate_json(written)
    assert (report, report.as_of) == (grade(layout, "2025-06-01"), date(2025, 6, 1))
    assert json.loads(written)["runs"][0]["run"] == json.loads(ledger_run().model_dump_json())
    assert report.runs[0].run.as_of == AS_OF


def test_where_no_cost_is_known_what_was_said_on_net_is_graded_though_margin_is_asked_for(
    layout: Layout,
) -> None:
    keep(layout.ledger)
    asked = Settings.model_validate({"shop": {"clv_basis": "margin"}})
    context = open_context(layout, asked)
    assert context.warning.startswith("warning: revenue basis")
    assert context.settings.shop.clv_basis == context.builder.settings.shop.clv_basis == "net"
    assert ledger_report(context).clv == grade(layout).clv != ()
