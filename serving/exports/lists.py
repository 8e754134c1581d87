"""A list of the live run, written to the file of an export job."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl

from features.identity import read_identities
from serving.audiences.leaving import LeavingPeople
from serving.audiences.named import Listed
from serving.exports.files import OutFile, row_writer
from serving.exports.member_csv import HEADER, STORED_CELLS, ListedCells
from serving.exports.platforms import (
    PLATFORMS,
    Bodies,
    changes_to_send,
    control_attribute,
    list_attribute,
    score_attributes,
)
from serving.offers.slot_export import item_columns
from serving.present import RunView
from serving.rows import STORED_NAMES
from serving.schemas.export_request import ExportRequest
from serving.state.last_sent import Attributes, LastSent
from serving.store.records import StoredRow

_ROWS_AT_ONCE: Final = 2_000
_ID_AT: Final = STORED_NAMES.index("customer_id")


class Written(NamedTuple):
    """How many rows a file has, and how many customers have an id that the platform does not take."""

    row_count: int
    skipped_count: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """What one attempt at a job writes, and where to; `beat` is called now and then while it runs."""

    request: ExportRequest
    listed: LeavingPeople
    people: "People"
    folder: Path
    name: str
    beat: Callable[[], None]


class People:
    """E-mail addresses by customer; none where the job may not see them."""

    def __init__(self, private: Path, *, may_see: bool) -> None:
        self.may_see = may_see
        self._known = read_identities(private).select("customer_id", "email") if may_see else None

    def emails(self, customer_ids: Sequence[str]) -> dict[str, str | None]:
        """Return the addresses of those who are known."""
        if self._known is None:
            return {}
        return dict(self._known.filter(pl.col("customer_id").is_in(list(customer_ids))).iter_rows())


async def write_rows(task: Task, view: RunView) -> Written:
    """Write a list as rows of one form, with the columns of its CSV; e-mail addresses before the items."""
    asked = task.request
    items = await item_columns(task.listed.run, view, count=asked.items, kind=asked.kind)
    names = [*HEADER, *(["email"] if task.people.may_see else []), *items.header()]
    cells, count = ListedCells(task.listed, view, as_text=False), 0
    with OutFile(task.folder, task.name, packed=asked.gzip) as file:
        writer = row_writer(asked.form, file.stream, names)
        async for members in task.listed.chunks(size=_ROWS_AT_ONCE, names=STORED_CELLS):
            rows = await cells.of(members)
            ids = [row[0] for row in rows]
            emails = task.people.emails(ids)
            wide = await items.cells(ids)
            for number, customer_id in enumerate(ids):
                address = [emails.get(customer_id)] if task.people.may_see else []
                rows[number] = (*rows[number], *address, *wide[number])
            writer.write(rows)
            count += len(rows)
            task.beat()
        writer.close()
    return Written(count)


async def write_changes(task: Task, last: LastSent, job_number: int) -> Written:
    """Write what a platform lacks of a list, and of those who were on it and are no more."""
    with OutFile(task.folder, task.name) as file:
        changes = _Changes(task, last, job_number, file.stream.write)
        seen: set[str] = set()
        async for members in task.listed.chunks(size=_ROWS_AT_ONCE):
            seen.update(member.row[_ID_AT] for member in members)
            changes.add([(member.row[_ID_AT], _of_member(task, member)) for member in members])
        for page in last.pages():
            left = [c for c, known in page.items() if c not in seen and _was_listed(task, known)]
            scored = [customer_id for customer_id in left if customer_id not in task.listed.suppressed]
            rows = await task.listed.run.get_scores(scored)
            changes.add([(c, _of_leaver(task, rows.get(c))) for c in left])
        return changes.end()


class _Changes:
    """Sends customers on as far as they changed, and notes what was sent."""

    def __init__(self, task: Task, last: LastSent, job_number: int, write: Callable[[bytes], object]) -> None:
        self._task = task
        self._last = last
        self._job_number = job_number
        self._write = write
        self._bodies = Bodies(PLATFORMS[task.request.profile])
        self._row_count = self._skipped_count = 0

    def add(self, customers: Sequence[tuple[str, Attributes]]) -> None:
        """Add some customers with what is to be known of them."""
        taken = [(c, now) for c, now in customers if self._bodies.takes(c)]
        self._skipped_count += len(customers) - len(taken)
        ids = [customer_id for customer_id, _ in taken]
        before, emails = self._last.read(ids), self._task.people.emails(ids)
        sent: dict[str, Attributes] = {}
        for customer_id, now in taken:
            known = before.get(customer_id)
            news = changes_to_send(known, now, whole=self._task.request.is_whole)
            if news is None:
                continue
            sent[customer_id] = (known or {}) | now
            self._put(self._bodies.add(customer_id, emails.get(customer_id), news))
        self._last.write(self._job_number, sent)
        self._row_count += len(sent)
        self._task.beat()

    def end(self) -> Written:
        """Write the last body, and return how many went."""
        self._put(self._bodies.rest())
        return Written(self._row_count, self._skipped_count)

    def _put(self, bodies: Iterable[bytes]) -> None:
        for body in bodies:
            self._write(body)


def _of_member(task: Task, member: Listed) -> Attributes:
    slug = task.request.name
    attributes: dict[str, Any] = score_attributes(member.row) | {list_attribute(slug): True}
    if task.request.control != "exclude":
        attributes[control_attribute(slug)] = member.control_group
    return attributes


def _of_leaver(task: Task, row: StoredRow | None) -> Attributes:
    """Return what becomes of somebody who was on the list; the score too, if there still is one."""
    off: Attributes = {list_attribute(task.request.name): False}
    return off if row is None else score_attributes(row) | off


def _was_listed(task: Task, known: Attributes) -> bool:
    return known.get(list_attribute(task.request.name)) is True
