"""A small made-up shop as a CSV of order lines: customers buy at their own pace, and stop."""

import csv
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
COLUMNS = ["customer_id", "order_id", "ordered_at", "product_id", "quantity", "amount"]
FIRST_DAY = datetime(2025, 1, 1)


def write_orders(
    path: Path, *, customer_count: int, days: int = 400, orders_max: int | None = None, seed: int = 1
) -> Path:
    """Write a shop: rates are gamma, customers stop for ever at a random time, one line in 25 is returned."""
    generator = np.random.default_rng(seed)
    lines = []
    for number in range(customer_count):
        mean_gap = float(generator.gamma(2.0, 20.0) + 4)
        day, end = float(generator.uniform(0, days * 0.7)), float(generator.exponential(250)) + 1
        last = min(days, day + end)
        taste = generator.dirichlet(np.full(12, 0.3))
        orders = 0
        while day < last and (orders_max is None or orders < orders_max):
            lines += _order(generator, f"c{number:04d}", f"o{number}-{orders}", day, taste)
            orders += 1
            day += float(generator.exponential(mean_gap)) + 0.2
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerows([COLUMNS, *lines])
    return path


def run(module: str, *arguments: str, var: Path, settings: str = "") -> subprocess.CompletedProcess[str]:
    """Run one command as a user does, with settings of its own; never raises."""
    config = var.parent / "settings.toml"
    config.write_text(settings)
    environment = {**os.environ, "REGULARS_CONFIG": str(config), "VAR": str(var)}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def _order(
    generator: np.random.Generator, customer: str, order: str, day: float, taste: np.ndarray
) -> list[list[str]]:
    rows = []
    at = FIRST_DAY + timedelta(seconds=round(day * 86_400))
    for item in generator.choice(12, size=1 + generator.poisson(1.0), p=taste):
        quantity = 1 + int(generator.poisson(0.4))
        amount = round(quantity * (3 + 2.5 * int(item)) * float(generator.lognormal(0, 0.1)), 2)
        rows.append([customer, order, at.isoformat(), f"p{item:02d}", str(quantity), f"{amount:.2f}"])
        if generator.random() < 0.04:
            later = at + timedelta(days=3)
            returned = [
                customer,
                f"{order}-r",
                later.isoformat(),
                f"p{item:02d}",
                str(-quantity),
                f"{-amount:.2f}",
            ]
            rows.append(returned)
    return rows
