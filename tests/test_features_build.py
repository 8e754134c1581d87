"""The feature table as a whole: shape, order, parts, repetition, and the command."""

import random
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from features_shop import event, line, write_shop

from features import build as building
from features.build import build_features, build_shop_facts
from features.families import FEATURE_NAMES
from features.history import History
from features.settings import Settings
from features.snapshot import Snapshot

D = Snapshot(date(2026, 3, 1))


def random_rows(count: int, *, seed: int = 3) -> list[dict[str, Any]]:
    """Draw orders of 40 customers over 500 days, every tenth one returned later."""
    draw = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        customer, product = f"c{draw.randrange(40):02d}", f"p{draw.randrange(12)}"
        at = datetime(2026, 4, 1) - timedelta(minutes=draw.randrange(500 * 1440))
        amount = draw.randrange(100, 9000) / 100
        rows.append(line(customer, f"o{number // 2}", at.isoformat(), amount, product=product, quantity=2))
        if number % 10 == 0:
            later = (at + timedelta(days=draw.randrange(1, 20))).isoformat()
            rows.append(line(customer, f"o{number // 2}", later, -amount / 2, product=product))
    return rows


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    events = [event("c01", "product_viewed", "2026-02-01"), event("nobody", "email_opened", "2026-02-01")]
    categories = {f"p{number}": f"category {number % 3}" for number in range(10)}
    folder = tmp_path_factory.mktemp("shop")
    return write_shop(folder, random_rows(600), events=events, categories=categories, bucket_count=4)


@pytest.fixture(scope="module")
def table(history: History) -> pl.DataFrame:
    return build_features(history, D, settings=Settings())


def test_one_sorted_row_a_customer_and_every_declared_column(table: pl.DataFrame) -> None:
    assert table.columns == ["customer_id", "as_of", *FEATURE_NAMES]
    assert table.schema == {
        "customer_id": pl.String,
        "as_of": pl.Date,
        **dict.fromkeys(FEATURE_NAMES, pl.Float64),
    }
    assert table["customer_id"].is_sorted()
    assert table["customer_id"].n_unique() == table.height == 40
    assert table["as_of"].unique().to_list() == [D.date]
    assert not table.select(pl.col(FEATURE_NAMES).is_nan().any()).row(0).count(True)
    assert not table.select(pl.col(FEATURE_NAMES).is_infinite().any()).row(0).count(True)


def test_building_twice_gives_the_same_bytes(history: History, table: pl.DataFrame) -> None:
    again = build_features(history, D, settings=Settings())
    assert again.rechunk().to_arrow().equals(table.rechunk().to_arrow())


def test_a_bucket_at_a_time_is_the_whole(history: History, table: pl.DataFrame) -> None:
    parts = [build_features(history, D, settings=Settings(), buckets=[bucket]) for bucket in range(4)]
    assert all(0 < part.height < table.height for part in parts)
    assert pl.concat(parts).sort("customer_id").equals(table)


def test_known_shop_facts_spare_the_other_buckets(
    history: History, table: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = build_shop_facts(history, D)
    read: list[object] = []
    scan = History.scan

    def watched_scan(self: History, name: str, **more: Any) -> Any:
        read.append(more.get("buckets"))
        return scan(self, name, **more)

    monkeypatch.setattr(History, "scan", watched_scan)
    part = build_features(history, D, settings=Settings(), buckets=[1], shop=shop)
    assert read == [[1], [1]]
    assert part.equals(table.filter(pl.col("customer_id").is_in(part["customer_id"].implode())))


def test_many_parts_are_the_whole(
    history: History, table: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "LINES_AT_ONCE", 1)
    assert len(building.read_parts(history, engine="polars")) == 4
    assert build_features(history, D, settings=Settings()).equals(table)


def test_a_snapshot_before_the_first_order_has_an_empty_table(history: History) -> None:
    table = build_features(history, Snapshot(date(2020, 1, 1)), settings=Settings())
    assert table.height == 0
    assert table.columns == ["customer_id", "as_of", *FEATURE_NAMES]


def test_an_empty_history_has_an_empty_table(tmp_path: Path) -> None:
    assert build_features(write_shop(tmp_path, []), D, settings=Settings()).height == 0


@pytest.mark.parametrize("customer", ["00123", "NA", "null", "=1+1", "a/b", "김철수", " x ", "1e5"])
def test_ids_stay_as_they_are(tmp_path: Path, customer: str) -> None:
    history = write_shop(tmp_path, [line(customer, "NA", "2026-01-01", 1.0, product="null")])
    table = build_features(history, D, settings=Settings())
    assert table["customer_id"].to_list() == [customer]
    assert table["product_count"].to_list() == [1.0]


def test_observation_window_forgets_what_was_bought_before(tmp_path: Path) -> None:
    rows = [
        line("ann", "1", "2026-01-01", 5.0, product="milk"),
        line("ann", "2", "2026-02-20", 7.0, product="milk"),
    ]
    history = write_shop(tmp_path, rows)
    row = build_features(history, Snapshot(D.date, "UTC", 30), settings=Settings()).row(0, named=True)
    assert (row["order_count"], row["product_count"], row["repeat_line_share"], row["tenure_days"]) == (
        1,
        1,
        0,
        9,
    )


def run_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "features.build", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_writes_the_table(history: History, table: pl.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "history").symlink_to(history.root)
    done = run_command("--var", str(tmp_path), "--as-of", "2026-03-01")
    path = tmp_path / "features" / "2026-03-01.parquet"
    assert done.returncode == 0, done.stderr
    assert f"40 customers x {len(FEATURE_NAMES)} features as of 2026-03-01: {path}" in done.stdout
    assert pl.read_parquet(path).equals(table)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--as-of", "1.3.2026"], "error: AS_OF=1.3.2026 is no date"), ([], "error: no history in")],
)
def test_the_command_refuses_in_one_line(
    history: History, tmp_path: Path, arguments: list[str], message: str
) -> None:
    if arguments:
        (tmp_path / "history").symlink_to(history.root)
    done = run_command("--var", str(tmp_path), *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
