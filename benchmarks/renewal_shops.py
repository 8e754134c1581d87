"""Made-up shops that are unlike any model of ours: renewal processes of other kinds, written as order lines.

BG/NBD supposes memoryless gaps and a coin after each order. Here gaps are regular (a monthly rhythm), counted
in weeks with pauses (boxes), of three kinds at once with lifetimes of their own (business customers), or
thinned by a season that is not retail's (a garden shop).
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

FIRST_DAY = datetime(2024, 1, 1)
Order = tuple[int, float, float]
"""Customer, day since the first, amount."""


def monthly_rhythm(generator: np.random.Generator) -> Iterator[Order]:
    """Yield orders about every thirty days, one in fourteen the last one."""
    for customer in range(2_500):
        day, gap = generator.uniform(-100, 390), 30.0 * generator.lognormal(0.0, 0.15)
        usual = generator.lognormal(3.2, 0.4)
        while day < 430:
            yield customer, day, usual * generator.lognormal(0.0, 0.15)
            if generator.random() < 0.07:
                break
            day += max(2.0, generator.normal(gap, 5.0))


def weekly_boxes(generator: np.random.Generator) -> Iterator[Order]:
    """Yield an order a week with pauses of two to five weeks, until one gives up."""
    for customer in range(1_500):
        day, usual = generator.uniform(-60, 320), generator.lognormal(4.0, 0.2)
        while day < 380:
            yield customer, day, usual * generator.lognormal(0.0, 0.05)
            luck = generator.random()
            if luck < 0.06:
                break
            day += 7.0 if luck < 0.8 else 7.0 * generator.integers(2, 6)


def business_customers(generator: np.random.Generator) -> Iterator[Order]:
    """Yield orders of few, very unlike customers: from memoryless to nearly regular, amounts heavy-tailed."""
    for customer in range(700):
        day, shape = generator.uniform(-300, 720), generator.choice([1.0, 3.0, 8.0])
        gap, usual = generator.lognormal(3.2, 0.7), generator.lognormal(5.5, 1.5)
        end = day + generator.exponential(600.0)
        while day < min(800.0, end):
            yield customer, day, usual * generator.lognormal(0.0, 0.7)
            day += generator.gamma(shape, gap / shape)


def garden_shop(generator: np.random.Generator) -> Iterator[Order]:
    """Yield orders of a shop in its first year whose season is spring."""
    for customer in range(3_500):
        day, rate = generator.uniform(-30, 225), generator.gamma(1.3, 1 / 35)
        usual, end = generator.lognormal(3.3, 0.6), day + generator.exponential(300.0)
        is_first = True
        while day < min(250.0, end):
            busy = 0.45 + 0.55 * np.exp(-(((day - 135) / 35) ** 2))
            if is_first or generator.random() < busy:
                yield customer, day, usual * generator.lognormal(0.0, 0.5)
            is_first = False
            day += generator.exponential(1 / (rate * 1.8))


SHOPS: dict[str, Callable[[np.random.Generator], Iterator[Order]]] = {
    "monthly rhythm": monthly_rhythm,
    "weekly boxes": weekly_boxes,
    "business customers": business_customers,
    "garden shop": garden_shop,
}


def write_orders(name: str, path: Path) -> None:
    """Write one of `SHOPS` as canonical order lines, one line an order; always the same ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    orders = sorted(SHOPS[name](np.random.default_rng(4)), key=lambda order: order[1])
    kept = [order for order in orders if order[1] >= 0]
    pl.DataFrame(
        {
            "customer_id": [f"c{customer:05d}" for customer, _, _ in kept],
            "order_id": [f"o{number:07d}" for number in range(len(kept))],
            "ordered_at": [FIRST_DAY + timedelta(days=float(day)) for _, day, _ in kept],
            "amount": [round(float(amount), 2) for _, _, amount in kept],
        }
    ).write_parquet(path)
