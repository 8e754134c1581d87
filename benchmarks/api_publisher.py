"""Publish a run of made-up rows in a process of its own: `python -m benchmarks.api_publisher var members`."""

import sys
from pathlib import Path

from benchmarks.api_server import publish_run

if __name__ == "__main__":
    publish_run(Path(sys.argv[1]), int(sys.argv[2]))
