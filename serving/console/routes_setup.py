"""The first-run set-up: upload a file of orders, look at how it is read, and let it work up to scores."""

import re
from collections.abc import AsyncIterator
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import UploadFile

from features.tables import ORDER_LINES
from serving.console.pages import PageRoute, page
from serving.console.progress_words import say_progress
from serving.console.same_origin import check_same_origin, read_form
from serving.console.setup_desk import SUFFIXES, SetupDesk, SetupError, can_train
from serving.console.tongues import tongue_of
from serving.console.words import marked
from serving.setup_run import STEPS
from serving.web.context import context_of
from serving.web.scopes import needs

router = APIRouter(route_class=PageRoute, include_in_schema=False)

PROBLEMS: Final = {
    "suffix": marked("This kind of file cannot be read. Upload CSV, Excel or Parquet."),
    "too_large": marked("The file is larger than 4 GB: load it with `make data FILE=…` instead."),
    "empty": marked("The file is empty."),
    "no_file": marked("Choose a file first."),
    "unreadable": marked("The file cannot be read as a table:"),
    "running": marked("The set-up is at work; wait until it ends."),
    "no_rows": marked("The file has a header and no rows."),
    "twice": marked("Two columns are set to the same meaning; leave one of them out:"),
    "time_zone": marked("There is no such time zone. Write one such as Europe/Berlin or Asia/Seoul."),
    "currency": marked("A currency is three capital letters, such as EUR or KRW."),
    "columns": marked("Say at least which columns are the customer, the date, and the money."),
    "serves_only": marked(
        "This installation only serves: stop it, run `make .venv/.training serve`, and come back."
    ),
}
STEP_WORDS: Final = {
    "data": marked("Reading the orders"),
    "train": marked("Training the models"),
    "evaluate": marked("Testing them on the past"),
    "promote": marked("Choosing the best"),
    "score": marked("Scoring every customer"),
}
_CHUNK: Final = 1 << 20
_COLUMNS: Final = tuple(column.name for column in ORDER_LINES.columns)
_OPTIONS: Final = ("date_format", "decimal_mark", "time_zone", "currency")
_NUMERIC: Final = frozenset({"amount", "quantity", "unit_price", "discount"})
_CURRENCY: Final = re.compile(r"[A-Z]{3}", re.ASCII)


@router.get("/setup", openapi_extra=needs("admin"))
async def show_setup(request: Request) -> Response:
    """Show where the set-up is: upload, look, work, done."""
    return _show(request)


@router.post("/setup/upload", openapi_extra=needs("admin"))
async def upload(request: Request) -> Response:
    """Keep an uploaded file of orders, and show what it seems to be."""
    check_same_origin(request)
    if not can_train():
        return _show(request, SetupError("serves_only"), status=409)
    form = await read_form(request)
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        return _show(request, SetupError("no_file"))
    try:
        await _desk(request).keep(file.filename, _chunks(file))
    except SetupError as error:
        return _show(request, error)
    finally:
        await form.close()
    return RedirectResponse("/setup", status_code=303)


@router.post("/setup/start", openapi_extra=needs("admin"))
async def start(request: Request) -> Response:
    """Begin the work: the columns as they were confirmed."""
    check_same_origin(request)
    form = await read_form(request)
    desk = _desk(request)
    guess = desk.guess
    try:
        if guess is None:
            raise SetupError("no_file")
        columns = {
            column["name"]: str(form.get(f"column-{number}", ""))
            for number, column in enumerate(guess["columns"])
            if form.get(f"column-{number}") in _COLUMNS
        }
        options = {name: str(form.get(name, "")).strip()[:64] for name in _OPTIONS}
        mode = "replace" if form.get("mode") == "replace" else "upsert"
        desk.choose({**options, "columns": columns, "mode": mode})
        if guess["format"] in ("csv", "parquet", "xlsx"):
            _check_columns(columns)
            _check_options(options)
        desk.start({**_as_written(options, columns, guess), "columns": columns}, mode=mode)
    except SetupError as error:
        return _show(request, error)
    return RedirectResponse("/setup", status_code=303)


@router.post("/setup/clear", openapi_extra=needs("admin"))
async def clear(request: Request) -> Response:
    """Forget the uploaded file, and begin anew."""
    check_same_origin(request)
    try:
        _desk(request).clear()
    except SetupError as error:
        return _show(request, error)
    return RedirectResponse("/setup", status_code=303)


def _show(request: Request, error: SetupError | None = None, *, status: int = 200) -> Response:
    desk = _desk(request)
    found = desk.status
    return page(
        request,
        "setup.html",
        status=status,
        here="/setup",  # What was posted elsewhere is shown here: its own address answers no reader.
        address="/setup",
        work=found,
        line=say_progress(tongue_of(request), found.line) if found else "",
        guess=desk.guess,
        chosen=desk.chosen,
        columns=_COLUMNS,
        steps=[(step, STEP_WORDS[step]) for step in STEPS],
        suffixes=SUFFIXES,
        problem=PROBLEMS[error.code] if error else None,
        said=error.said if error else "",
        refresh_seconds=2 if found is not None and found.state == "running" else None,
    )


def _desk(request: Request) -> SetupDesk:
    return SetupDesk(context_of(request).environment.layout)


def _check_columns(columns: dict[str, str]) -> None:
    named = set(columns.values())
    has_customer = named & {"customer_id", "email", "phone"}
    if not (has_customer and "ordered_at" in named and named & {"amount", "unit_price"}):
        raise SetupError("columns")
    meanings = list(columns.values())
    twice = sorted({each for each in meanings if meanings.count(each) > 1})
    if twice:
        raise SetupError("twice", ", ".join(twice))


def _check_options(options: dict[str, str]) -> None:
    if options["currency"] and not _CURRENCY.fullmatch(options["currency"]):
        raise SetupError("currency")
    try:
        ZoneInfo(options["time_zone"] or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SetupError("time_zone") from None


def _as_written(options: dict[str, str], columns: dict[str, str], guess: dict[str, Any]) -> dict[str, str]:
    """Return the options with what was left open: as the columns that were chosen are written."""
    chosen = [each for each in guess["columns"] if each["name"] in columns]
    dates = [each["date_format"] for each in chosen if columns[each["name"]] == "ordered_at"]
    marks = {each["decimal_mark"] for each in chosen if columns[each["name"]] in _NUMERIC}
    written = {
        "date_format": next(iter(dates), ""),
        "decimal_mark": "," if "," in marks and "." not in marks else ".",
        "encoding": guess["encoding"],
    }
    return written | {name: value for name, value in options.items() if value}


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(_CHUNK):
        yield chunk
