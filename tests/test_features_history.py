"""The history on disk: generations, the manifest swap, and what an interruption leaves."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from features.generation import GenerationWriter
from features.history import STORED_SCHEMAS, History, HistoryError, bucket_of

LOADED_AT = datetime(2026, 11, 22, tzinfo=UTC)


def order_lines(customers: list[str], *, loaded_at: datetime = LOADED_AT) -> pl.DataFrame:
    """One line of 1.00 a customer, on 2026-01-01 + row number days."""
    ordered_at = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=row) for row in range(len(customers))]
    rows = {
        "customer_id": customers,
        "order_id": [f"o{row}" for row in range(len(customers))],
        "line_id": ["0"] * len(customers),
        "ordered_at": ordered_at,
        "ordered_days": [(at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(days=1) for at in ordered_at],
        "amount_minor": [10_000] * len(customers),
        "is_return": [False] * len(customers),
        "loaded_at": [loaded_at] * len(customers),
    }
    schema = STORED_SCHEMAS["order_lines"]
    absent = [pl.lit(None, dtype=kind).alias(name) for name, kind in schema.items() if name not in rows]
    return pl.DataFrame(rows).with_columns(absent)


def write(root: Path, customers: list[str], *, bucket_count: int = 2) -> History:
    rows = order_lines(customers)
    buckets = [bucket_of(name, bucket_count) for name in customers]
    previous = History.open(root) if (root / "manifest.json").exists() else None
    with GenerationWriter(root, bucket_count=bucket_count, currency="EUR", previous=previous) as writer:
        for bucket in range(bucket_count):
            writer.write("order_lines", rows.filter([b == bucket for b in buckets]), bucket=bucket)
        return writer.commit()


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    history = write(tmp_path, ["b", "a", "00123", "NA", "김철수"])
    assert History.open(tmp_path).manifest == history.manifest
    assert sorted(history.read("order_lines")["customer_id"]) == ["00123", "NA", "a", "b", "김철수"]
    assert history.manifest.row_counts["order_lines"] == 5
    assert history.has_column("order_lines", "order_id")
    assert not history.has_column("order_lines", "product_id")
    assert history.manifest.first_order_days == 20454.0


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_both_engines_scan_the_same_rows(tmp_path: Path, engine: str) -> None:
    history = write(tmp_path, ["b", "a", "c"])
    for buckets in (None, [0], [1]):
        lazy = history.scan("order_lines", engine=engine, buckets=buckets)
        ids = sorted(lazy.select("customer_id").collect().get_column("customer_id").to_list())
        assert ids == sorted(history.read("order_lines", buckets=buckets)["customer_id"])
    assert history.scan("products", engine=engine).collect().shape[0] == 0


def test_buckets_follow_crc32() -> None:
    # 0xCBF43926 is the published check value of CRC-32 for these nine digits
    assert bucket_of("123456789", 1000) == 0xCBF43926 % 1000


def test_an_unfinished_write_leaves_the_previous_history_whole(tmp_path: Path) -> None:
    before = write(tmp_path, ["a", "b"])

    def interrupted() -> None:
        with GenerationWriter(tmp_path, bucket_count=2, currency="EUR", previous=before) as writer:
            writer.write("order_lines", order_lines(["z"]), bucket=0)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        interrupted()
    assert History.open(tmp_path).manifest == before.manifest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g000001", "manifest.json"]


def test_the_next_generation_removes_what_it_does_not_name(tmp_path: Path) -> None:
    first = write(tmp_path, ["a", "b", "c"])
    with GenerationWriter(tmp_path, bucket_count=2, currency="EUR", previous=first) as writer:
        writer.keep("order_lines", bucket=0)
        writer.write("order_lines", order_lines(["b"]), bucket=1)
        second = writer.commit()
    kept = second.manifest.files["order_lines"]
    assert kept[0].startswith("g000001/")
    assert kept[1].startswith("g000002/")
    assert not (tmp_path / first.manifest.files["order_lines"][1]).exists()
    assert second.read("order_lines", buckets=[0]).equals(pl.read_parquet(tmp_path / kept[0]))


def test_the_data_hash_follows_the_data_and_not_the_loading_time(tmp_path: Path) -> None:
    def hash_of(name: str, rows: pl.DataFrame) -> str:
        with GenerationWriter(tmp_path / name, bucket_count=1, currency="EUR") as writer:
            writer.write("order_lines", rows)
            return writer.commit().manifest.data_hash

    today = order_lines(["a", "b"])
    later = order_lines(["a", "b"], loaded_at=LOADED_AT + timedelta(days=1))
    assert hash_of("one", today) == hash_of("two", later.reverse())
    assert hash_of("one", today) != hash_of("three", order_lines(["a", "c"]))


@pytest.mark.parametrize("damage", ["absent", "garbled", "file"])
def test_a_damaged_history_is_one_clear_error(tmp_path: Path, damage: str) -> None:
    if damage != "absent":
        history = write(tmp_path, ["a"])
        if damage == "garbled":
            (tmp_path / "manifest.json").write_text("{")
        else:
            (tmp_path / history.manifest.files["order_lines"][0]).unlink()
    with pytest.raises(HistoryError, match="make data" if damage == "absent" else "MODE=replace"):
        History.open(tmp_path)
