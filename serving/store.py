"""What a score store is: runs that are published whole, and read by a live pointer.

StoreError                 the store cannot be read or written
├── NoRunError             nothing was published yet
├── RunGoneError           the run was removed (only the newest few are kept)
├── OldRunError            the run was made by another release, in another layout
└── PublishError           a run was refused, or another one is being made

Two protocols, each for SQLite (`serving.sqlite_store`) and PostgreSQL (`serving.pg_store`): `ScoreStore`
(runs) and `ScoreRun` (one run's rows).
Reads are coroutines, because a networked store waits; the SQLite one never does.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, NamedTuple, Protocol, Self

from pydantic import BaseModel, ConfigDict

from features.basis import BasisName
from features.errors import UserError
from features.item_filter import Condition
from features.owned import OwnedItems
from features.slots import Slot
from serving.rows import STORED_NAMES

SCHEMA_VERSION = 5
LINE: Final = "@line"
"""Stands among the columns that are asked of a list's members for their line; null where none was written."""


def members_of(
    customer_ids: Iterable[str], lines: Iterable[bytes | None] | None
) -> Iterator[tuple[int, str, bytes | None]]:
    """Yield (place, customer_id, line) of a list; raises `ValueError` where there are not as many lines."""
    if lines is None:
        members: Iterable[tuple[str, bytes | None]] = ((customer_id, None) for customer_id in customer_ids)
    else:
        members = zip(customer_ids, lines, strict=True)
    for place, (customer_id, line) in enumerate(members, start=1):
        yield place, customer_id, line


KEPT_RUNS = 3
"""So many published runs are kept: cursors may still read older ones."""

StoredRow = tuple[Any, ...]
"""The values of `rows.STORED_NAMES`, in that order."""


class StoreError(UserError):
    """The score store cannot be read or written."""


class NoRunError(StoreError):
    """No run was published yet."""


class RunGoneError(StoreError):
    """A run that is no longer kept was asked for."""


class OldRunError(StoreError):
    """A run was asked for that another release made, in another layout."""


class PublishError(StoreError):
    """A run was refused, or another one is being made at this moment."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ChampionCard(_Record):
    """One champion as the run used it; figures are those of its scorecard."""

    name: str
    version: int
    method: str
    candidate: str
    mlflow_run_id: str = ""
    data_until: date | None = None
    beats_baseline: bool | None = None
    grade: str | None = None
    scorecard: dict[str, Any] = {}


class AudienceCounts(_Record):
    """What a list is, how many it holds, and whom consent left out.

    `control_group_count` of the members are in its control group, which is `control_group_share` of it: 0
    where the list is too small for one.
    """

    title: str = ""
    rule: str = ""
    order: str = ""
    member_count: int
    refused_count: int = 0
    unknown_consent_count: int = 0
    value_at_risk_total: float | None = None
    control_group_share: float = 0.0
    control_group_count: int = 0


class RunWarning(_Record):
    """Something that a reader of a whole run should know: a code, its numbers, and both in a sentence."""

    code: str
    values: dict[str, str | int] = {}
    text: str


class RunMeta(_Record):
    """What is true of a whole run.

    `usual_churn_probability` is the mean of the customers not lapsed; a band begins at its cut point.
    `unavailable_kinds` says why a kind of recommendation has no lists; `popularity_days` is the window of the
    kinds popular, trending and new. Messages up to `inbox_sequence` are in its scores; `reference` is what a
    customer is placed by who is scored again (`serving.reference`); `cuts` are those of `top` in segments
    (`serving.trait_rows`).
    """

    schema_version: int = SCHEMA_VERSION
    score_run_id: str = ""
    as_of: date
    scored_at: datetime
    currency: str
    clv_basis: BasisName
    margin_share: float = 0.0
    clv_discount_rate: float = 0.0
    time_zone: str = "UTC"
    customer_count: int = 0
    newest_order_at: datetime | None = None
    churn_horizon_days: int | None = None
    clv_horizon_days: int | None = None
    churn_supported_days: int | None = None
    first_season: bool = False
    warnings: list[RunWarning] = []
    usual_churn_probability: float | None = None
    medium_from_probability: float | None = None
    high_from_probability: float | None = None
    medium_from_times_usual: float = 1.0
    high_from_times_usual: float = 1.5
    lapsed_after_days: float | None = None
    models: dict[str, ChampionCard] = {}
    audiences: dict[str, AudienceCounts] = {}
    unavailable_kinds: dict[str, str] = {}
    popularity_days: int | None = None
    inbox_sequence: int = 0
    reference: dict[str, Any] = {}
    cuts: dict[str, list[float]] = {}


class Item(NamedTuple):
    """A product as lists show it; money in major units.

    `unit_margin` is what is left of the price after the cost of the goods: for ranking, never shown.
    Products of one `need_no` serve the same need; None where it is not known. `popular_rank` counts from 1
    the items that may fill a list, the most popular first; None for others. `in_stock` is None where the shop
    does not say.
    """

    item_no: int
    product_id: str
    name: str | None = None
    category: str | None = None
    subcategory: str | None = None
    brand: str | None = None
    price: float | None = None
    unit_margin: float | None = None
    url: str | None = None
    image_url: str | None = None
    need_no: int | None = None
    in_stock: bool | None = None
    popular_rank: int | None = None
    recent_customer_count: int = 0


@dataclass(frozen=True, slots=True)
class ItemLists:
    """A product and its own lists by kind, best first."""

    item: Item
    lists: dict[str, Sequence[Slot]]


@dataclass(frozen=True, slots=True)
class MatchingItems:
    """The items that pass a condition, or all of them.

    `passes[item_no]` is 1 or 0; `popular` are the numbers of those that may fill a list, the most popular
    first, and `buyers` how many bought each lately.
    """

    passes: bytes
    popular: Sequence[int]
    buyers: Sequence[int]

    def __contains__(self, item_no: int) -> bool:
        return item_no < len(self.passes) and self.passes[item_no] == 1


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One line of the list of runs; newest first."""

    score_run_id: str
    created_at: datetime
    published_at: datetime | None
    customer_count: int
    is_live: bool


@dataclass(frozen=True, slots=True)
class Member:
    """A customer at its place in an audience; places count from 1, and who is erased leaves a gap."""

    position: int
    row: StoredRow


class SegmentOrder(NamedTuple):
    """By which attribute the members of a segment are sorted; whoever has no value comes last."""

    name: str
    is_falling: bool = True


class SegmentPlace(NamedTuple):
    """A customer at a place of a segment: the row of the run, and the value that the order goes by."""

    row_number: int
    customer_id: str
    value: str | float | int | None = None


@dataclass(frozen=True, slots=True)
class CustomerList:
    """A customer's list of one kind (empty without one), and what they had bought."""

    slots: Sequence[Slot]
    owned: OwnedItems


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
        """Return what happened to a customer, as JSON of `serving.timelines`; None where nothing is kept."""
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


class ErasedScores(NamedTuple):
    """How many rows went, and of how many runs."""

    row_count: int = 0
    run_count: int = 0


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
        """Add (customer_id, what happened to them, as JSON of `serving.timelines`)."""
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
        """Write a whole audience in its order, each with the line of `csv_export.MemberCells`.

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
