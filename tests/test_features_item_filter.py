"""The filter language: what it means on real rows, and that nothing odd gets through or gets slow."""

import sqlite3
import sys
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nasty_filters import NASTY_FILTERS

from features.item_filter import ATTRIBUTES, FilterError, compile_filter
from serving.store.sqlite_run import SCHEMA

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
    ],
)
def test_what_a_filter_means(items: sqlite3.Connection, text: str, passing: str) -> None:
    condition = compile_filter(text)
    query = f"SELECT product_id FROM items WHERE {condition.sql} ORDER BY product_id"  # noqa: S608
    assert "".join(row[0] for row in items.execute(query, condition.values)) == passing


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
