"""The four canonical tables as a shop may deliver them: declared once, for every page and check.

A column's `kind` says how its cells are read (`features.parsing`) and which stored column it becomes
(`features.history.STORED_SCHEMAS`): money is stored as `<name>_minor`, instants keep their name.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "text", "instant", "date", "money", "quantity", "number", "flag"]

_JSON_TYPES: dict[str, dict[str, object]] = {
    "id": {"type": "string", "minLength": 1, "maxLength": 256},
    "text": {"type": "string"},
    "instant": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "money": {"type": ["number", "string"]},
    "quantity": {"type": ["number", "string"]},
    "number": {"type": "number"},
    "flag": {"type": "boolean"},
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a canonical table; `helper` columns are read at ingest and not stored themselves."""

    name: str
    kind: Kind
    meaning: str
    example: str
    required: bool = False
    unit: str = ""
    helper: bool = False

    @property
    def stored_name(self) -> str:
        """The column's name in the stored history."""
        return f"{self.name}_minor" if self.kind in ("money", "quantity") else self.name


@dataclass(frozen=True, slots=True)
class Table:
    """A canonical table: its name, what one row is, and its columns."""

    name: str
    row_meaning: str
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """Every column that a file may bring, helpers included."""
        return tuple(column.name for column in self.columns)

    @property
    def required_names(self) -> tuple[str, ...]:
        """The columns that a file must bring."""
        return tuple(column.name for column in self.columns if column.required)

    def column(self, name: str) -> Column:
        """Return a column by name; raises `KeyError`."""
        return {column.name: column for column in self.columns}[name]


_CURRENCY = "shop currency"

ORDER_LINES = Table(
    "order_lines",
    "one line of an order, or one line given back",
    (
        Column("customer_id", "id", "who bought; any text, kept byte for byte", "00123", required=True),
        Column(
            "ordered_at",
            "instant",
            "when; without an offset it is local time of the time zone set; a date alone is enough",
            "2026-11-22 15:05:00",
            required=True,
        ),
        Column(
            "amount",
            "money",
            "the line after discount, before tax and shipping; negative where given back",
            "19.90",
            required=True,
            unit=_CURRENCY,
        ),
        Column(
            "order_id",
            "id",
            "lines that share it are one order; without it, one customer's lines at one instant are",
            "A-1001",
        ),
        Column("line_id", "id", "names a line within its order; without it, lines are numbered", "1"),
        Column("product_id", "id", "what was bought; without it there are no recommendations", "85123A"),
        Column(
            "quantity", "quantity", "how many (or how much); negative where given back", "2", unit="pieces"
        ),
        Column(
            "discount", "money", "what the line was reduced by, a positive number", "2.10", unit=_CURRENCY
        ),
        Column("coupon", "text", "the coupon or discount code used", "WELCOME10"),
        Column("channel", "text", "where it was bought", "web"),
        Column(
            "is_return", "flag", "whether the line was given back; without it, negative lines are", "false"
        ),
        Column(
            "unit_price",
            "money",
            "price of one piece; `amount` becomes unit_price × quantity where there is no amount",
            "9.95",
            unit=_CURRENCY,
            helper=True,
        ),
        Column("currency", "text", "ISO 4217 code; one a data set, checked", "EUR", helper=True),
        Column(
            "email",
            "text",
            "the key where there is no customer_id; only its keyed hash is stored",
            "ann@example.com",
            helper=True,
        ),
        Column(
            "phone",
            "text",
            "the key where there is neither customer_id nor email",
            "+442000012423",
            helper=True,
        ),
    ),
)
PRODUCTS = Table(
    "products",
    "one product",
    (
        Column("product_id", "id", "the product; any text, kept byte for byte", "85123A", required=True),
        Column("name", "text", "what it is called", "White hanging heart"),
        Column("category", "text", "the larger group", "Home"),
        Column("subcategory", "text", "things that serve the same need", "Candle holders"),
        Column("brand", "text", "brand or maker", "Regulars"),
        Column("list_price", "money", "price before discounts", "9.95", unit=_CURRENCY),
        Column("unit_cost", "money", "what one piece costs the shop", "4.10", unit=_CURRENCY),
        Column("in_stock", "flag", "whether it can be bought now", "true"),
        Column("url", "text", "product page", "https://shop.example/p/85123A"),
        Column("image_url", "text", "picture", "https://shop.example/p/85123A.jpg"),
        Column("launched_on", "date", "first day on sale", "2026-01-31"),
    ),
)
CUSTOMERS = Table(
    "customers",
    "one customer; never a name, an e-mail address or a phone number",
    (
        Column("customer_id", "id", "the customer, as in order_lines", "00123", required=True),
        Column("acquired_at", "instant", "when the customer was won", "2025-03-01 10:00:00"),
        Column("acquisition_channel", "text", "how", "newsletter"),
        Column("acquisition_cost", "money", "what that cost", "12.00", unit=_CURRENCY),
        Column("country", "text", "country of the customer", "GB"),
        Column("email_consent", "flag", "whether e-mails are allowed; empty is unknown", "true"),
    ),
)
EVENTS = Table(
    "events",
    "one thing that a customer did, or that was done to them",
    (
        Column("customer_id", "id", "the customer, as in order_lines", "00123", required=True),
        Column("event_type", "text", "what happened", "product_viewed", required=True),
        Column("occurred_at", "instant", "when", "2026-11-22 15:05:00", required=True),
        Column("product_id", "id", "the product it was about", "85123A"),
        Column("value", "number", "a figure that belongs to it: a rating, a count", "4"),
        Column("campaign_id", "id", "the campaign it was about", "spring-26"),
    ),
)
TABLES: dict[str, Table] = {table.name: table for table in (ORDER_LINES, PRODUCTS, CUSTOMERS, EVENTS)}


def json_schema(table: Table) -> dict[str, object]:
    """Return the JSON Schema (2020-12) of one row of a table; other columns are allowed and ignored."""
    properties = {
        column.name: _JSON_TYPES[column.kind] | {"description": column.meaning, "examples": [column.example]}
        for column in table.columns
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": table.name,
        "description": table.row_meaning,
        "type": "object",
        "properties": properties,
        "required": list(table.required_names),
        "additionalProperties": True,
    }


def sample_csv(table: Table) -> str:
    """Return a CSV file of one made-up row with every stored column of a table."""
    columns = [column for column in table.columns if not column.helper]
    return ",".join(c.name for c in columns) + "\n" + ",".join(c.example for c in columns) + "\n"


def markdown_section(table: Table) -> str:
    """Return a table's section of `docs/data.md`, generated from the declaration."""
    head = f"## `{table.name}`\n\nOne row is {table.row_meaning}.\n\n"
    head += "| column | kind | required | unit | meaning | example |\n|---|---|---|---|---|---|\n"
    return head + "".join(
        f"| `{c.name}` | {c.kind} | {_yes(c.required)} | {c.unit} | {c.meaning} | `{c.example}` |\n"
        for c in table.columns
    )


def _yes(flag: bool) -> str:
    return "yes" if flag else ""


def text_table(table: Table) -> str:
    """Return a table's columns as aligned text for a terminal."""
    rows = [("column", "kind", "required", "unit", "example", "meaning")]
    rows += [(c.name, c.kind, _yes(c.required), c.unit, c.example, c.meaning) for c in table.columns]
    widths = [max(len(row[index]) for row in rows) for index in range(5)]
    lines = [
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[5]]) for row in rows
    ]
    return f"{table.name}: {table.row_meaning}\n\n" + "\n".join(line.rstrip() for line in lines) + "\n"
