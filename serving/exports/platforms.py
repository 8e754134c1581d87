"""Exports as the bodies of an engagement platform's own calls, within its limits.

Ten attributes a customer at most, flat and typed the same every time, all of them named `regulars_…`: a band,
numbers, ISO dates, and whether the customer is on the list. One body a line, so that a file is sent line by
line.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from serving.audiences.segment_list import SEGMENT
from serving.rows import BY_NAME, STORED_NAMES
from serving.store.records import StoredRow

Attributes = dict[str, Any]
PREFIX: Final = "regulars_"
CHURN_CHANGE_MIN: Final = 0.05
SCORE_ATTRIBUTES: Final = (
    "risk_band",
    "churn_probability",
    "churn_percentile",
    "predicted_clv",
    "value_at_risk",
    "expected_date_of_next_order",
    "as_of",
)
_BAND, _CHURN = f"{PREFIX}risk_band", f"{PREFIX}churn_probability"
_AT: Final = tuple(
    (f"{PREFIX}{name}", STORED_NAMES.index(name), BY_NAME[name].unit) for name in SCORE_ATTRIBUTES
)
_PROBABILITY_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class Platform:
    """How a platform wants rows: what stands around them in a body, and how much a body may hold."""

    name: str
    row: Callable[[str, str | None, Attributes], dict[str, Any]]
    head: bytes
    tail: bytes
    rows_max: int
    bytes_max: int
    row_bytes_max: int
    id_bytes_max: int


def _braze_row(customer_id: str, email: str | None, attributes: Attributes) -> dict[str, Any]:
    """Return a user of `/users/track`; ids that Braze does not know make no new profile."""
    people = {} if email is None else {"email": email}
    return {"external_id": customer_id, "_update_existing_only": True, **people, **attributes}


def _klaviyo_row(customer_id: str, email: str | None, attributes: Attributes) -> dict[str, Any]:
    """Return a profile of the bulk import."""
    people = {} if email is None else {"email": email}
    return {
        "type": "profile",
        "attributes": {"external_id": customer_id, **people, "properties": attributes},
    }


PLATFORMS: Final = {
    "braze": Platform(
        "braze",
        _braze_row,
        b'{"attributes":[',
        b"]}",
        rows_max=75,
        bytes_max=4_000_000,
        row_bytes_max=100_000,
        id_bytes_max=997,
    ),
    "klaviyo": Platform(
        "klaviyo",
        _klaviyo_row,
        b'{"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":[',
        b"]}}}}",
        rows_max=10_000,
        bytes_max=5_000_000,
        row_bytes_max=100_000,
        id_bytes_max=255,
    ),
}


def list_attribute(name: str) -> str:
    """Return the name of the attribute that says whether a customer is on a list, or in a segment.

    >>> list_attribute("at-risk"), list_attribute("segment:large-order")
    ('regulars_list_at_risk', 'regulars_segment_large_order')
    """
    return _attribute(name, of_list="list", of_segment="segment")


def control_attribute(name: str) -> str:
    """Return the name of the attribute that says whether a customer is in the control group of a list.

    >>> control_attribute("at-risk"), control_attribute("segment:large-order")
    ('regulars_control_at_risk', 'regulars_segmentcontrol_large_order')
    """
    return _attribute(name, of_list="control", of_segment="segmentcontrol")


def _attribute(name: str, *, of_list: str, of_segment: str) -> str:
    slug = name.removeprefix(SEGMENT)
    kind = of_list if slug == name else of_segment
    return f"{PREFIX}{kind}_{slug.replace('-', '_')}"


def score_attributes(row: StoredRow) -> Attributes:
    """Return what a platform is told of a customer's score."""
    return {
        name: round(row[at], _PROBABILITY_DIGITS)
        if unit == "probability" and row[at] is not None
        else row[at]
        for name, at, unit in _AT
    }


def changes_to_send(before: Attributes | None, now: Attributes, *, whole: bool) -> Attributes | None:
    """Return the attributes that a platform lacks, or None where the customer need not be sent.

    A customer goes where the band, a list or the control group is another, where the churn probability moved
    by 0.05 or more, or who never went; then every attribute goes whose value is another. What has no value
    any more goes as null, which takes it away there. `whole` sends all attributes of everybody.
    """
    known = before or {}
    if not (whole or before is None or _is_news(known, now)):
        return None
    return {
        name: value
        for name, value in now.items()
        if (known.get(name) != value if not whole else value is not None or known.get(name) is not None)
    }


def _is_news(before: Attributes, now: Attributes) -> bool:
    was, is_now = before.get(_CHURN), now.get(_CHURN)
    if (was is None) != (is_now is None):
        return True
    if was is not None and is_now is not None and abs(is_now - was) >= CHURN_CHANGE_MIN - 1e-9:
        return True
    telling = [name for name in now if name == _BAND or isinstance(now[name], bool)]
    return any(before.get(name) != now[name] for name in telling)


class Bodies:
    """Packs rows into bodies of a platform; none is larger than the platform takes."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._rows: list[bytes] = []
        self._bytes = 0

    def takes(self, customer_id: str) -> bool:
        """Say whether the platform takes an id of this length."""
        return len(customer_id.encode()) <= self._platform.id_bytes_max

    def add(self, customer_id: str, email: str | None, attributes: Mapping[str, Any]) -> Iterator[bytes]:
        """Add a customer; yield the body that is full by that."""
        row = orjson.dumps(self._platform.row(customer_id, email, dict(attributes)))
        around = len(self._platform.head) + len(self._platform.tail)
        is_full = len(self._rows) == self._platform.rows_max
        if is_full or around + self._bytes + len(self._rows) + len(row) > self._platform.bytes_max:
            yield from self.rest()
        self._rows.append(row)
        self._bytes += len(row)

    def rest(self) -> Iterator[bytes]:
        """Yield the last body, if there is anything left."""
        if self._rows:
            yield self._platform.head + b",".join(self._rows) + self._platform.tail + b"\n"
        self._rows, self._bytes = [], 0
