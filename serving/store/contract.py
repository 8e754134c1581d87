"""What a score store is: runs that are published whole, and read by a live pointer.

Two protocols, each for SQLite (`serving.store.sqlite_store`) and PostgreSQL (`serving.store.pg_store`):
`ScoreStore` (runs) and `ScoreRun` (one run's rows).
Reads are coroutines, because a networked store waits; the SQLite one never does.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self

from features.item_filter import Condition
from features.owned import OwnedItems
from features.slots import Slot
from serving.rows import STORED_NAMES
from serving.store.records import (
    CustomerList,
    ErasedScores,
    Item,
    ItemLists,
    MatchingItems,
    Member,
    RunInfo,
    RunMeta,
    SegmentOrder,
    SegmentPlace,
    StoredRow,
)


class ScoreRun(Protocol):
    """One published run; nothing in it ever changes."""

    meta: RunMeta

    async def get_score(self, customer_id: str) -> StoredRow | None:
        """Return a customer's row, or None where there is no such customer."""
        ...

    async def get_scores(self, customer_ids: Sequence[str]) -> Mapping[str, StoredRow]:
        """Return the rows of customers by id; unknown ids are left out."""
        ...

    async def get_recommendations(self, customer_id: str) -> Mapping[str, Sequence[Slot]]:
        """Return a customer's lists by kind, best first; {} where there are none."""
        ...

    async def get_fallback(self) -> Mapping[str, Sequence[Slot]]:
        """Return the shop's lists and `for_you` of somebody unknown; {} without a recommender."""
        ...

    async def get_owned(self, customer_id: str) -> OwnedItems:
        """Return what a customer had bought; nothing where there is no such customer."""
        ...

    async def get_timeline(self, customer_id: str) -> str | None:
        """Return what happened to a customer, as JSON of `serving.scoring.timelines`, or None."""
        ...

    async def get_document(self, name: str) -> str | None:
        """Return a document about the shop as a whole, as JSON; None where the run has none of that name."""
        ...

    async def match_items(self, condition: Condition | None) -> MatchingItems:
        """Return the items that pass a condition (None: all of them)."""
        ...

    async def item_numbers(self, product_ids: Iterable[str]) -> Sequence[int]:
        """Return the numbers of products; unknown ids are left out."""
        ...

    async def list_customers(self, *, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return the next (place, customer_id) of the run after a place; places count from 1."""
        ...

    async def list_kind(self, kind: str, customer_ids: Sequence[str]) -> Mapping[str, CustomerList]:
        """Return one list of each customer, with what they had bought."""
        ...

    async def get_items(self, item_numbers: Iterable[int]) -> Mapping[int, Item]:
        """Return products by their number; unknown numbers are left out."""
        ...

    async def get_item_lists(self, product_ids: Sequence[str]) -> Mapping[str, ItemLists]:
        """Return products with their lists by product_id; unknown ids are left out."""
        ...

    async def list_members(
        self,
        audience: str,
        *,
        after: int = 0,
        limit: int = 100,
        clv_min: float | None = None,
        names: Sequence[str] = STORED_NAMES,
    ) -> Sequence[Member]:
        """Return the next members after a position, in the audience's order; rows of the columns named.

        One of these may be `LINE`.
        """
        ...

    async def count_segment(self, condition: Condition) -> int:
        """Return how many customers of the run pass a condition over `traits.ATTRIBUTES`."""
        ...

    async def list_segment(
        self,
        condition: Condition,
        *,
        after: SegmentPlace | None = None,
        limit: int = 100,
        order: SegmentOrder | None = None,
    ) -> Sequence[SegmentPlace]:
        """Return the next customers who pass, after a place; without an order, as the run holds them."""
        ...

    async def get_traits(self, customer_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the traits of customers by id, as the run holds them; unknown ids are left out."""
        ...

    async def list_values(self, name: str) -> Sequence[str]:
        """Return the most frequent values of a text attribute, or of `category` of what was sold."""
        ...

    async def ask_segments(self, query: str, values: Sequence[object]) -> Sequence[StoredRow]:
        """Return the rows of a query of ours over a run's tables (`@traits`); values are `?`."""
        ...

    async def list_top_products(self, customer_ids: Sequence[str]) -> Mapping[str, Item]:
        """Return each customer's first recommendation of the kind `for_you`; without one, none."""
        ...

    async def first_customer_id(self) -> str:
        """Return the first id of the run in byte order, for examples; raises `StoreError` without any."""
        ...

    def is_replaced(self) -> bool:
        """Say whether the run is to be opened anew: somebody was erased from it."""
        ...

    async def check(self) -> None:
        """Read one row; raises `StoreError` where the run cannot be read."""
        ...

    def close(self) -> None:
        """Let go of files or connections."""
        ...


class RunEraser(Protocol):
    """Takes people out of every run that is kept; places in lists stay as they are, with gaps."""

    def forget(self, customer_ids: Collection[str], group: "Membership") -> "ErasedScores":
        """Remove all that runs hold of people; `group` says who was in a control group."""
        ...


class Membership(Protocol):
    """Says who is in the control group of a list."""

    def holds(self, audience: str, customer_id: str, *, share: float) -> bool:
        """Say whether a customer is in it."""
        ...


class RunWriter(Protocol):
    """A run being made; leaving the block without `publish` drops it."""

    score_run_id: str

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: object, error: object, trace: object) -> None: ...

    def write_scores(self, rows: Iterable[Sequence[object]]) -> None:
        """Add rows (the values of `rows.STORED_NAMES`)."""
        ...

    def write_recommendations(self, lists: Iterable[tuple[str, str, bytes]]) -> None:
        """Add (customer_id, kind, packed slots); the customer "" holds the fallback."""
        ...

    def write_owned(self, owned: Iterable[tuple[str, bytes]]) -> None:
        """Add (customer_id, packed purchases); customers who bought nothing may be left out."""
        ...

    def write_timelines(self, timelines: Iterable[tuple[str, str]]) -> None:
        """Add (customer_id, what happened to them, as JSON of `serving.scoring.timelines`)."""
        ...

    def write_documents(self, documents: Mapping[str, str]) -> None:
        """Add documents about the shop as a whole: JSON by name, nobody's id in it."""
        ...

    def write_items(self, items: Iterable[Item]) -> None:
        """Add products."""
        ...

    def write_item_lists(self, lists: Iterable[tuple[int, str, bytes]]) -> None:
        """Add (item_no, kind, packed slots)."""
        ...

    def write_traits(self, rows: Iterable[Sequence[object]]) -> None:
        """Add (row_number, the values of `traits.ATTRIBUTE_NAMES`)."""
        ...

    def write_sold_products(self, products: Iterable[Sequence[object]]) -> None:
        """Add (product_no, product_id, category) of whatever was ever sold."""
        ...

    def write_purchases(self, purchases: Iterable[Sequence[object]]) -> None:
        """Add (product_no, row_number, age_days), in any order."""
        ...

    def write_audience(
        self, audience: str, customer_ids: Iterable[str], lines: Iterable[bytes | None] | None = None
    ) -> None:
        """Write a whole audience in its order, each with its line (`serving.exports.member_csv.MemberCells`).

        A line that is left out is made when it is read.
        """
        ...

    def publish(self, meta: RunMeta) -> RunMeta:
        """Check the run, make it durable, and make it the live one in one step; raises `PublishError`."""
        ...


class ScoreStore(Protocol):
    """Runs, and which one is live.

    The methods of one that `is_networked` may wait, and can be called in any thread.
    """

    is_networked: bool

    def begin_run(self) -> RunWriter:
        """Start a run; raises `PublishError` while another process makes one."""
        ...

    def live_run_id(self) -> str:
        """Return the live run's id; raises `NoRunError`."""
        ...

    def open_run(self, score_run_id: str) -> ScoreRun:
        """Open a published run; raises `RunGoneError`."""
        ...

    def list_runs(self) -> Sequence[RunInfo]:
        """Return the kept runs, newest first."""
        ...

    def hold(self) -> AbstractContextManager["RunEraser"]:
        """Keep everybody from publishing, and erase people; raises `PublishError` while a run is made."""
        ...

    async def aclose(self) -> None:
        """Let go of the connections that read; runs that are open read no more."""
        ...
