"""`make bench`: every benchmark in turn, each in a process of its own, under one heading each.

python -m benchmarks [--lines 10000000]
                     [--only features,pipeline,scoring,quality,lists,api,slow,exports,live,segments,console]
"""

import subprocess
import sys
from typing import Annotated

import typer

from features.console import run_command

PARTS = (
    *("features", "pipeline", "scoring", "quality", "lists"),
    *("api", "slow", "exports", "live", "segments", "console"),
)


def _command(
    *,
    lines: Annotated[int, typer.Option(help="order lines of the feature benchmark")] = 10_000_000,
    only: Annotated[str, typer.Option(help=f"comma-separated: {', '.join(PARTS)}")] = ",".join(PARTS),
) -> None:
    """Measure features, the line from file to scores, scoring, quality, lists, the service, segments, pages.

    All of them run whatever one finds; exit code 1 where a gate was missed.
    """
    arguments = {
        "features": ["benchmarks.features", "--lines", str(lines)],
        "pipeline": ["benchmarks.pipeline"],
        "scoring": ["benchmarks.scoring"],
        "quality": ["benchmarks.quality"],
        "lists": ["benchmarks.lists"],
        "api": ["benchmarks.api_load"],
        "slow": ["benchmarks.api_slow"],
        "exports": ["benchmarks.export_load"],
        "live": ["benchmarks.api_live"],
        "console": ["benchmarks.console_pages"],
        "segments": ["benchmarks.segments"],
    }
    chosen = only.split(",")
    unknown = [name for name in chosen if name not in arguments]
    if unknown:
        raise typer.BadParameter(f"no benchmark called {unknown[0]}; choose from {', '.join(PARTS)}")
    failed = []
    for name in chosen:
        sys.stdout.write(f"\n== {name}\n")
        sys.stdout.flush()
        if subprocess.run([sys.executable, "-m", *arguments[name]], check=False).returncode:
            failed.append(name)
    if failed:
        sys.stdout.write(f"\nmissed: {', '.join(failed)}\n")
        raise typer.Exit(1)


if __name__ == "__main__":
    run_command(_command)
