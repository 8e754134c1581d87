"""The record of every list that left the service: who took which, when, and what came of it."""

import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

import sqlalchemy as sa

from serving.instants import instant_text
from serving.state.database import State
from serving.state.tables import LIST_EXPORTS

Standing = Literal["none", "waiting", "kept", "gone", "done", "paged"]
PAGES: Final = "pages"
"""The form of a list that is read a page at a time."""
_JSON: Final = ("request", "outcome")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeavingList:
    """A list that is about to leave; `request` holds the filter and the form.

    `control_group_count` people are in its control group, None where that is not known any more.
    """

    key_id: str
    job_id: str | None
    audience: str
    score_run_id: str
    as_of: str
    request: dict[str, Any]
    control_group_share: float
    control_group_count: int | None
    with_identity: bool
    row_count: int | None = None
    is_whole: bool | None = None

    @property
    def is_measured(self) -> bool:
        """Whether it can be told what it brought: some of its people were left out by chance."""
        has_none = self.control_group_share == 0.0 or (self.is_planned and not self.control_group_count)
        return not has_none and self.request.get("control") == "exclude"

    def standing(self, *, is_new: bool) -> Standing:
        """Return what is to be done about its members; a file that left before is measured already."""
        if self.request.get("format") == PAGES:
            return "paged"
        return "waiting" if self.is_measured and is_new else "none"

    @property
    def is_planned(self) -> bool:
        """Whether a plan cut it: nobody of its control group may be within the cut."""
        return bool(self.request.get("plan"))


def new_export_id() -> str:
    """Return the id of a list that is about to leave."""
    return f"x_{secrets.token_hex(16)}"


class Ending(NamedTuple):
    """How much of a list went out; None of a control group is what is known already."""

    row_count: int
    is_whole: bool
    control_group_count: int | None = None


@dataclass(frozen=True, slots=True)
class ListExport:
    """A list that left, as it is kept; `members` says whether it is known who was on it."""

    export_number: int
    export_id: str
    key_id: str
    taken_at: str
    job_id: str | None
    audience: str
    score_run_id: str
    as_of: str
    request: dict[str, Any]
    control_group_share: float
    control_group_count: int | None
    with_identity: bool
    row_count: int | None
    is_whole: bool | None
    members: Standing
    outcome: dict[str, Any] | None


class ListExports:
    """The lists that left, of a state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def begin(self, leaving: LeavingList, export_id: str = "") -> str | None:
        """Write down that a list leaves, and return its id; None where there is no state at all.

        The file of a job may leave several times: what it brought is measured from the first.
        """
        if not self._state.exists():
            return None
        export_id = export_id or new_export_id()
        values = asdict(leaving) | {"request": json.dumps(leaving.request)}
        with self._state.writing() as connection:
            is_new = leaving.job_id is None or not _is_known(connection, leaving.job_id)
            members = leaving.standing(is_new=is_new)
            own = {
                "export_id": export_id,
                "taken_at": instant_text(datetime.now(UTC)),
                "members": members,
            }
            connection.execute(sa.insert(LIST_EXPORTS).values(**values, **own))
        return export_id

    def end(self, export_id: str, ending: Ending) -> None:
        """Write down how much of a list went out."""
        self._update(
            export_id, {name: value for name, value in ending._asdict().items() if value is not None}
        )

    def grow(self, endings: Mapping[str, Ending]) -> None:
        """Write down how much of lists went out by now; the answer that is furthest counts."""
        with self._state.writing() as connection:
            for export_id, ending in endings.items():
                mine = LIST_EXPORTS.c.export_id == export_id
                known = LIST_EXPORTS.c.row_count
                is_further = known <= ending.row_count if ending.is_whole else known < ending.row_count
                values = {"row_count": ending.row_count, "is_whole": ending.is_whole}
                connection.execute(sa.update(LIST_EXPORTS).where(mine, is_further).values(**values))

    def note_members(self, export_id: str, members: Standing) -> None:
        """Write down whether it is known who was on a list."""
        self._update(export_id, {"members": members})

    def note_outcome(self, export_id: str, outcome: dict[str, Any], *, is_final: bool) -> None:
        """Write down what came of a list so far; nothing more is measured where that is final."""
        self._update(export_id, {"outcome": json.dumps(outcome), "members": "done" if is_final else "kept"})

    def page(
        self, *, before: int | None, limit: int, key_id: str | None = None, with_pages: bool = True
    ) -> list[ListExport]:
        """Return the newest lists (before a number), of one key or of all; with those read by page or not."""
        wanted = sa.select(LIST_EXPORTS).order_by(LIST_EXPORTS.c.export_number.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(LIST_EXPORTS.c.export_number < before)
        if key_id is not None:
            wanted = wanted.where(LIST_EXPORTS.c.key_id == key_id)
        if not with_pages:
            wanted = wanted.where(LIST_EXPORTS.c.members != "paged")
        return self._read(wanted) if self._state.exists() else []

    def standing(self, members: Collection[Standing]) -> list[ListExport]:
        """Return the lists whose members are in some standing, the oldest first."""
        wanted = sa.select(LIST_EXPORTS).where(LIST_EXPORTS.c.members.in_(members))
        return self._read(wanted.order_by(LIST_EXPORTS.c.export_number)) if self._state.exists() else []

    def of_jobs(self, job_ids: Collection[str]) -> set[str]:
        """Return those of some jobs whose file left."""
        wanted = sa.select(LIST_EXPORTS.c.job_id).where(LIST_EXPORTS.c.job_id.in_(job_ids)).distinct()
        with self._state.reading() as connection:
            return set(connection.execute(wanted).scalars())

    def _update(self, export_id: str, values: dict[str, Any]) -> None:
        mine = LIST_EXPORTS.c.export_id == export_id
        with self._state.writing() as connection:
            connection.execute(sa.update(LIST_EXPORTS).where(mine).values(**values))

    def _read(self, wanted: sa.Select[Any]) -> list[ListExport]:
        with self._state.reading() as connection:
            rows = connection.execute(wanted).mappings().all()
        return [_of(dict(row)) for row in rows]


def _is_known(connection: sa.Connection, job_id: str) -> bool:
    of_job = sa.select(LIST_EXPORTS.c.export_id).where(LIST_EXPORTS.c.job_id == job_id)
    return connection.execute(of_job.limit(1)).first() is not None


def _of(row: dict[str, Any]) -> ListExport:
    texts = {name: json.loads(row[name]) if row[name] else None for name in _JSON}
    whole = row["is_whole"]
    flags = {
        "with_identity": bool(row["with_identity"]),
        "is_whole": None if whole is None else bool(whole),
    }
    return ListExport(**(row | texts | flags))
