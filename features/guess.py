"""Guesses at how an unknown order file is laid out, for a person to look at before it is loaded.

    python -m features.guess orders.csv        prints them as JSON

A column is guessed by its name: what shops and their tools call it, in English, Korean, German, French and
Spanish. A guess is only taken where the values fit it, and each canonical column is guessed once. What a file
of a known tool looks like (`features.sources.NATIVE_FORMATS`) is said by its format.
"""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final
from unicodedata import combining, normalize

import polars as pl
import typer

from features.console import run_command
from features.errors import UserError
from features.importers.tabular import NATIVE_SIGNS
from features.readers import ROW
from features.sources import read_rows

SAMPLE_ROWS: Final = 20
_DISTINCT_MAX: Final = 10_000
_LOOKED_AT: Final = 100_000
_MONTHS: Final = 12
_DAY_OR_MONTH_FIRST: Final = re.compile(
    r"(?P<first>\d{1,2})(?P<sign>[./-])(?P<second>\d{1,2})(?P=sign)\d{4}(?P<time> \d{1,2}:\d{2}(:\d{2})?)?"
)
_COMMA_CENTS: Final = re.compile(r"\d,\d{1,2}$")
_POINT_CENTS: Final = re.compile(r"\d\.\d{1,2}$")
_NUMBER: Final = re.compile(r"[^\d.,+-]")
_NAMES: Final[dict[str, str]] = {
    "customer_id": (
        "customer id, customer, customer no, customer number, client id, client, user id, user, "
        "member id, member no, household id, buyer id, account id, contact id, shopper id, 고객번호, "
        "고객id, 고객 id, 고객, 회원번호, 회원id, 회원 id, 구매자, 구매자id, kundennummer, kundennr, "
        "kunden id, kunde, kundin, kaufer, kaeufer, numero client, id client, code client, "
        "identifiant client, id cliente, cliente"
    ),
    "ordered_at": (
        "ordered at, order date, order datetime, order time, date, datetime, timestamp, created at, "
        "created, purchase date, purchased at, invoice date, transaction date, transaction timestamp, "
        "paid at, event time, 주문일시, 주문일, 주문일자, 주문날짜, 결제일, 결제일시, 구매일, 날짜, "
        "구매일시, 구매일자, 결제일자, 판매일, 판매일자, 거래일, 거래일자, 거래일시, 일자, bestelldatum, "
        "kaufdatum, auftragsdatum, rechnungsdatum, belegdatum, datum, date commande, date de commande, "
        "date achat, date d achat, date vente, date de facture, fecha, fecha pedido"
    ),
    "amount": (
        "amount, line amount, line total, total, total price, sales value, sales, revenue, net amount, "
        "order total, order amount, value, subtotal, paid amount, price paid, 금액, 결제금액, "
        "주문금액, 판매금액, 구매금액, 매출, 매출액, 합계, 합계금액, 총액, 총금액, 총결제금액, 실결제금액, "
        "주문총액, 결제액, 구매액, 판매액, betrag, summe, umsatz, gesamtbetrag, gesamtpreis, gesamtsumme, "
        "gesamt, positionsbetrag, zeilenbetrag, bestellwert, bestellsumme, rechnungsbetrag, "
        "bruttobetrag, nettobetrag, warenwert, endbetrag, montant, montant total, montant ttc, montant ht, "
        "prix total, total ttc, total ht, chiffre d affaires, importe, importe total, precio total, "
        "total pedido"
    ),
    "order_id": (
        "order id, order no, order number, order, invoice, invoice no, invoice number, basket id, "
        "transaction id, receipt id, receipt no, purchase id, 주문번호, 주문id, 주문 id, 영수증번호, "
        "bestellnummer, bestellnr, bestell id, auftragsnummer, auftragsnr, rechnungsnummer, rechnungsnr, "
        "belegnummer, numero commande, numero de commande, id commande, commande, numero facture, pedido"
    ),
    "line_id": "line id, line no, line number, order line id, item line",
    "product_id": (
        "product id, sku, product, product code, item id, item, item code, stock code, stockcode, "
        "article, article number, article id, variant id, 상품번호, 상품코드, 상품id, 상품 id, 품번, "
        "artikelnummer, artikelnr, artikel id, artikel, produktnummer, produkt id, produkt, reference, "
        "code produit, id produit, code article, produit, referencia, producto"
    ),
    "quantity": (
        "quantity, qty, units, pieces, count, item quantity, 수량, 주문수량, 구매수량, 판매수량, 개수, "
        "menge, anzahl, stuck, stueck, stuckzahl, stueckzahl, quantite, qte, nombre, cantidad"
    ),
    "unit_price": (
        "unit price, price, item price, price per unit, 단가, 판매단가, 판매가, 판매가격, 상품가격, 가격, "
        "preis, einzelpreis, stuckpreis, stueckpreis, verkaufspreis, preis pro stuck, prix, prix unitaire, "
        "prix unitaire ttc, prix unitaire ht, prix de vente, precio, precio unitario"
    ),
    "discount": "discount, discount amount, 할인, 할인금액, rabatt, remise, descuento",
    "coupon": "coupon, coupon code, discount code, promo code, voucher, 쿠폰, 쿠폰코드, gutschein",
    "channel": "channel, sales channel, source, 주문경로, 판매채널, kanal, canal",
    "currency": "currency, currency code, 통화, wahrung, waehrung, devise, moneda",
    "email": "email, e mail, email address, customer email, 이메일, 이메일주소, correo",
    "phone": "phone, phone number, mobile, telephone, 전화번호, 휴대폰, 휴대폰번호, telefon",
    "is_return": "is return, return, returned, refunded, 반품, 반품여부, retoure",
}
"""What a canonical column is called, the likeliest name first, set apart by commas."""
_NUMERIC: Final = frozenset({"amount", "quantity", "unit_price", "discount"})


@dataclass(frozen=True, slots=True)
class GuessedColumn:
    """A column of a file: its first values as text, and the canonical column that it seems to be.

    `date_format` and `decimal_mark` are how its values are written if it holds dates or numbers; "" where
    that is not sure.
    """

    name: str
    samples: tuple[str, ...]
    guess: str | None
    date_format: str = ""
    decimal_mark: str = ""


@dataclass(frozen=True, slots=True)
class Guess:
    """What a file seems to be; `format` is one of `features.sources.Format`.

    `date_format` is "" where dates say it themselves (year first), or where they do not give it away.
    `encoding` is "" where the readers detect it.
    """

    format: str
    encoding: str
    row_count: int
    date_format: str
    decimal_mark: str
    columns: tuple[GuessedColumn, ...]


class GuessError(UserError):
    """A file holds nothing to look at."""


def guess_file(path: Path) -> Guess:
    """Return what an order file seems to be; raises `DataError` for one that cannot be read."""
    layout, encoding, rows = read_rows(path)
    rows = rows.drop(ROW, strict=False)
    if not rows.width:
        raise GuessError(f"{path.name} has no columns")
    names = rows.columns
    native = next((name for name, signs in NATIVE_SIGNS.items() if signs <= set(names)), None)
    samples = {name: _samples(rows[name]) for name in names}
    guesses = {} if native else guess_columns(names, samples)
    columns = tuple(_guessed(rows[name], samples[name], guesses.get(name)) for name in names)
    date_format = next((each.date_format for each in columns if each.guess == "ordered_at"), "")
    marks = {each.decimal_mark for each in columns if each.guess in _NUMERIC}
    mark = "," if "," in marks and "." not in marks else "."
    return Guess(native or layout, encoding or "", rows.height, date_format, mark, columns)


def _guessed(values: pl.Series, samples: tuple[str, ...], guess: str | None) -> GuessedColumn:
    """Return a column with how its dates or numbers are written; one that is not known is looked into."""
    distinct = _distinct(values if guess else values.head(_LOOKED_AT))
    has_cents = any(_COMMA_CENTS.search(value) or _POINT_CENTS.search(value) for value in distinct)
    mark = guess_decimal_mark(distinct) if has_cents else ""
    return GuessedColumn(values.name, samples, guess, guess_date_format(distinct), mark)


def guess_columns(names: Sequence[str], samples: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Return source → canonical column, each canonical one at most once, the closest name first.

    >>> guess_columns(["Kunde", "Datum"], {"Kunde": ("7",), "Datum": ("1.2.2026",)})
    {'Kunde': 'customer_id', 'Datum': 'ordered_at'}
    """
    plain = {name: _plain(name) for name in names}
    found: dict[str, str] = {}
    for canonical, aliases in _NAMES.items():
        ranked = {_plain(alias): rank for rank, alias in enumerate((canonical, *aliases.split(",")))}
        fitting = [
            name
            for name in names
            if plain[name] in ranked and name not in found and _fits(canonical, samples[name])
        ]
        if fitting:
            found[min(fitting, key=lambda name: ranked[plain[name]])] = canonical
    return found


def guess_date_format(values: Sequence[str]) -> str:
    """Return how dates are written where day or month comes first; "" where that is not sure.

    >>> guess_date_format(["01.02.2026 10:30"]), guess_date_format(["2/13/2026", "1/2/2026"])
    ('%d.%m.%Y %H:%M', '%m/%d/%Y')
    >>> guess_date_format(["1/2/2026"]), guess_date_format(["2026-01-02"])
    ('', '')
    """
    found = [_DAY_OR_MONTH_FIRST.fullmatch(value.strip()) for value in values if value.strip()]
    matches = [each for each in found if each]
    if not matches or len(matches) < len(found):
        return ""
    signs, times = {each["sign"] for each in matches}, {each["time"] or "" for each in matches}
    firsts, seconds = ({int(each[name]) for each in matches} for name in ("first", "second"))
    if len(signs) > 1 or len({text.count(":") for text in times}) > 1:
        return ""
    sign, clock = signs.pop(), {0: "", 1: " %H:%M", 2: " %H:%M:%S"}[times.pop().count(":")]
    if max(seconds) > _MONTHS >= max(firsts):
        return f"%m{sign}%d{sign}%Y{clock}"
    # With a dot the day comes first wherever dates are written so.
    is_day_first = max(firsts) > _MONTHS >= max(seconds) or (sign == "." and max(seconds) <= _MONTHS)
    return f"%d{sign}%m{sign}%Y{clock}" if is_day_first else ""


def guess_decimal_mark(values: Sequence[str]) -> str:
    """Return the sign before the cents: a comma where no number speaks for the point.

    >>> guess_decimal_mark(["9,90", "1.200,00"]), guess_decimal_mark(["1,200.00", "9"])
    (',', '.')
    """
    has_comma = any(_COMMA_CENTS.search(value) for value in values)
    return "," if has_comma and not any(_POINT_CENTS.search(value) for value in values) else "."


def _distinct(values: pl.Series) -> list[str]:
    texts = values.cast(pl.String, strict=False).drop_nulls().unique(maintain_order=True)
    return texts.head(_DISTINCT_MAX).to_list()


def _fits(canonical: str, values: Sequence[str]) -> bool:
    """Say whether values could be of a canonical column; those of texts always could."""
    known = [value for value in values if value]
    if not known:
        return True
    if canonical in _NUMERIC:
        return all(any(each.isdigit() for each in _NUMBER.sub("", value)) for value in known)
    if canonical == "ordered_at":
        return all(sum(each.isdigit() for each in value) >= 4 for value in known)
    if canonical == "email":
        return all("@" in value for value in known)
    return True


def _plain(name: str) -> str:
    """Return a name without case, accents, signs and spaces.

    >>> _plain(" Customer_ID"), _plain("Quantité"), _plain("주문 번호")
    ('customerid', 'quantite', '주문번호')
    """
    bare = "".join(each for each in normalize("NFKD", name.casefold()) if not combining(each))
    return "".join(each for each in normalize("NFC", bare) if each.isalnum())


def _samples(values: pl.Series) -> tuple[str, ...]:
    shown = values.head(SAMPLE_ROWS).cast(pl.String, strict=False).fill_null("")
    return tuple(value[:80] for value in shown.to_list())


def _command(*, file: Annotated[Path, typer.Argument(help="an order file")]) -> None:
    """Print what an order file seems to be, as JSON."""
    sys.stdout.write(json.dumps(asdict(guess_file(file)), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    run_command(_command)
