"""A published run as a read-only SQLite file."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from features.item_filter import Condition
from features.owned import NOTHING_OWNED, OwnedItems, unpack_owned
from features.slots import ITEM_BYTES, PackedSlots, Slot, item_number
from serving.rows import STORED, STORED_NAMES
from serving.segments.traits import ATTRIBUTES
from serving.store.errors import OldRunError, StoreError
from serving.store.matching import EVERY_ITEM, SELECT_MATCHING, Matcher, matching_items
from serving.store.parts import in_parts
from serving.store.records import (
    LINE,
    SCHEMA_VERSION,
    CustomerList,
    Item,
    ItemLists,
    MatchingItems,
    Member,
    RunMeta,
    SegmentOrder,
    SegmentPlace,
    StoredRow,
)
from serving.store.segment_reads import SegmentReader

FALLBACK_CUSTOMER = ""
_ROW = ", ".join(f'"{name}"' for name in STORED_NAMES)
_SELECT_SCORE = f"SELECT {_ROW} FROM scores WHERE customer_id = ?"  # noqa: S608 - our own column names
_SELECT_SCORES = f"SELECT {_ROW} FROM scores WHERE customer_id IN ({{0}})"  # noqa: S608 - our own column names
_SELECT_LISTS = "SELECT kind, slots FROM recommendations WHERE customer_id = ?"
_SELECT_MEMBERS = """
SELECT m.position, {0} FROM audience_members m JOIN scores s ON s.row_number = m.row_number
WHERE m.audience = ? AND m.position > ? AND (?3 IS NULL OR s.predicted_clv >= ?3)
ORDER BY m.position LIMIT ?4"""
_SELECT_LINES = """
SELECT m.position, {0} FROM audience_members m
WHERE m.audience = ? AND m.position > ? AND ?3 IS NULL ORDER BY m.position LIMIT ?4"""
_SELECT_KIND = """
SELECT s.customer_id, r.slots, o.items FROM scores s
LEFT JOIN recommendations r ON r.customer_id = s.customer_id AND r.kind = ?
LEFT JOIN owned o ON o.customer_id = s.customer_id WHERE s.customer_id IN ({0})"""
_ITEM = ", ".join(f"i.{name}" for name in Item._fields)
_SELECT_ITEMS = f"SELECT {_ITEM} FROM items i WHERE i.item_no IN ({{0}})"  # noqa: S608 - our own column names
_SELECT_ITEM_LISTS = f"""
SELECT {_ITEM}, l.kind, l.slots FROM items i LEFT JOIN item_lists l ON l.item_no = i.item_no
WHERE i.product_id IN ({{0}})"""  # noqa: S608 - our own column names
_OWN_COLUMNS = {"customer_id": "m.customer_id", LINE: "m.line"}
_ID_AT = STORED_NAMES.index("customer_id")
_IN_STOCK = Item._fields.index("in_stock")
_BOOLEANS = {None: None, 0: False, 1: True}
_IDS_AT_ONCE = 500
_TOP_ITEMS_KEPT = 5_000

SCHEMA = f"""
CREATE TABLE scores (row_number INTEGER PRIMARY KEY,
 {", ".join(f'"{c.name}" {c.sql_type}{"" if c.nullable else " NOT NULL"}' for c in STORED)});
CREATE TABLE recommendations (customer_id TEXT NOT NULL, kind TEXT NOT NULL, slots BLOB NOT NULL,
 PRIMARY KEY (customer_id, kind)) WITHOUT ROWID;
CREATE TABLE owned (customer_id TEXT NOT NULL PRIMARY KEY, items BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE items (item_no INTEGER PRIMARY KEY, product_id TEXT NOT NULL UNIQUE, name TEXT,
 category TEXT, subcategory TEXT, brand TEXT, price REAL, unit_margin REAL, url TEXT, image_url TEXT,
 need_no INTEGER, in_stock INTEGER, popular_rank INTEGER, recent_customer_count INTEGER NOT NULL);
CREATE TABLE item_lists (item_no INTEGER NOT NULL, kind TEXT NOT NULL, slots BLOB NOT NULL,
 PRIMARY KEY (item_no, kind)) WITHOUT ROWID;
CREATE TABLE audience_members (audience TEXT NOT NULL, position INTEGER NOT NULL, row_number INTEGER NOT NULL,
 customer_id TEXT NOT NULL, line BLOB, PRIMARY KEY (audience, position)) WITHOUT ROWID;
CREATE TABLE timelines (customer_id TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (name TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE traits (row_number INTEGER PRIMARY KEY,
 {", ".join(f'"{c.name}" {c.sql_type}{"" if c.nullable else " NOT NULL"}' for c in ATTRIBUTES)});
CREATE TABLE sold_products (product_no INTEGER PRIMARY KEY, product_id TEXT NOT NULL UNIQUE, category TEXT);
CREATE TABLE purchases (product_no INTEGER NOT NULL, row_number INTEGER NOT NULL, age_days INTEGER NOT NULL,
 PRIMARY KEY (product_no, row_number)) WITHOUT ROWID;
CREATE TABLE meta (document TEXT NOT NULL);
"""


class SqliteRun:
    """One run file, opened read-only; belongs to the thread that opened it.

    What takes long in a large shop, a filter over all its items, is read by a thread of its own.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._matcher = Matcher()
        self._segments = SegmentReader(self._read_apart)
        self._top_items: dict[int, Item] = {}
        try:
            self._inode = path.stat().st_ino
            self._connection = _connect(path)
            document = self._connection.execute("SELECT document FROM meta").fetchone()[0]
            self.meta = RunMeta.model_validate_json(document)
        except (OSError, sqlite3.Error, TypeError, ValueError) as error:
            raise StoreError(
                f"the score run {path.name} cannot be read ({error}); run `make score` again"
            ) from None
        if self.meta.schema_version != SCHEMA_VERSION:
            raise OldRunError(
                f"the score run {path.name} has layout {self.meta.schema_version}, this release reads "
                f"{SCHEMA_VERSION}; run `make score` again"
            )

    async def get_score(self, customer_id: str) -> StoredRow | None:
        """Return a customer's row, or None where there is no such customer."""
        rows = self._read(_SELECT_SCORE, (customer_id,))
        return rows[0] if rows else None

    async def get_scores(self, customer_ids: Sequence[str]) -> Mapping[str, StoredRow]:
        """Return the rows of customers by id; unknown ids are left out."""
        found: dict[str, StoredRow] = {}
        for part in in_parts(customer_ids, _IDS_AT_ONCE):
            for row in self._read(_SELECT_SCORES.format(_marks(part)), part):
                found[row[_ID_AT]] = row
        return found

    async def get_recommendations(self, customer_id: str) -> Mapping[str, Sequence[Slot]]:
        """Return a customer's lists by kind, best first; {} where there are none."""
        return {kind: PackedSlots(packed) for kind, packed in self._read(_SELECT_LISTS, (customer_id,))}

    async def get_fallback(self) -> Mapping[str, Sequence[Slot]]:
        """Return the shop's lists and `for_you` of somebody unknown; {} without a recommender."""
        return await self.get_recommendations(FALLBACK_CUSTOMER)

    async def get_owned(self, customer_id: str) -> OwnedItems:
        """Return what a customer had bought; nothing where there is no such customer."""
        rows = self._read("SELECT items FROM owned WHERE customer_id = ?", (customer_id,))
        return unpack_owned(rows[0][0]) if rows else NOTHING_OWNED

    async def get_timeline(self, customer_id: str) -> str | None:
        """Return what happened to a customer, as JSON; None where nothing is kept."""
        rows = self._read("SELECT body FROM timelines WHERE customer_id = ?", (customer_id,))
        return str(rows[0][0]) if rows else None

    async def get_document(self, name: str) -> str | None:
        """Return a document about the shop as a whole, as JSON; None where the run has none of that name."""
        rows = self._read("SELECT body FROM documents WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else None

    async def match_items(self, condition: Condition | None) -> MatchingItems:
        """Return the items that pass a condition (None: all of them); the newest conditions are kept."""
        return await self._matcher.match(condition, self._match)

    def _match(self, condition: Condition | None) -> MatchingItems:
        sql, values = condition or EVERY_ITEM
        query = SELECT_MATCHING.format(items="items", condition=sql)
        return matching_items(self._read_apart(query, values))

    def _read_apart(self, query: str, values: Sequence[object]) -> list[StoredRow]:
        """Read in whatever thread; a table may be written `@name`."""
        try:
            with closing(_connect(self._path)) as connection:
                return connection.execute(query.replace("@", ""), values).fetchall()
        except sqlite3.Error as error:
            raise self._unreadable(error) from None

    async def count_segment(self, condition: Condition) -> int:
        """Return how many customers of the run pass a condition over `traits.ATTRIBUTES`."""
        return await self._segments.count(condition)

    async def list_segment(
        self,
        condition: Condition,
        *,
        after: SegmentPlace | None = None,
        limit: int = 100,
        order: SegmentOrder | None = None,
    ) -> Sequence[SegmentPlace]:
        """Return the next customers who pass, after a place; without an order, as the run holds them."""
        return await self._segments.page(condition, after=after, limit=limit, order=order)

    async def get_traits(self, customer_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the traits of customers by id, as the run holds them; unknown ids are left out."""
        return await self._segments.traits(customer_ids)

    async def list_values(self, name: str) -> Sequence[str]:
        """Return the most frequent values of a text attribute, or of `category` of what was sold."""
        return await self._segments.values(name)

    async def ask_segments(self, query: str, values: Sequence[object]) -> Sequence[StoredRow]:
        """Return the rows of a query of ours over a run's tables (`@traits`); values are `?`."""
        return await self._segments.ask(query, tuple(values))

    async def item_numbers(self, product_ids: Iterable[str]) -> Sequence[int]:
        """Return the numbers of products; unknown ids are left out."""
        wanted = sorted(set(product_ids))
        query = f"SELECT item_no FROM items WHERE product_id IN ({_marks(wanted)})"  # noqa: S608 - marks only
        return [row[0] for row in self._read(query, wanted)]

    async def list_customers(self, *, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return the next (place, customer_id) of the run after a place; places count from 1."""
        query = "SELECT row_number, customer_id FROM scores WHERE row_number > ? ORDER BY row_number LIMIT ?"
        return [(row[0], row[1]) for row in self._read(query, (after, limit))]

    async def list_kind(self, kind: str, customer_ids: Sequence[str]) -> Mapping[str, CustomerList]:
        """Return one list of each customer, with what they had bought."""
        found: dict[str, CustomerList] = {}
        for part in in_parts(customer_ids, _IDS_AT_ONCE):
            for customer_id, packed, owned in self._read(_SELECT_KIND.format(_marks(part)), (kind, *part)):
                bought = NOTHING_OWNED if owned is None else unpack_owned(owned)
                found[customer_id] = CustomerList(PackedSlots(packed or b""), bought)
        return found

    async def get_items(self, item_numbers: Iterable[int]) -> Mapping[int, Item]:
        """Return products by their number; unknown numbers are left out."""
        numbers = sorted(set(item_numbers))
        found: dict[int, Item] = {}
        for part in in_parts(numbers, _IDS_AT_ONCE):
            for row in self._read(_SELECT_ITEMS.format(_marks(part)), part):
                found[row[0]] = read_item(row)
        return found

    async def get_item_lists(self, product_ids: Sequence[str]) -> Mapping[str, ItemLists]:
        """Return products with their lists by product_id; unknown ids are left out."""
        found: dict[str, ItemLists] = {}
        rows = self._read(_SELECT_ITEM_LISTS.format(_marks(product_ids)), product_ids)
        for *columns, kind, packed in rows:
            item = read_item(columns)
            lists = found.setdefault(item.product_id, ItemLists(item, {})).lists
            if kind is not None:
                lists[kind] = PackedSlots(packed)
        return found

    async def list_members(
        self,
        audience: str,
        *,
        after: int = 0,
        limit: int = 100,
        clv_min: float | None = None,
        names: Sequence[str] = STORED_NAMES,
    ) -> Sequence[Member]:
        """Return the next members after a position, in the audience's order; rows of the columns named."""
        query = _SELECT_LINES if needs_no_row(names, clv_min) else _SELECT_MEMBERS
        columns = ", ".join(map(member_column, names))
        rows = self._read(query.format(columns), (audience, after, clv_min, limit))
        return [Member(row[0], row[1:]) for row in rows]

    async def list_top_products(self, customer_ids: Sequence[str]) -> Mapping[str, Item]:
        """Return each customer's first recommendation of the kind `for_you`; without one, none."""
        first: dict[str, int] = {}
        for part in in_parts(customer_ids, _IDS_AT_ONCE):
            query = (
                f"SELECT customer_id, substr(slots, 1, {ITEM_BYTES}) FROM recommendations "  # noqa: S608 - only question marks are put in
                f"WHERE kind = 'for_you' AND customer_id IN ({_marks(part)})"
            )
            first |= {c: item_number(packed) for c, packed in self._read(query, part) if packed}
        if unknown := set(first.values()) - self._top_items.keys():
            if len(self._top_items) > _TOP_ITEMS_KEPT:
                self._top_items.clear()
                unknown = set(first.values())
            self._top_items |= await self.get_items(unknown)
        items = self._top_items
        return {customer: items[number] for customer, number in first.items() if number in items}

    async def first_customer_id(self) -> str:
        """Return the first id of the run in byte order, for examples; raises `StoreError` without any."""
        rows = self._read("SELECT customer_id FROM scores ORDER BY customer_id LIMIT 1", ())
        if not rows:
            raise StoreError(f"the score run {self.meta.score_run_id} holds no customer")
        return str(rows[0][0])

    def is_replaced(self) -> bool:
        """Say whether another file has taken this one's place: somebody was erased from it."""
        try:
            return self._path.stat().st_ino != self._inode
        except FileNotFoundError:
            return False

    async def check(self) -> None:
        """Read one row; raises `StoreError` where the run cannot be read."""
        if not self._path.exists():
            raise StoreError(f"the score run {self._path.name} was removed")
        self._read("SELECT row_number FROM scores LIMIT 1", ())

    def close(self) -> None:
        """Close the file."""
        self._matcher.close()
        self._segments.close()
        self._connection.close()

    def _read(self, query: str, values: Sequence[object]) -> list[StoredRow]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"the score run {self._path.name} cannot be read ({error})")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)


def member_column(name: str) -> str:
    """Return a column of a list's members (`m`, of the rows `s`) as SQL."""
    return _OWN_COLUMNS.get(name) or f's."{name}"'


def needs_no_row(names: Sequence[str], clv_min: float | None) -> bool:
    """Say whether all that is asked of members stands in their list; their rows lie all over the run."""
    return clv_min is None and _OWN_COLUMNS.keys() >= set(names)


def read_item(row: Sequence[Any]) -> Item:
    """Return a product from a row of the columns of `Item`."""
    return Item._make((*row[:_IN_STOCK], _BOOLEANS[row[_IN_STOCK]], *row[_IN_STOCK + 1 :]))


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
