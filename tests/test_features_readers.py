"""Files to text: encodings, delimiters, quotes, and one clear error for what is no table."""

import gzip
import os
import threading
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter

from features import delimited
from features.delimited import read_delimited
from features.readers import read_parquet, read_xlsx
from features.report import DataError, Report
from features.text_files import guess_encoding

IDS = [
    "00123",
    "NA",
    "null",
    "=1+1",
    " a",
    "a/b",
    "김철수",
    "\u00e9",
    "e\u0301",
    "a\nb",
    'say "hi"',
    "NaN",
    "1e5",
    "#x",
]


def written(folder: Path, content: bytes | str, name: str = "orders.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_ids_survive_a_csv_file_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    pl.DataFrame({"customer_id": IDS, "n": range(len(IDS))}).write_csv(path)
    rows = read_delimited(path)
    assert [text.encode() for text in rows["customer_id"]] == [text.encode() for text in IDS]
    assert rows["row"].to_list() == list(range(2, 2 + len(IDS)))


@pytest.mark.parametrize(
    "encoded",
    [
        "이름,값\n김철수,1\n".encode(),
        "\ufeff이름,값\n김철수,1\n".encode(),
        "이름,값\n김철수,1\n".encode("utf-16"),
        "이름,값\n김철수,1\n".encode("cp949"),
        gzip.compress("이름,값\n김철수,1\n".encode()),
        "이름;값\r\n김철수;1\r\n".encode(),
        "이름\t값\n김철수\t1".encode(),
        "이름,값\n\n김철수,1\n,\n".encode(),
    ],
    ids=["utf-8", "bom", "utf-16", "cp949", "gzip", "semicolon, crlf", "tab", "empty rows"],
)
def test_encodings_and_delimiters_are_detected(tmp_path: Path, encoded: bytes) -> None:
    rows = read_delimited(written(tmp_path, encoded))
    assert rows.drop("row").to_dicts() == [{"이름": "김철수", "값": "1"}]


def test_a_set_encoding_and_delimiter_count(tmp_path: Path) -> None:
    path = written(tmp_path, "a#b\n£1#2\n".encode("cp1252"))
    assert read_delimited(path, encoding="cp1252", delimiter="#").drop("row").to_dicts() == [
        {"a": "£1", "b": "2"}
    ]


def test_only_an_empty_cell_is_null(tmp_path: Path) -> None:
    rows = read_delimited(written(tmp_path, 'a,b\n,""\n" ",0\n'))
    assert rows.drop("row").rows() == [(" ", "0")]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "empty_file"),
        (b"\n\n", "empty_file"),
        (b"a,b\n1,\x00\n", "nul_bytes"),
        (b"PAR1\x15\x04", "not_text"),
        (b"PK\x03\x04\x14", "not_text"),
        (b"a,b\n1,2,3\n4\n", "ragged_rows"),
        (b'a,b\n"1,2\n3,4\n', "ragged_rows"),
        (b"a,a\n1,2\n", "repeated_column"),
        (b"a,b\n\xff\xff\x80,2\n", "unknown_encoding"),
        (b"\x1f\x8b\x00broken", "unreadable_file"),
        (gzip.compress(b"a,b\n1,2\n" * 500, mtime=0)[:12] + b"\xff" * 30, "unreadable_file"),
        (b'a,"b\n' + b"1,2\n" * 50_000, "unreadable_header"),
    ],
)
def test_what_is_no_table_is_refused_by_name(tmp_path: Path, content: bytes, name: str) -> None:
    with pytest.raises(DataError) as caught:
        read_delimited(written(tmp_path, content))
    assert [finding.name for finding in caught.value.report.errors] == [name]
    assert "\n" not in str(caught.value)


def test_ragged_rows_are_named_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"2 rows do not have the header's 2 columns \(rows 2, 4") as caught:
        read_delimited(written(tmp_path, "a,b\nann@example.com,1,2\n1,2\n3\n"))
    assert "ann@" not in str(caught.value)


def test_a_single_row_of_another_length_is_left_out_where_that_is_reported(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1,2\n3\n4,5\n")
    report = Report()
    rows = read_delimited(path, report=report)
    assert rows.rows() == [(2, "1", "2"), (4, "4", "5")]
    assert [(each.name, each.severity, each.count) for each in report.findings] == [
        ("ragged_rows", "warning", 1)
    ]
    assert "1 row does not have the header's 2 columns (rows 3" in report.findings[0].message
    with pytest.raises(DataError, match="1 row does not have"):
        read_delimited(path)


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2\n3,4\n5\n6\n",  # two of four are no accident
        'a,b\n1,2\n3,4\n5,6\n"7\n8,9\n10,11\n',  # a quote that is never closed takes the rest with it
        "a,b\n1\n",
    ],
)
def test_a_file_that_is_not_otherwise_sound_is_refused_all_the_same(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match="the header's 2 columns"):
        read_delimited(written(tmp_path, content), report=Report())


def test_few_rows_of_many_are_left_out(tmp_path: Path) -> None:
    report = Report()
    content = "a,b\n" + "1,2\n" * 98 + "3\n" + "1,2\n" * 40 + "4,5,6\n"
    rows = read_delimited(written(tmp_path, content), report=report)
    assert (rows.height, rows["row"].to_list()[97:99], report.findings[0].count) == (138, [99, 101], 2)


def test_western_text_is_guessed_and_not_taken_for_korean(tmp_path: Path) -> None:
    assert guess_encoding(written(tmp_path, "Käufer;Größe\nJürgen;1\n".encode("cp1252"))) == "cp1252"
    # These bytes are CP949, too: rare syllables that no file holds alone.
    assert guess_encoding(written(tmp_path, "Ärmel;b\nÄrger;1\n".encode("cp1252"))) == "cp1252"
    with pytest.raises(DataError, match="neither UTF-8"):
        read_delimited(written(tmp_path, "Ärmel;b\nÄrger;1\n".encode("cp1252")))
    for detected in ("utf-8", "utf-16", "cp949"):
        assert guess_encoding(written(tmp_path, "이름;b\n펲시 콜라;1\n".encode(detected))) is None


def test_a_wrong_encoding_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not cp949"):
        read_delimited(written(tmp_path, b"a\n\xff\n"), encoding="cp949")
    others = ("klingon", "hex", "base64", "rot13", "zlib", "uu", "bz2", "punycode", "utf-8\0")
    for encoding in others:
        with pytest.raises(DataError, match=f"the text is not {encoding} "):
            read_delimited(written(tmp_path, b"a\n1\n"), encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "U16"])
def test_a_text_without_a_mark_is_read_as_it_is_said_to_be_written(tmp_path: Path, encoding: str) -> None:
    marked = "이름,b\n펲시,1\n".encode(encoding)
    bare = marked[4 if encoding == "utf-32" else 2 :]
    for raw in (marked, bare):
        assert read_delimited(written(tmp_path, raw), encoding=encoding).rows() == [(2, "펲시", "1")]


def test_a_pipe_is_read_as_a_file_is(tmp_path: Path) -> None:
    pipe = tmp_path / "orders.csv"
    os.mkfifo(pipe)
    content = gzip.compress(b"a,b\n1,2\n")
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    assert read_delimited(pipe).rows() == [(2, "1", "2")]
    writer.join()
    writer = threading.Thread(target=pipe.write_bytes, args=(b" ",))
    writer.start()
    with pytest.raises(DataError) as caught:
        read_delimited(pipe)
    writer.join()
    assert caught.value.report.sources == ["orders.csv"]


def test_made_up_names_give_way_to_the_files_own(tmp_path: Path) -> None:
    header = "row,row_,,column_3,"
    rows = read_delimited(written(tmp_path, f"{header}\n1,2,3,4,5\n"))
    assert rows.columns == ["row", "row__", "row_", "column_3_", "column_3", "column_5"]
    assert rows.row(0) == (2, "1", "2", "3", "4", "5")


def test_many_misfits_are_counted_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "RECORDS_BYTES", 64)
    content = "a,b\n" + "1,2\n1,2,3\n" * 500
    with pytest.raises(DataError, match=r"500 rows do not .* \(rows 3, 5, 7, 9, 11, …; delimiter"):
        read_delimited(written(tmp_path, content), report=Report())


@pytest.mark.parametrize("read", [read_delimited, read_parquet, read_xlsx])
def test_missing_files_and_folders_are_refused(tmp_path: Path, read: object) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(DataError):
            read(path)  # type: ignore[operator]


def test_parquet_keeps_its_types_and_text_stays(tmp_path: Path) -> None:
    path = tmp_path / "orders.parquet"
    source = pl.DataFrame(
        {"id": IDS, "n": [1.0] * len(IDS), "kind": pl.Series(["x"] * len(IDS), dtype=pl.Categorical)}
    )
    source.write_parquet(path)
    rows = read_parquet(path)
    assert rows["id"].to_list() == IDS
    assert rows.schema["n"] == pl.Float64
    assert rows.schema["kind"] == pl.String
    with pytest.raises(DataError, match="no readable Parquet"):
        read_parquet(written(tmp_path, "a,b\n1,2\n"))


def test_workbooks_are_read_as_shown_over_all_like_sheets(tmp_path: Path) -> None:
    path = tmp_path / "orders.xlsx"
    with xlsxwriter.Workbook(path) as book:
        stamp = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        for name, customer in (("one", "00123"), ("two", "=1+1")):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, ["customer_id", "ordered_at", "amount"])
            sheet.write_string(1, 0, customer)
            sheet.write_datetime(1, 1, datetime(2026, 11, 22, 15, 5), stamp)
            sheet.write_number(1, 2, 12.5)
        book.add_worksheet("notes").write_row(0, 0, ["something", "else"])
    rows = read_xlsx(path)
    assert rows.drop("row").rows() == [
        ("00123", "2026-11-22 15:05:00", "12.5"),
        ("=1+1", "2026-11-22 15:05:00", "12.5"),
    ]
    assert read_xlsx(path, sheet="two")["customer_id"].to_list() == ["=1+1"]
    with pytest.raises(DataError, match="no readable workbook or sheet"):
        read_xlsx(path, sheet="three")
    with pytest.raises(DataError, match="no readable workbook"):
        read_xlsx(written(tmp_path, "a,b\n1,2\n"))
