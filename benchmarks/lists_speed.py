"""How long recommendations take to learn and to make, and how much memory learning takes.

Everything is measured in a process of its own, so that nothing else counts.
"""

import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from multiprocessing import get_context
from pathlib import Path

from features.history import History
from features.settings import load_settings
from features.slots import CUSTOMER_KINDS
from features.snapshot import Snapshot
from models.recommender.candidates import recommender_candidates
from models.recommender.material import build_material

LEARNING_SECONDS_MAX = 120.0
LEARNING_GIGABYTES_MAX = 4.0
CUSTOMERS_A_SECOND_MIN = 1_000.0
"""Targets on two cores."""
_DEPTH = 50
_REPETITIONS = 3
_KILOBYTES_A_GIGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Speed:
    """What one recommender took: learning from the history's files, and every kind of list, 50 deep."""

    learning_seconds: float
    learning_gigabytes: float
    customer_count: int
    customers_a_second: float

    def gate_lines(self) -> list[tuple[str, bool]]:
        """Hold it against the targets."""
        return [
            (
                f"learning {self.learning_seconds:.1f} s ≤ {LEARNING_SECONDS_MAX:g}",
                self.learning_seconds <= LEARNING_SECONDS_MAX,
            ),
            (
                f"learning {self.learning_gigabytes:.2f} GB ≤ {LEARNING_GIGABYTES_MAX:g}",
                self.learning_gigabytes <= LEARNING_GIGABYTES_MAX,
            ),
            (
                f"{self.customers_a_second:,.0f} of {self.customer_count:,} customers a second, all kinds "
                f"{_DEPTH} deep ≥ {CUSTOMERS_A_SECOND_MIN:,.0f}",
                self.customers_a_second >= CUSTOMERS_A_SECOND_MIN,
            ),
        ]


def speed_of(candidate: str, root: Path, day: date) -> Speed:
    """Measure a candidate on a history as of a day, in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure, candidate, root, day).result()


def _measure(candidate: str, root: Path, day: date) -> Speed:
    begun = time.perf_counter()
    settings, origin = load_settings(), Snapshot(day)
    material = build_material(History.open(root), origin, settings=settings)
    recommender = recommender_candidates(settings)[candidate].fit(material)
    learning_seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KILOBYTES_A_GIGABYTE
    ids = material.interactions["customer_id"].unique().sort().to_list()
    fastest = float("inf")
    for _ in range(_REPETITIONS):
        begun = time.perf_counter()
        recommender.recommend(
            material.interactions, customer_ids=ids, snapshot=origin, kinds=CUSTOMER_KINDS, depth=_DEPTH
        )
        fastest = min(fastest, time.perf_counter() - begun)
    return Speed(learning_seconds, peak, len(ids), len(ids) / fastest)
