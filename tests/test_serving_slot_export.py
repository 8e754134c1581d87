"""The wide CSV: one row a customer, six columns an item, equal to what the API answers for each."""

import csv
import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from serving_runs import NASTY_IDS, publish
from slot_shop import CUSTOMERS, SlotShop, make_slot_shop
from starlette.testclient import TestClient
from test_serving_api import open_client

from serving.exports.csv_lines import CHUNK_ROWS
from serving.offers.slot_columns import ITEM_COLUMNS, ITEMS_MAX, item_header

URL = "/v1/recommendations/export.csv"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> SlotShop:
    return make_slot_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def client(shop: SlotShop) -> Iterator[TestClient]:
    with open_client(shop.var) as opened:
        yield opened


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Two items, thirty odd ids and more customers than one chunk holds."""
    var = tmp_path_factory.mktemp("var")
    publish(var, (*NASTY_IDS, *(f"c{number}" for number in range(2 * CHUNK_ROWS))))
    with open_client(var) as opened:
        yield opened


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def wide(places: list[dict[str, Any]], count: int) -> dict[str, str]:
    """Return the cells of a list as the API answers it with `include=product`."""
    cells = dict.fromkeys(item_header(count), "")
    for number, place in enumerate(places, start=1):
        shown = {**place["product"], "product_id": place["product_id"], "reason": place["reason"]["text"]}
        for name in ITEM_COLUMNS:
            cells[f"item{number}_{name}"] = "" if shown[name] is None else str(shown[name])
    return cells


@pytest.mark.parametrize("kind", ["for_you", "buy_again", "cross_sell", "upsell", "popular"])
@pytest.mark.parametrize(
    "query", ["", "&bought_within_days=30", f"&filter={quote('price < 20')}&exclude=p01"]
)
def test_the_file_says_what_the_api_says(client: TestClient, kind: str, query: str) -> None:
    rows = read(client.get(f"{URL}?kind={kind}&items=5{query}").content)
    assert [row["customer_id"] for row in rows] == list(CUSTOMERS)
    for row in rows:
        url = f"/v1/customers/{row['customer_id']}/recommendations?kind={kind}&limit=5&include=product{query}"
        places = client.get(url).json()["lists"].get(kind, [])
        assert row == {"customer_id": row["customer_id"], **wide(places, 5)}


def test_the_columns_are_those_of_a_mail_template(nasty: TestClient) -> None:
    answer = nasty.get(URL)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    name = 'attachment; filename="recommendations-for_you-2026-11-22.csv"'
    assert answer.headers["content-disposition"] == name
    assert answer.headers["cache-control"] == "no-store"
    header, first = answer.content.split(b"\r\n")[:2]
    assert header.startswith(
        b"customer_id,item1_product_id,item1_name,item1_price,item1_url,item1_image_url,item1_reason,item2_"
    )
    assert header.endswith(b",item4_image_url,item4_reason")
    assert first == b"00123,00007,Mug,,,,bought 3 times before,p/0,=Tea,4.5,,,goes with Mug" + b"," * 12


def test_every_customer_is_there_once_byte_for_byte(nasty: TestClient) -> None:
    ids = [row["customer_id"] for row in read(nasty.get(f"{URL}?items=1").content)]
    assert ids == [*NASTY_IDS, *(f"c{number}" for number in range(2 * CHUNK_ROWS))]


def test_excel_gets_a_mark_and_no_formula(nasty: TestClient) -> None:
    content = nasty.get(f"{URL}?format=excel&items=2").content
    assert content.startswith(b"\xef\xbb\xbfcustomer_id,")
    row = read(content)[0]
    assert (row["customer_id"], row["item1_product_id"], row["item2_name"]) == (
        '="00123"',
        '="00007"',
        "'=Tea",
    )


@pytest.mark.parametrize(
    "query",
    ["items=0", f"items={ITEMS_MAX + 1}", "items=x", "kind=x", "format=pdf", "filter=", "filter=price"],
)
def test_a_malformed_export_is_refused_before_its_first_byte(nasty: TestClient, query: str) -> None:
    answer = nasty.get(f"{URL}?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_audience_takes_the_same_columns_behind_its_own(client: TestClient) -> None:
    url = "/v1/audiences/at-risk/export.csv"
    plain, rows = read(client.get(url).content), read(client.get(f"{url}?items=2").content)
    lists = {row["customer_id"]: row for row in read(client.get(f"{URL}?items=2").content)}
    assert len(rows) == 4
    assert list(rows[0]) == [*plain[0], *item_header(2)]
    for before, row in zip(plain, rows, strict=True):
        assert {name: row[name] for name in before} == before
        assert {name: row[name] for name in item_header(2)}.items() <= lists[row["customer_id"]].items()
        assert row["item1_product_id"] == row["top_recommendation"]
    assert client.get(f"{url}?items={ITEMS_MAX + 1}").status_code == 422
