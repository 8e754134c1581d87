"""What a score store holds: what is true of a run, its rows, its products and the places of its lists."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict

from features.basis import BasisName
from features.owned import OwnedItems
from features.slots import Slot

SCHEMA_VERSION = 6
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
    customer is placed by who is scored again (`serving.scoring.reference`); `cuts` are those of `top` in
    segments (`serving.segments.trait_rows`).
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


class ErasedScores(NamedTuple):
    """How many rows went, and of how many runs."""

    row_count: int = 0
    run_count: int = 0
