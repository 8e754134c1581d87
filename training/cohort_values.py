"""What customers are worth by where and when they were won, and what a new one brings.

All figures are of customers who ordered before the snapshot. Two kinds of value stand side by side, and must
not be mixed up: what new customers *brought* in their first days (`features.first_days`; only customers for
whom those days are over), and what the customers of today are *expected to bring from now on*
(`predicted_clv` of the run published as of the same day).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from features.first_days import FIRST_DAYS, Beginnings
from models.estimate import Estimate
from training.cohort_draws import GroupDraws, GroupMean, group_numbers
from training.resampling import Floats, Ints

GROUPS_MAX: Final = 24
UNKNOWN: Final = "unknown"
OTHERS: Final = "all others"
EVERYBODY: Final = "all customers"
_YEAR_DAYS: Final = 365
Kind = Literal["channel", "cohort", "all"]


@dataclass(frozen=True, slots=True)
class GroupValue:
    """One group of customers, money in major units.

    `reordered_share`     ordered more than once so far, whenever they came
    `historic_mean`       what a customer brought so far
    `first`               by h: what a customer brought in the first h days
    `predicted`, `total`  expected within the horizon of the run, and with what came so far
    `cost_mean`           what it cost to win a customer, over those of whom it is known; None where of none
    `return_on_cost`      spend of the first `return_days` ÷ cost, sums over the customers of whom both are
                          known, for the most days that enough customers have behind them
    `lead_in_count`       who first ordered within the lead-in, and may have been a customer before
    """

    kind: Kind
    group: str
    customer_count: int
    reordered_share: float
    historic_mean: float
    first: Mapping[int, GroupMean]
    predicted: GroupMean
    total: GroupMean
    cost_count: int
    cost_mean: float | None
    return_on_cost: GroupMean
    return_days: int | None
    lead_in_count: int


@dataclass(frozen=True, slots=True)
class NewCustomer:
    """What a new customer brings in the first `days`, and whether that moves.

    `everybody`        all customers who have the days behind them
    `after_lead_in`    those of them who first ordered after the lead-in, hence were new
    `older`, `newest`  halves of these by their first order; the newest half begins on `newest_from`
    `difference`       newest less older
    `span_days`        from the first to the last first order of both halves
    """

    days: int
    everybody: GroupMean
    after_lead_in: GroupMean
    older: GroupMean
    newest: GroupMean
    newest_from: date | None
    difference: Estimate | None
    span_days: float

    @property
    def began_in_other_seasons(self) -> bool:
        """Whether the halves are shorter than a year each, so that a season alone may set them apart."""
        return self.span_days < 2 * _YEAR_DAYS

    @property
    def direction(self) -> Literal["higher", "lower", "open"]:
        """Where the newest half lies: open unless the interval excludes no difference."""
        if self.difference is None or self.difference.low <= 0 <= self.difference.high:
            return "open"
        return "higher" if self.difference.low > 0 else "lower"


class CohortValues:
    """The values of a shop's customers by group.

    `customers` are those of `Beginnings`, with `acquisition_channel` and `acquisition_cost` (null where not
    known), and `predicted_clv` (null for whom the run does not hold).
    """

    def __init__(self, beginnings: Beginnings, customers: pl.DataFrame, draws: GroupDraws) -> None:
        self._customers = customers
        self._draws = draws
        self._is_early = customers["first_days"] < beginnings.lead_in_until

    def by_channel(self) -> list[GroupValue]:
        """Return the channels, the largest first and what is not known last; [] where nothing is."""
        channels = self._customers["acquisition_channel"]
        if not channels.null_count() < len(channels):
            return []
        labels, order = channel_labels(channels)
        return self._values("channel", labels, order)

    def by_cohort(self) -> list[GroupValue]:
        """Return the cohorts, the oldest first."""
        labels = cohort_labels(self._customers["first_date"])
        return self._values("cohort", labels, sorted(labels.unique()))

    def together(self) -> GroupValue:
        """Return all customers as one group."""
        labels = pl.repeat(EVERYBODY, self._customers.height, eager=True)
        return self._values("all", labels, [EVERYBODY])[0]

    def new_customers(self) -> list[NewCustomer]:
        """Return what a new customer brings, by the length of the first days."""
        return [self._new_customer(days) for days in FIRST_DAYS]

    def _values(self, kind: Kind, labels: pl.Series, order: list[str]) -> list[GroupValue]:
        facts = self._facts(labels)
        measured = self._measure(group_numbers(labels, order), len(order))
        return [
            _group_value(kind, facts[group], {name: found[at] for name, found in measured.items()})
            for at, group in enumerate(order)
        ]

    def _facts(self, labels: pl.Series) -> dict[str, dict[str, Any]]:
        """Return what is counted of every group, under the names of `GroupValue`."""
        cost = pl.col("acquisition_cost")
        counted = (
            self._customers.with_columns(labels.alias("group"), self._is_early.alias("is_early"))
            .group_by("group")
            .agg(
                pl.len().alias("customer_count"),
                (pl.col("order_count") > 1).mean().alias("reordered_share"),
                pl.col("spend_total").mean().alias("historic_mean"),
                cost.count().alias("cost_count"),
                cost.mean().alias("cost_mean"),
                pl.col("is_early").sum().alias("lead_in_count"),
            )
        )
        return {row["group"]: row for row in counted.iter_rows(named=True)}

    def _measure(self, numbers: Ints, group_count: int) -> dict[str, list[GroupMean]]:
        """Return every figure that has an interval, each for all groups."""
        predicted, cost = self._column("predicted_clv"), self._column("acquisition_cost")
        values = {"predicted": predicted, "total": self._column("spend_total") + predicted}
        values |= {f"first_{days}": self._column(f"spend_first_{days}") for days in FIRST_DAYS}
        found = {name: self._draws.means(each, numbers, group_count) for name, each in values.items()}
        returns = {
            f"return_{days}": self._draws.ratios(values[f"first_{days}"], cost, numbers, group_count)
            for days in FIRST_DAYS
        }
        return found | returns

    def _new_customer(self, days: int) -> NewCustomer:
        spend, early = self._column(f"spend_first_{days}"), self._is_early.to_numpy()
        everybody, after = (
            self._draws.means(spend, np.where(left_out, -1, 0), 1)[0]
            for left_out in (np.zeros_like(early), early)
        )
        chosen = np.isfinite(spend) & ~early
        halves, newest_from = self._halves(chosen)
        older, newest = self._draws.means(spend, halves, 2)
        difference = self._draws.difference(spend, halves)
        span = float(np.ptp(self._column("first_days")[chosen])) if chosen.any() else 0.0
        return NewCustomer(days, everybody, after, older, newest, newest_from, difference, span)

    def _halves(self, chosen: npt.NDArray[np.bool_]) -> tuple[Ints, date | None]:
        """Return 0 for the older half of the customers chosen, 1 for the newest, -1 for all others.

        Who came at one instant is in one half; the day is the first of the newest half.
        """
        first = self._column("first_days")
        if not chosen.any():
            return np.full(len(first), -1), None
        border = np.sort(first[chosen])[chosen.sum() // 2]
        halves = np.where(chosen, (first >= border).astype(np.intp), -1)
        return halves, self._customers["first_date"].filter(pl.Series(halves == 1)).min()  # type: ignore[return-value]

    def _column(self, name: str) -> Floats:
        """Return a column with NaN for what is not known."""
        return self._customers[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def channel_labels(channels: pl.Series) -> tuple[pl.Series, list[str]]:
    """Name the channel of every customer, and the channels in the order in which they are shown.

    The largest come first, then `all others` where there are more than 24, and what is not known comes last.

    >>> channel_labels(pl.Series(["web", None, "ads", "web"]))[1]
    ['web', 'ads', 'unknown']
    """
    named = channels.fill_null(UNKNOWN).alias("channel")
    counts = named.to_frame().group_by("channel").len().sort("len", "channel", descending=[True, False])
    order = [name for name in counts["channel"] if name not in {UNKNOWN, OTHERS}]
    if len(order) > GROUPS_MAX:
        order = order[: GROUPS_MAX - 1]
        is_shown = named.is_in([*order, UNKNOWN])
        named = named.zip_with(is_shown, pl.repeat(OTHERS, len(named), eager=True))
    order += [OTHERS] if (named == OTHERS).any() else []
    return named, [*order, UNKNOWN] if (named == UNKNOWN).any() else order


def cohort_labels(first_dates: pl.Series) -> pl.Series:
    """Name the month of every first order; the quarter or the year where more than 24 rows would come.

    >>> cohort_labels(pl.Series([date(2026, 1, 31), date(2026, 2, 1)])).to_list()
    ['2026-01', '2026-02']
    """
    dates = first_dates.to_frame("day")
    year = pl.col("day").dt.year()
    grains = (pl.col("day").dt.strftime("%Y-%m"), pl.format("{}-Q{}", year, pl.col("day").dt.quarter()))
    for grain in grains:
        labels = dates.select(grain.alias("cohort"))["cohort"]
        if labels.n_unique() <= GROUPS_MAX:
            return labels
    return dates.select(year.cast(pl.String).alias("cohort"))["cohort"]


def _group_value(kind: Kind, facts: Mapping[str, Any], measured: Mapping[str, GroupMean]) -> GroupValue:
    known = [days for days in FIRST_DAYS if measured[f"return_{days}"].estimate is not None]
    days = max(known, default=None)
    return GroupValue(
        kind,
        **facts,
        first={each: measured[f"first_{each}"] for each in FIRST_DAYS},
        predicted=measured["predicted"],
        total=measured["total"],
        return_on_cost=measured[f"return_{days or FIRST_DAYS[0]}"],
        return_days=days,
    )
