"""The page of `make retention`: what it says of a shop, and of shops where little can be said."""

import json
import sys
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from features_shop import line, write_shop

from features.cohort_table import CohortCell
from features.concentration import measure_concentration
from features.console import run_command
from features.fully_churned import FullyChurned
from features.history import History
from features.knowledge import read_knowledge
from features.retention_report import (
    _cell,
    _command,
    clock_text,
    concentration_text,
    fully_churned_text,
    knowledge_text,
)
from features.settings import Settings
from features.snapshot import Snapshot
from features.winback import Span

FIRST, DAY_COUNT = date(2025, 1, 1), 300


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 customers who order tea every 20 days; ten of them stop in March, one gives everything back."""
    lines = [
        line(f"c{who:02d}", f"{who}-{day}", f"{FIRST + timedelta(days=day)}T12:00", 5.0, product="tea")
        for who in range(40)
        for day in range(who % 20, 100 if who < 10 else DAY_COUNT, 20)
    ]
    lines.append(line("c00", "back", "2025-04-25", -60.0, product="tea"))
    folder = tmp_path_factory.mktemp("retention")
    write_shop(folder / "history", lines, categories={"tea": "drinks"})
    return folder


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["retention", *words])
    with pytest.raises(SystemExit) as stopped:
        run_command(_command)
    return int(stopped.value.code or 0)


def test_the_command_prints_the_page(
    var: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--var", str(var), "--as-of", "2025-10-28") == 0
    shown = " ".join(capsys.readouterr().out.split())
    for text in (
        "as of 2025-10-28",
        "90 days 30 0 0.0% (0.0% … 11.4%) 100.0% 0 0",
        "365 days –: the history does not reach back far enough",
        "90-day churn: of the customers who ordered within the 90 days before the last 90 days",
        "2025-09-01 until 2025-10-01 30 of 40 75.0%",
        "2025-01* 40 100% 100% 75% 75% 75% 75% 75% 75% 75%+",
        "together 100% 100% 75% 75% 75% 75% 75% 75%",
        # Nine bought for 25, one gave 60 back for 25, thirty bought for 75.
        "sales of 40 customers so far: 2,475.00 EUR net",
        "the top 10% of your customers (4) = 12.1% of sales",
        "1 gave back more than they bought (-35.00) and count as nothing",
        "drinks 20 d 20 … 20 n=460",
        "tea 20 d 20 … 20 n=460",
        "1 have a clock, 0 are used up and bought again",
        "left for good: 9 months, the default: the history is too short, or too few customers were silent",
    ):
        assert text in shown


def test_a_mistake_is_one_line(
    var: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--var", str(var), "--as-of", "2024-01-01") == 2
    shown = capsys.readouterr()
    assert "error: nobody had ordered before 2024-01-01; name a later date" in shown.err
    assert (shown.out, "Traceback" in shown.err) == ("", False)


def test_a_document_is_plain_and_names_no_customer(var: Path) -> None:
    found = read_knowledge(
        History.open(var / "history"), Snapshot(date(2025, 10, 28)), settings=Settings()
    ).to_document()
    text = json.dumps(found, allow_nan=False)
    assert found["concentration"]["negative_count"] == 1
    assert [clock["name"] for clock in found["category_clocks"]] == ["drinks"]
    assert "c01" not in text


@pytest.mark.parametrize("amount", [9.0, -9.0])
def test_a_shop_of_one_line_has_a_page(tmp_path: Path, amount: float) -> None:
    history = write_shop(tmp_path, [line("ann", "1", "2025-05-05", amount)])
    found = read_knowledge(history, Snapshot(date(2025, 6, 1)), settings=Settings())
    text = knowledge_text(found, currency="EUR", basis="net")
    assert "no category has been bought again often enough for a clock" in text
    assert "left for good: 9 months, the default: the history is too short" in text
    assert ("sales of 1 customers so far: 9.00 EUR net" in text) == (amount > 0)


def test_cells_tell_a_month_that_goes_on_from_a_drop() -> None:
    assert _cell(CohortCell(3, 50, 19, 0.38, "unfinished")) == "38%+"
    assert _cell(CohortCell(3, 50, 19, 0.38, "ok")) == "38%"
    assert _cell(CohortCell(3, 5, 2, None, "too_few")) == "–"


def test_pieces_say_what_they_cannot_tell() -> None:
    nothing = concentration_text(
        measure_concentration(pl.Series([], dtype=pl.Float64)), currency="EUR", basis="net"
    )
    assert nothing == "sales of 0 customers so far: 0.00 EUR net\n"
    assert clock_text((), name="product") == "no product has been bought again often enough for a clock\n"
    point = FullyChurned(Span(months=9), "default", "nobody_comes_back", 50)
    assert fully_churned_text(point) == "left for good: 9 months, the default: nobody came back so far\n"
