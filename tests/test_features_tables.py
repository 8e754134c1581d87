"""The declarations of the canonical tables agree with what is stored, documented and shown."""

from pathlib import Path

import polars as pl
import pytest

from features.history import STORED_SCHEMAS
from features.tables import TABLES, Table, json_schema, markdown_section, sample_csv, text_table

DERIVED = {"ordered_days", "occurred_days", "loaded_at"}


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_declared_columns_are_the_stored_ones(table: Table) -> None:
    declared = {column.stored_name for column in table.columns if not column.helper}
    assert declared == set(STORED_SCHEMAS[table.name]) - DERIVED


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_docs_hold_the_generated_section(table: Table) -> None:
    page = Path("docs/data.md").read_text(encoding="utf-8")
    assert markdown_section(table) in page


def test_the_smallest_input_is_three_columns() -> None:
    assert TABLES["order_lines"].required_names == ("customer_id", "ordered_at", "amount")


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_schema_sample_and_text_name_every_column(table: Table) -> None:
    schema = json_schema(table)
    assert list(schema["properties"]) == list(table.column_names)  # type: ignore[call-overload]
    assert schema["required"] == list(table.required_names)
    sample = pl.read_csv(sample_csv(table).encode(), infer_schema=False)
    assert sample.height == 1
    assert set(table.required_names) <= set(sample.columns)
    assert all(name in text_table(table) for name in table.column_names)


def test_an_unknown_column_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        TABLES["products"].column("colour")
