"""`make bench-scale`: what a shop costs by its size and engine, from a file to published scores.

    python -m benchmarks.scale [--lines 1000000,10000000] [--far] [--engines polars,duckdb,pyspark] [--page …]

A made-up shop of each size is loaded, its features, labels and recommender's material are computed on every
engine, models are trained, and every customer is scored and published, each step in a process of its own.
Ingest is always Polars; `train` and `score` run once, on Polars: on another engine their features come from
it, and the rest of them is the same. Measures are kept in the folder and join earlier ones; the table
and a picture go into the page.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.process_tree import Span, Watched, watch
from benchmarks.readme import placed
from benchmarks.scale_advice import advice
from benchmarks.scale_curve import ENGINE_STEPS, Book, Cost, ratio_table, table, verdicts
from benchmarks.scale_picture import picture
from benchmarks.scale_shop import ingest_arguments, write_shop_of
from features.console import run_command

ENGINES = ("polars", "duckdb", "pyspark")
FAR_LINES = 100_000_000
RIVAL_LINES_MAX = 10_000_000
"""The plain pandas script holds the whole shop in memory; beyond this it needs a larger machine than ours."""
PICTURE_NAME = "performance-scale.svg"
_SCORE_PARTS = {"rows": "champions", "lists": "recommendations", "publish": "publishing"}
"""The parts of a scoring run, each by the line of progress that it begins with."""
_SUM_TOLERANCE = 1e-5


class StepError(Exception):
    """A step ended with an error; the message is its last line."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One measurement: where it lies, what it found so far."""

    folder: Path
    book: Book

    def run(self, module: str, *arguments: str, var: Path) -> Watched:
        """Run a command of ours on a shop to its end; raises `StepError` where it fails."""
        command = [sys.executable, "-m", module, *arguments, "--var", str(var)]
        seen = watch(command)
        if seen.exit_code:
            raise StepError(seen.last_line)
        return seen

    def step(self, name: str, module: str, *arguments: str, shop: "Shop", engine: str = "polars") -> Watched:
        """Run one step and take up its cost, from its first line of progress on."""
        seen = self.run(module, *arguments, var=shop.var)
        self.note(cost_of(seen.span(begun_at(seen), seen.seconds), shop, name, engine))
        return seen

    def note(self, cost: Cost) -> None:
        """Take up a cost and keep it."""
        self.book.add(cost)
        sys.stdout.write(
            f"{cost.line_count:>12,}  {cost.engine:8}  {cost.step:9}"
            f"{cost.seconds:9.1f} s{cost.cpu_seconds:9.1f} CPU s{cost.gigabytes:8.2f} GiB\n"
        )
        sys.stdout.flush()
        self.keep()

    def keep(self) -> None:
        """Write what was found so far."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.book.to_plain(), indent=1)
        (self.folder / "costs.json").write_text(text + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Shop:
    """A made-up shop on disk: its files, and where everything made of them lies."""

    folder: Path
    line_count: int

    @property
    def var(self) -> Path:
        """Where the shop's history, models and scores lie."""
        return self.folder / "var"


def cost_of(span: Span, shop: Shop, step: str, engine: str = "polars") -> Cost:
    """Return a stretch of a run as the cost of a step."""
    return Cost(shop.line_count, engine, step, span.seconds, span.cpu_seconds, span.gigabytes)


def begun_at(seen: Watched) -> float:
    """Return when a command announced its first step: what was before is Python's start.

    >>> begun_at(Watched(9.0, 0, "", ((0.5, "a warning"), (1.5, "[data] reading")), ()))
    1.5
    """
    return next((at for at, text in seen.lines if text.startswith("[")), 0.0)


def parts_of(seen: Watched, words: dict[str, str]) -> dict[str, Span]:
    """Return what each named part of a run took: from its line of progress to the next part's.

    >>> told = ((1.0, "[score] champions"), (5.0, "[score] publishing, by row"), (6.0, "[score] publishing"))
    >>> parts = parts_of(Watched(9.0, 0, "", told, ()), {"rows": "champions", "publish": "publishing"})
    >>> {name: span.seconds for name, span in parts.items()}
    {'rows': 4.0, 'publish': 4.0}
    """
    begun = {
        name: at
        for name, word in words.items()
        for at, text in reversed(seen.lines)
        if text.startswith("[") and text.partition("] ")[2].startswith(word)
    }
    ends = [*sorted(begun.values()), seen.seconds]
    return {name: seen.span(at, ends[ends.index(at) + 1]) for name, at in begun.items()}


def measure_shop(bench: Bench, shop: Shop, engines: list[str]) -> None:
    """Measure ingest, and on every engine what it computes; then others' way to the same columns."""
    bench.step("ingest", "features.ingest", *ingest_arguments(shop.folder), shop=shop)
    for engine in engines:
        for step in ENGINE_STEPS:
            arguments = (step, "--engine", engine)
            bench.step(step, "benchmarks.scale_work", *arguments, shop=shop, engine=engine)
    if shop.line_count <= RIVAL_LINES_MAX * 1.1:
        measure_rivals(bench, shop, engines)


def measure_models(bench: Bench, shop: Shop) -> None:
    """Measure training, and scoring with the main recipes."""
    bench.step("train", "training.train", shop=shop)
    bench.run("benchmarks.scale_work", "champions", var=shop.var)
    seen = bench.step("score", "serving.score", shop=shop)
    for name, span in parts_of(seen, _SCORE_PARTS).items():
        bench.note(cost_of(span, shop, name))


def measure_rivals(bench: Bench, shop: Shop, engines: list[str]) -> None:
    """Measure what others need for the same columns, and for the same matrix."""
    ratios: dict[str, float] = {}
    ours, answer = _table(bench, shop, "ours", "polars")
    for name, who, engine in (
        ("hand", "hand", "polars"),
        ("pandas", "pandas", "polars"),
        *((engine, "ours", engine) for engine in engines if engine != "polars"),
    ):
        span, found = _table(bench, shop, who, engine)
        ratios[name] = span.seconds / ours.seconds
        ratios[f"{name}_cpu"] = span.cpu_seconds / max(ours.cpu_seconds, 0.01)
        wrong = differing(answer, found)
        ratios["different"] = ratios.get("different", 0) + len(wrong)
        sys.stdout.writelines(f"{'':14}{name}: {column} has another sum\n" for column in wrong)
    fits = json.loads(bench.run("benchmarks.scale_work", "fit", var=shop.var).output.splitlines()[-1])
    ratios |= {name: fits[name] / fits["implicit"] for name in ("als", "blend")}
    bench.book.ratios[str(shop.line_count)] = ratios
    bench.keep()


def _table(bench: Bench, shop: Shop, who: str, engine: str) -> tuple[Span, dict[str, Any]]:
    seen = bench.run("benchmarks.scale_work", who, "--engine", engine, var=shop.var)
    told = {text: at for at, text in seen.lines}
    span = seen.span(told["[scale] begin"], told["[scale] sums"])
    return span, json.loads(seen.output.splitlines()[-1])


def differing(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Return the shared columns whose sums differ.

    >>> ours = {"sums": {"a": 1.0, "b": 2.0}, "sizes": {"a": 1.0, "b": 2.0}}
    >>> differing(ours, {"sums": {"a": 1.0, "b": 2.1, "c": 0.0}})
    ['b']
    """
    sums, sizes = ours["sums"], ours["sizes"]
    return [
        name
        for name, value in theirs["sums"].items()
        if name in sums and abs(value - sums[name]) > _SUM_TOLERANCE * (1 + sizes[name])
    ]


def usable_engines(bench: Bench, wanted: list[str]) -> list[str]:
    """Return the engines that this machine has; of the others it is told what they lack."""
    usable = []
    for engine in wanted:
        try:
            bench.run("benchmarks.scale_work", "engine", "--engine", engine, var=bench.folder)
        except StepError as error:
            bench.book.left_out[engine] = str(error)
            sys.stdout.write(f"{engine}: left out, {error}\n")
        else:
            bench.book.left_out.pop(engine, None)
            usable.append(engine)
    return usable


def write_page(book: Book, page: Path) -> None:
    """Put answers, table, ratios and picture between the marks of a page."""
    notes = "".join(f"\n{engine} was left out: {reason}." for engine, reason in book.left_out.items())
    body = f"{advice(book)}\n\n![Cost curve]({PICTURE_NAME})\n\n{table(book)}\n\n{ratio_table(book)}\n{notes}"
    page.with_name(PICTURE_NAME).write_text(picture(book), encoding="utf-8")
    text = placed(page.read_text(encoding="utf-8"), "scale", body.rstrip())
    page.write_text(text, encoding="utf-8")


def _command(
    *,
    lines: Annotated[str, typer.Option(help="order lines of each shop")] = "1000000,10000000",
    far: Annotated[bool, typer.Option("--far", help=f"{FAR_LINES:,} lines too, on Polars")] = False,
    engines: Annotated[str, typer.Option(help="of polars, duckdb, pyspark")] = ",".join(ENGINES),
    models: Annotated[bool, typer.Option(help="train and score too, what takes longest")] = True,
    folder: Annotated[Path, typer.Option(help="where shops and measures lie")] = Path("var/bench/scale"),
    page: Annotated[str, typer.Option(help="the page to write into; empty: none")] = "docs/performance.md",
) -> None:
    """Measure shops of several sizes, and write the table and the picture."""
    sizes, wanted = chosen_sizes(lines, far=far), chosen_engines(engines)
    kept = folder / "costs.json"
    book = Book.of_plain(json.loads(kept.read_text(encoding="utf-8"))) if kept.exists() else Book()
    bench = Bench(folder, book)
    usable = usable_engines(bench, wanted)
    for size in sizes:
        shop = Shop(folder / str(size), size)
        write_shop_of(shop.folder, size)
        try:
            measure_shop(bench, shop, ["polars"] if size >= FAR_LINES else usable)
            if models:
                measure_models(bench, shop)
        except StepError as error:
            sys.stdout.write(f"{size:,} lines: stopped, {error}\n")
            raise typer.Exit(1) from None
    sys.stdout.write(f"\n{table(book)}\n\n{ratio_table(book)}\n\n{advice(book)}\n\n")
    sys.stdout.writelines(f"  {'met' if held else 'MISSED':7} {asked}\n" for asked, held in verdicts(book))
    if page:
        write_page(book, Path(page))


def chosen_sizes(lines: str, *, far: bool) -> list[int]:
    """Read sizes such as `300000,1000000`, smallest first; `far` adds a hundred million lines.

    >>> chosen_sizes("1_000_000, 300000", far=True)
    [300000, 1000000, 100000000]
    """
    try:
        found = {int(word) for word in lines.split(",")}
    except ValueError:
        raise typer.BadParameter(
            f"--lines {lines!r}: write whole numbers, such as 1000000,10000000"
        ) from None
    if min(found) < 1:
        raise typer.BadParameter(f"--lines {lines!r}: a shop has one line at least")
    return sorted(found | ({FAR_LINES} if far else set()))


def chosen_engines(engines: str) -> list[str]:
    """Read engines such as `polars,duckdb`; Polars is always among them, the others are compared with it.

    >>> chosen_engines("pyspark")
    ['polars', 'pyspark']
    """
    found = {word.strip() for word in engines.split(",") if word.strip()}
    unknown = sorted(found - set(ENGINES))
    if unknown:
        raise typer.BadParameter(f"no engine called {unknown[0]!r}; choose from {', '.join(ENGINES)}")
    return [engine for engine in ENGINES if engine in found | {"polars"}]


if __name__ == "__main__":
    run_command(_command)
