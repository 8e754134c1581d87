"""The command: what a user sees for good and bad input, and that nothing half-written stays."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter
from ingest_runs import HEAD, THREE, Ingest, names

from features import ingest
from features.history import History
from features.layout import Layout
from features.sources import Request

IDS = ["00123", "NA", "null", "=1+1", " a", "a/b", "김철수", "\u00e9", "e\u0301"]


def test_three_columns_are_enough(run: Ingest, saved: Callable[..., Path]) -> None:
    done = run("--file", saved(THREE))
    assert done.code == 0
    assert "3 rows read, 3 lines accepted" in done.out
    assert "orders: 3 new, 0 changed, 0 unchanged" in done.out
    assert done.history.manifest.currency == "XXX"
    advised = [found["column"] for found in done.report["findings"] if found["name"] == "absent_column"]  # type: ignore[attr-defined]
    assert advised == ["product_id", "quantity", "discount"]


def test_the_same_file_again_changes_nothing(run: Ingest, saved: Callable[..., Path]) -> None:
    path = saved(THREE)
    first = run("--file", path).history.manifest
    again = run("--file", path)
    assert "unchanged" in again.out.splitlines()[0]
    assert "0 new, 0 changed, 3 unchanged" in again.out
    assert again.history.manifest == first


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
def test_ids_survive_from_file_to_history(run: Ingest, tmp_path: Path, kind: str) -> None:
    orders = pl.DataFrame(
        {"customer_id": IDS, "ordered_at": ["2026-01-05"] * len(IDS), "amount": ["1"] * len(IDS)}
    )
    path = tmp_path / f"orders.{kind}"
    if kind == "csv":
        orders.write_csv(path)
    elif kind == "parquet":
        orders.write_parquet(path)
    else:
        with xlsxwriter.Workbook(path, {"strings_to_formulas": False}) as book:
            sheet = book.add_worksheet()
            for row, cells in enumerate([tuple(orders.columns), *orders.rows()]):
                sheet.write_row(row, 0, cells)
    stored = run("--file", path).history.read("order_lines")["customer_id"]
    assert sorted(text.encode() for text in stored) == sorted(text.encode() for text in IDS)


KOREAN = """주문번호,고객번호,주문일시,결제금액,상품
1,김철수,2026.11.20 오후 3:05,"1,234,000원",A
1,김철수,2026.11.20 오후 3:05,"6,000원",B
"""
KOREAN_MAPPING = """
time_zone = "Asia/Seoul"
[columns]
"주문번호" = "order_id"
"고객번호" = "customer_id"
"주문일시" = "ordered_at"
"결제금액" = "amount"
"상품" = "product_id"
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
def test_a_korean_export_with_a_mapping(run: Ingest, saved: Callable[..., Path], encoding: str) -> None:
    done = run("--file", saved(KOREAN.encode(encoding)), "--mapping", saved(KOREAN_MAPPING, "mapping.toml"))
    lines = done.history.read("order_lines")
    assert done.history.manifest.currency == "KRW"
    assert lines["amount_minor"].sum() == 1_240_000 * 10_000
    assert lines["ordered_at"].unique().to_list() == [datetime(2026, 11, 20, 6, 5, tzinfo=UTC)]
    assert lines["customer_id"].unique().to_list() == ["김철수"]


def test_price_times_quantity_and_a_return_column(run: Ingest, saved: Callable[..., Path]) -> None:
    text = "kunde;datum;preis;menge;status\nc;22.11.2025;1.234,50;2;ok\nc;23.11.2025;10,00;1;Retoure\n"
    mapping = """
    date_format = "%d.%m.%Y"
    decimal_mark = ","
    currency = "EUR"
    columns = { kunde = "customer_id", datum = "ordered_at", preis = "unit_price", menge = "quantity" }
    returns = { rule = "column", column = "status", values = ["Retoure"] }
    """
    lines = run("--file", saved(text), "--mapping", saved(mapping, "m.toml")).history.read("order_lines")
    assert lines.select("order_id", "amount_minor", "quantity_minor", "is_return").rows() == [
        ("c@2025-11-22", 24_690_000, 2_000, False),
        ("c@2025-11-23", -100_000, -1_000, True),
    ]


BAD = {
    "empty": (b"", ["empty_file"]),
    "header only": (HEAD, ["no_lines"]),
    "missing column": ("customer_id,when\nc,2026-01-01\n", ["missing_column", "missing_column"]),
    "unreadable dates": (HEAD + "c,soon,1\nc,later,2\n", ["unreadable_date"]),
    "unreadable dates and amounts": (
        HEAD + "c,soon,one\nc,later,two\n",
        ["unreadable_amount", "unreadable_date"],
    ),
    "day or month first": (HEAD + "c,01/02/2026,1\n", ["ambiguous_dates"]),
    "epochs": (HEAD + "c,1700000000,1\n", ["unreadable_date"]),
    "decimal commas": (HEAD + 'c,2026-01-01,"1,50"\n', ["unreadable_amount"]),
    "mixed currencies": (
        "customer_id,ordered_at,amount,currency\nc,2026-01-01,1,EUR\nd,2026-01-01,1,usd\n",
        ["mixed_currencies"],
    ),
    "mixed signs": (HEAD + "c,2026-01-01,€1\nd,2026-01-01,£1\n", ["mixed_currencies"]),
    "all in the future": (HEAD + "c,2999-01-01,1\n", ["no_lines"]),
    "no customer": (HEAD + ",2026-01-01,1\n", ["no_lines"]),
    "NUL bytes": (HEAD + "c\0,2026-01-01,1\n", ["nul_bytes"]),
    "binary": (b"PAR1\x00\x01\x02", ["not_text"]),
    "ragged": (HEAD + "c,2026-01-01\n", ["ragged_rows"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_in_one_clear_error_and_leaves_the_history(
    run: Ingest, saved: Callable[..., Path], case: str
) -> None:
    content, expected = BAD[case]
    good = run("--file", saved(THREE, "good.csv"))
    before = good.history.manifest
    done = run("--file", saved(content))
    assert done.code == 2
    assert done.err.splitlines()[-1 - (len(expected) if len(expected) > 1 else 0)].startswith(
        "error: orders.csv"
    )
    assert "Traceback" not in done.err
    assert sorted(names(done, "error")) == sorted(expected)
    assert done.report["outcome"] == "refused"
    assert done.history.manifest == before
    assert [path.name for path in sorted((done.var / "history").iterdir())] == ["g000001", "manifest.json"]


@pytest.mark.parametrize(
    "words",
    [
        ["--file", "none.csv"],
        ["--file", "."],
        [],
        ["--format", "complete-journey", "--file", "x"],
        ["--file", "x", "--format", "fax"],
    ],
)
def test_wrong_options_are_one_line(run: Ingest, words: list[str]) -> None:
    done = run(*words)
    assert done.code == 2
    assert "Traceback" not in done.err
    assert not (done.var / "history").exists()


def test_a_place_that_cannot_be_written_is_one_line(
    run: Ingest, saved: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = run("--file", saved(THREE), "--var", saved("a file", "taken"))
    assert (taken.code, taken.err.startswith("error: cannot write under")) == (2, True)
    before = run("--file", saved(THREE)).history.manifest

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    done = run("--file", saved(THREE.replace("20.5", "21")))
    assert done.code == 2
    assert "No space left on device" in done.err
    assert "Traceback" not in done.err
    assert done.history.manifest == before


@pytest.mark.parametrize("chosen", ["parquet", "xlsx", "shopify", "woocommerce", "online-retail"])
def test_the_wrong_format_is_named(run: Ingest, saved: Callable[..., Path], chosen: str) -> None:
    done = run("--file", saved(THREE), "--format", chosen)
    assert done.code == 2
    assert "check FORMAT" in done.err


def test_a_native_export_given_as_csv_is_recognised(run: Ingest, saved: Callable[..., Path]) -> None:
    done = run("--file", saved("Name,Email,Created at,Lineitem name\n#1,a@b.de,2026-01-01,Pen\n"))
    assert "this looks like FORMAT=shopify" in done.err


def test_people_are_hashed_and_kept_apart(run: Ingest, saved: Callable[..., Path]) -> None:
    text = """email,phone,ordered_at,amount
Ann@Example.com,,2026-01-01,1
,+49123456,2026-01-01,2
ann@example.com,,2026-01-03,3
"""
    done = run("--file", saved(text))
    assert done.history.read("order_lines")["customer_id"].n_unique() == 2
    stored = b"".join(path.read_bytes() for path in (done.var / "history").rglob("*") if path.is_file())
    assert b"example.com" not in stored
    assert "example.com" not in done.out + json.dumps(done.report)
    assert pl.read_parquet(done.var / "private/identities.parquet")["email"].drop_nulls().to_list() == [
        "ann@example.com"
    ]


def test_companion_tables_with_and_without_orders(run: Ingest, saved: Callable[..., Path]) -> None:
    products = saved("product_id,name,list_price,launched_on\n01,Pen,1.50,2026-01-31\n", "products.csv")
    customers = saved("customer_id,country,email_consent\nc1,DE,yes\n,FR,no\n", "customers.csv")
    events = saved("customer_id,event_type,occurred_at,value\nc1,product_viewed,2026-01-01,4\n", "events.csv")
    run("--file", saved(THREE), "--products", products)
    done = run("--customers", customers, "--events", events)
    assert done.code == 0
    assert done.history.read("products").select("product_id", "list_price_minor").rows() == [("01", 15_000)]
    assert done.history.read("customers").select("customer_id", "country", "email_consent").rows() == [
        ("c1", "DE", True)
    ]
    assert done.history.read("events").select("event_type", "value").rows() == [("product_viewed", 4.0)]
    assert done.history.manifest.row_counts["order_lines"] == 3
    assert names(done, "warning") == ["incomplete_rows"]


@pytest.mark.parametrize("words", [[], ["--json"], ["--sample"], ["--table", "products"]])
def test_schema_is_printed(run: Ingest, words: list[str]) -> None:
    done = run("schema", *words)
    assert done.code == 0
    assert "product_id" in done.out
    assert not done.var.exists()


def test_the_sample_loads_as_it_is_printed(run: Ingest, saved: Callable[..., Path]) -> None:
    assert run("--file", saved(run("schema", "--sample").out)).code == 0


def test_an_unknown_table_is_one_line(run: Ingest) -> None:
    done = run("schema", "--table", "coupons")
    assert (done.code, done.err) == (
        2,
        "error: there is no table 'coupons'; choose from order_lines, products, customers, events\n",
    )


def test_two_loads_at_once_cannot_meet(tmp_path: Path, saved: Callable[..., Path]) -> None:
    layout = Layout(tmp_path / "var")
    request = Request(files=(saved(THREE),))
    with ingest.only_one(layout), pytest.raises(ingest.IngestError, match="another load"):
        ingest.load(request, layout=layout)
    assert ingest.load(request, layout=layout).outcome == "loaded"


@pytest.mark.parametrize("delay_seconds", [0.0, 0.1])
def test_a_killed_load_leaves_a_whole_history(
    tmp_path: Path, saved: Callable[..., Path], delay_seconds: float
) -> None:
    """Kill -9 some time after writing began: the history is the old or the new one, and loads again."""
    layout = Layout(tmp_path / "var")
    before = ingest.load(Request(files=(saved(THREE),)), layout=layout).history
    rows = "".join(f"c{n % 5000},2026-{1 + n % 9:02d}-{1 + n % 28:02d},{n % 90}\n" for n in range(60_000))
    big = saved(HEAD + rows, "big.csv")
    command = [sys.executable, "-m", "features.ingest", "--file", str(big), "--var", str(layout.root)]
    child = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"REGULARS_PEPPER": "p"},
    )
    while child.poll() is None and not (layout.history / "g000002").exists():
        time.sleep(0.002)
    time.sleep(delay_seconds)
    child.send_signal(signal.SIGKILL)
    child.wait()
    history = History.open(layout.history)
    count = history.read("order_lines").height
    assert history.manifest.data_hash == before["data_hash"] or count == 60_000
    assert ingest.load(Request(files=(big,)), layout=layout).history["lines"] == 60_000
