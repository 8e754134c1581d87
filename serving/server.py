"""How the HTTP server is set up: its log, its limits on slow callers, where its processes count."""

import os
from typing import Any, Final

from granian.constants import HTTPModes
from granian.http import HTTP1Settings

from serving.environment import Environment
from serving.logs import SERVER_LOGGING

HEADER_SECONDS: Final = 10
"""A caller has so long for the head of a request, and between two requests on one connection."""


def server_options(environment: Environment) -> dict[str, Any]:
    """Return options of granian."""
    return {
        # Its HTTP/2 waits for ever for the head of a request.
        "http": HTTPModes.http1,
        "log_dictconfig": SERVER_LOGGING,
        "http1_settings": HTTP1Settings(header_read_timeout=1000 * HEADER_SECONDS),
        "workers_kill_timeout": environment.drain_seconds,
    }


def prepare_metrics(environment: Environment) -> None:
    """Empty the folder in which the processes of this port count, and name it to them."""
    folder = environment.layout.root.resolve() / "metrics" / str(environment.port)
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.db"):
        path.unlink(missing_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
