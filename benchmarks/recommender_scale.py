"""The recommender on a large shop: memory and time by step, from the history's files to a bundle.

    python -m benchmarks.recommender_scale [--customers 150000 --items 15000 --lines 1000000]

The shop is made up and written bucket by bucket, so that it never lies in memory whole; learning runs in a
process of its own. The memory of a step is the highest resident memory while it ran, with all that was still
held from the steps before it. All items are considered: `recommender.item_count_max` is raised to their
number.
"""

import shutil
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final, TypeVar

import numpy as np
import polars as pl
import typer

from features.console import Announce, progress, run_command
from features.generation import GenerationWriter
from features.history import STORED_SCHEMAS, History
from features.settings import Settings, load_settings
from features.slots import CUSTOMER_KINDS
from features.snapshot import Snapshot
from models.recommender.blend import Blend
from models.recommender.bundles import BundleTable
from models.recommender.candidates import recommender_candidates
from models.recommender.catalogue import Catalogue
from models.recommender.contract import RecommenderMaterial
from models.recommender.factors import one_blas_thread
from models.recommender.lessons import rehearse
from models.recommender.material import build_material, learnt_factors, learnt_neighbours

AS_OF: Final = date(2026, 6, 1)
_DAYS = 730
_BUCKET_COUNT = 64
_CATEGORY_COUNT = 300
_NEEDS_PER_CATEGORY = 8
_FAVOURITES = 4
_AGAIN_SHARE = 0.3
_STRAYING_SHARE = 0.2
_LINES_PER_ORDER = 3
_SERVED = 2_000
_BYTES_A_GIGABYTE = 2**30

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Size:
    """How large a made-up shop is."""

    customers: int
    items: int
    lines: int


@dataclass(slots=True)
class Steps:
    """Seconds and the highest resident memory (bytes) of each step, measured every twentieth of a second."""

    rows: list[tuple[str, float, int]] = field(default_factory=list)

    def run(self, name: str, work: Callable[[], Answer]) -> Answer:
        """Run a step and note what it took."""
        begun = time.perf_counter()
        with _watched() as peak:
            answer = work()
        self.rows.append((name, time.perf_counter() - begun, peak[0]))
        sys.stderr.write(f"  {_row(self.rows[-1])}\n")
        return answer


@contextmanager
def _watched() -> Iterator[list[int]]:
    """Yield a list whose only entry is the highest resident memory seen within the block."""
    peak, ended = [_resident_bytes()], threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            peak[0] = max(peak[0], _resident_bytes())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()
        peak[0] = max(peak[0], _resident_bytes())


def _resident_bytes() -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def write_shop(size: Size, root: Path, announce: Announce, *, seed: int = 1) -> History:
    """Write a made-up shop bucket by bucket; customers like some categories and buy some items again."""
    numbers = np.arange(size.customers)
    buckets = np.fromiter(
        (zlib.crc32(f"c{number:08d}".encode()) % _BUCKET_COUNT for number in numbers), np.int64, len(numbers)
    )
    shutil.rmtree(root, ignore_errors=True)
    with GenerationWriter(root, bucket_count=_BUCKET_COUNT, currency="EUR") as writer:
        for bucket in range(_BUCKET_COUNT):
            announce(f"bucket {bucket + 1} of {_BUCKET_COUNT}")
            customers = numbers[buckets == bucket]
            writer.write("order_lines", _lines(customers, size, seed=seed + bucket), bucket=bucket)
        writer.write("products", _products(size.items))
        return writer.commit()


def _lines(customers: "np.ndarray[tuple[int], np.dtype[np.int64]]", size: Size, *, seed: int) -> pl.DataFrame:
    """Make the order lines of some customers."""
    generator = np.random.default_rng(seed)
    activity = generator.gamma(0.7, size.lines / size.customers / 0.7, len(customers))
    counts = np.maximum(generator.poisson(np.maximum(activity - 0.5, 0.1)), 1)
    total, starts = int(counts.sum()), np.cumsum(counts) - counts
    owner = np.repeat(np.arange(len(customers)), counts)
    place = np.arange(total) - starts[owner]
    favourites = generator.integers(0, _CATEGORY_COUNT, (len(customers), _FAVOURITES))
    category = favourites[owner, generator.integers(0, _FAVOURITES, total)]
    strays = generator.random(total) < _STRAYING_SHARE
    category[strays] = generator.integers(0, _CATEGORY_COUNT, int(strays.sum()))
    per_category = max(size.items // _CATEGORY_COUNT, 1)
    rank = np.floor(per_category ** generator.random(total)).astype(np.int64) - 1
    item = (rank * _CATEGORY_COUNT + category) % size.items
    again = generator.random(total) < _AGAIN_SHARE
    item[again] = item[(starts[owner] + (generator.random(total) * place).astype(np.int64))[again]]
    order = place // _LINES_PER_ORDER
    # A customer joins on some day, and orders evenly from then to the end.
    joined = generator.random(len(customers))
    through = (order + generator.random(len(customers))[owner]) * _LINES_PER_ORDER
    left = (1 - joined[owner]) * (1 - np.minimum(through / (counts[owner] + _LINES_PER_ORDER), 0.999))
    when = (AS_OF - date(1970, 1, 1)).days - _DAYS * left
    amount = 10_000 * (2 + item % 97)
    ids = np.char.add("c", np.char.zfill(customers.astype(str), 8))
    return _stored(
        pl.DataFrame(
            {
                "customer_id": pl.Series(ids.tolist()).gather(owner),
                "order_id": pl.Series(owner * 1_000 + order).cast(pl.String),
                "line_id": pl.Series(place).cast(pl.String),
                "ordered_days": when,
                "product_id": pl.Series(item).cast(pl.String).str.zfill(7),
                "amount_minor": amount,
            }
        )
    )


def _stored(lines: pl.DataFrame) -> pl.DataFrame:
    at = (pl.col("ordered_days") * 86_400e6).cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
    known = lines.with_columns(
        at.alias("ordered_at"),
        pl.lit(1_000).alias("quantity_minor"),
        pl.lit(0).alias("discount_minor"),
        pl.lit(value=False).alias("is_return"),
        pl.lit("web").alias("channel"),
        pl.lit(None).alias("coupon"),
        at.alias("loaded_at"),
    )
    return known.select(STORED_SCHEMAS["order_lines"].keys())


def _products(count: int) -> pl.DataFrame:
    numbers = np.arange(count)
    category, rank = numbers % _CATEGORY_COUNT, numbers // _CATEGORY_COUNT
    words = np.random.default_rng(5).integers(0, 2_000, (count, 3))
    names = [f"word{a} word{b} word{c}" for a, b, c in words]
    table = pl.DataFrame({"product_id": pl.Series(numbers).cast(pl.String).str.zfill(7), "name": names})
    made = table.with_columns(
        pl.Series("category", [f"category {number}" for number in category]),
        pl.Series(
            "subcategory",
            [f"need {a}/{b}" for a, b in zip(category, rank % _NEEDS_PER_CATEGORY, strict=True)],
        ),
        pl.Series("brand", [f"brand {number % 500}" for number in rank]),
        pl.Series("list_price_minor", 10_000 * (2 + numbers % 97)),
        pl.lit(None).alias("unit_cost_minor"),
        pl.lit(value=True).alias("in_stock"),
        *(pl.lit(None).alias(name) for name in ("url", "image_url", "launched_on")),
        pl.lit(0).cast(pl.Datetime("us", "UTC")).alias("loaded_at"),
    )
    return made.select(STORED_SCHEMAS["products"].keys())


def learn(root: Path, item_count_max: int) -> list[tuple[str, float, int]]:
    """Learn the champion's recipe step by step; what a step learns is kept and not learnt again."""
    steps, settings = Steps(), load_settings()
    wide = settings.recommender.model_copy(update={"item_count_max": item_count_max})
    settings = settings.model_copy(update={"recommender": wide})
    history, origin = History.open(root), Snapshot(AS_OF)
    material = steps.run("read purchases", lambda: build_material(history, origin, settings=settings))
    recommender = recommender_candidates(settings)["blend"]
    assert isinstance(recommender, Blend)  # noqa: S101 - the candidates say so
    with one_blas_thread():
        _learn_items(material, recommender, steps)
    steps.run("shelves, ranker and the rest", lambda: recommender.fit(material))
    with TemporaryDirectory() as folder:
        steps.run("save the bundle", lambda: recommender.save(Path(folder)))
    _serve(material, recommender, steps, settings=settings)
    return steps.rows


def _learn_items(material: RecommenderMaterial, recommender: Blend, steps: Steps) -> None:
    catalogue, als = Catalogue(material.items), recommender.als_settings()
    steps.run("item neighbours", lambda: learnt_neighbours(material, catalogue))
    steps.run("ALS", lambda: learnt_factors(material, catalogue, als))
    assert material.shelf is not None  # noqa: S101 - not a back-test
    baskets = material.shelf.baskets
    steps.run("baskets and bundles", lambda: BundleTable.fit(baskets(), catalogue))
    for rehearsal in material.rehearsals:
        steps.run(f"rehearsal as of {rehearsal.snapshot.date}", partial(rehearse, rehearsal, als))


def _serve(material: RecommenderMaterial, recommender: Blend, steps: Steps, *, settings: Settings) -> None:
    known = material.interactions["customer_id"].unique().sort()
    ids = known.sample(min(_SERVED, len(known)), seed=1).sort().to_list()
    own = material.interactions.filter(pl.col("customer_id").is_in(ids))
    steps.run(
        f"{len(ids):,} customers' lists",
        lambda: recommender.recommend(
            own,
            customer_ids=ids,
            snapshot=material.origin,
            kinds=CUSTOMER_KINDS,
            depth=settings.recommender.stored_depth,
        ),
    )


def table_text(rows: list[tuple[str, float, int]]) -> str:
    """Return one line a step and one for all: the sum of seconds, the highest memory."""
    total = "all", sum(seconds for _, seconds, _ in rows), max(peak for _, _, peak in rows)
    lines = [f"{'':<34} {'wall s':>8} {'peak GB':>8}", *(_row(row) for row in (*rows, total))]
    return "\n".join(lines) + "\n"


def _row(row: tuple[str, float, int]) -> str:
    name, seconds, peak = row
    return f"{name:<34} {seconds:8.1f} {peak / _BYTES_A_GIGABYTE:8.2f}"


def _command(
    *,
    customers: Annotated[int, typer.Option(help="customers", min=1_000)] = 150_000,
    items: Annotated[int, typer.Option(help="items", min=1_000)] = 15_000,
    lines: Annotated[int, typer.Option(help="order lines, about", min=1_000)] = 1_000_000,
    folder: Annotated[Path, typer.Option(help="where the shop is written to")] = Path("var/bench/lists"),
) -> None:
    """Print the memory and time of every step of learning the recommender."""
    size = Size(customers, items, lines)
    root = folder / f"{customers}-{items}-{lines}"
    if not (root / "manifest.json").exists():
        with progress("shop", total=_BUCKET_COUNT) as announce:
            write_shop(size, root, announce)
    counts = History.open(root).manifest.row_counts
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        rows = pool.submit(learn, root, items).result()
    sys.stdout.write(f"{customers:,} customers, {items:,} items, {counts['order_lines']:,} lines\n")
    sys.stdout.write(table_text(rows))


if __name__ == "__main__":
    run_command(_command)
