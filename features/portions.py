"""Loads larger than memory: lines are set down by bucket as they are read, and taken up a bucket at a time.

A customer's lines are all in one bucket, so a bucket is accepted as a whole load is; what is found in the
buckets adds up to the report of the load.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow.parquet as pq

from features.accept import Accepted, accept_lines, future_from, local_days, with_reasons
from features.advice import Tally, tally
from features.buckets import by_bucket
from features.drafts import DRAFT_SCHEMA, UNREADABLE_SHARE_MAX, Draft, unreadable_message
from features.report import DataError, Effect, Finding, LeftOut, Report

_ORDER: Final = ["customer_id", "order_id"]
_EXAMPLES_MAX: Final = 5


@dataclass(slots=True)
class Portions:
    """Draft lines under `folder`, by bucket and source; `sources` are the drafts without their lines.

    `now` is the clock (aware); lines dated later than tomorrow in the shop's time zone are left out.
    """

    folder: Path
    bucket_count: int
    time_zone: str
    now: datetime
    report: Report
    sources: dict[int, Draft] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    _writers: dict[tuple[int, int], pq.ParquetWriter] = field(default_factory=dict)
    _span: tuple[datetime, datetime] | None = None

    def add(self, source: int, draft: Draft) -> None:
        """Set down the next stretch of a source."""
        lines = with_reasons(draft.lines, future_from(self.now, self.time_zone))
        self._widen(lines.filter(pl.col("left_out").is_null())["ordered_at"])
        for bucket, rows in by_bucket(lines, self.bucket_count):
            if rows.height:
                self._writer(bucket, source).write_table(_arrow(rows))
        self.sources[source] = _joined(self.sources.get(source), replace(draft, lines=draft.lines.clear()))

    def close(self) -> None:
        """End the setting down; what was set down can be taken up from now on."""
        for writer in self._writers.values():
            writer.close()

    def orders(self) -> pl.DataFrame:
        """Return the orders (customer_id, order_id) of all lines that may be accepted."""
        usable = pl.col("left_out").is_null() & pl.col("order_id").is_not_null()
        found = [
            pl.scan_parquet(self._path(*key), glob=False).filter(usable).select(_ORDER).unique().collect()
            for key in self._writers
        ]
        return pl.concat([pl.DataFrame(schema=dict.fromkeys(_ORDER, pl.String)), *found]).unique()

    def accepted(self) -> Iterator[tuple[int, Accepted]]:
        """Yield every bucket and what is accepted of it, and add what was found to the report.

        Raises `DataError` in the end where something cannot be accepted, or nothing is left.
        """
        replaced = None
        if self._span and not all(draft.has_order_ids for draft in self.sources.values()):
            replaced = local_days(self._span, self.time_zone)
        reports: list[Report] = []
        for bucket in range(self.bucket_count):
            part = Report(time_zone=self.time_zone)
            reports.append(part)
            try:
                found = self._accept(bucket, part)
            except DataError:
                continue
            self.tally += tally(found.lines)
            yield bucket, replace(found, replaced_days=replaced)
        add_reports(self.report, reports)
        if not self.report.lines_accepted:
            reasons = "".join(f"; {item.line_count:,}: {item.meaning}" for item in self.report.left_out)
            message = f"no usable order line in {self.report.rows_read:,} rows{reasons}"
            self.report.error("no_lines", message, mend="see the reasons in the report")
        self.report.stop_on_errors()

    def _accept(self, bucket: int, report: Report) -> Accepted:
        drafts = [
            replace(draft, lines=self._lines(bucket, source))
            for source, draft in sorted(self.sources.items())
        ]
        return accept_lines(drafts, time_zone=self.time_zone, now=self.now, report=report, may_be_empty=True)

    def _lines(self, bucket: int, source: int) -> pl.DataFrame:
        if (bucket, source) not in self._writers:
            return pl.DataFrame(schema=DRAFT_SCHEMA)
        return pl.read_parquet(self._path(bucket, source), glob=False).cast(dict(DRAFT_SCHEMA))  # type: ignore[arg-type]

    def _path(self, bucket: int, source: int) -> Path:
        return self.folder / f"b{bucket:03d}-{source:03d}.parquet"

    def _writer(self, bucket: int, source: int) -> pq.ParquetWriter:
        if (bucket, source) not in self._writers:
            self.folder.mkdir(parents=True, exist_ok=True)
            schema = _arrow(pl.DataFrame(schema=DRAFT_SCHEMA)).schema
            self._writers[bucket, source] = pq.ParquetWriter(self._path(bucket, source), schema)
        return self._writers[bucket, source]

    def _widen(self, instants: pl.Series) -> None:
        if not len(instants):
            return
        first, last = instants.min(), instants.max()
        assert isinstance(first, datetime)  # noqa: S101 - the column's type
        assert isinstance(last, datetime)  # noqa: S101
        before = self._span or (first, last)
        self._span = (min(first, before[0]), max(last, before[1]))


def emptied(folder: Path) -> Path:
    """Return a folder for portions with nothing in it: a load that was killed leaves some."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _arrow(rows: pl.DataFrame):  # type: ignore[no-untyped-def]  # noqa: ANN202 - pyarrow has no types
    return rows.to_arrow(compat_level=pl.CompatLevel.oldest())


def _joined(before: Draft | None, draft: Draft) -> Draft:
    """Return what two stretches of one source say besides their lines."""
    if before is None:
        return draft
    counts = dict(before.currencies)
    for code, count in draft.currencies.items():
        counts[code] = counts.get(code, 0) + count
    people = [each.identities for each in (before, draft) if each.identities is not None]
    return replace(
        draft,
        is_date_only=before.is_date_only and draft.is_date_only,
        has_order_ids=before.has_order_ids and draft.has_order_ids,
        currencies=counts,
        identities=pl.concat(people) if people else None,
    )


def add_reports(report: Report, parts: Sequence[Report]) -> None:
    """Add what the parts of a load found to the report of the whole."""
    report.rows_read += sum(part.rows_read for part in parts)
    report.lines_accepted += sum(part.lines_accepted for part in parts)
    report.left_out = _added_reasons([item for part in (report, *parts) for item in part.left_out])
    report.returns = _added_effects([part.returns for part in (report, *parts)])
    report.free_items = _added_effects([part.free_items for part in (report, *parts)])
    report.findings = added_findings((report, *parts))


def _added_effects(effects: Sequence[Effect]) -> Effect:
    money = round(sum(effect.amount for effect in effects), 4)
    return Effect(line_count=sum(effect.line_count for effect in effects), amount=money)


def _added_reasons(items: Sequence[LeftOut]) -> list[LeftOut]:
    found: dict[str, LeftOut] = {}
    for item in items:
        before = found.get(item.reason)
        if before is not None:
            count, money = before.line_count + item.line_count, round(before.amount + item.amount, 4)
            item = before.model_copy(update={"line_count": count, "amount": money})  # noqa: PLW2901
        found[item.reason] = item
    return sorted(found.values(), key=lambda item: (-item.line_count, item.reason))


def added_findings(parts: Sequence[Report]) -> list[Finding]:
    """Join the findings of parts by kind and column: counts add up, shares are of the cells of all parts.

    >>> parts = [Report(), Report()]
    >>> for part, count in zip(parts, (2, 3)):
    ...     part.warn("odd", f"{count} lines are odd", count=count)
    >>> [each.message for each in added_findings(parts)]
    ['5 lines are odd']
    """
    found: dict[tuple[str, str, str | None], Finding] = {}
    cells: dict[tuple[str, str], int] = {}
    for part in parts:
        for finding in part.findings:
            key = (finding.name, finding.table, finding.column)
            found[key] = _both(found[key], finding) if key in found else finding
        for place, count in part.cell_counts.items():
            cells[place] = cells.get(place, 0) + count
    return [_judged(each, cells.get((each.table, each.column or ""), 0)) for each in found.values()]


def _both(one: Finding, other: Finding) -> Finding:
    count, message = one.count + other.count, one.message
    if message.startswith(f"{one.count:,} "):
        message = f"{count:,}{message.removeprefix(f'{one.count:,}')}"
    examples = (*one.examples, *other.examples)[:_EXAMPLES_MAX]
    return one.model_copy(update={"count": count, "message": message, "examples": examples})


def _judged(finding: Finding, cell_count: int) -> Finding:
    """Say what unreadable cells mean among all cells of their column: few dirty ones, or a wrong column."""
    if not cell_count or not finding.name.startswith("unreadable_") or finding.column is None:
        return finding
    share = finding.count / cell_count
    is_wrong = finding.name != "unreadable_cells" and share > UNREADABLE_SHARE_MAX
    message = unreadable_message(finding.column, finding.count, share)
    return finding.model_copy(update={"severity": "error" if is_wrong else "warning", "message": message})
