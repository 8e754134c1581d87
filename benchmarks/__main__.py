"""`make bench`: every benchmark in turn, each in a process of its own, under one heading each.

python -m benchmarks [--lines 10000000] [--only features,scoring,quality,api]
"""

import subprocess
import sys
from typing import Annotated

import typer

from features.console import run_command

PARTS = ("features", "scoring", "quality", "api")


def _command(
    *,
    lines: Annotated[int, typer.Option(help="order lines of the feature benchmark")] = 10_000_000,
    only: Annotated[str, typer.Option(help="comma-separated: features, scoring, quality, api")] = ",".join(
        PARTS
    ),
) -> None:
    """Measure speed and memory of features, speed of scoring, prediction quality, and the API under load."""
    arguments = {
        "features": ["benchmarks.features", "--lines", str(lines)],
        "scoring": ["benchmarks.scoring"],
        "quality": ["benchmarks.quality"],
        "api": ["benchmarks.api_load"],
    }
    chosen = only.split(",")
    unknown = [name for name in chosen if name not in arguments]
    if unknown:
        raise typer.BadParameter(f"no benchmark called {unknown[0]}; choose from {', '.join(PARTS)}")
    for name in chosen:
        sys.stdout.write(f"\n== {name}\n")
        sys.stdout.flush()
        subprocess.run([sys.executable, "-m", *arguments[name]], check=True)


if __name__ == "__main__":
    run_command(_command)
