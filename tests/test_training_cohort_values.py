"""Groups of made-up customers: how they are named, that they add up, and newest against older ones."""

from collections.abc import Callable
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from features.first_days import FIRST_DAYS, Beginnings
from training.cohort_draws import GroupDraws, GroupMean
from training.cohort_report import movement_text
from training.cohort_values import (
    GROUPS_MAX,
    CohortValues,
    GroupValue,
    NewCustomer,
    channel_labels,
    cohort_labels,
)


def test_many_channels_are_cut_and_the_rest_is_one_row() -> None:
    names = [f"ch{number:02d}" for number in range(30) for _ in range(40 - number)]
    labels, order = channel_labels(pl.Series([*names, None]))
    assert order == [*(f"ch{number:02d}" for number in range(GROUPS_MAX - 1)), "all others", "unknown"]
    assert labels.value_counts().filter(pl.col("channel") == "all others")["count"][0] == sum(range(11, 18))
    namesake = channel_labels(pl.Series([*names, "all others", "all others"]))
    assert (namesake[1].count("all others"), len(namesake[1])) == (1, GROUPS_MAX)
    assert channel_labels(pl.Series(["web", "all others", "all others"]))[1] == ["web", "all others"]
    exact = channel_labels(pl.Series([f"ch{number:02d}" for number in range(GROUPS_MAX)]))
    assert exact[1] == [f"ch{number:02d}" for number in range(GROUPS_MAX)]


@pytest.mark.parametrize(
    ("month_count", "last", "count"), [(24, "2021-12", 24), (25, "2022-Q1", 9), (97, "2028", 9)]
)
def test_cohorts_become_quarters_and_years(month_count: int, last: str, count: int) -> None:
    days = pl.Series([date(2020 + month // 12, month % 12 + 1, 15) for month in range(month_count)])
    labels = cohort_labels(days)
    assert (labels[-1], labels.n_unique()) == (last, count)


def values_of(customers: pl.DataFrame, *, lead_in_days: int = 0) -> CohortValues:
    draws = GroupDraws(customers["customer_id"], draw_count=100, seed=1, customers_min=4)
    return CohortValues(Beginnings(customers, lead_in_days), customers, draws)


def made_up(
    channels: list[str | None], spends: list[int], *, first_days: list[float] | None = None
) -> pl.DataFrame:
    count = len(channels)
    days = first_days or [20_000.0 + number for number in range(count)]
    frame = pl.DataFrame(
        {
            "customer_id": [f"c{number:04d}" for number in range(count)],
            "first_days": days,
            "order_count": [1.0 + number % 3 for number in range(count)],
            "spend_total": [float(spend) for spend in spends],
            **{f"spend_first_{days}": [spend / 365 * days for spend in spends] for days in FIRST_DAYS},
            "acquisition_channel": pl.Series(channels, dtype=pl.String),
            "acquisition_cost": pl.Series([None] * count, dtype=pl.Float64),
            "predicted_clv": [spend / 2 for spend in spends],
        }
    )
    return frame.with_columns(pl.from_epoch(pl.col("first_days").cast(pl.Int32), "d").alias("first_date"))


# Five or more of a channel: a draw without any of them is rare, and a floor of four is kept.
CHANNELS = (
    st.tuples(*[st.just(0) | st.integers(5, 15)] * 4)
    .filter(any)
    .map(
        lambda sizes: [
            name for name, size in zip(("ads", "web", "shop", None), sizes, strict=True) for _ in range(size)
        ]
    )
    .flatmap(st.permutations)
)


@hypothesis_settings(max_examples=40, deadline=None)
@given(CHANNELS, st.data())
def test_channels_part_the_customers_and_their_means_add_up(
    channels: list[str | None], data: st.DataObject
) -> None:
    amounts = st.lists(st.integers(-50, 500), min_size=len(channels), max_size=len(channels))
    values = values_of(made_up(channels, data.draw(amounts)))
    rows, everybody = values.by_channel(), values.together()
    if set(channels) == {None}:
        assert rows == []
        return
    assert sum(row.customer_count for row in rows) == len(channels)
    assert sum(row.lead_in_count for row in rows) == everybody.lead_in_count
    sums = {name: 0.0 for name in ("historic", "again")}
    for row in rows:
        sums["historic"] += row.customer_count * row.historic_mean
        sums["again"] += row.customer_count * row.reordered_share
    assert sums["historic"] == pytest.approx(len(channels) * everybody.historic_mean)
    assert sums["again"] == pytest.approx(len(channels) * everybody.reordered_share)
    for pick in (lambda row: row.predicted, lambda row: row.total, *(_first(days) for days in FIRST_DAYS)):
        total = sum(pick(row).customer_count * pick(row).estimate.value for row in rows)
        assert total == pytest.approx(len(channels) * pick(everybody).estimate.value, abs=1e-6)


def _first(days: int) -> Callable[[GroupValue], GroupMean]:
    return lambda row: row.first[days]


@pytest.mark.parametrize(
    ("newest", "direction", "words"),
    [
        (120, "higher", "more, beyond doubt"),
        (30, "lower", "less, beyond doubt"),
        (60, "open", "no difference beyond doubt"),
    ],
)
def test_newest_customers_are_set_against_older_ones(newest: int, direction: str, words: str) -> None:
    """Of 120 customers the first 20 lie in the lead-in; their spend of 9,000 must not count."""
    year = newest_against_older(newest, step_days=8)
    assert (year.everybody.customer_count, year.after_lead_in.customer_count) == (120, 100)
    assert (year.older.customer_count, year.newest.customer_count) == (50, 50)
    assert (year.newest_from, year.span_days) == (date(2026, 4, 17), 99 * 8)
    assert year.difference is not None
    assert year.difference.value == pytest.approx(newest - 60, abs=5)
    assert year.direction == direction
    assert movement_text(year) == f"first 365 days, first ordered from 2026-04-17 on: {words}"


def test_halves_of_less_than_a_year_are_told_apart_by_nothing_but_the_season() -> None:
    for newest, words in ((120, "more, but the halves began in other seasons"), (60, "no difference beyond")):
        assert words in movement_text(newest_against_older(newest, step_days=7))


def newest_against_older(newest: int, *, step_days: int) -> NewCustomer:
    noise = np.random.default_rng(2).integers(-10, 11, 120)
    spends = [9000] * 20 + [60] * 50 + [newest] * 50
    days = [20_000.0 + step_days * number for number in range(120)]
    customers = made_up(["ads"] * 120, list(noise + spends), first_days=days)
    return values_of(customers, lead_in_days=20 * step_days).new_customers()[-1]


def test_who_came_at_one_instant_is_in_one_half() -> None:
    days = [20_000.0] * 5 + [20_100.0] * 15
    (month, *_) = values_of(made_up(["ads"] * 20, [100] * 20, first_days=days)).new_customers()
    assert (month.older.customer_count, month.newest.customer_count) == (5, 15)
