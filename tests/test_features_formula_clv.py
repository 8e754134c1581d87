"""The formula CLV and its lifespan against a spreadsheet, from tables and from order lines."""

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw
import polars as pl
import pytest
from features_shop import line, write_shop
from polars.testing import assert_frame_equal

from features.build import build_features
from features.console import run_command
from features.customer_totals import PeriodReturns, count_returns, read_customer_totals
from features.formula_clv import TOTAL, FormulaClv, Lifespan, estimate_lifespan, formula_clv
from features.history import History
from features.rfm_report import _command, clv_text
from features.settings import FeatureSettings, RfmSettings, Settings, ShopSettings
from features.shop_rfm import read_rfm
from features.snapshot import Snapshot

THREE_YEARS = Lifespan(3.0, "default", "a young shop")
AS_OF = date(2026, 1, 1)


def young(row: FormulaClv) -> tuple[float | None, ...]:
    return (
        row.customer_count,
        row.buyer_count,
        row.order_count,
        row.revenue,
        row.average_order_value,
        row.purchase_frequency,
        row.customer_value,
        row.clv,
    )


def test_the_worked_example_of_a_young_shop() -> None:
    """A year's subtotal of 30,000 from 600 orders of 300 customers, and three years."""
    row = FormulaClv(TOTAL, 300, 300, 600, 30_000.0, THREE_YEARS, 365)
    assert young(row) == (300, 300, 600, 30_000.0, 50.0, 2.0, 100.0, 300.0)


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_every_tier_equals_the_spreadsheet(engine: str) -> None:
    customers = pl.DataFrame(
        [
            ("a", "top", 9.0, 900.0),
            ("b", "top", 6.0, 600.0),
            ("c", "middle", 3.0, 300.0),
            ("d", "middle", 1.0, 50.0),
            ("s", "bottom", 0.0, 0.0),
            ("t", "bottom", 0.0, -12.5),
        ],
        schema=("customer_id", "rfm_segment", "order_count_in_window", "spend_in_window"),
        orient="row",
    )
    native: Any = customers.lazy() if engine == "polars" else duckdb.from_arrow(customers.to_arrow())
    rows = formula_clv(
        nw.from_native(native),
        segments=("top", "middle", "bottom", "unused"),
        lifespan=THREE_YEARS,
        window_days=365,
    )
    assert [row.segment for row in rows] == ["top", "middle", "bottom", "unused", TOTAL]
    # customers, with an order, orders, revenue, ÷ orders, orders ÷ them, value, × 3
    assert young(rows[0]) == (2, 2, 15, 1500.0, 100.0, 7.5, 750.0, 2250.0)
    assert young(rows[1]) == (2, 2, 4, 350.0, 87.5, 2.0, 175.0, 525.0)
    assert young(rows[2]) == (2, 0, 0, -12.5, None, None, None, None)
    assert young(rows[3]) == (0, 0, 0, 0.0, None, None, None, None)
    assert young(rows[4]) == pytest.approx((6, 4, 19, 1837.5, 1837.5 / 19, 4.75, 459.375, 1378.125))


def test_a_lifespan_is_counted_in_windows() -> None:
    """Half a year's customer value of 40 comes twice a year, for three years."""
    row = FormulaClv(TOTAL, 10, 10, 20, 400.0, THREE_YEARS, window_days=730 // 4)
    assert row.customer_value == 40.0
    assert row.clv == pytest.approx(40.0 * 3 * 365 / 182)


@pytest.mark.parametrize(
    ("buyers", "returned", "history_days", "years", "source", "grounds"),
    [
        (400, 300, 730, 4.0, "estimated", "300 of 400 who ordered within 365 days"),
        (400, 300, 729, 3.0, "default", "729 days of orders are less than 2 years"),
        (29, 20, 800, 3.0, "default", "only 29 customers"),
        (0, 0, 0, 3.0, "default", "0 days of orders"),
        (100, 0, 800, 1.0, "estimated", "0 of 100"),
        (100, 95, 800, 10.0, "estimated", "held at 10 years"),
        (100, 100, 800, 10.0, "estimated", "held at 10 years"),
    ],
)
def test_a_lifespan_is_estimated_from_who_came_back(
    buyers: int, returned: int, history_days: int, years: float, source: str, grounds: str
) -> None:
    returns = PeriodReturns(365, buyers, returned, history_days)
    found = estimate_lifespan(returns, default_days=1095)
    assert (found.years, found.source) == (pytest.approx(years), source)
    assert grounds in found.grounds


def test_a_lifespan_of_shorter_periods_is_in_years_too() -> None:
    found = estimate_lifespan(PeriodReturns(73, 100, 80, 900), default_days=1095)
    assert found.years == pytest.approx(5 * 73 / 365)


def test_who_came_back_is_counted_over_whole_periods_only() -> None:
    """History of 3.5 periods: 0, 1 and 2 are whole, the pairs are 1 → 0 and 2 → 1; 3 is cut off."""
    ordered = [("a", 0), ("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 2), ("c", 0), ("d", 0), ("e", 3)]
    rows = pl.DataFrame(ordered, schema={"customer_id": pl.String, "period": pl.Int64}, orient="row")
    # Seen in 1: a (back in 0), b (not). Seen in 2: a (back in 1), c (not in 1).
    assert count_returns(rows, period_days=100, history_days=350) == PeriodReturns(100, 4, 2, 350)


@pytest.fixture(scope="module")
def old_shop(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Two years: 40 ordered in 2024 for 10, 30 of them in 2025 too, once or thrice for 20; one gave back.

    Somebody who only gave something back is no customer, and the day itself is not known.
    """
    lines = [line("c00", "first", "2023-12-31T12:00", 5.0)]
    for number in range(40):
        lines.append(line(f"c{number:02d}", f"a{number}", "2024-06-01T12:00", 10.0))
    for number in range(30):
        for time in range(3 if number < 10 else 1):
            lines.append(line(f"c{number:02d}", f"b{number}-{time}", f"2025-0{3 + time}-05T12:00", 20.0))
    lines.append(line("c00", "r", "2025-08-01T12:00", -20.0))
    lines.append(line("giver", "g", "2025-02-01T12:00", -7.0))
    lines.append(line("late", "z", "2026-01-01T00:00", 99.0))
    return write_shop(tmp_path_factory.mktemp("old"), lines)


def test_a_shop_of_two_years_by_hand(old_shop: History) -> None:
    found = read_rfm(old_shop, Snapshot(AS_OF), settings=Settings(), preset="shopify_2021")
    total = found.values[-1]
    # 10 × 3 + 20 × 1 = 50 orders of 20, less a return of 20; 30 of the 40 of 2024 came back: 4 years.
    assert (total.customer_count, total.buyer_count, total.order_count, total.revenue) == (40, 30, 50, 980.0)
    assert total.lifespan.source == "estimated"
    assert total.lifespan.years == pytest.approx(4.0)
    assert total.clv == pytest.approx(980 / 30 * 4)
    gross = Settings(shop=ShopSettings(clv_basis="gross"))
    assert read_rfm(old_shop, Snapshot(AS_OF), settings=gross).values[-1].revenue == 1000.0


def test_the_same_shop_a_year_earlier_is_young(old_shop: History) -> None:
    total = read_rfm(old_shop, Snapshot(date(2025, 1, 1)), settings=Settings()).values[-1]
    assert (total.lifespan.source, total.lifespan.years) == ("default", 3.0)
    assert (total.order_count, total.revenue, total.clv) == (40, 400.0, 30.0)


@pytest.mark.parametrize(("basis", "observation_days"), [("net", 0), ("gross", 500)])
def test_totals_equal_the_features_of_the_same_name(
    old_shop: History, basis: Any, observation_days: int
) -> None:
    snapshot = Snapshot(AS_OF, observation_days=observation_days or None)
    tables = []
    for engine in ("polars", "duckdb"):
        settings = Settings(
            features=FeatureSettings(engine=engine, observation_days=observation_days),  # type: ignore[arg-type]
            shop=ShopSettings(clv_basis=basis),
            rfm=RfmSettings(window_days=180),
        )
        tables.append(read_customer_totals(old_shop, snapshot, settings=settings).customers)
        features = build_features(old_shop, snapshot, settings=settings)
    assert_frame_equal(*tables, check_exact=True)
    renamed = features.select(
        "customer_id",
        "recency_days",
        "order_count",
        "spend_total",
        order_count_in_window="order_count_180",
        spend_in_window="spend_180",
    )
    assert_frame_equal(tables[0], renamed, check_exact=True)


def test_the_table_of_text_names_the_source_of_the_lifespan() -> None:
    rows = [FormulaClv(TOTAL, 300, 300, 600, 30_000.0, THREE_YEARS, 365)]
    text = clv_text(rows, currency="EUR", basis="net")
    assert "formula CLV, EUR net: orders and money of the 365 days before" in text
    assert "lifespan default 3 years: a young shop" in text
    assert "all customers 300 300 600 30,000.00 50.00 2.00 100.00 3.00 300.00" in " ".join(text.split())


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["rfm", *words])
    with pytest.raises(SystemExit) as stopped:
        run_command(_command)
    return stopped.value.code


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("REGULARS_CONFIG", raising=False)
    days = [date(2025, 1, 1) + timedelta(days=30 * step) for step in range(6)]
    lines = [line(f"c{number}", f"o{number}", f"{day}T12:00", 10.0) for number, day in enumerate(days)]
    write_shop(tmp_path / "history", lines)
    return tmp_path


def test_the_command_prints_scores_groups_and_values(
    var: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--var", str(var), "--preset", "shopify_2021") in (0, None)
    shown = " ".join(capsys.readouterr().out.split())
    for text in (
        "as of 2025-06-01",
        "RFM shopify_2021 over the 365 days before · 6 customers",
        "ties: equal values get equal scores",
        "all customers 6 6 6 60.00 10.00 1.00 10.00 3.00 30.00",
        "lifespan default 3 years: 151 days of orders are less than 2 years",
        "6 customers (100.0%) make 80% of the revenue",
    ):
        assert text in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--preset", "thirds"), "error: there is no RFM preset 'thirds'; choose one of quintile_11"),
        (("--as-of", "2024-01-01"), "error: nobody had ordered before 2024-01-01; name a later date"),
    ],
)
def test_a_mistake_is_one_line(
    var: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, str],
    said: str,
) -> None:
    assert run(monkeypatch, "--var", str(var), *words) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""
