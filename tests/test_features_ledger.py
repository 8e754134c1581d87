"""The ledger of scores: what was said comes back as it was said; a file is whole, or refused by its name."""

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_runs import AS_OF, COLUMNS, CUSTOMERS, keep, ledger_run, said
from serving_runs import NASTY_IDS

from features.ledger import (
    GRACE_DAYS,
    LedgerError,
    forget,
    list_files,
    read_rows,
    read_run,
    write_run,
)


def test_what_was_said_comes_back_as_it_was_said(tmp_path: Path) -> None:
    rows = said(churn_probability_30=0.123456789, predicted_clv_30=19.99, predicted_clv_90=131_071.99)
    path = keep(tmp_path, rows)
    assert path.name == "2025-03-01_20250301T001000Z_s_0001.parquet"
    run = read_run(path)
    assert run == ledger_run()
    back = read_rows(path, run)
    assert back.columns == ["customer_id", *COLUMNS]
    assert back["customer_id"].to_list() == list(CUSTOMERS)
    assert back["churn_probability_30"].unique().to_list() == [0.12346]
    assert back["predicted_clv_30"].unique().to_list() == [19.99]
    assert back["predicted_clv_90"].unique().to_list() == [131_071.99]
    assert back["predicted_clv_high"].to_list() == [40.0, 25.0, 30.0, 0.0]


@given(st.integers(0, 100_000), st.integers(-13_107_200, 13_107_200))
def test_five_decimals_and_cents_survive_the_short_numbers(steps: int, cents: int) -> None:
    """The file keeps Float32: what is read must be the number itself, or ties with a bound would break."""
    for value, digits in ((steps / 100_000, 5), (cents / 100, 2)):
        kept = pl.Series([value]).cast(pl.Float32).cast(pl.Float64).round(digits)
        assert kept.item() == value


def test_any_tool_reads_the_folder_as_one_table(tmp_path: Path) -> None:
    keep(tmp_path)
    keep(tmp_path, as_of=date(2025, 3, 2), score_run_id="s_0002", method="baseline")
    query = (
        "SELECT as_of, score_run_id, method, churn_model_version, clv_method, clv_model_version, count(*)"
        " FROM read_parquet(?) GROUP BY ALL ORDER BY 1"
    )
    with duckdb.connect() as connection:
        rows = connection.execute(query, [f"{tmp_path}/*.parquet"]).fetchall()
    assert rows == [
        (date(2025, 3, 1), "s_0001", "ml", 7, "btyd", 5, 4),
        (date(2025, 3, 2), "s_0002", "baseline", 7, "btyd", 5, 4),
    ]


def test_ids_stay_byte_for_byte(tmp_path: Path) -> None:
    path = keep(tmp_path, said(NASTY_IDS))
    assert set(read_rows(path, read_run(path))["customer_id"]) == set(NASTY_IDS)


def test_nobody_and_what_is_not_known_are_kept_too(tmp_path: Path) -> None:
    path = keep(tmp_path, said(()))
    assert read_rows(path, read_run(path)).is_empty()
    unknown = said().with_columns(churn_probability_30=pl.lit(None, dtype=pl.Float64))
    path = keep(tmp_path, unknown)
    assert read_rows(path, read_run(path))["churn_probability_30"].null_count() == 4


def test_scoring_a_date_again_keeps_both_runs_in_their_order(tmp_path: Path) -> None:
    second = keep(tmp_path, score_run_id="s_0003", scored_at=datetime(2025, 3, 1, 9, tzinfo=UTC))
    first = keep(tmp_path)
    other = keep(tmp_path, as_of=date(2025, 2, 28), scored_at=datetime(2025, 3, 1, 10, tzinfo=UTC))
    assert list_files(tmp_path) == [other, first, second]


@pytest.mark.parametrize(("keep_days", "oldest_days"), [(0, 90 + GRACE_DAYS), (10, 10)])
def test_old_runs_go_when_a_new_one_is_written(tmp_path: Path, keep_days: int, oldest_days: int) -> None:
    for days in (oldest_days + 1, oldest_days, 1):
        keep(tmp_path, as_of=AS_OF - timedelta(days))
    stray = tmp_path / "0000-notes.parquet"
    stray.write_text("not ours")
    write_run(tmp_path, ledger_run(), [said()], keep_days=keep_days)
    kept = [path for path in list_files(tmp_path) if path != stray]
    assert [read_run(path).as_of for path in kept] == [
        AS_OF - timedelta(oldest_days),
        AS_OF - timedelta(1),
        AS_OF,
    ]
    assert stray.exists()


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    keep(tmp_path)
    (tmp_path / "2025-02-01_x.parquet.partial").write_bytes(b"customers")
    forget(tmp_path, ["a"])
    assert list(tmp_path.glob("*.partial")) == []


def test_a_customer_is_forgotten_in_every_run_and_nothing_else_changes(tmp_path: Path) -> None:
    both = [keep(tmp_path), keep(tmp_path, said(("b", "x")), as_of=date(2025, 3, 2))]
    other = keep(tmp_path, said(("x", "y")), as_of=date(2025, 3, 3))
    before, untouched = read_rows(both[0], read_run(both[0])), other.read_bytes()
    assert forget(tmp_path, {"b", "a", "nobody"}) == 3
    assert read_run(both[0]) == ledger_run(customer_count=2)
    assert read_rows(both[0], read_run(both[0])).equals(
        before.filter(pl.col("customer_id").is_in(["c", "d"]))
    )
    assert read_rows(both[1], read_run(both[1]))["customer_id"].to_list() == ["x"]
    assert other.read_bytes() == untouched
    assert not any(b'"b"' in path.read_bytes() for path in list_files(tmp_path))
    assert forget(tmp_path, ["a", "b"]) == 0
    assert forget(tmp_path / "absent", ["a"]) == 0
    assert not (tmp_path / "absent").exists()


def test_forgetting_names_the_file_that_cannot_be_cleaned(tmp_path: Path) -> None:
    damaged = keep(tmp_path, as_of=date(2025, 2, 1))
    damaged.write_bytes(damaged.read_bytes()[:-9])
    whole = keep(tmp_path)
    with pytest.raises(LedgerError, match=r"2025-02-01_.*is damaged"):
        forget(tmp_path, ["a"])
    assert read_run(whole).customer_count == 3


def test_no_damage_goes_unnoticed(tmp_path: Path) -> None:
    """One bit anywhere: either the file is refused, or the rows are what they were."""
    rows = said(tuple(f"c{number:04d}" for number in range(300)))
    rows = rows.with_columns(churn_probability_30=pl.Series(np.linspace(0, 1, 300)))
    path = keep(tmp_path, rows)
    content, run, dice = path.read_bytes(), read_run(path), random.Random(3)
    before = read_rows(path, run)
    refused = 0
    for _ in range(150):
        changed = bytearray(content)
        changed[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        path.write_bytes(changed)
        try:
            assert read_run(path) == run
            assert read_rows(path, run).equals(before)
        except LedgerError:
            refused += 1
    assert refused > 75


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(40) + b"PAR1"])
def test_what_is_no_ledger_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "2025-03-01_x_y.parquet"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"2025-03-01_x_y\.parquet is damaged"):
        read_run(path)
    pl.DataFrame({"customer_id": ["a"]}).write_parquet(path)
    with pytest.raises(LedgerError, match="is damaged"):
        read_run(path)
    path.unlink()
    with pytest.raises(LedgerError, match="cannot be read"):
        read_run(path)


def test_a_row_stays_small(tmp_path: Path) -> None:
    """The documented size: under 40 bytes beside the id, here with six unlike numbers a customer."""
    generator = np.random.default_rng(1)
    count = 20_000
    rows = pl.DataFrame({"customer_id": [str(100_000 + number) for number in range(count)]}).with_columns(
        pl.Series(name, generator.beta(0.5, 0.5, count) * (1 if "churn" in name else 900)) for name in COLUMNS
    )
    assert keep(tmp_path, rows).stat().st_size < 24 * count


def test_a_disk_that_refuses_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("a file where the folder should be")
    with pytest.raises(LedgerError, match=r"ledger/2025-03-01_.*cannot be written: File exists"):
        keep(tmp_path / "ledger")
