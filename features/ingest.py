"""`python -m features.ingest`: orders in, canonical history and usability report out.

Everything is read and checked before anything is written; errors are listed all at once and leave the history
alone.
"""

import json
import sys
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from features.console import Announce, progress, run_app
from features.drafts import Conventions
from features.large_load import is_large, load_large
from features.layout import Layout
from features.loading import IngestError, Material, Told, only_one, store
from features.mapping import load_mapping
from features.person_keys import read_pepper
from features.report import DataError, Report
from features.settings import load_settings
from features.sources import NATIVE_FORMATS, Format, Request, read_companions, read_drafts
from features.tables import TABLES, json_schema, sample_csv, text_table
from features.upsert import open_previous


class LoadMode(StrEnum):
    """How a load enters the history."""

    UPSERT = "upsert"
    REPLACE = "replace"


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
    if is_large(request):
        load_large(request, conventions, layout, previous=previous, now=now, told=Told(report, announce))
    else:
        drafts = read_drafts(request, conventions, report=report)
        material = Material(drafts, read_companions(request, drafts, conventions, report), request.mode)
        store(material, layout, previous=previous, now=now, told=Told(report, announce))
    if request.mode == "replace":
        layout.headline.unlink(missing_ok=True)  # it was settled on for the shop that was here before


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
