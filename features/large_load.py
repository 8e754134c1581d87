"""A load that is larger than memory: the files are read in stretches, then stored a bucket at a time."""

import shutil
from contextlib import closing
from datetime import datetime

from features import stretches
from features.buckets import bucket_count_after
from features.drafts import Conventions
from features.history import History
from features.layout import Layout
from features.loading import Material, Told, store_portions, without_suppressed
from features.portions import Portions, added_findings, emptied
from features.report import DataError, Report
from features.sources import Request, expected_row_count, iterate_drafts, read_companions
from features.suppression import Suppressed, read_suppressed


def is_large(request: Request) -> bool:
    """Say whether a request has more rows than two stretches: fewer are quicker in memory."""
    return _row_count(request) > 2 * stretches.ROWS_AT_ONCE


def load_large(
    request: Request,
    conventions: Conventions,
    layout: Layout,
    *,
    previous: History | None,
    now: datetime,
    told: Told,
) -> History:
    """Read, check and store a large request; raises `DataError`, leaving the history as it was.

    Text and Parquet are read in stretches, workbooks and the ready formats a file at a time.
    """
    count = bucket_count_after(previous, _row_count(request))
    folder = emptied(layout.portions)
    report = told.report
    portions = Portions(folder, count, report.time_zone, now, report)
    try:
        with closing(portions):
            _set_down(request, portions, conventions, read_suppressed(layout.root, layout.private))
        drafts = [portions.sources[number] for number in sorted(portions.sources)]
        companions = read_companions(request, drafts, conventions, report)
        material = Material(drafts, companions, request.mode)
        material = without_suppressed(material, read_suppressed(layout.root, layout.private), report)
        return store_portions(portions, material, layout, previous=previous, told=told)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _row_count(request: Request) -> int:
    return sum(expected_row_count(path, request.format) for path in request.files)


def _set_down(request: Request, portions: Portions, conventions: Conventions, suppressed: Suppressed) -> None:
    """Read every file; raises `DataError` with the problems of all of them."""
    report = portions.report
    for number, path in enumerate(request.files):
        found: list[Report] = []
        try:
            for draft, part in iterate_drafts(path, request, conventions):
                kept = without_suppressed(Material([draft], {}), suppressed, part)
                portions.add(number, kept.drafts[0])
                found.append(part)
        except DataError as error:
            found.append(error.report)
        report.findings += added_findings(found)
    report.stop_on_errors()
