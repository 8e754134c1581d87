"""Loads larger than memory give the history and the report that they would give in memory."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features import buckets, delimited, stretches
from features.history import History
from features.ingest import load
from features.large_load import is_large
from features.layout import Layout
from features.portions import added_findings
from features.report import DataError, Finding, Report
from features.sources import Format, Request

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read seven rows at a time and keep about five lines a bucket."""
    monkeypatch.setattr(stretches, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(delimited, "RECORDS_BYTES", 500)
    monkeypatch.setattr(buckets, "LINES_PER_BUCKET", 5)


def _file(path: Path, rows: list[dict[str, Any]]) -> Path:
    table = pl.DataFrame(rows, infer_schema_length=None)
    if path.suffix == ".csv":
        table.write_csv(path)
    else:
        table.write_parquet(path)
    return path


def _row(number: int, **changed: Any) -> dict[str, Any]:
    row = {
        "customer_id": f"c{number % 11}",
        "order_id": f"o{number // 2}-{number % 11}",
        "ordered_at": str(datetime(2026, 1, 1, 9, tzinfo=UTC) + timedelta(days=number))[:19],
        "product_id": f"p{number % 3}",
        "amount": 10.0 + number,
        "currency": "EUR",
    }
    return row | changed


def _odd_files(folder: Path, suffix: str = ".parquet") -> tuple[Path, ...]:
    """Two files with lines to leave out, returns, an order in both, free items and repeated lines."""
    first = [_row(number) for number in range(60)]
    first[3] = _row(3, customer_id=None)
    first[5] = _row(5, amount=-4.0)
    first[8] = _row(8, ordered_at="some day")
    first[20] = _row(20, ordered_at="2099-01-01")
    first[31] = _row(31, amount=0.0)
    first += [_row(40), _row(40)]
    second = [_row(50, amount=1.0), _row(70, product_id=None), _row(71, amount=None), _row(72)]
    return _file(folder / f"a{suffix}", first), _file(folder / f"b{suffix}", second)


def _loaded(root: Path, files: tuple[Path, ...], *, mode: Any = "upsert") -> tuple[Report, History]:
    report = load(Request(files=files, mode=mode), layout=Layout(root), now=NOW)
    return report, History.open(Layout(root).history)


def _told(report: Report) -> dict[str, Any]:
    """Return what a report says, but for which rows it names as examples and how findings are ordered."""
    told = report.model_dump()
    for item in (*told["left_out"], *told["findings"]):
        item.pop("examples")
    told["findings"].sort(key=lambda finding: (finding["name"], finding["column"] or ""))
    return told


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_the_same_history_and_report_in_stretches_as_in_memory(
    suffix: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    files = _odd_files(tmp_path, suffix)
    in_memory, history = _loaded(tmp_path / "memory", files)
    request.getfixturevalue("in_stretches")
    report, found = _loaded(tmp_path / "stretches", files)
    assert found.manifest.bucket_count == 16
    assert found.manifest.data_hash == history.manifest.data_hash
    assert _told(report) == _told(in_memory)
    assert (report.rows_read, report.lines_accepted) == (66, 61)
    assert not (tmp_path / "stretches" / "ingest.portions").exists()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp949"])
@pytest.mark.parametrize("is_packed", [False, True])
def test_a_large_text_with_single_rows_of_another_length(
    encoding: str, is_packed: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    plain = _file(tmp_path / "a.csv", [_row(n, product_id=f"사과\n{n % 3}, 배") for n in range(97)])
    lines = plain.read_text(encoding="utf-8").replace("\n3,", "\n\n3,").split("\n")
    lines.insert(61, "one,two")
    lines.insert(150, "one,two,three,four,five,six,seven")
    raw = "\n".join(lines).encode(encoding)
    path = tmp_path / ("b.csv.gz" if is_packed else "b.csv")
    path.write_bytes(gzip.compress(raw) if is_packed else raw)
    in_memory, history = _loaded(tmp_path / "memory", (path,))
    request.getfixturevalue("in_stretches")
    report, found = _loaded(tmp_path / "stretches", (path,))
    assert found.manifest.bucket_count > 1
    assert found.manifest.data_hash == history.manifest.data_hash
    assert _told(report) == _told(in_memory)
    (ragged,) = [item.message for item in report.findings if item.name == "ragged_rows"]
    assert ragged.startswith("2 rows do not have the header's 6 columns (rows 32, 77;")
    assert report.rows_read == 97


def test_a_large_text_of_ragged_rows_is_refused_whole(tmp_path: Path, in_stretches: None) -> None:
    path = _file(tmp_path / "a.csv", [_row(number) for number in range(97)])
    path.write_text(path.read_text(encoding="utf-8") + "one,two\n" * 9, encoding="utf-8")
    with pytest.raises(DataError, match="9 rows do not have the header's 6 columns"):
        _loaded(tmp_path / "var", (path,))
    assert not (tmp_path / "var" / "history" / "manifest.json").exists()
    assert not (tmp_path / "var" / "ingest.portions").exists()


def test_rows_keep_the_numbers_that_they_have_in_the_file(tmp_path: Path, in_stretches: None) -> None:
    rows = [_row(number) for number in range(60)]
    rows[37] = _row(37, customer_id=None)
    report, _ = _loaded(tmp_path / "var", (_file(tmp_path / "a.parquet", rows),))
    assert [item.examples for item in report.left_out] == [("row 39",)]


@pytest.mark.parametrize(("name", "chosen"), [("a.csv.parquet", None), ("a.csv", Format.PARQUET)])
@pytest.mark.parametrize("count", [200, 210])
def test_a_parquet_file_of_any_name_is_read_to_its_end(
    name: str, chosen: Format | None, count: int, tmp_path: Path, in_stretches: None
) -> None:
    path = _file(tmp_path / "orders.parquet", [_row(number) for number in range(count)])
    report = load(
        Request(files=(path.rename(tmp_path / name),), format=chosen),
        layout=Layout(tmp_path / "var"),
        now=NOW,
    )
    assert (report.rows_read, report.lines_accepted) == (count, count)


@pytest.mark.parametrize("name", ["orders.dat", "orders", "orders.gz"])
def test_a_text_of_any_name_is_large_by_its_size(name: str, tmp_path: Path, in_stretches: None) -> None:
    path = _file(tmp_path / "a.csv", [_row(number) for number in range(60)])
    raw = path.read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    assert is_large(Request(files=(tmp_path / name,)))


def test_a_large_load_joins_a_history(tmp_path: Path, in_stretches: None) -> None:
    rows = [_row(number) for number in range(200)]
    _loaded(tmp_path / "var", (_file(tmp_path / "a.parquet", rows),))
    rows[0] = _row(0, amount=99.0)
    moved = [_row(5, order_id=f"o2-{5 % 11}", customer_id="c9")]
    more = _file(tmp_path / "b.parquet", [*rows[:4], *rows[6:], *moved, _row(300)])
    report, history = _loaded(tmp_path / "var", (more,))
    assert report.orders.model_dump() == {"new": 2, "changed": 1, "unchanged": 197, "removed": 1}
    assert history.read("order_lines").filter(order_id="o2-5")["customer_id"].to_list() == ["c9"]
    again, same = _loaded(tmp_path / "var", (more,))
    assert again.outcome == "unchanged"
    assert same.manifest.generation == history.manifest.generation


def test_without_order_ids_a_large_load_stands_for_all_its_days(tmp_path: Path, in_stretches: None) -> None:
    rows = [{k: v for k, v in _row(n).items() if k != "order_id"} for n in range(40)]
    _loaded(tmp_path / "var", (_file(tmp_path / "a.parquet", rows),))
    without = [row for row in rows if row["customer_id"] != "c4"]
    report, history = _loaded(tmp_path / "var", (_file(tmp_path / "b.parquet", without),))
    assert report.orders.removed == 4  # days 4, 15, 26 and 37 lie within the file's days
    assert "c4" not in history.read("order_lines")["customer_id"].to_list()


def test_what_cannot_be_read_refuses_all_and_leaves_the_history(tmp_path: Path, in_stretches: None) -> None:
    good = _file(tmp_path / "a.parquet", [_row(number) for number in range(40)])
    _, before = _loaded(tmp_path / "var", (good,))
    rows = [_row(n, amount="1.0" if n % 4 else "one") for n in range(40)]
    with pytest.raises(DataError, match=r"10 cells of column 'amount' \(25%\) cannot be read"):
        _loaded(tmp_path / "var", (_file(tmp_path / "b.parquet", rows),))
    assert History.open(Layout(tmp_path / "var").history).manifest == before.manifest
    assert not (tmp_path / "var" / "ingest.portions").exists()


def test_a_large_load_of_nothing_usable_is_refused(tmp_path: Path, in_stretches: None) -> None:
    rows = [_row(number, customer_id=None) for number in range(40)]
    with pytest.raises(DataError, match="no usable order line in 40 rows; 40: no customer id"):
        _loaded(tmp_path / "var", (_file(tmp_path / "a.parquet", rows),), mode="replace")
    assert not (tmp_path / "var" / "history" / "manifest.json").exists()


def test_few_unreadable_cells_in_one_stretch_are_few_of_the_file() -> None:
    found = Finding(
        name="unreadable_date",
        severity="error",
        column="ordered_at",
        count=2,
        message="2 cells of column 'ordered_at' (20%) cannot be read",
    )
    cells = ("order_lines", "ordered_at")
    parts = [
        Report(findings=[found], cell_counts={cells: 10}),
        Report(cell_counts={cells: 60}),
        Report(findings=[found.model_copy(update={"count": 1})], cell_counts={cells: 30}),
    ]
    (joined,) = added_findings(parts)
    assert (joined.severity, joined.message) == (
        "warning",
        "3 cells of column 'ordered_at' (3%) cannot be read",
    )
