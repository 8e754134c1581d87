"""How fast is the feature table? One shop, four ways, each in a process of its own.

    python -m benchmarks.features [--lines 10000000] [--folder var/bench/features]

The lines are generated once (`features_lines`). Then `build_features` on Polars and on DuckDB, the
hand-written Polars (`features_polars`) and the plain pandas script (`features_pandas`) build the same
snapshot; wall time and CPU time of the build and peak memory of the process are printed, and the sums of
shared columns compared.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from features.console import run_command
from features.snapshot import Snapshot

AS_OF = date(2025, 10, 1)
CONTENDERS = {
    "ours-polars": "build_features, Polars",
    "ours-duckdb": "build_features, DuckDB",
    "hand-polars": "hand-written Polars",
    "plain-pandas": "plain pandas script",
}
_TOLERANCE = 1e-5


def main(
    lines: Annotated[int, typer.Option(help="about how many order lines to generate")] = 10_000_000,
    folder: Annotated[Path, typer.Option(help="where the made-up shop lies")] = Path("var/bench/features"),
    contender: Annotated[str, typer.Option(help="run this one alone and print its measures as JSON")] = "",
) -> None:
    """Build the feature table four ways and print one table of times, memory and agreement."""
    if contender:
        print(json.dumps(measure(contender, folder / f"{lines}" / "history")))
        return
    print(compare(lines, folder))


def compare(lines: int, folder: Path) -> str:
    """Generate the shop if need be, run every contender in its own process, and return the table as text."""
    _generate(folder / f"{lines}" / "history", lines)
    results = {name: _run_alone(name, lines, folder) for name in CONTENDERS}
    return f"{_table(results)}\n{_agreement(results)}"


def measure(contender: str, root: Path) -> dict[str, Any]:
    """Build with one contender in this process; return its times, peak memory, shape and column sums."""
    build = _builder(contender, root)
    wall, cpu = time.perf_counter(), time.process_time()
    table = build()
    return {
        "wall_seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "rows": table.height,
        "sums": column_sums(table),
        "sizes": column_sums(table.with_columns(pl.selectors.numeric().abs())),
    }


def _builder(contender: str, root: Path) -> Callable[[], pl.DataFrame]:
    snapshot = Snapshot(AS_OF)
    if contender == "plain-pandas":
        from benchmarks import features_pandas  # noqa: PLC0415 - each process imports its own contender only

        return lambda: pl.from_pandas(
            features_pandas.build(root, as_of=AS_OF, end_days=snapshot.end_days), include_index=True
        )
    if contender == "hand-polars":
        from benchmarks import features_polars  # noqa: PLC0415

        return lambda: features_polars.build(root, as_of=AS_OF, end_days=snapshot.end_days)
    from features.build import build_features  # noqa: PLC0415
    from features.history import History  # noqa: PLC0415
    from features.settings import FeatureSettings, Settings  # noqa: PLC0415

    chosen = FeatureSettings.model_validate({"engine": contender.removeprefix("ours-")})
    settings = Settings(features=chosen)
    return lambda: build_features(History.open(root), snapshot, settings=settings)


def column_sums(table: pl.DataFrame) -> dict[str, float]:
    """Return the sum of the finite values of every numeric column."""
    numbers = table.select(pl.selectors.numeric().cast(pl.Float64).fill_nan(None))
    finite = numbers.select(pl.when(pl.all().is_finite()).then(pl.all()).sum())
    return {name: float(finite[name][0]) for name in finite.columns}


def _generate(root: Path, lines: int) -> None:
    code = "from benchmarks.features_lines import write_history; from pathlib import Path; import sys; "
    code += "write_history(Path(sys.argv[1]), line_count=int(sys.argv[2]))"
    subprocess.run([sys.executable, "-c", code, str(root), str(lines)], check=True)


def _run_alone(contender: str, lines: int, folder: Path) -> dict[str, Any]:
    arguments = ["--lines", str(lines), "--folder", str(folder), "--contender", contender]
    command = [sys.executable, "-m", "benchmarks.features", *arguments]
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return result


def _table(results: dict[str, dict[str, Any]]) -> str:
    ours = results["ours-polars"]
    rows = [f"{'':26}{'wall s':>9}{'CPU s':>9}{'peak GB':>9}{'columns':>9}{'× ours':>9}"]
    for name, result in results.items():
        times = f"{result['wall_seconds']:9.1f}{result['cpu_seconds']:9.1f}{result['peak_gigabytes']:9.2f}"
        ratio = result["wall_seconds"] / ours["wall_seconds"]
        rows.append(f"{CONTENDERS[name]:26}{times}{len(_shared(result, ours)):9}{ratio:9.2f}")
    rows.append(f"{ours['rows']} customers; columns are those shared with build_features")
    return "\n".join(rows)


def _shared(result: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    return [name for name in ours["sums"] if name in result["sums"]]


def _agreement(results: dict[str, dict[str, Any]]) -> str:
    ours = results["ours-polars"]
    different = [
        f"{CONTENDERS[contender]}: {name} {result['sums'][name]!r}, ours {ours['sums'][name]!r}"
        for contender, result in results.items()
        for name in _shared(result, ours)
        if abs(result["sums"][name] - ours["sums"][name]) > _TOLERANCE * (1 + ours["sizes"][name])
    ]
    return "\n".join(["sums that differ:", *different]) if different else "all shared columns have equal sums"


if __name__ == "__main__":
    run_command(main)
