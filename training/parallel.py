"""Fits side by side: two at a time, each on half of the cores.

A boosted fit on two cores is far from twice as fast as on one, and much around it (features, metrics) runs on
one core anyway; two fits at once use what one leaves idle. No more than two, so that memory stays at twice
that of one.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_WIDTH_MAX = 2


def side_by_side(work: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """Return `work(item)` of every item, in the order of the items; the first error of any is raised.

    The answers do not depend on the number of cores: BLAS runs on one thread throughout, and the fits
    themselves are the same on any number of threads.
    """
    cores = os.cpu_count() or 1
    width = min(_WIDTH_MAX, cores)

    def on_its_share(item: Item) -> Answer:
        # OpenMP keeps a limit per calling thread; that of BLAS is the process's, and is set around the pool.
        with threadpool_limits(max(1, cores // width), "openmp"):
            return work(item)

    with threadpool_limits(1, "blas"), ThreadPoolExecutor(width) as pool:
        return list(pool.map(on_its_share, items))
