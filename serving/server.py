"""How the HTTP server is set up: its log, its limits on slow callers, where its processes count."""

import os
import resource
from typing import Any, Final

from granian.constants import HTTPModes
from granian.http import HTTP1Settings

from serving.environment import Environment
from serving.web.logs import SERVER_LOGGING

HEADER_SECONDS: Final = 10
"""A caller has so long for the head of a request, and between two requests on one connection."""
BACKLOG: Final = 2_048
CONNECTIONS_MAX: Final = 16_384
"""So many connections at once a process takes, where the system lets it have the files for them."""
_OTHER_FILES: Final = 256


def server_options(environment: Environment) -> dict[str, Any]:
    """Return options of granian."""
    return {
        # Its HTTP/2 waits for ever for the head of a request.
        "http": HTTPModes.http1,
        "backlog": BACKLOG,
        # Without this a process takes as many connections as the backlog, and slow callers fill it.
        "backpressure": _raise_open_files(),
        "log_dictconfig": SERVER_LOGGING,
        "http1_settings": HTTP1Settings(header_read_timeout=1000 * HEADER_SECONDS),
        "workers_kill_timeout": environment.drain_seconds,
    }


def _raise_open_files() -> int:
    """Ask for as many open files as the connections need; return how many connections there may be."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + _OTHER_FILES
    granted = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    if now != resource.RLIM_INFINITY and now < granted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (granted, most))
    return max(granted - _OTHER_FILES, BACKLOG // 8)


def prepare_metrics(environment: Environment) -> None:
    """Empty the folder in which the processes of this port count, and name it to them."""
    folder = environment.layout.root.resolve() / "metrics" / str(environment.port)
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.db"):
        path.unlink(missing_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
