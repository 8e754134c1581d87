"""The arithmetic of the cost curve: how fast a cost grows, what is how many times what, and the table."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

GROWTH_MAX = 1.1
JUDGED_FROM_LINES = 1_000_000
HAND_MAX = 1.5
PANDAS_MIN = 5.0
"""Growth exponent from ingest to scores; features ÷ hand-written Polars; plain pandas ÷ features, both judged
from a million lines on: a smaller shop is a matter of seconds."""

STEPS = (
    *("ingest", "features", "labels", "material", "train", "score"),
    *("rows", "lists", "publish"),
)
PARTS_OF_SCORE = ("rows", "lists", "publish")
ENGINE_STEPS = ("features", "labels", "material")
"""Steps that an engine computes; ingest is always Polars, and models are fitted and asked on one machine."""

WORDS = {
    "ingest": "ingest",
    "features": "features",
    "labels": "labels",
    "material": "recommender's material",
    "train": "train, every candidate",
    "score": "score and publish",
    "rows": "· rows",
    "lists": "· lists",
    "publish": "· publish",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one step took for one size of shop on one engine; start-up of the process left out of seconds."""

    line_count: int
    engine: str
    step: str
    seconds: float
    cpu_seconds: float
    gigabytes: float


@dataclass(slots=True)
class Book:
    """Everything measured so far: costs, ratios by size and name, and why something was left out."""

    costs: list[Cost] = field(default_factory=list)
    ratios: dict[str, dict[str, float]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, cost: Cost) -> None:
        """Take up a cost in place of an older one of the same size, engine and step."""
        key = (cost.line_count, cost.engine, cost.step)
        self.costs = [each for each in self.costs if (each.line_count, each.engine, each.step) != key]
        self.costs.append(cost)

    def of(self, step: str, engine: str = "polars") -> list[Cost]:
        """Return a step's costs on an engine, the smallest shop first."""
        found = [cost for cost in self.costs if (cost.step, cost.engine) == (step, engine)]
        return sorted(found, key=lambda cost: cost.line_count)

    @property
    def sizes(self) -> list[int]:
        """The sizes measured, in order lines."""
        return sorted({cost.line_count for cost in self.costs})

    def to_plain(self) -> dict[str, object]:
        """Return what JSON can hold."""
        return asdict(self)

    @classmethod
    def of_plain(cls, plain: Mapping[str, object]) -> "Book":
        """Read what `to_plain` gave."""
        costs: Iterable[dict[str, object]] = plain["costs"]  # type: ignore[assignment]
        return cls(
            [Cost(**each) for each in costs],  # type: ignore[arg-type]
            dict(plain["ratios"]),  # type: ignore[call-overload]
            dict(plain["left_out"]),  # type: ignore[call-overload]
        )


def growth_exponent(sizes: Sequence[float], costs: Sequence[float]) -> float | None:
    """Return the slope of log cost on log size (least squares); None with fewer than two sizes.

    1 is linear: ten times the lines take ten times as long.

    >>> growth_exponent([10, 1000], [3, 300])
    1.0
    >>> growth_exponent([10, 100, 1000], [1, 100, 10000])
    2.0
    """
    points = [(math.log(s), math.log(c)) for s, c in zip(sizes, costs, strict=True) if s > 0 and c > 0]
    if len({x for x, _ in points}) < 2:
        return None
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    above = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return round(above / sum((x - mean_x) ** 2 for x, _ in points), 6)


def step_exponent(costs: Sequence[Cost]) -> float | None:
    """Return how a step's processor seconds grow with the lines: other work beside it does not count."""
    return growth_exponent([cost.line_count for cost in costs], [cost.cpu_seconds for cost in costs])


def whole(book: Book, line_count: int) -> Cost | None:
    """Return the whole way from ingest to published scores on Polars: all its seconds, the most memory.

    Features are part of `train` and `score`, so the steps that show them alone are not added.
    """
    found = [cost for step in ("ingest", "train", "score") for cost in book.of(step)]
    chosen = [cost for cost in found if cost.line_count == line_count]
    if len(chosen) < 3:
        return None
    seconds, cpu_seconds = sum(each.seconds for each in chosen), sum(each.cpu_seconds for each in chosen)
    return Cost(line_count, "polars", "whole", seconds, cpu_seconds, max(each.gigabytes for each in chosen))


def whole_curve(book: Book) -> list[Cost]:
    """Return the whole way at every size at which all of it was measured."""
    found = [whole(book, size) for size in book.sizes]
    return [cost for cost in found if cost is not None]


def verdicts(book: Book) -> list[tuple[str, bool]]:
    """Return what was asked of the curve, and whether it was reached."""
    found = []
    for step in STEPS:
        exponent = step_exponent(book.of(step))
        if exponent is not None:
            found.append(
                (
                    f"{WORDS[step].removeprefix('· ')} grows with lines^{exponent:.2f} ≤ {GROWTH_MAX}",
                    exponent <= GROWTH_MAX,
                )
            )
    for size, ratios in sorted(book.ratios.items(), key=lambda pair: int(pair[0])):
        if int(size) < JUDGED_FROM_LINES:
            continue
        words = f"at {line_words(int(size))}"
        if "hand" in ratios:
            held = 1 / ratios["hand"] <= HAND_MAX
            found.append(
                (f"features {1 / ratios['hand']:.2f} × hand-written Polars ≤ {HAND_MAX} {words}", held)
            )
        if "pandas" in ratios:
            held = ratios["pandas"] >= PANDAS_MIN
            found.append((f"plain pandas {ratios['pandas']:.1f} × features ≥ {PANDAS_MIN:.0f} {words}", held))
        if "different" in ratios:
            held = ratios["different"] == 0
            found.append((f"{ratios['different']:.0f} columns with other sums {words}", held))
    return found


def line_words(line_count: int) -> str:
    """Return a number of lines in words.

    >>> line_words(300_000), line_words(1_500_000), line_words(100_000_000), line_words(900)
    ('0.3 million lines', '1.5 million lines', '100 million lines', '900 lines')
    """
    return f"{line_count / 1e6:.3g} million lines" if line_count >= 100_000 else f"{line_count:,} lines"


def table(book: Book) -> str:
    """Return the costs in Markdown: a row a step and engine, seconds and GiB by size, the exponent."""
    sizes = book.sizes
    head = [f"{line_words(size)}: s | CPU s | GiB" for size in sizes]
    rows = [f"| | engine | {' | '.join(head)} | exponent |", "|" + "---|" * (3 * len(sizes) + 3)]
    for step in STEPS:
        for engine in _engines(book, step):
            rows.append(_row(WORDS[step], engine, book.of(step, engine), sizes))
    rows.append(_row("**file to scores**: ingest, train, score", "polars", whole_curve(book), sizes))
    return "\n".join(rows)


def _engines(book: Book, step: str) -> list[str]:
    return [engine for engine in ("polars", "duckdb", "pyspark") if book.of(step, engine)]


def _row(words: str, engine: str, costs: Sequence[Cost], sizes: Sequence[int]) -> str:
    by_size = {cost.line_count: cost for cost in costs}
    cells = [_cells(by_size[size]) if size in by_size else "– | – | –" for size in sizes]
    exponent = step_exponent(costs)
    return f"| {words} | {engine} | {' | '.join(cells)} | {'–' if exponent is None else f'{exponent:.2f}'} |"


def _cells(cost: Cost) -> str:
    return f"{seconds_words(cost.seconds)} | {seconds_words(cost.cpu_seconds)} | {cost.gigabytes:.2f}"


def seconds_words(seconds: float) -> str:
    """Return seconds with three digits.

    >>> seconds_words(0.1234), seconds_words(12.34), seconds_words(1234.5)
    ('0.12', '12.3', '1,234')
    """
    if seconds >= 100:
        return f"{seconds:,.0f}"
    return f"{seconds:.1f}" if seconds >= 10 else f"{seconds:.2f}"


RATIO_WORDS = {
    "hand": "hand-written Polars ÷ features",
    "pandas": "plain pandas ÷ features",
    "duckdb": "features on DuckDB ÷ on Polars",
    "pyspark": "features on Spark ÷ on Polars",
    "als": "our ALS fit ÷ implicit's own",
    "blend": "the whole recommender's fit ÷ implicit's own ALS fit",
}


def ratio_table(book: Book) -> str:
    """Return the ratios in Markdown: a row a ratio, a column a size, those of processor time in brackets."""
    sizes = sorted(book.ratios, key=int)
    rows = [
        f"| times as long | {' | '.join(line_words(int(size)) for size in sizes)} |",
        "|" + "---|" * (len(sizes) + 1),
    ]
    for name, words in RATIO_WORDS.items():
        cells = [_ratio_words(book.ratios[size], name) for size in sizes]
        if set(cells) != {"–"}:
            rows.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _ratio_words(ratios: Mapping[str, float], name: str) -> str:
    if name not in ratios:
        return "–"
    cpu = ratios.get(f"{name}_cpu")
    return f"{ratios[name]:.2f}" + ("" if cpu is None else f" (CPU {cpu:.2f})")
