"""A published run as the tables of one PostgreSQL schema."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from features.item_filter import Condition
from features.owned import NOTHING_OWNED, OwnedItems, unpack_owned
from features.slots import PackedSlots, Slot, item_number
from serving.rows import STORED_NAMES
from serving.store.errors import OldRunError, StoreError
from serving.store.matching import EVERY_ITEM, SELECT_MATCHING, Matcher, matching_items
from serving.store.pg_control import PgControl
from serving.store.pg_gather import Gatherer
from serving.store.pg_reader import PgReader
from serving.store.records import (
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
from serving.store.sqlite_run import FALLBACK_CUSTOMER, member_column, needs_no_row, read_item

_ROW = ", ".join(f's."{name}"' for name in STORED_NAMES)
_ITEM = ", ".join(f"i.{name}" for name in Item._fields)
# People are erased in place.
_KEPT_SECONDS: Final = 60.0
_COLUMNS: Final = "@columns"
_ID_AT: Final = STORED_NAMES.index("customer_id")
_QUERIES: Final = {
    "scores": f"SELECT {_ROW} FROM {{0}}.scores s WHERE customer_id = ANY(%s)",  # noqa: S608 - our own names
    "lists": "SELECT kind, slots FROM {0}.recommendations WHERE customer_id = %s",
    "owned": "SELECT items FROM {0}.owned WHERE customer_id = %s",
    "timeline": "SELECT body FROM {0}.timelines WHERE customer_id = %s",
    "document": "SELECT body FROM {0}.documents WHERE name = %s",
    "numbers": "SELECT item_no FROM {0}.items WHERE product_id = ANY(%s)",
    "customers": "SELECT row_number, customer_id FROM {0}.scores WHERE row_number > %s "
    "ORDER BY row_number LIMIT %s",
    "kind": "SELECT s.customer_id, r.slots, o.items FROM {0}.scores s "
    "LEFT JOIN {0}.recommendations r ON r.customer_id = s.customer_id AND r.kind = %s "
    "LEFT JOIN {0}.owned o ON o.customer_id = s.customer_id WHERE s.customer_id = ANY(%s)",
    "items": f"SELECT {_ITEM} FROM {{0}}.items i WHERE i.item_no = ANY(%s)",  # noqa: S608 - our own names
    "item_lists": f"SELECT {_ITEM}, l.kind, l.slots FROM {{0}}.items i "  # noqa: S608 - our own names
    "LEFT JOIN {0}.item_lists l ON l.item_no = i.item_no WHERE i.product_id = ANY(%s)",
    "members": f"SELECT m.position, {_COLUMNS} FROM {{0}}.audience_members m "  # noqa: S608 - our own names
    "JOIN {0}.scores s ON s.row_number = m.row_number WHERE m.audience = %s AND m.position > %s "
    "AND (%s::float8 IS NULL OR s.predicted_clv >= %s::float8) ORDER BY m.position LIMIT %s",
    "lines": f"SELECT m.position, {_COLUMNS} FROM {{0}}.audience_members m "  # noqa: S608 - our own names
    "WHERE m.audience = %s AND m.position > %s AND (%s::float8 IS NULL OR %s::float8 IS NULL) "
    "ORDER BY m.position LIMIT %s",
    "tops": "SELECT customer_id, slots FROM {0}.recommendations "
    "WHERE kind = 'for_you' AND customer_id = ANY(%s)",
    "first": "SELECT customer_id FROM {0}.scores ORDER BY customer_id LIMIT 1",
    "any": "SELECT row_number FROM {0}.scores LIMIT 1",
}


class PgRun:
    """One run; its rows are read by the event loop's connections, filters over all items in a thread."""

    def __init__(self, score_run_id: str, *, control: PgControl, reader: PgReader) -> None:
        schema = control.open_schema(score_run_id)
        self._control = control
        self._reader = reader
        self._items = f"{schema}.items"
        self._schema = schema
        self._queries = {name: query.format(schema) for name, query in _QUERIES.items()}
        self._matcher = Matcher()
        self._segments = SegmentReader(self._read_apart, kept_seconds=_KEPT_SECONDS)
        self._single = Gatherer(self.get_scores)
        self.meta = _read_meta(score_run_id, control.read(f"SELECT document FROM {schema}.meta", ()))  # noqa: S608 - a checked name

    async def get_score(self, customer_id: str) -> StoredRow | None:
        """Return a customer's row, or None where there is no such customer."""
        return await self._single.get(customer_id)

    async def get_scores(self, customer_ids: Sequence[str]) -> Mapping[str, StoredRow]:
        """Return the rows of customers by id; unknown ids are left out."""
        return {row[_ID_AT]: row for row in await self._read("scores", list(customer_ids))}

    async def get_recommendations(self, customer_id: str) -> Mapping[str, Sequence[Slot]]:
        """Return a customer's lists by kind, best first; {} where there are none."""
        return {kind: PackedSlots(packed) for kind, packed in await self._read("lists", customer_id)}

    async def get_fallback(self) -> Mapping[str, Sequence[Slot]]:
        """Return the shop's lists and `for_you` of somebody unknown; {} without a recommender."""
        return await self.get_recommendations(FALLBACK_CUSTOMER)

    async def get_owned(self, customer_id: str) -> OwnedItems:
        """Return what a customer had bought; nothing where there is no such customer."""
        rows = await self._read("owned", customer_id)
        return unpack_owned(rows[0][0]) if rows else NOTHING_OWNED

    async def get_timeline(self, customer_id: str) -> str | None:
        """Return what happened to a customer, as JSON; None where nothing is kept."""
        rows = await self._read("timeline", customer_id)
        return str(rows[0][0]) if rows else None

    async def get_document(self, name: str) -> str | None:
        """Return a document about the shop as a whole, as JSON; None where the run has none of that name."""
        rows = await self._read("document", name)
        return str(rows[0][0]) if rows else None

    async def match_items(self, condition: Condition | None) -> MatchingItems:
        """Return the items that pass a condition (None: all of them); the newest conditions are kept."""
        return await self._matcher.match(condition, self._match)

    def _match(self, condition: Condition | None) -> MatchingItems:
        sql, values = condition or EVERY_ITEM
        query = SELECT_MATCHING.format(items=self._items, condition=sql.replace("?", "%s"))
        return matching_items(self._control.read(query, values))

    def _read_apart(self, query: str, values: Sequence[object]) -> Sequence[StoredRow]:
        """Read in whatever thread; a table is written `@name`, a value `?`."""
        return self._control.read(query.replace("@", f"{self._schema}.").replace("?", "%s"), values)

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
        return [row[0] for row in await self._read("numbers", list(product_ids))]

    async def list_customers(self, *, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return the next (place, customer_id) of the run after a place; places count from 1."""
        return [(row[0], row[1]) for row in await self._read("customers", after, limit)]

    async def list_kind(self, kind: str, customer_ids: Sequence[str]) -> Mapping[str, CustomerList]:
        """Return one list of each customer, with what they had bought."""
        return {
            customer_id: CustomerList(
                PackedSlots(packed or b""), NOTHING_OWNED if owned is None else unpack_owned(owned)
            )
            for customer_id, packed, owned in await self._read("kind", kind, list(customer_ids))
        }

    async def get_items(self, item_numbers: Iterable[int]) -> Mapping[int, Item]:
        """Return products by their number; unknown numbers are left out."""
        return {row[0]: read_item(row) for row in await self._read("items", list(item_numbers))}

    async def get_item_lists(self, product_ids: Sequence[str]) -> Mapping[str, ItemLists]:
        """Return products with their lists by product_id; unknown ids are left out."""
        found: dict[str, ItemLists] = {}
        for *columns, kind, packed in await self._read("item_lists", list(product_ids)):
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
        kind = "lines" if needs_no_row(names, clv_min) else "members"
        query = self._queries[kind].replace(_COLUMNS, ", ".join(map(member_column, names)))
        rows = await self._reader.read(query, (audience, after, clv_min, clv_min, limit))
        return [Member(row[0], row[1:]) for row in rows]

    async def list_top_products(self, customer_ids: Sequence[str]) -> Mapping[str, Item]:
        """Return each customer's first recommendation of the kind `for_you`; without one, none."""
        first: dict[str, int] = {}
        for customer_id, packed in await self._read("tops", list(customer_ids)):
            if packed:
                first[customer_id] = item_number(packed)
        items = await self.get_items(set(first.values()))
        return {customer: items[number] for customer, number in first.items() if number in items}

    async def first_customer_id(self) -> str:
        """Return the first id of the run in byte order, for examples; raises `StoreError` without any."""
        rows = await self._read("first")
        if not rows:
            raise StoreError(f"the score run {self.meta.score_run_id} holds no customer")
        return str(rows[0][0])

    def is_replaced(self) -> bool:
        """Say no: rows are taken out of the tables that are read."""
        return False

    async def check(self) -> None:
        """Read one row; raises `StoreError` where the run cannot be read."""
        await self._read("any")

    def close(self) -> None:
        """Let the run go; its store keeps the connections."""
        self._matcher.close()
        self._segments.close()

    async def _read(self, name: str, *values: object) -> list[StoredRow]:
        return await self._reader.read(self._queries[name], values)


def _read_meta(score_run_id: str, rows: Sequence[StoredRow]) -> RunMeta:
    try:
        meta = RunMeta.model_validate_json(rows[0][0])
    except (IndexError, ValidationError):
        raise StoreError(f"the score run {score_run_id} cannot be read; run `make score` again") from None
    if meta.schema_version != SCHEMA_VERSION:
        raise OldRunError(
            f"the score run {score_run_id} has layout {meta.schema_version}, this release reads "
            f"{SCHEMA_VERSION}; run `make score` again"
        )
    return meta
