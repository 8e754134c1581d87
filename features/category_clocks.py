"""How long until the same customer buys of a category, or a product, again: "socks 94 d (n=1,203)".

A purchase is a day on which a customer bought of it; a gap leads from one to the next. Purchases that nothing
followed yet are gaps that are still open: cut off at the snapshot, not left out, since it is the long gaps
that are open (`features.return_curve`). Quartiles are of all who buy again within what the history shows.

`is_replenishable` says that it is used up and bought again. Two things must hold:

    they wait        given how often each customer buys it, the very next order holds it less often than
                     chance (`features.rhythm`); of all things so called one in twenty may be false
                     (Benjamini, Hochberg 1995). A taste does not wait, a season and a phase come in bursts
    they come back   another purchase follows most purchases, or customers buy it again beyond chance
                     (`features.self_lift`). What is needed once is waited for as well

Where nearly every order holds the thing, nothing can be told: the shop's own return curve is its clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import narwhals as nw
import numpy as np
import polars as pl

from features.build import bucket_groups
from features.history import History
from features.orders import Frame, known_rows
from features.return_curve import ReturnCurve
from features.rhythm import Rhythm, count_neighbours
from features.self_lift import STRETCH_DAYS, SelfLift, SelfLiftTally, false_discoveries_held
from features.settings import Engine, Settings
from features.snapshot import Snapshot

Kind = Literal["category", "product_id"]

# Of fewer gaps the quartiles say little.
GAP_COUNT_MIN: Final = 30
CLOCK_COUNT_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Clock:
    """How a category or product is bought again; `dataclasses.asdict` gives plain values.

    `name`, `title`        the category or product id; what the catalogue calls the product, else the same
    `gap_count`            gaps that were over at the snapshot
    `customer_count`       customers who bought it
    `quarter_days`, `median_days`, `three_quarter_days`   of those who buy again, a quarter (half, three
                           quarters) do so within so many days
    `again_share`          share of purchases that another follows within `reach_days`
    `times_chance`         how many times as often as chance another order of a customer who bought it holds
                           it; `times_chance_low` is its lower 95 % bound; None where that cannot be told
    `next_times_chance`    the same of the very next order, given how often the customer buys it: below 1 they
                           wait, above 1 it comes in bursts (a season, a phase)
    """

    name: str
    title: str
    gap_count: int
    customer_count: int
    quarter_days: int
    median_days: int
    three_quarter_days: int
    again_share: float
    reach_days: int
    times_chance: float | None
    times_chance_low: float | None
    next_times_chance: float | None
    is_replenishable: bool


def read_clocks(
    history: History,
    snapshot: Snapshot,
    *,
    kind: Kind,
    settings: Settings,
    clock_count_max: int = CLOCK_COUNT_MAX,
) -> tuple[Clock, ...]:
    """Measure the clocks of a shop's categories or products, those with the most gaps first.

    Things with fewer than 30 gaps have no clock; of more than `clock_count_max`, those with the most gaps do.
    """
    whole = Snapshot(snapshot.date, snapshot.time_zone)
    engine = settings.features.engine
    gaps = pl.concat([_gaps(bought) for _, bought in _parts(history, whole, kind, engine)])
    gaps = gaps.group_by("thing", "days", "is_open").agg(pl.col("gap_count").sum())
    counts = gaps.group_by("thing").agg(
        gap_count=pl.col("gap_count").filter(~pl.col("is_open")).sum(),
        customer_count=pl.col("gap_count").filter("is_open").sum(),
    )
    known = counts.filter(pl.col("gap_count") >= GAP_COUNT_MIN)
    chosen = known.sort("gap_count", "thing", descending=[True, False]).head(clock_count_max)
    lifts, rhythms = _tests(history, whole, kind, engine, things=chosen["thing"])
    curves = gaps.join(chosen.select("thing"), on="thing").partition_by("thing", as_dict=True)
    tests = list(zip(lifts, rhythms, strict=True))
    held = false_discoveries_held([1.0 if rhythm is None else rhythm.p_regular for rhythm in rhythms])
    rows = zip(_titled(chosen, history, kind).iter_rows(), tests, held, strict=True)
    return tuple(
        _clock(row, _curve(curves[row[0],]), *pair, is_waited_for=is_held) for row, pair, is_held in rows
    )


def _titled(chosen: pl.DataFrame, history: History, kind: Kind) -> pl.DataFrame:
    """Add what each thing is called as the last column."""
    if kind == "category":
        return chosen.with_columns(title=pl.col("thing"))
    products = history.read("products").unique("product_id", keep="last", maintain_order=True)
    names = products.select(thing=pl.col("product_id"), title=pl.col("name"))
    named = chosen.join(names, on="thing", how="left", maintain_order="left")
    return named.with_columns(pl.col("title").fill_null(pl.col("thing")))


def _clock(
    row: tuple[str, int, int, str],
    curve: ReturnCurve,
    lift: SelfLift | None,
    rhythm: Rhythm | None,
    *,
    is_waited_for: bool,
) -> Clock:
    comes_back = curve.returned_share > 0.5 or (lift is not None and lift.low > 1)
    quarter, median, three_quarter = (curve.days_until(share) or 0 for share in (0.25, 0.5, 0.75))
    return Clock(
        name=row[0],
        title=row[3],
        gap_count=row[1],
        customer_count=row[2],
        quarter_days=quarter,
        median_days=median,
        three_quarter_days=three_quarter,
        again_share=round(curve.returned_share, 9),
        reach_days=curve.reach_days,
        times_chance=None if lift is None else round(lift.times_chance, 6),
        times_chance_low=None if lift is None else round(lift.low, 6),
        next_times_chance=None if rhythm is None else round(rhythm.next_times_chance, 6),
        is_replenishable=is_waited_for and comes_back,
    )


def _curve(gaps: pl.DataFrame) -> ReturnCurve:
    ended, still_open = (
        np.repeat(part["days"].to_numpy(), part["gap_count"].to_numpy())
        for part in (gaps.filter(~pl.col("is_open")), gaps.filter("is_open"))
    )
    return ReturnCurve.fit(ended, still_open)


def _gaps(bought: pl.DataFrame) -> pl.DataFrame:
    """Count the gaps of each length: those that are over, and the open one of each customer."""
    ordered = bought.sort("thing", "customer_id", "days_ago")
    newer = pl.col("days_ago").shift(1).over("thing", "customer_id")
    rows = ordered.select(
        "thing",
        (pl.col("days_ago") - newer.fill_null(0)).alias("days"),
        newer.is_null().alias("is_open"),
    )
    return rows.group_by("thing", "days", "is_open").agg(gap_count=pl.len().cast(pl.Int64))


def _tests(
    history: History, snapshot: Snapshot, kind: Kind, engine: Engine, *, things: pl.Series
) -> tuple[list[SelfLift | None], list[Rhythm | None]]:
    """Test every thing, in order, in a second pass: only now it is known which are bought often enough."""
    numbers = things.to_frame("name").with_row_index("number").with_columns(pl.col("number").cast(pl.Int64))
    first_days = history.manifest.first_order_days
    reach = 0.0 if first_days is None else snapshot.end_days - first_days
    tally = SelfLiftTally(len(things), max(0, int(reach // STRETCH_DAYS)) + 1)
    if not len(things):
        return [], []
    neighbours = []
    for days, bought in _parts(history, snapshot, kind, engine):
        named = bought.join(numbers, left_on="thing", right_on="name").drop("thing")
        numbered = named.rename({"number": "thing"})
        tally.add(days, numbered)
        neighbours.append(count_neighbours(days, numbered))
    sums = pl.concat(neighbours).group_by("thing").agg(pl.all().sum())
    found = {thing: Rhythm.of(*counts) for thing, *counts in sums.iter_rows()}
    return tally.lifts(), [found.get(number) for number in range(len(things))]


def _parts(
    history: History, snapshot: Snapshot, kind: Kind, engine: Engine
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield the order days (customer, day) and the purchases (customer, thing, day) of groups of buckets."""
    for buckets in bucket_groups(history):
        lines = history.scan("order_lines", engine=engine, buckets=buckets)
        sold = known_rows(lines.filter(~nw.col("is_return"), ~nw.col("product_id").is_null()), snapshot)
        days = sold.select("customer_id", "days_ago").unique()
        if kind == "category":
            products = history.scan("products", engine=engine).select("product_id", "category")
            sold = sold.join(products.filter(~nw.col("category").is_null()), on="product_id", how="inner")
        bought = sold.select("customer_id", nw.col(kind).alias("thing"), "days_ago").unique()
        yield _collected(days), _collected(bought)


def _collected(rows: Frame) -> pl.DataFrame:
    return rows.collect("polars").to_native()  # type: ignore[no-any-return]
