"""What goes with churn in a shop and its segments: "customers with X churn 1.8 times as often (1.6-2.0)".

Each reason code has one candidate: of its features and cut points, the one that tells churners apart best.
It is looked for among some customers and measured on the others, so that the search does not flatter the
ratio (honest splitting: Athey, Imbens 2016). Snapshots whose outcome at the horizon is known count, all of
them; intervals allow for customers who are seen at several.

Beside the plain ratio stands the one among customers of the same snapshot and the same fifth of recency: a
driver that is recency in disguise is near 1 there. What is reported has a plain ratio that differs from 1
by a Holm test over all candidates of the shop and its segments. It is an association; nothing here says
that changing X would change churn.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from features.declare import Reason
from features.errors import UserError
from features.examples import Examples
from features.families import FEATURES
from models.cuts import best_cut
from models.estimate import Estimate
from models.rate_ratios import Floats, Integers, Mask, RateRatio, holm, rate_ratio

LEVEL: Final = 0.01
"""Less than one shop in a hundred is told of a driver where there is none."""
SIDE_CUSTOMERS_MIN: Final = 50
SIDE_OUTCOMES_MIN: Final = 10
"""Each side needs so many rows that churned and as many that did not: the interval is a large-sample one."""
_FIFTHS: Final = 5
_FINDING_SHARE: Final = 0.5
_FINDING_ROWS_MAX: Final = 60_000
_ITSELF: Final = "gap_over_usual"
"""The reason that is about recency: comparing the equally recent would compare it with itself."""


class UnknownOutcomeError(UserError):
    """No outcome is known at a horizon that was asked for."""


class Driver(BaseModel):
    """A group of customers who churn more often than the rest, by one feature.

    `segment`         None for the whole shop
    `side`, `cut`     who is in the group: the feature is above the cut, or at most the cut
    `ratio`           churn rate of the group over that of the rest, above 1
    `alike_ratio`     the same among the equally recent; None for recency's own reason, or where none compare
    `*_row_count`     customers times snapshots of those measured, `*_customer_count` customers, of whom one
                      may be in both at different snapshots; whose feature is missing is in neither
    `kind`            always "association": what goes with churn, not what causes it
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    kind: Literal["association"] = "association"
    segment: str | None
    reason: Reason
    feature: str
    side: Literal["above", "at_most"]
    cut: float
    horizon_days: int
    ratio: Estimate
    alike_ratio: Estimate | None
    group_churned_share: float
    rest_churned_share: float
    group_row_count: int
    rest_row_count: int
    group_customer_count: int
    rest_customer_count: int

    @property
    def is_beyond_recency(self) -> bool:
        """Say whether the equally recent differ too, and the same way; true where that cannot be asked."""
        return self.alike_ratio is None or self.alike_ratio.low > 1


@dataclass(frozen=True, slots=True)
class _Rows:
    """Customers at snapshots with a known outcome; numbers from 0 for customers, snapshots and strata.

    `places` are their rows in `features`, which is shared, not copied.
    """

    features: pd.DataFrame
    places: Integers
    churned: Floats
    customers: Integers
    snapshots: Integers
    strata: Integers

    def column(self, name: str) -> Floats:
        """Return the rows' values of a feature."""
        return np.asarray(self.features[name].to_numpy(dtype=np.float64)[self.places])

    def where(self, kept: Mask) -> "_Rows":
        """Return some of the rows."""
        return _Rows(
            self.features,
            self.places[kept],
            self.churned[kept],
            self.customers[kept],
            self.snapshots[kept],
            self.strata[kept],
        )


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A cut that was found, and what was measured of it elsewhere; `ratio` is that of the values above."""

    segment: str | None
    reason: Reason
    feature: str
    cut: float
    measured: _Rows
    above: Mask
    ratio: RateRatio


def drivers(
    examples: Examples, *, horizon_days: int, segments: "pd.Series[str] | None" = None, seed: int
) -> list[Driver]:
    """Return what goes with churn within a horizon: the shop first, then its segments by name.

    `segments` is indexed by (customer_id, as_of), as the examples are, or by customer_id; who has none
    counts for the whole shop only. `seed` chooses on whom cuts are looked for. Within a segment the highest
    ratio comes first. Empty where nothing stands out, or where there are too few customers to say.
    Raises `UnknownOutcomeError`.
    """
    rows = _known_rows(examples, horizon_days)
    finding = _finding_customers(rows, seed)
    found = [
        candidate
        for segment, kept in _segments(rows, segments).items()
        for candidate in _candidates(segment, rows.where(kept), finding)
    ]
    stands = holm([candidate.ratio.p_value for candidate in found], level=LEVEL)
    kept = [_driver(one, horizon_days) for one, stand in zip(found, stands, strict=True) if stand]
    return sorted(kept, key=lambda one: (one.segment is not None, one.segment or "", -one.ratio.value))


def driver_text(driver: Driver) -> str:
    """Say a driver in one sentence, as an association."""
    where = "" if driver.segment is None else f"{driver.segment}: "
    who = f"customers with {driver.feature} {driver.side.replace('_', ' ')} {driver.cut:g}"
    shares = f"{driver.group_churned_share:.0%} against {driver.rest_churned_share:.0%}"
    counts = f"n = {driver.group_customer_count:,} and {driver.rest_customer_count:,}"
    alike = ""
    if driver.alike_ratio is not None:
        but = "" if driver.is_beyond_recency else "but "
        alike = f"; {but}{_range(driver.alike_ratio)} among the equally recent"
    return (
        f"{where}{who} churn {_range(driver.ratio)} as often within {driver.horizon_days} days, {shares} "
        f"({counts}){alike}; an association, not a cause"
    )


def _range(ratio: Estimate) -> str:
    return f"{ratio.value:.2f} × ({ratio.low:.2f}–{ratio.high:.2f})"


def _known_rows(examples: Examples, horizon_days: int) -> _Rows:
    name = f"churned_{horizon_days}"
    if name not in examples.labels.columns:
        held = ", ".join(map(str, examples.horizons_days))
        raise UnknownOutcomeError(f"no outcomes at {horizon_days} days; choose one of {held}")
    churned = examples.labels[name].to_numpy(dtype=np.float64)
    customers = _numbers(examples.features.index.get_level_values("customer_id"))
    snapshots = _numbers(examples.features.index.get_level_values("as_of"))
    fifths = _fifths(examples.features["recency_days"].to_numpy(dtype=np.float64), snapshots)
    places = np.arange(len(churned))
    rows = _Rows(examples.features, places, churned, customers, snapshots, snapshots * _FIFTHS + fifths)
    return rows.where(np.isfinite(churned))


def _numbers(values: pd.Index) -> Integers:
    return np.asarray(pd.factorize(values, sort=True)[0], dtype=np.int64)


def _fifths(values: Floats, snapshots: Integers) -> Integers:
    """Return the fifth of its snapshot that each value is in, from 0; equal values share one."""
    fifths = np.zeros(len(values), dtype=np.int64)
    for snapshot in np.unique(snapshots):
        own = np.flatnonzero(snapshots == snapshot)
        lower = np.searchsorted(np.sort(values[own]), values[own], side="left")
        fifths[own] = lower * _FIFTHS // len(own)
    return fifths


def _finding_customers(rows: _Rows, seed: int) -> Mask:
    """Draw the customers on whom cuts are looked for: half of them, fewer of very many."""
    count = int(rows.customers.max(initial=-1)) + 1
    share = min(_FINDING_SHARE, _FINDING_ROWS_MAX / max(len(rows.churned), 1))
    return np.random.default_rng(seed).random(count) < share


def _segments(rows: _Rows, segments: "pd.Series[str] | None") -> dict[str | None, Mask]:
    groups: dict[str | None, Mask] = {None: np.ones(len(rows.places), dtype=bool)}
    if segments is None:
        return groups
    index = rows.features.index[rows.places]
    keys = index if segments.index.nlevels > 1 else index.get_level_values("customer_id")
    names = segments.reindex(keys)
    known = names.notna().to_numpy()
    texts = names.astype(str).to_numpy(dtype=object)
    for name in sorted(set(texts[known])):
        groups[name] = known & (texts == name)
    return groups


def _candidates(segment: str | None, rows: _Rows, finding: Mask) -> Iterator[_Candidate]:
    """Yield each reason's best cut where there is one, as measured on the customers it was not found on."""
    is_finding = finding[rows.customers]
    found, rest = rows.where(is_finding), rows.where(~is_finding)
    best: dict[Reason, tuple[float, str, float]] = {}
    for feature in FEATURES:
        # A feature of the snapshot tells days apart, not customers.
        if feature.name in found.features.columns and feature.window != "snapshot":
            strata = found.snapshots if feature.reason == _ITSELF else found.strata
            strength, cut = best_cut(found.column(feature.name), found.churned, strata=strata)
            if strength > best.get(feature.reason, (0.0, "", 0.0))[0]:
                best[feature.reason] = (strength, feature.name, cut)
    for reason, (_, name, cut) in sorted(best.items()):
        candidate = _measured(segment, reason, name, cut, rest)
        if candidate is not None:
            yield candidate


def _measured(segment: str | None, reason: Reason, name: str, cut: float, rows: _Rows) -> _Candidate | None:
    rows = rows.where(np.isfinite(rows.column(name)))
    above = rows.column(name) > cut
    if not all(_is_enough(rows, side) for side in (above, ~above)):
        return None
    ratio = rate_ratio(above, rows.churned, strata=np.zeros_like(rows.strata), clusters=rows.customers)
    return None if ratio is None else _Candidate(segment, reason, name, cut, rows, above, ratio)


def _is_enough(rows: _Rows, side: Mask) -> bool:
    churned = rows.churned[side]
    outcomes = min((churned == 1).sum(), (churned == 0).sum())
    customer_count = len(np.unique(rows.customers[side]))
    return bool(customer_count >= SIDE_CUSTOMERS_MIN and outcomes >= SIDE_OUTCOMES_MIN)


def _driver(found: _Candidate, horizon_days: int) -> Driver:
    rows, is_above = found.measured, found.ratio.ratio >= 1
    group = found.above if is_above else ~found.above
    alike = None
    if found.reason != _ITSELF:
        alike = rate_ratio(group, rows.churned, strata=rows.strata, clusters=rows.customers)
    return Driver(
        segment=found.segment,
        reason=found.reason,
        feature=found.feature,
        side="above" if is_above else "at_most",
        cut=found.cut,
        horizon_days=horizon_days,
        ratio=_estimate(found.ratio if is_above else found.ratio.inverse),
        alike_ratio=None if alike is None else _estimate(alike),
        group_churned_share=float(rows.churned[group].mean()),
        rest_churned_share=float(rows.churned[~group].mean()),
        group_row_count=int(group.sum()),
        rest_row_count=int((~group).sum()),
        group_customer_count=len(np.unique(rows.customers[group])),
        rest_customer_count=len(np.unique(rows.customers[~group])),
    )


def _estimate(ratio: RateRatio) -> Estimate:
    return Estimate(value=ratio.ratio, low=ratio.low, high=ratio.high)
