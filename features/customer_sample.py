"""A sample of a large shop's customers to learn from: a setting bounds training, whatever the shop's size.

Customers fall into strata by how often, how lately and for how long they order. A stratum gives customers
in proportion to its size, yet never fewer than 20 (or all it has), so that none that is rare gets lost;
within it those with the smallest hash of their id are taken, always the same ones. Each then stands for as
many customers as its stratum has for one taken (Horvitz & Thompson 1952): weighted by that, sums over the
sample are right on average for the shop, and the number of customers in every stratum is right exactly.

    stratum        customers    taken (of 100)    each stands for
    one order            900                70               12.9
    two orders            90                20                4.5
    many orders           10                10                1.0
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from features.build import bucket_groups
from features.history import History
from features.settings import Engine
from features.snapshot import Snapshot

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

STRATUM_CUSTOMERS_MIN = 20
"""A stratum gives no fewer customers than this, or all that it has."""
# From so many order days, days since the last order, days since the first one, on: the bands of the strata.
_ORDER_DAYS_FROM = (2, 3, 5, 10, 25)
_SILENT_FROM_DAYS = (30, 90, 180, 365)
_LIFETIME_FROM_DAYS = (90, 365)


@dataclass(frozen=True, slots=True)
class CustomerSample:
    """The customers taken, sorted by id.

    `weights`  how many customers of the shop each stands for; they add up to `shop_count`
    `is_even`  a part in which everybody had the same chance to be, so that plain figures of it are the shop's
    """

    customer_ids: pl.Series
    weights: Floats
    is_even: Bools
    shop_count: int

    def __len__(self) -> int:
        return len(self.customer_ids)

    def weights_of(self, customers: pd.Index) -> Floats:
        """Return the weights of some customers of the sample, scaled to a mean of 1."""
        if not len(customers):
            return np.ones(0)
        found = self.weights[self._places(customers)]
        return np.asarray(found / found.mean())

    def even_of(self, customers: pd.Index) -> Bools:
        """Say of some customers of the sample whether they are in its even part."""
        return np.asarray(self.is_even[self._places(customers)])

    def _places(self, customers: pd.Index) -> NDArray[np.intp]:
        known = pd.Index(self.customer_ids.to_list(), dtype=object)
        places: NDArray[np.intp] = known.get_indexer(customers.to_numpy(dtype=object))
        if (places < 0).any():
            raise KeyError("a customer of the sample is expected")
        return places

    @classmethod
    def of(cls, customer_ids: pl.Series, strata: Ints, *, count: int, draw: int = 0) -> Self:
        """Take `count` customers (fewer than there are) by stratum and hash; `strata` are numbers from 0.

        Another `draw` hashes otherwise and takes others.

        >>> ids = pl.Series([f"c{number}" for number in range(10)])
        >>> sample = CustomerSample.of(ids, np.zeros(10, np.int64), count=4)
        >>> len(sample), sample.weights.tolist()
        (4, [2.5, 2.5, 2.5, 2.5])
        """
        numbers, sizes = np.unique(strata, return_counts=True)
        places = np.searchsorted(numbers, strata)
        if np.minimum(sizes, STRATUM_CUSTOMERS_MIN).sum() > count // 2:
            # Too few to take from every stratum and yet in proportion: plain chance.
            places, sizes = np.zeros(len(strata), np.int64), np.array([len(strata)])
        taken, even = allocate(sizes, count)
        ranks = _ranks(customer_ids, places, draw=draw)
        chosen = np.flatnonzero(ranks < taken[places])
        order = chosen[np.asarray(customer_ids.gather(chosen).arg_sort())]
        weights = (sizes / np.maximum(taken, 1))[places[order]]
        is_even = ranks[order] < even[places[order]]
        return cls(customer_ids.gather(order), weights, is_even, len(customer_ids))


def allocate(sizes: Ints, count: int) -> tuple[Ints, Ints]:
    """Return how many customers each stratum gives, and how many of these were due by its size alone.

    `count` is at most the sum of the sizes, and at least twice what the smallest gifts come to. Shares are
    made whole by the largest remainders (Hamilton).

    >>> [part.tolist() for part in allocate(np.array([900, 90, 10]), 100)]
    [[70, 20, 10], [70, 7, 1]]
    """
    least = np.minimum(sizes, STRATUM_CUSTOMERS_MIN) if len(sizes) > 1 else np.zeros_like(sizes)
    is_rare = np.zeros(len(sizes), dtype=bool)
    while True:
        share = (count - least[is_rare].sum()) / max(int(sizes[~is_rare].sum()), 1)
        short = ~is_rare & (share * sizes < least)
        if not short.any():
            break
        is_rare |= short
    taken = _whole(np.where(is_rare, least, np.minimum(share * sizes, sizes)), count)
    due = np.cumsum(np.where(is_rare, share * sizes, 0.0))
    even_of_rare = np.diff(np.floor(due + 0.5), prepend=0.0).astype(np.int64)
    return taken, np.where(is_rare, np.minimum(even_of_rare, taken), taken)


def choose_customers(
    history: History, known_until: Snapshot, *, count_max: int, engine: Engine, draw: int = 0
) -> CustomerSample | None:
    """Choose a sample of those who ordered before a snapshot; None where no more than `count_max` did.

    One narrow pass over the lines: customer, instant and whether it is a return.
    """
    if history.manifest.row_counts["order_lines"] <= count_max:
        return None
    customers = read_order_spans(history, known_until, engine=engine)
    if len(customers) <= count_max:
        return None
    return CustomerSample.of(customers["customer_id"], strata_of(customers), count=count_max, draw=draw)


def read_order_spans(history: History, known_until: Snapshot, *, engine: Engine) -> pl.DataFrame:
    """Return one row per customer with an order before a snapshot, sorted, a part of the buckets at a time.

    Columns `customer_id`, `order_days` (distinct UTC days with a purchase), `silent_days` and `lifetime_days`
    (24-hour days from the last and from the first purchase to the snapshot).
    """
    groups = bucket_groups(history, engine=engine)
    found = [_spans(history, group, known_until, engine=engine) for group in groups]
    return pl.concat(found).sort("customer_id")


def strata_of(customers: pl.DataFrame) -> Ints:
    """Return the number of each customer's stratum; rows as `read_order_spans` has them."""
    orders = np.searchsorted(_ORDER_DAYS_FROM, customers["order_days"].to_numpy(), side="right")
    silent = np.searchsorted(_SILENT_FROM_DAYS, customers["silent_days"].to_numpy(), side="right")
    lifetime = np.searchsorted(_LIFETIME_FROM_DAYS, customers["lifetime_days"].to_numpy(), side="right")
    strata = orders * (len(_SILENT_FROM_DAYS) + 1) + silent
    return np.asarray(strata * (len(_LIFETIME_FROM_DAYS) + 1) + lifetime, dtype=np.int64)


def _spans(
    history: History, buckets: Sequence[int] | None, known_until: Snapshot, *, engine: Engine
) -> pl.DataFrame:
    days, end = nw.col("ordered_days"), known_until.end_days
    bought = history.scan("order_lines", engine=engine, buckets=buckets).filter(
        ~nw.col("is_return"), days < end
    )
    by_day = bought.select("customer_id", days, days.floor().alias("day")).group_by("customer_id", "day")
    instants = by_day.agg(days.min().alias("first"), days.max().alias("last"))
    spans = instants.group_by("customer_id").agg(
        nw.col("day").count().cast(nw.Int64).alias("order_days"),
        nw.col("first").min(),
        nw.col("last").max(),
    )
    rows: pl.DataFrame = spans.collect("polars").to_native()
    return rows.select(
        "customer_id",
        "order_days",
        (end - pl.col("last")).alias("silent_days"),
        (end - pl.col("first")).alias("lifetime_days"),
    )


def _ranks(customer_ids: pl.Series, places: Ints, *, draw: int) -> Ints:
    """Return each customer's rank by hash within its stratum, the smallest 0."""
    hashes = np.fromiter((_hash(one, draw) for one in customer_ids), np.uint64, len(customer_ids))
    order = np.lexsort((customer_ids.to_numpy(allow_copy=True).astype(str), hashes, places))
    starts = np.searchsorted(places[order], places[order], side="left")
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order)) - starts
    return ranks


def _hash(customer_id: str, draw: int) -> int:
    # Neither crc32, which chooses the bucket, nor the hash by which training rows are thinned further.
    salt = draw.to_bytes(8, "big")
    digest = hashlib.blake2b(customer_id.encode(), digest_size=8, person=b"learnt from", salt=salt)
    return int.from_bytes(digest.digest(), "big")


def _whole(shares: Floats, count: int) -> Ints:
    """Round shares so that they add up to `count`: up where the remainder is largest, the first of equals."""
    taken = np.floor(shares + 1e-9).astype(np.int64)
    missing = max(count - int(taken.sum()), 0)
    taken[np.argsort(-(shares - taken), kind="stable")[:missing]] += 1
    return taken
