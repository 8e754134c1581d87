"""Scoring a few customers again, by the champions of a run and placed among that run's customers.

What is known of them, history and messages, is put together as a small history of its own, and goes through
the very functions that score a whole shop. The snapshot is the midnight after the newest that was said of a
customer, never before the run's own: it follows the data as a run's does, and neither the clock on the wall
nor the order of arrival matters.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import polars as pl

from features.condition_values import Standpoint
from features.errors import UserError
from features.fold import Heard, fold
from features.generation import GenerationWriter
from features.history import History, bucket_of
from features.layout import Layout
from features.messages import currency_of, happened_at
from features.rfm import scheme_of
from features.settings import Settings
from features.snapshot import Snapshot
from models.registry_names import Task
from serving.audiences.control_group import ControlGroup
from serving.changes.run_signals import due_items, read_clicks
from serving.changes.signals import Signals
from serving.registry import Champion, RegistryError, load_versions
from serving.scoring.audience_rules import build_audiences, compile_audiences, days_until_due
from serving.scoring.customer_rows import score_customers
from serving.scoring.lists import ListMaker, make_lists
from serving.scoring.reference import RunReference
from serving.scoring.run_scores import complete_rows
from serving.scoring.shop import Scorers, make_predictors, run_labels, stored_tuples
from serving.state.overlays import Rescored
from serving.store.records import RunMeta

_LONG_AGO = datetime(1970, 1, 2, tzinfo=UTC)
_TASKS: tuple[Task, ...] = ("churn", "clv", "recommender")


@dataclass(frozen=True, slots=True)
class Scored:
    """New scores of some customers: their overlays, the run's meta as of now, and what events need."""

    rescored: list[Rescored]
    meta: RunMeta
    signals: Signals


class RescoreError(UserError):
    """A run by which nobody can be scored again."""


class Rescorer:
    """Scores customers again by one run; made once for it, since champions are large.

    Raises `RescoreError` for a run of an older release, `RegistryError` without its champions.
    """

    def __init__(self, layout: Layout, settings: Settings, meta: RunMeta) -> None:
        if not meta.reference:
            raise RescoreError(
                f"the run {meta.score_run_id} was made by an older release: run `make score` to go on"
            )
        shop = settings.shop.model_copy(
            update={"clv_basis": meta.clv_basis, "margin_share": meta.margin_share}
        )
        self._layout = layout
        self._settings = settings.model_copy(update={"shop": shop})
        self._meta = meta
        self._reference = RunReference.model_validate(meta.reference)
        self._scorers = _scorers(layout, meta)
        self._predictors = make_predictors(self._scorers, self._settings)
        self._rules = compile_audiences(settings.audiences, Standpoint(meta.as_of, meta.time_zone))
        self._group = ControlGroup.of(layout.private)
        history = History.open(layout.history)
        champion = self._scorers.recommender
        self._lists = make_lists(
            history,
            self._snapshot(meta.scored_at),
            champion.bundle.model if champion else None,
            settings=self._settings,
        )

    @property
    def score_run_id(self) -> str:
        """The run by which it scores."""
        return self._meta.score_run_id

    def dates_of(self, heard: Sequence[Heard], *, now: datetime) -> dict[date, list[str]]:
        """Return the dates as of which customers are to be scored, by what was said of them since the run."""
        newest: dict[str, datetime] = {}
        for each in heard:
            message = each.message
            counts = currency_of(message) in (None, self._meta.currency)
            at = min(happened_at(message), now) if counts else _LONG_AGO
            newest[message.customer_id] = max(at, newest.get(message.customer_id, _LONG_AGO))
        found: dict[date, list[str]] = {}
        for customer_id, at in newest.items():
            found.setdefault(self._snapshot(at).date, []).append(customer_id)
        return found

    def score(
        self, customer_ids: Sequence[str], heard: Sequence[Heard], *, as_of: date, now: datetime
    ) -> Scored:
        """Score customers as of a date; `heard` is what was said of them since the run.

        Raises `features.report.DataError` where the messages cannot be put into the history.
        """
        ids, snapshot = sorted(set(customer_ids)), self._snapshot_of(as_of)
        with self._small_history(ids, heard, now) as history:
            lists = replace(self._lists, history=history, snapshot=snapshot)
            rows = self._rows(history, snapshot)
            made = lists.of_customers(rows["customer_id"].to_list(), bucket=0)
            signals = Signals(
                read_clicks(history, snapshot),
                due_items(
                    made.table,
                    made.owned,
                    {item.product_id: item.item_no for item in lists.items},
                    as_of=snapshot.date,
                    within_days=self._settings.changes.due_within_days,
                ),
            )
            rescored = self._rescored(ids, rows, lists, made.table, dict(made.owned))
        meta = self._meta.model_copy(
            update={"as_of": snapshot.date, "scored_at": now.astimezone(UTC).replace(microsecond=0)}
        )
        return Scored(rescored, meta, signals)

    def _snapshot(self, at: datetime) -> Snapshot:
        """Return the midnight after an instant in the shop's time zone, never before the run's own date."""
        day = at.astimezone(ZoneInfo(self._meta.time_zone)).date() + timedelta(days=1)
        return self._snapshot_of(max(day, self._meta.as_of))

    def _snapshot_of(self, day: date) -> Snapshot:
        return Snapshot(day, self._meta.time_zone, self._settings.features.observation_days or None)

    @contextmanager
    def _small_history(
        self, customer_ids: Sequence[str], heard: Sequence[Heard], now: datetime
    ) -> Iterator[History]:
        """Yield a history of these customers alone, with the messages in it; it is removed after."""
        folder = self._layout.root / "worker"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        small = Layout(Path(tempfile.mkdtemp(prefix="scoring-", dir=folder)))
        try:
            copy_customers(self._layout, small, customer_ids)
            fold(heard, small, time_zone=self._meta.time_zone, announce=lambda _: None, now=now)
            yield History.open(small.history)
        finally:
            shutil.rmtree(small.root, ignore_errors=True)

    def _rows(self, history: History, snapshot: Snapshot) -> pl.DataFrame:
        """Return the completed rows of everybody in a small history who had ordered."""
        scheme = scheme_of(self._settings.rfm)
        found = score_customers(
            history,
            snapshot,
            self._predictors,
            bucket=0,
            settings=self._settings,
            shop=self._reference.shop,
            with_segments=False,
        )
        if found is None:
            return pl.DataFrame(schema={"customer_id": pl.String})
        labels = run_labels(self._scorers, snapshot)
        return complete_rows(found, labels, cuts=self._reference.cuts, rfm=scheme)

    def _rescored(
        self,
        customer_ids: Sequence[str],
        rows: pl.DataFrame,
        lists: ListMaker,
        table: pd.DataFrame,
        owned: Mapping[str, bytes],
    ) -> list[Rescored]:
        packed: dict[str, dict[str, bytes]] = {}
        for customer_id, kind, slots in lists.pack(table):
            packed.setdefault(customer_id, {})[kind] = slots
        stored = {row[0]: row for row in stored_tuples(rows)} if rows.width > 1 else {}
        slugs = self._audiences_of(rows, table) if stored else {}
        return [
            Rescored(
                customer_id,
                stored.get(customer_id),
                packed.get(customer_id, {}),
                owned.get(customer_id, b""),
                slugs.get(customer_id, ()),
            )
            for customer_id in customer_ids
        ]

    def _audiences_of(self, rows: pl.DataFrame, table: pd.DataFrame) -> dict[str, tuple[str, ...]]:
        """Return the lists that each customer belongs to."""
        due = days_until_due(table)
        control = self._settings.control
        found: dict[str, tuple[str, ...]] = {}
        for audience in build_audiences(rows, due, self._rules, control=control, group=self._group):
            for customer_id in audience.customer_ids:
                found[customer_id] = (*found.get(customer_id, ()), audience.slug)
        return found


def copy_customers(source: Layout, target: Layout, customer_ids: Sequence[str]) -> None:
    """Copy what the history knows of some customers into a history of its own, of one bucket."""
    history = History.open(source.history)
    count = history.manifest.bucket_count
    buckets = sorted({bucket_of(customer_id, count) for customer_id in customer_ids})
    ids = pl.LazyFrame({"customer_id": list(customer_ids)}, schema={"customer_id": pl.String})
    with GenerationWriter(target.history, bucket_count=1, currency=history.manifest.currency) as writer:
        products = pl.LazyFrame(schema={"product_id": pl.String})
        for table in ("order_lines", "events"):
            scan = pl.scan_parquet(history.paths(table, buckets=buckets), glob=False)
            rows = scan.filter(pl.col("customer_id").is_in(list(customer_ids))).collect()
            writer.write(table, rows)
            products = pl.concat([products, rows.lazy().select("product_id")])
        known = products.drop_nulls().unique()
        for table, keys in (("products", known), ("customers", ids)):
            paths = history.paths(table)
            if paths:
                on = keys.collect_schema().names()
                writer.write(
                    table, pl.scan_parquet(paths, glob=False).join(keys, on=on, how="semi").collect()
                )
        writer.commit()


def _scorers(layout: Layout, meta: RunMeta) -> Scorers:
    """Load the very versions that made a run."""
    wanted: dict[Task, int] = {
        task: card.version for task in _TASKS if (card := meta.models.get(task)) is not None
    }
    found: dict[Task, Champion] = load_versions(layout, wanted)
    if "churn" not in found or "clv" not in found:
        raise RegistryError(f"the run {meta.score_run_id} names no champions; run `make score` again")
    return Scorers(found["churn"], found["clv"], found.get("recommender"))
