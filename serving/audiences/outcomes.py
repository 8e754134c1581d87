"""What past exports brought: of those on a list and of its control group, the share that ordered afterwards.

    python -m serving.audiences.outcomes [--var var]

Who was on a list is kept in a file of ids (`serving.audiences.kept_members`) until everything is known of it;
an erasure reaches it as every table. Both groups are those of the run that the list was taken from: who
was drawn for the control group was drawn by chance, so the difference is what came of the list, with whatever
was done with it. The worker does this by itself.
"""

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
from features.layout import Layout
from serving.audiences.kept_members import keep_members, members_path, remove_others
from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.state.database import State
from serving.state.list_exports import ListExport, ListExports
from serving.state.migrate import make

HORIZONS_DAYS: Final = (14, 30, 90)
_ROWS_AT_ONCE: Final = 5_000
_DAY_SECONDS: Final = 86_400.0


def measure(layout: Layout, state: State) -> int:
    """Measure what came of lists by the orders that the history holds; return of how many.

    A horizon is over when an order after its end is known. Once the longest is, the file of ids goes.
    """
    exports = ListExports(state)
    remove_others(layout, state)
    open_ones = exports.standing(["kept"])
    try:
        history = History.open(layout.history) if open_ones else None
    except HistoryError:
        return 0
    if history is None or history.manifest.last_order_days is None:
        return 0
    measured = 0
    for export in open_ones:
        if not members_path(layout, export.export_id).exists():
            # Restored from a back-up without it, or removed by hand: that holds up no other.
            exports.note_members(export.export_id, "gone")
            continue
        outcome = _outcome(layout, history, export)
        is_final = all(each["is_over"] for each in outcome["horizons"])
        exports.note_outcome(export.export_id, outcome, is_final=is_final)
        measured += 1
    remove_others(layout, state)
    return measured


def _outcome(layout: Layout, history: History, export: ListExport) -> dict[str, Any]:
    last_days = history.manifest.last_order_days or 0.0
    taken_days = datetime.fromisoformat(export.taken_at).timestamp() / _DAY_SECONDS
    known_until = datetime.fromtimestamp(0, UTC) + timedelta(days=last_days)
    members = pl.read_parquet(members_path(layout, export.export_id), glob=False)
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
