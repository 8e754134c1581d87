"""Score rows and run facts for the tests of the change log, by hand."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from serving_runs import meta, stored_row

from features.delivery_settings import ChangeSettings
from serving.changes.lifecycle import Facts, Moment
from serving.changes.log import ChangeLog
from serving.databases import open_state
from serving.environment import Environment
from serving.state.database import State
from serving.state.migrate import make
from serving.state.tables import CHANGES
from serving.store.records import RunMeta, StoredRow

DAY = date(2026, 11, 22)


def made_state(root: Path) -> State:
    state = open_state(Environment(var=root))
    make(state)
    return state


def row(customer_id: str = "c1", *, day: date = DAY, **changes: Any) -> StoredRow:
    """Return a row of a customer with three orders, the last one five days before 2026-11-22."""
    usual = {"historic_number_of_orders": 3, "last_order_at": at(-5), "average_days_between_orders": 40.0}
    return stored_row(customer_id, as_of=day.isoformat(), **{**usual, **changes})


def at(days: int, *, hour: int = 10) -> str:
    """Return an instant so many days from 2026-11-22, as rows hold it."""
    return f"{DAY + timedelta(days=days)}T{hour:02d}:00:00Z"


def run(number: int = 1, *, inbox: int = 0, **changes: Any) -> RunMeta:
    """Return the facts of the run of a day: number 1 is that of 2026-11-22."""
    day = DAY + timedelta(days=number - 1)
    scored_at = datetime(day.year, day.month, day.day, 0, 10, tzinfo=UTC)
    values = {
        "score_run_id": f"s_{number:04d}",
        "as_of": day,
        "scored_at": scored_at,
        "inbox_sequence": inbox,
    }
    return meta(**{**values, **changes})


def facts(*, day: date = DAY, clicked_at: str | None = None, due: Any = (), **changes: Any) -> Facts:
    return Facts.of(row(day=day, **changes), clicked_at=clicked_at, due=due)


def moment(rules: ChangeSettings | None = None, **changes: Any) -> Moment:
    return Moment(run(**changes), rules or ChangeSettings())


def told(state: State) -> list[tuple[Any, ...]]:
    """Return the log as (customer_id, kind or name of the event), in its order."""
    with state.reading() as connection:
        rows = connection.execute(sa.select(CHANGES).order_by(CHANGES.c.sequence)).all()
    return [(found.customer_id, found.event or found.kind) for found in rows]


def documents(state: State, event: str) -> list[Any]:
    with state.reading() as connection:
        rows = connection.execute(sa.select(CHANGES.c.document).where(CHANGES.c.event == event)).scalars()
        return [orjson.loads(document) for document in rows]


def log_of(state: State, rules: Mapping[str, Any] | None = None, **more: Any) -> ChangeLog:
    return ChangeLog(state, ChangeSettings(**(rules or {})), **more)


def with_baseline(state: State, rows: Iterable[StoredRow] | None = None) -> ChangeLog:
    """Return a log whose baseline is the run of 2026-11-22."""
    log = log_of(state)
    log.report_run([row()] if rows is None else rows, run(1))
    return log
