"""The tables of score runs in PostgreSQL: a schema a run, and one schema with the list of runs.

    regulars_scores.runs            the list of runs
    regulars_scores.live            the pointer to the live one
    regulars_s_0042.scores, …       a published run; never changed

Texts compare byte by byte (collation "C"), as they do in SQLite and in the API.
"""

import re
from collections.abc import Iterable
from typing import Final

from serving.rows import STORED, Column, Kind
from serving.segments.traits import ATTRIBUTES

CONTROL_SCHEMA: Final = "regulars_scores"
RUN_PREFIX: Final = "regulars_s_"
_RUN_ID: Final = re.compile(r"s_[0-9]{4,18}")
_TEXT = 'TEXT COLLATE "C"'
_TYPES: Final[dict[Kind, str]] = {
    "string": _TEXT,
    "integer": "BIGINT",
    "number": "DOUBLE PRECISION",
    "boolean": "SMALLINT",
    "date": _TEXT,
    "datetime": _TEXT,
    "reasons": _TEXT,
    "null_reasons": _TEXT,
    "quality": _TEXT,
}


def _declared(columns: Iterable[Column]) -> str:
    return ", ".join(
        f'"{column.name}" {_TYPES[column.kind]}{"" if column.nullable else " NOT NULL"}' for column in columns
    )


CONTROL_TABLES: Final = f"""
CREATE TABLE IF NOT EXISTS {CONTROL_SCHEMA}.runs (run_number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
 score_run_id {_TEXT} UNIQUE, created_at {_TEXT} NOT NULL, published_at {_TEXT},
 customer_count BIGINT NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS {CONTROL_SCHEMA}.live (only_row SMALLINT PRIMARY KEY CHECK (only_row = 1),
 score_run_id {_TEXT} NOT NULL)"""

RUN_TABLES: Final = f"""
CREATE TABLE {{0}}.scores (row_number BIGINT NOT NULL, {_declared(STORED)});
CREATE TABLE {{0}}.recommendations (customer_id {_TEXT} NOT NULL, kind {_TEXT} NOT NULL,
 slots BYTEA NOT NULL);
CREATE TABLE {{0}}.owned (customer_id {_TEXT} NOT NULL, items BYTEA NOT NULL);
CREATE TABLE {{0}}.items (item_no INTEGER NOT NULL, product_id {_TEXT} NOT NULL, name {_TEXT},
 category {_TEXT}, subcategory {_TEXT}, brand {_TEXT}, price DOUBLE PRECISION, unit_margin DOUBLE PRECISION,
 url {_TEXT}, image_url {_TEXT}, need_no INTEGER, in_stock SMALLINT, popular_rank INTEGER,
 recent_customer_count INTEGER NOT NULL);
CREATE TABLE {{0}}.item_lists (item_no INTEGER NOT NULL, kind {_TEXT} NOT NULL, slots BYTEA NOT NULL);
CREATE TABLE {{0}}.audience_members (audience {_TEXT} NOT NULL, position BIGINT NOT NULL,
 row_number BIGINT NOT NULL, customer_id {_TEXT} NOT NULL, line BYTEA);
CREATE TABLE {{0}}.traits (row_number BIGINT NOT NULL, {_declared(ATTRIBUTES)});
CREATE TABLE {{0}}.sold_products (product_no INTEGER NOT NULL, product_id {_TEXT} NOT NULL, category {_TEXT});
CREATE TABLE {{0}}.purchases (product_no INTEGER NOT NULL, row_number BIGINT NOT NULL,
 age_days INTEGER NOT NULL);
CREATE TABLE {{0}}.placed (position BIGINT NOT NULL, customer_id {_TEXT} NOT NULL, line BYTEA);
CREATE TABLE {{0}}.timelines (customer_id {_TEXT} NOT NULL, body {_TEXT} NOT NULL);
CREATE TABLE {{0}}.documents (name {_TEXT} PRIMARY KEY, body {_TEXT} NOT NULL);
CREATE TABLE {{0}}.meta (document {_TEXT} NOT NULL)"""
"""Without indexes: rows are copied in first."""

RUN_KEYS: Final = """
ALTER TABLE {0}.scores ADD PRIMARY KEY (row_number);
ALTER TABLE {0}.recommendations ADD PRIMARY KEY (customer_id, kind);
ALTER TABLE {0}.owned ADD PRIMARY KEY (customer_id);
ALTER TABLE {0}.timelines ADD PRIMARY KEY (customer_id);
ALTER TABLE {0}.items ADD PRIMARY KEY (item_no), ADD UNIQUE (product_id);
ALTER TABLE {0}.item_lists ADD PRIMARY KEY (item_no, kind);
ALTER TABLE {0}.audience_members ADD PRIMARY KEY (audience, position);
ALTER TABLE {0}.traits ADD PRIMARY KEY (row_number);
ALTER TABLE {0}.sold_products ADD PRIMARY KEY (product_no), ADD UNIQUE (product_id);
ALTER TABLE {0}.purchases ADD PRIMARY KEY (product_no, row_number) INCLUDE (age_days);
DROP TABLE {0}.placed"""

RUN_TABLE_NAMES: Final = (
    "scores",
    "recommendations",
    "owned",
    "timelines",
    "items",
    "item_lists",
    "audience_members",
    "traits",
    "sold_products",
    "purchases",
)


def run_schema(score_run_id: str) -> str | None:
    """Return the schema of a run, None for what is no run's id.

    >>> run_schema("s_0042"), run_schema('s_1"; DROP')
    ('regulars_s_0042', None)
    """
    return f"regulars_{score_run_id}" if _RUN_ID.fullmatch(score_run_id) else None
