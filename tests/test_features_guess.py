"""Guesses at unknown files: columns by name and value, dates, decimals, files of known tools."""

from pathlib import Path

import pytest

from features.guess import guess_columns, guess_date_format, guess_decimal_mark, guess_file
from features.report import DataError
from features.tables import ORDER_LINES

FIVE = ["customer_id", "ordered_at", "amount", "quantity", "unit_price"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("household_id,basket_id,transaction_timestamp,product_id,quantity,sales_value",
         ["customer_id", "order_id", "ordered_at", "product_id", "quantity", "amount"]),
        ("고객번호,주문번호,주문일시,상품코드,수량,결제금액",
         ["customer_id", "order_id", "ordered_at", "product_id", "quantity", "amount"]),
        ("Client,Date de commande,Montant", [None, "ordered_at", "amount"]),
        ("Customer Name,Order Date,Notes", [None, "ordered_at", None]),
        ("CUSTOMER-ID,Customer,Total,Amount", ["customer_id", None, None, "amount"]),
        ("Kundennr;Bestelldatum;Gesamtbetrag;Stück;Stückpreis", FIVE),
        ("Code client;Date d’achat;Montant total;Quantité;Prix de vente", FIVE),
        ("구매자;거래일자;총 결제금액;개수;판매가", FIVE),
        ("a,b,c", [None, None, None]),
    ],
)  # fmt: skip
def test_columns_are_guessed_by_what_shops_call_them(header: str, expected: list[str | None]) -> None:
    names = header.split(";" if ";" in header else ",")
    values = {name: ("1 Jan 2026 5",) for name in names}
    if names[0] == "Client":
        values["Client"] = ("",)
        expected = ["customer_id", *expected[1:]]
    found = guess_columns(names, values)
    assert [found.get(name) for name in names] == expected
    assert set(found.values()) <= set(ORDER_LINES.column_names)


def test_values_that_do_not_fit_are_not_taken() -> None:
    values = {"date": ("soon",), "total": ("free",), "email": ("a",)}
    assert guess_columns(list(values), values) == {}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["31/12/2026"], "%d/%m/%Y"),
        (["12/31/2026 23:59:59"], "%m/%d/%Y %H:%M:%S"),
        (["01/02/2026", "13/02/2026"], "%d/%m/%Y"),
        (["01.02.2026"], "%d.%m.%Y"),
        (["13/13/2026"], ""),
        (["31/12/2026", "2026-12-31"], ""),
        (["31/12/2026", "31.12.2026"], ""),
        ([], ""),
    ],
)
def test_the_order_of_dates(values: list[str], expected: str) -> None:
    assert guess_date_format(values) == expected


def test_decimals() -> None:
    assert guess_decimal_mark(["9,90", "3"]) == ","
    assert guess_decimal_mark(["9,90", "3.20"]) == "."
    assert guess_decimal_mark(["1,200"]) == "."
    assert guess_decimal_mark([]) == "."


def test_a_file_of_a_known_tool_is_named(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("Name,Email,Created at,Lineitem name\n#1,a@example.com,2026-01-02,Tea\n")
    guess = guess_file(path)
    assert (guess.format, guess.row_count) == ("shopify", 1)
    assert {column.guess for column in guess.columns} == {None}


def test_a_file_is_looked_at_whole_and_shown_in_part(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    rows = "".join(f"{n};{1 + n % 28:02d}/01/2026;{n},50\n" for n in range(100))
    path.write_text("Kunde;Datum;Betrag\n" + rows)
    guess = guess_file(path)
    assert (guess.format, guess.row_count) == ("csv", 100)
    assert (guess.date_format, guess.decimal_mark) == ("%d/%m/%Y", ",")
    assert [len(column.samples) for column in guess.columns] == [20, 20, 20]


def test_every_column_says_how_its_values_are_written(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    text = "Käufer;gekauft;bezahlt\nJürgen;31.12.2025;51,79\nAnna;1.2.2026;8,00\n"
    path.write_bytes(text.encode("cp1252"))
    guess = guess_file(path)
    assert guess.encoding == "cp1252"
    assert [(each.name, each.guess, each.date_format, each.decimal_mark) for each in guess.columns] == [
        ("Käufer", "customer_id", "", ""),
        ("gekauft", None, "%d.%m.%Y", ""),
        ("bezahlt", None, "", ","),
    ]


def test_nothing_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("")
    with pytest.raises(DataError, match="empty"):
        guess_file(path)
