"""What a recipe may learn from at an origin: past features, and outcomes as far as they are known."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from threading import Lock

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from features.build import compute_features
from features.customer_sample import CustomerSample
from features.history import History
from features.holes import find_holes
from features.labels import OUTCOME_NAMES, compute_labels, is_known
from features.once import Once
from features.sampled_parts import SampledParts
from features.settings import Settings
from features.snapshot import Snapshot, snapshot_step_days

YEAR_DAYS = 364
"""52 weeks: the same season, the same weekday."""
# Customers of a shop that has just begun look unlike those of today, whatever the season.
_YEAR_AGO_HISTORY_DAYS_MIN = 180
# An outcome window of which more lies in a hole of the data says nothing.
_HIDDEN_SHARE_MAX = 0.1
_MEMO_BYTES_MAX = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Examples:
    """Training material of one origin; nothing in it is dated on or after the origin.

    `features`  index (customer_id, as_of), one float column a feature, one row per customer and past snapshot
    `labels`    same index and order; `churned_h`, `spend_h` and `order_count_h` per horizon h, NaN where the
                outcome window `[as_of, as_of + h)` ends after the origin (censored, not thrown away)
    `current`   index customer_id: the cohort's features at the origin itself, which has no outcome yet
    `year_ago`  what shows the season (see `YearAgo`), None where the history does not reach back that far
    `history_days`  from the shop's first order to the origin
    `sample`    whom the rows are of, where the shop has more customers than are learnt from; None: everybody
    `once`      what several recipes derive from all this alike is derived once: `once(key, derive)`
    """

    origin: Snapshot
    headline_days: int
    horizons_days: tuple[int, ...]
    features: pd.DataFrame
    labels: pd.DataFrame
    current: pd.DataFrame
    year_ago: "YearAgo | None" = None
    history_days: float = 0.0
    sample: CustomerSample | None = None
    once: Once = field(default_factory=Once, init=False, repr=False, compare=False)

    @property
    def is_first_season(self) -> bool:
        """Whether the shop has not lived through this time of the year yet, and meets it unprepared."""
        return in_first_season(self.history_days, headline_days=self.headline_days)

    @property
    def customer_count(self) -> int:
        """Customers of the shop at the origin, or with a sample at the day as of which it was chosen."""
        return len(self.current) if self.sample is None else self.sample.shop_count

    @property
    def judged(self) -> pd.DataFrame:
        """The customers at the origin who judge recipes: everybody had the same chance to be among them."""
        if self.sample is None:
            return self.current
        return self.current[self.sample.even_of(self.current.index)]

    def weights_of(self, rows: pd.DataFrame) -> npt.NDArray[np.float64] | None:
        """Return what each row counts (mean 1) so that sums are the shop's; None where everybody is there."""
        if self.sample is None:
            return None
        return self.sample.weights_of(rows.index.get_level_values("customer_id"))


@dataclass(frozen=True, slots=True)
class YearAgo:
    """The shop on the same weekday 52 weeks before the origin, and a headline horizon before that.

    Each pair is features and labels of one snapshot: index customer_id, columns as those of `Examples`.
    """

    before: tuple[pd.DataFrame, pd.DataFrame]
    after: tuple[pd.DataFrame, pd.DataFrame]
    headline_days: int


def in_first_season(history_days: float, *, headline_days: int) -> bool:
    """Say whether a history is too short to hold the same headline window of last year.

    >>> in_first_season(400.0, headline_days=90), in_first_season(460.0, headline_days=90)
    (True, False)
    """
    return history_days < YEAR_DAYS + headline_days


class ExampleBuilder:
    """Features, outcomes and examples at many snapshots of one history, its lines read once.

    The ledger (`features.orders`) holds what each instant added, so every snapshot is the same computation
    over its rows before D: `features_at` equals `build_features`. A snapshot with `observation_days` reads
    the lines anew, because what was bought for the first time then depends on the window. Several threads may
    ask one builder. With `sampled_as_of` and more than `training.customers_max` customers before it, a sample
    of them is kept and computed on (`features.sampled_parts`); another `draw` takes others.
    """

    def __init__(
        self, history: History, settings: Settings, *, sampled_as_of: Snapshot | None = None, draw: int = 0
    ) -> None:
        self.history = history
        self.settings = settings
        self._read = SampledParts(history, settings, sampled_as_of=sampled_as_of, draw=draw)
        self._parts = self._read.parts
        self._first_orders = self._read_first_orders()
        self._order_days = self._read_order_days()
        self._features: dict[Snapshot, pd.DataFrame] = {}
        self._one_at_a_time = Lock()

    @property
    def sample(self) -> CustomerSample | None:
        """Whose rows are kept; None: everybody's."""
        return self._read.sample

    def features_at(self, snapshot: Snapshot) -> pd.DataFrame:
        """Return the cohort's features: index customer_id, sorted; one float column each, NaN if missing."""
        with self._one_at_a_time:
            if snapshot not in self._features:
                parts, shop = self._read.at(snapshot), self._read.shop_at(snapshot)
                self._remember(snapshot, compute_features(parts, snapshot, settings=self.settings, shop=shop))
            return self._features[snapshot].copy(deep=False)

    def outcomes(
        self, snapshot: Snapshot, horizons_days: Sequence[int], known_until: Snapshot
    ) -> pd.DataFrame:
        """Return `churned_h`, `spend_h`, `order_count_h` of the cohort: index and order as `features_at`.

        NaN also for a customer who is in the cohort only because an order straddles the observation's start.

        NaN where `[D, D + h)` ends after `known_until`, or where a tenth of it lies in a hole of the data
        (`features.holes`): nobody knows who would have ordered then.
        """
        with self._one_at_a_time:  # DuckDB's connection serves one at a time
            labels = compute_labels(
                self._parts,
                snapshot,
                horizons_days=horizons_days,
                known_until=known_until,
                settings=self.settings,
            )
        outcomes = _to_pandas(labels.drop("as_of"))
        for horizon_days in horizons_days:
            if self.is_hidden(snapshot, horizon_days, known_until):
                outcomes[[f"{name}_{horizon_days}" for name in OUTCOME_NAMES]] = np.nan
        if snapshot.observation_days is None:
            return outcomes
        return outcomes.reindex(self.features_at(snapshot).index)

    def examples(self, origin: Snapshot, *, headline_days: int) -> Examples:
        """Return what may be learnt at an origin, newest snapshot first.

        Snapshots lie every `max(1, round(headline_days / 4))` days before the origin, at most
        `churn.snapshots_max`, each with at least `churn.history_days_min` days of history before it; horizons
        are `churn.grid_days` and the headline. Above `churn.training_rows_max` rows (customer x snapshot x
        known horizon) a fixed sample of customers, chosen by hash, is kept. Snapshots of which no horizon is
        known are left out.
        """
        horizons = tuple(sorted({*self.settings.churn.grid_days, headline_days}))
        snapshots = [
            s for s in self.snapshots_before(origin, headline_days) if self._known(s, horizons, origin)
        ]
        share = self._sample_share(snapshots, horizons, origin)
        parts = [self._example(snapshot, horizons, origin, share) for snapshot in snapshots]
        current = self.features_at(origin)
        if not parts:
            parts = [self._example(origin, horizons, origin, 0.0)]
        return Examples(
            origin=origin,
            headline_days=headline_days,
            horizons_days=horizons,
            features=pd.concat([features for features, _ in parts]),
            labels=pd.concat([labels for _, labels in parts]),
            current=current,
            year_ago=self._year_ago(origin, headline_days, horizons, share),
            history_days=self._history_days(origin),
            sample=self._read.sample,
        )

    def snapshots_before(self, origin: Snapshot, headline_days: int) -> list[Snapshot]:
        """Return the past snapshots of a recipe at an origin, newest first."""
        churn = self.settings.churn
        step_days = snapshot_step_days(headline_days)
        snapshots = [origin.shifted(-step_days * number) for number in range(1, churn.snapshots_max + 1)]
        return [s for s in snapshots if self._history_days(s) >= churn.history_days_min]

    def _history_days(self, snapshot: Snapshot) -> float:
        first = self.history.manifest.first_order_days
        return -1.0 if first is None else snapshot.end_days - first

    def _year_ago(
        self, origin: Snapshot, headline_days: int, horizons: Sequence[int], share: float
    ) -> YearAgo | None:
        after = origin.shifted(-YEAR_DAYS)
        before = after.shifted(-headline_days)
        # Half a year apart or more, the two lie in the same season again, a year between them.
        is_season = headline_days < YEAR_DAYS // 2
        if not is_season or self._history_days(before) < _YEAR_AGO_HISTORY_DAYS_MIN:
            return None
        pairs = []
        for snapshot in (before, after):
            features, labels = self.features_at(snapshot), self.outcomes(snapshot, horizons, origin)
            kept = _sampled(features.index, share)
            pairs.append((features[kept], labels[kept]))
        return YearAgo(pairs[0], pairs[1], headline_days)

    def is_hidden(self, snapshot: Snapshot, horizon_days: int, known_until: Snapshot) -> bool:
        """Say whether too much of an outcome window lies in holes, as far as they could be known."""
        start, end = snapshot.end_days, snapshot.outcome_end_days(horizon_days)
        holes = find_holes(self._order_days[self._order_days < known_until.end_days])
        return sum(hole.overlap_days(start, end) for hole in holes) >= _HIDDEN_SHARE_MAX * horizon_days

    def _known(self, snapshot: Snapshot, horizons: Sequence[int], origin: Snapshot) -> list[int]:
        known = (h for h in horizons if is_known(snapshot, horizon_days=h, known_until=origin))
        return [h for h in known if not self.is_hidden(snapshot, h, origin)]

    def _example(
        self, snapshot: Snapshot, horizons: Sequence[int], origin: Snapshot, share: float
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        features = self.features_at(snapshot)
        labels = self.outcomes(snapshot, horizons, origin)
        kept = _sampled(features.index, share)
        return _dated(features[kept], snapshot.date), _dated(labels[kept], snapshot.date)

    def _sample_share(
        self, snapshots: Sequence[Snapshot], horizons: Sequence[int], origin: Snapshot
    ) -> float:
        total = 0
        for snapshot in snapshots:
            cohort_size = int(np.searchsorted(self._first_orders, snapshot.end_days, side="left"))
            total += cohort_size * len(self._known(snapshot, horizons, origin))
        return min(1.0, self.settings.churn.training_rows_max / max(total, 1))

    def _read_first_orders(self) -> npt.NDArray[np.float64]:
        return self._least("customer_id").sort().to_numpy()

    def _read_order_days(self) -> npt.NDArray[np.float64]:
        """Return the first instant of every UTC day with an order, in days since 1970-01-01 UTC."""
        if self._read.past is not None:
            return self._read.past.order_days()
        instants = self._least("day").sort()
        # A day of one part may be one of another, too.
        return instants.filter(instants.floor().is_first_distinct()).to_numpy()

    def _least(self, key: str) -> pl.Series:
        """Return the first instant with an order of every customer or UTC day of each part."""
        found: list[pl.DataFrame] = [
            part.scan(part.ledger)
            .filter(nw.col("order_count") > 0)
            .with_columns(nw.col("ordered_days").floor().alias("day"))
            .group_by(key)
            .agg(nw.col("ordered_days").min())
            .collect("polars")
            .to_native()
            for part in self._parts
        ]
        return pl.concat(found)["ordered_days"]

    def _remember(self, snapshot: Snapshot, features: pl.DataFrame) -> None:
        self._features[snapshot] = _to_pandas(features.drop("as_of"))
        kept_bytes = sum(rows.shape[0] * rows.shape[1] * 8 for rows in self._features.values())
        while kept_bytes > _MEMO_BYTES_MAX and len(self._features) > 1:
            oldest = self._features.pop(next(iter(self._features)))
            kept_bytes -= oldest.shape[0] * oldest.shape[1] * 8


def _to_pandas(rows: pl.DataFrame) -> pd.DataFrame:
    values = rows.drop("customer_id")
    index = pd.Index(rows["customer_id"].to_list(), name="customer_id", dtype=object)
    matrix = values.cast(pl.Float64).fill_null(float("nan")).to_numpy(order="c")
    return pd.DataFrame(matrix, index=index, columns=values.columns)


def _dated(rows: pd.DataFrame, day: date) -> pd.DataFrame:
    index = pd.MultiIndex.from_arrays([rows.index, [day] * len(rows)], names=["customer_id", "as_of"])
    return rows.set_axis(index, axis=0)


def _sampled(customers: pd.Index, share: float) -> npt.NDArray[np.bool_]:
    if share >= 1.0:
        return np.ones(len(customers), dtype=bool)
    limit = int(share * 2**32)
    return np.fromiter(
        (_hash(str(customer)) < limit for customer in customers), dtype=bool, count=len(customers)
    )


def _hash(customer_id: str) -> int:
    # Not crc32: that one chooses the bucket, and a sample must not follow buckets.
    return int.from_bytes(hashlib.blake2b(customer_id.encode(), digest_size=4).digest(), "big")
