"""What past exports brought: of those on a list and of its control group, the share that ordered afterwards.

    python -m serving.audiences.outcomes [--var var]

Who was on a list is kept in a file of ids (`outcomes/`), from soon after it left until everything is known of
it; an erasure reaches it as every table. Both groups are those of the run that the list was taken from: who
was drawn for the control group was drawn by chance, so the difference is what came of the list, with whatever
was done with it. The worker does this by itself.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import polars as pl
import typer

from features.console import run_command
from features.difference import share_difference
from features.history import History, HistoryError
from features.loading import IngestError, only_one
from features.settings import ControlSettings, Layout
from serving.audiences.control_group import ControlGroup
from serving.audiences.leaving import Drawing, people_of
from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.schemas.export_request import wanted_people
from serving.state.database import State
from serving.state.list_exports import ListExport, ListExports
from serving.state.migrate import make
from serving.state.suppressions import Suppressions
from serving.store.contract import ScoreStore
from serving.store.errors import RunGoneError
from serving.web.problems import ProblemError

HORIZONS_DAYS: Final = (14, 30, 90)
_ROWS_AT_ONCE: Final = 5_000
_DAY_SECONDS: Final = 86_400.0


def keep_members(layout: Layout, state: State, store: ScoreStore) -> int:
    """Keep who was on the lists that left since the last time; return of how many it was kept."""
    exports, kept = ListExports(state), 0
    for export in exports.standing(["waiting"]):
        try:
            # Whoever is erased meanwhile is either suppressed when the list is read, or erased from its file.
            with only_one(layout):
                _write(_path(layout, export), asyncio.run(_members(layout, state, store, export)))
        except IngestError:
            return kept  # Somebody else is at the data: it is tried again.
        except (RunGoneError, ProblemError):
            exports.note_members(export.export_id, "gone")
            continue
        exports.note_members(export.export_id, "kept")
        kept += 1
    return kept


def measure(layout: Layout, state: State) -> int:
    """Measure what came of lists by the orders that the history holds; return of how many.

    A horizon is over when an order after its end is known. Once the longest is, the file of ids goes.
    """
    exports = ListExports(state)
    open_ones = exports.standing(["kept"])
    try:
        history = History.open(layout.history) if open_ones else None
    except HistoryError:
        return 0
    if history is None or history.manifest.last_order_days is None:
        return 0
    for export in open_ones:
        outcome = _outcome(layout, history, export)
        is_final = all(each["is_over"] for each in outcome["horizons"])
        exports.note_outcome(export.export_id, outcome, is_final=is_final)
    _remove_measured(layout, exports)
    return len(open_ones)


def _remove_measured(layout: Layout, exports: ListExports) -> None:
    """Remove the files of which nothing more is to be measured, also those that a stopped process left."""
    needed = {_path(layout, export) for export in exports.standing(["waiting", "kept"])}
    for path in layout.outcomes.glob("*.parquet"):
        if path not in needed:
            path.unlink(missing_ok=True)


async def _members(layout: Layout, state: State, store: ScoreStore, export: ListExport) -> pl.DataFrame:
    """Return `customer_id`, `is_control` of a list as its run has it; raises `RunGoneError`."""
    suppressed = Suppressions(state, layout.root).read()
    drawing = Drawing(ControlGroup.of(layout.private), suppressed, ControlSettings())
    wanted = wanted_people(export.audience, export.request)._replace(control="include")
    run = store.open_run(export.score_run_id)
    try:
        people = await people_of(run, wanted, drawing, share=export.control_group_share)
        rows = [
            (member.row[0], member.control_group)
            async for members in people.chunks(size=_ROWS_AT_ONCE, names=("customer_id",))
            for member in members
        ]
    finally:
        run.close()
        await store.aclose()
    return pl.DataFrame(rows, schema={"customer_id": pl.String, "is_control": pl.Boolean}, orient="row")


def _path(layout: Layout, export: ListExport) -> Path:
    return layout.outcomes / f"{export.export_id}.parquet"


def _write(path: Path, members: pl.DataFrame) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        members.write_parquet(stream)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def _outcome(layout: Layout, history: History, export: ListExport) -> dict[str, Any]:
    last_days = history.manifest.last_order_days or 0.0
    taken_days = datetime.fromisoformat(export.taken_at).timestamp() / _DAY_SECONDS
    known_until = datetime.fromtimestamp(0, UTC) + timedelta(days=last_days)
    members = pl.read_parquet(_path(layout, export))
    first = _first_orders(history, since_days=taken_days)
    after = members.join(first, on="customer_id", how="left")
    waited = after["ordered_days"] - taken_days
    horizons = [
        _at_horizon(after["is_control"], waited < days, days=days, is_over=last_days >= taken_days + days)
        for days in HORIZONS_DAYS
    ]
    return {
        "known_until": known_until.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "horizons": horizons,
    }


def _first_orders(history: History, *, since_days: float) -> pl.DataFrame:
    """Return each customer's first order at or after an instant: `customer_id`, `ordered_days`."""
    lines = history.scan("order_lines").to_native()
    sold = lines.filter(~pl.col("is_return").fill_null(value=False), pl.col("ordered_days") >= since_days)
    found: pl.DataFrame = sold.group_by("customer_id").agg(pl.col("ordered_days").min()).collect()
    return found


def _at_horizon(is_control: pl.Series, has_ordered: pl.Series, *, days: int, is_over: bool) -> dict[str, Any]:
    ordered = has_ordered.fill_null(value=False)
    mailed, kept_out = int((~is_control).sum()), int(is_control.sum())
    counts = int((ordered & ~is_control).sum()), int((ordered & is_control).sum())
    told: dict[str, Any] = {
        "horizon_days": days,
        "is_over": is_over,
        "listed_count": mailed,
        "listed_ordered_count": counts[0],
        "control_group_count": kept_out,
        "control_group_ordered_count": counts[1],
    }
    return told | _difference(counts, (mailed, kept_out), is_over=is_over)


def _difference(counts: Sequence[int], totals: Sequence[int], *, is_over: bool) -> dict[str, Any]:
    """Return the difference with its interval, and what can be said; nothing while a group is empty."""
    if not all(totals):
        nothing = dict.fromkeys(("difference", "difference_low", "difference_high"))
        return {**nothing, "verdict": "cannot_tell_yet"}
    found = share_difference(counts[0], totals[0], counts[1], totals[1])
    values = zip(("difference", "difference_low", "difference_high"), found, strict=True)
    clear = "more_ordered" if found.value > 0.0 else "fewer_ordered"
    verdict = clear if is_over and found.is_clear else "cannot_tell_yet"
    return {**{name: round(value, 6) for name, value in values}, "verdict": verdict}


def _command(
    *,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Measure what past exports brought, as far as orders are known."""
    environment = Environment(var=var)
    state, store = open_state(environment), open_store(environment)
    make(state)
    kept = keep_members(environment.layout, state, store)
    measured = measure(environment.layout, state)
    sys.stdout.write(f"{kept} new lists, {measured} measured; GET /v1/exports has the result\n")


if __name__ == "__main__":
    run_command(_command)
