"""The filter language: what it means on real rows, and that nothing odd gets through or gets slow."""

import sqlite3
import sys
import warnings
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slot_shop import SlotShop, make_slot_shop
from starlette.testclient import TestClient
from test_serving_api import open_client

from features.item_filter import ATTRIBUTES, FilterError, compile_filter
from serving.schemas import Problem, Recommendations
from serving.sqlite_run import SCHEMA

ROWS = (
    # product_id, name, category, subcategory, brand, price, in_stock
    ("a", "Green tea", "Tea", "Green", "Acme", 4.5, 1),
    ("b", 'Mug\'s "best"', "Mugs", None, None, 20.0, 0),
    ("c", None, None, None, "acme", None, None),
    ("d", "100% _wool", "O'Neil", "Green", "🙂", 19.99, 1),
)


@pytest.fixture(scope="module")
def items() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    names = ", ".join(ATTRIBUTES)
    rows = [(number, 0, *row) for number, row in enumerate(ROWS)]
    connection.executemany(
        f"INSERT INTO items (item_no, recent_customer_count, {names}) VALUES (?,?,?,?,?,?,?,?,?)",  # noqa: S608
        rows,
    )
    return connection


@pytest.mark.parametrize(
    ("text", "passing"),
    [
        ("in_stock", "ad"),
        ("not in_stock", "bc"),
        ("in_stock == false", "b"),
        ("in_stock != false", "acd"),
        ("in_stock is null", "c"),
        ("price < 20", "ad"),
        ("not price < 20", "bc"),
        ("price <= 20.0", "abd"),
        ("20 > price", "ad"),
        ("4.5 <= price < 20", "ad"),
        ("price == 4.50", "a"),
        ("price != 20", "acd"),
        ("price is null", "c"),
        ("price is not null and price > -1", "abd"),
        ("price == null", "c"),
        ("price != null", "abd"),
        ('brand == "Acme"', "a"),
        ("brand != 'Acme'", "bcd"),
        ('brand in ["Acme", "acme"]', "ac"),
        ('brand not in ["Acme", "acme"]', "bd"),
        ("brand in []", ""),
        ("brand not in ()", "abcd"),
        ('brand == "🙂"', "d"),
        ("category == \"O'Neil\" or name == 'Mug\\'s \"best\"'", "bd"),
        ('name == "100% _wool"', "d"),
        ('name == "%"', ""),
        ('name == "_"', ""),
        ('category < "O"', "b"),
        ('product_id == "a" or product_id == "b" and in_stock', "a"),
        ('(product_id == "a" or product_id == "b") and in_stock', "a"),
        ('not (product_id == "a" or in_stock)', "bc"),
        ("in_stock and price < 5 and subcategory == 'Green'", "a"),
        ("  in_stock  and price<5  ", "a"),
        ("((((in_stock))))", "ad"),
        ("price < 1e300", "abd"),
        ('name == "\\x00"', ""),
    ],
)
def test_what_a_filter_means(items: sqlite3.Connection, text: str, passing: str) -> None:
    condition = compile_filter(text)
    query = f"SELECT product_id FROM items WHERE {condition.sql} ORDER BY product_id"  # noqa: S608
    assert "".join(row[0] for row in items.execute(query, condition.values)) == passing


NASTY_FILTERS = (
    ("", "empty"),
    ("   ", "empty"),
    ("x" * 1001, "too_long"),
    ("x" * 257, "attribute"),
    ("'", "syntax"),
    ('"', "syntax"),
    ("%", "syntax"),
    ("_", "attribute"),
    ("🙂", "syntax"),
    ("\u202eabc", "syntax"),
    ("\0", "syntax"),
    ("price\0 < 1", "syntax"),
    ("(" * 150 + "in_stock", "syntax"),
    ("(" * 499 + ")" * 499, "syntax"),
    ("not " * 240 + "in_stock", "too_deep"),
    ("not (" * 90 + "in_stock" + ")" * 90, "too_deep"),
    ("in_stock or " * 40 + "in_stock", "too_many"),
    ("price < " + "9" * 900, "value"),
    ("price < 1e400", "value"),
    ("price < -1e400", "value"),
    ("price < NaN", "value"),
    ("price < nan", "value"),
    ("price < 1j", "value"),
    ("price < " + "-" * 900 + "1", "value"),
    ("price < 5000 ** 5000", "value"),
    ("__class__", "attribute"),
    ("name.__class__ == 'x'", "attribute"),
    ("(lambda: 1)()", "syntax"),
    ("lambda: 1", "syntax"),
    ("f'{price}' == name", "value"),
    ("name == f'{price}'", "value"),
    ("name == b'x'", "value"),
    ("name == '\\ud800'", "value"),
    ("name == 'x' * 900", "value"),
    ("[price for price in 'a']", "syntax"),
    ("(price := 1) < 2", "attribute"),
    ("price if in_stock else 1", "syntax"),
    ("__import__('os').system('id')", "syntax"),
    ("price", "type"),
    ("price == 'x'", "type"),
    ("price == true", "type"),
    ("name == 1", "type"),
    ("brand in ['a', null]", "type"),
    ("brand in 'abc'", "type"),
    ("in_stock == 1", "type"),
    ("in_stock < true", "operator"),
    ("name is 'x'", "operator"),
    ("price < null", "type"),
    ("price = 1", "syntax"),
    ("1 < 2", "attribute"),
    ("price < name", "value"),
    ("colour == 'x'", "attribute"),
    ("item_no == 1", "attribute"),
    ("' OR 1=1--", "syntax"),
    ("1; DROP TABLE items", "syntax"),
)


@pytest.mark.parametrize(("text", "code"), NASTY_FILTERS)
def test_a_filter_that_is_none_says_what_is_allowed(text: str, code: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FilterError) as refused:
            compile_filter(text)
    assert refused.value.code == code


@given(st.text(max_size=60) | st.text(alphabet="prices()<>=!1.9'\"[],andotk_ ", max_size=120))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    try:
        condition = compile_filter(text)
    except FilterError:
        return
    assert condition.sql.count("?") == len(condition.values)


def test_a_filter_names_no_other_column() -> None:
    assert list(ATTRIBUTES) == ["product_id", "name", "category", "subcategory", "brand", "price", "in_stock"]


def test_the_compiler_needs_the_standard_library_only() -> None:
    import subprocess

    code = "import sys, features.item_filter; print({'numpy', 'polars', 'fastapi'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> SlotShop:
    return make_slot_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def client(shop: SlotShop) -> TestClient:
    with open_client(shop.var) as opened:
        yield opened


@pytest.mark.parametrize(("text", "code"), NASTY_FILTERS)
def test_a_refused_filter_is_a_problem_without_an_echo(client: TestClient, text: str, code: str) -> None:
    answer = client.get(f"/v1/customers/c1/recommendations?filter={quote(text)}")
    assert answer.status_code == 422
    (error,) = Problem.model_validate(answer.json()).errors
    assert error.pointer == "/query/filter"
    assert error.code == {"too_long": "string_too_long"}.get(code, code)
    assert error.message
    assert len(text) < 12 or text not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "exclude=",
        "exclude=%ff",
        "exclude=a%00b",
        "exclude=" + "x" * 257,
        "&".join(["exclude=a"] * 101),
        "bought_within_days=0",
        "bought_within_days=3651",
        "bought_within_days=1e5",
        "bought_within_days=NaN",
        "bought_within_days=" + "9" * 5000,
    ],
)
def test_other_rules_that_are_none_are_problems_too(client: TestClient, query: str) -> None:
    answer = client.get(f"/v1/customers/c1/recommendations?{query}")
    assert answer.status_code == 422
    name = query.partition("=")[0]
    assert Problem.model_validate(answer.json()).errors[0].pointer.startswith(f"/query/{name}")


def test_a_filtered_answer_keeps_its_shape_and_tells_what_is_short(
    client: TestClient, shop: SlotShop
) -> None:
    plain = client.get("/v1/customers/c1/recommendations?limit=50").json()
    Recommendations.model_validate(plain)
    assert plain["short_fill"]["for_you"]["reason"] == "no_more_items"
    asked = quote('category in ["Tea", "Mugs"] and in_stock')
    answer = client.get(f"/v1/customers/c1/recommendations?limit=12&include=product&filter={asked}").json()
    Recommendations.model_validate(answer)
    places = answer["lists"]["for_you"]
    assert {place["product"]["category"] for place in places} <= {"Tea", "Mugs"}
    assert [place["rank"] for place in places] == list(range(1, len(places) + 1))
    assert answer["short_fill"]["for_you"] == {
        "wanted": 12,
        "got": len(places),
        "reason": "filter_leaves_fewer",
    }
    for place in places:
        if place["reason"]["code"] == "popular":
            buyers = dict(shop.popular)[place["product_id"]]
            assert place["reason"]["values"] == {"recent_customer_count": buyers}
    scores = [place["score"] for place in places]
    assert scores == sorted(scores, reverse=True)


def test_an_excluded_product_is_left_out_byte_for_byte(client: TestClient) -> None:
    url = "/v1/customers/c1/recommendations?kind=for_you&limit=3"
    first, second, third = (p["product_id"] for p in client.get(url).json()["lists"]["for_you"])
    kept = client.get(f"{url}&exclude={first}&exclude={third}&exclude={second}%20").json()
    assert kept["lists"]["for_you"][0]["product_id"] == second
    assert not {first, third} & {place["product_id"] for place in kept["lists"]["for_you"]}
    assert len(kept["lists"]["for_you"]) == 3
    assert kept["short_fill"] == {}
    encoded = client.get(f"{url}&%65xclude={first}&exclude=%70{third[1:]}").json()
    assert encoded["lists"] == kept["lists"]


def test_an_unknown_customer_is_filtered_and_filled_alike(client: TestClient, shop: SlotShop) -> None:
    asked = quote("price >= 20")
    url = f"/v1/customers/nobody/recommendations?on_missing=fallback&limit=4&filter={asked}"
    answer = client.get(url).json()
    Recommendations.model_validate(answer)
    dear = [product for product, _ in shop.popular if float(str(shop.products[product]["price"])) >= 20]
    assert [place["product_id"] for place in answer["lists"]["for_you"]] == dear[:4]
    assert [place["product_id"] for place in answer["lists"]["popular"]] == dear[:4]
    assert {place["source"] for place in answer["lists"]["for_you"]} == {"fallback"}
    assert answer["short_fill"]["upsell"] == {"wanted": 4, "got": 0, "reason": "unknown_customer"}


def test_a_filter_that_nothing_passes_leaves_every_list_short(client: TestClient) -> None:
    answer = client.get("/v1/customers/c1/recommendations?limit=4&filter=price+%3C+-1").json()
    assert answer["lists"] == {}
    assert answer["short_fill"]["for_you"] == {"wanted": 4, "got": 0, "reason": "filter_leaves_fewer"}
