"""`python -m features.ingest`: orders in, canonical history and usability report out.

Everything is read and checked before anything is written; errors are listed all at once and leave the history
alone.
"""

import fcntl
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from features.accept import accept_lines, chosen_currency
from features.advice import note_advice
from features.console import Announce, progress, run_app
from features.drafts import Conventions
from features.errors import UserError
from features.identity import merge_identities
from features.mapping import load_mapping
from features.person_keys import read_pepper
from features.report import DataError, Report
from features.settings import Layout, load_settings
from features.snapshot import instant_of
from features.sources import NATIVE_FORMATS, Format, Request, read_companions, read_drafts
from features.tables import TABLES, json_schema, sample_csv, text_table
from features.upsert import Load, Outcome, open_previous, upsert


class LoadMode(StrEnum):
    """How a load enters the history."""

    UPSERT = "upsert"
    REPLACE = "replace"


class IngestError(UserError):
    """The command's options do not go together, or another load is running."""


def load(request: Request, *, layout: Layout, time_zone: str = "UTC", now: datetime | None = None) -> Report:
    """Read, check and store a request; writes the usability report in any case and returns it.

    `now` is the clock (aware); `time_zone` is the shop's, which a mapping may override for its file.
    Raises `DataError` with every problem found, leaving the history as it was.
    """
    report = Report(
        sources=[path.name for path in (*request.files, *request.companions.values())],
        format=request.layout,
        time_zone=request.mapping.time_zone or time_zone,
    )
    try:
        with only_one(layout), progress("data", total=3) as announce:
            _load(request, layout, report, now=now or datetime.now(UTC), announce=announce)
        report.write(layout.reports)
    except DataError:
        report.write(layout.reports)
        raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise IngestError(
            f"cannot write under {layout.root} ({reason}); nothing half-written was kept"
        ) from None
    return report


def _load(request: Request, layout: Layout, report: Report, *, now: datetime, announce: Announce) -> None:
    announce("reading")
    previous = open_previous(layout.history) if request.mode == "upsert" else None
    mapping = request.mapping
    conventions = Conventions(
        report.time_zone, mapping.date_format, mapping.decimal_mark, partial(read_pepper, layout.private)
    )
    drafts = read_drafts(request, conventions, report=report)
    companions = read_companions(request, drafts, conventions, report)
    announce("checking")
    currency = chosen_currency(
        drafts, history=previous.manifest.currency if previous else None, report=report
    )
    report.currency = currency
    accepted = accept_lines(drafts, time_zone=report.time_zone, now=now, report=report) if drafts else None
    report.stop_on_errors()
    if accepted:
        note_advice(accepted.lines, drafts, report=report)
    announce("writing")
    for draft in drafts:
        if draft.identities is not None:
            merge_identities(layout.private, draft.identities)
    loaded = Load(accepted, companions, currency)
    outcome = upsert(layout.history, loaded, mode=request.mode, loaded_at=now)
    if request.mode == "replace":
        layout.headline.unlink(missing_ok=True)  # it was settled on for the shop that was here before
    _note_outcome(outcome, report)


def _note_outcome(outcome: Outcome, report: Report) -> None:
    report.outcome = "loaded" if outcome.is_changed else "unchanged"
    report.orders = outcome.orders
    if outcome.moved_count:
        message = f"{outcome.moved_count:,} orders now belong to another customer and moved"
        report.warn("moved_orders", message, column="customer_id", count=outcome.moved_count)
    manifest = outcome.history.manifest
    lines = pl.scan_parquet(outcome.history.paths("order_lines"))
    orders = lines.filter(~pl.col("is_return")).select(pl.struct("customer_id", "order_id").n_unique())
    customers = lines.filter(~pl.col("is_return")).select(pl.col("customer_id").n_unique())
    days = [
        None if d is None else f"{instant_of(d):%Y-%m-%d}"
        for d in (manifest.first_order_days, manifest.last_order_days)
    ]
    report.history = {
        "orders": orders.collect().item(),
        "customers": customers.collect().item(),
        "lines": manifest.row_counts.get("order_lines", 0),
        "first": days[0],
        "last": days[1],
        "currency": manifest.currency,
        "generation": manifest.generation,
        "data_hash": manifest.data_hash,
    }


@contextmanager
def only_one(layout: Layout) -> Iterator[None]:
    """Hold the lock of a data set, so that two loads cannot write one generation."""
    layout.root.mkdir(parents=True, exist_ok=True)
    with (layout.root / "ingest.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise IngestError(f"another load into {layout.root} is running; wait for it to end") from None
        yield


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.callback(invoke_without_command=True)
def main(  # noqa: PLR0913, PLR0917 (a command's options)
    context: typer.Context,
    file: Annotated[list[Path] | None, typer.Option(help="order file; may be given several times")] = None,
    format: Annotated[Format | None, typer.Option(help="layout; default by the suffix")] = None,
    mapping: Annotated[Path | None, typer.Option(help="mapping file (TOML)")] = None,
    mode: Annotated[
        LoadMode, typer.Option(help="replace drops the history that was there")
    ] = LoadMode.UPSERT,
    products: Annotated[Path | None, typer.Option(help="product table in canonical columns")] = None,
    customers: Annotated[Path | None, typer.Option(help="customer table in canonical columns")] = None,
    events: Annotated[Path | None, typer.Option(help="event table in canonical columns")] = None,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything is written")] = Path("var"),
) -> None:
    """Load orders into the history; prints what was loaded, what was left out and why."""
    if context.invoked_subcommand:
        return
    named = {"products": products, "customers": customers, "events": events}
    request = Request(
        files=tuple(file or ()),
        format=format,
        mapping=load_mapping(mapping),
        mode="replace" if mode is LoadMode.REPLACE else "upsert",
        companions={name: path for name, path in named.items() if path},
    )
    _check_request(request)
    layout = Layout(var)
    report = load(request, layout=layout, time_zone=load_settings().shop.time_zone)
    sys.stdout.write(report.to_text() + f"report: {layout.reports / 'usability.json'}\n")


@app.command()
def schema(
    table: Annotated[str, typer.Option(help=f"one of {', '.join(TABLES)}")] = "order_lines",
    as_json: Annotated[bool, typer.Option("--json", help="JSON Schema instead of text")] = False,
    sample: Annotated[bool, typer.Option("--sample", help="a sample CSV instead of text")] = False,
) -> None:
    """Print the columns of a canonical table: type, required, unit, example, meaning."""
    if table not in TABLES:
        raise IngestError(f"there is no table {table!r}; choose from {', '.join(TABLES)}")
    chosen = TABLES[table]
    if as_json:
        sys.stdout.write(json.dumps(json_schema(chosen), indent=1, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(sample_csv(chosen) if sample else text_table(chosen))


def _check_request(request: Request) -> None:
    if request.format is Format.COMPLETE_JOURNEY:
        if request.files:
            raise IngestError(
                "FORMAT=complete-journey reads the installed data and takes no FILE; leave FILE out"
            )
    elif not request.files and not request.companions:
        raise IngestError("no file given; name one: make data FILE=orders.csv, or --file orders.csv")
    if request.mapping.columns and request.format in NATIVE_FORMATS:
        raise IngestError(
            f"[columns] of a mapping file does not go with FORMAT={request.format}; leave one out"
        )


if __name__ == "__main__":
    run_app(app)
