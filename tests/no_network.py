"""Runs the whole chain where there is no network but the machine's own.

    unshare -rn python no_network.py VAR

Prints as JSON what each command answered, what the served pages were, and how often anything was sent for
which there is no way: that is 0 unless somebody tried to call out.
"""

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from made_up_shop import run

STEPS = ("features.ingest", "training.train", "training.backtest", "training.promote", "serving.score")
PAGES = ("/readyz", "/v1/models/current", "/", "/lists/at-risk", "/scorecard", "/retention")
PORT = 8000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def raise_loopback() -> None:
    """Bring up `lo`, which is down in a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, _SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def calls_out() -> int:
    """Return how often something was to be sent to where no way leads, by the kernel's own count."""
    names, values = [
        line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Ip:")
    ]
    six = dict(line.split() for line in Path("/proc/net/snmp6").read_text().splitlines())
    return int(values[names.index("OutNoRoutes")]) + int(six["Ip6OutNoRoutes"])


def served(var: Path) -> dict[str, int]:
    """Serve the scores, and return the status of some answers."""
    environment = {**os.environ, "REGULARS_STALE_AFTER_DAYS": "0"}
    command = [sys.executable, "-m", "serving", "--var", str(var), "--port", str(PORT)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as server:
        try:
            return {path: _status(path) for path in PAGES}
        finally:
            server.terminate()


def _status(path: str) -> int:
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}") as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def main(var: Path) -> dict[str, Any]:
    """Run every step and serve; then try to call out, which must be seen."""
    raise_loopback()
    told: dict[str, Any] = {"answers": {}}
    for module in STEPS:
        words = ("--file", str(var.parent / "orders.csv")) if module == "features.ingest" else ()
        done = run(module, *words, var=var)
        told["answers"][module] = done.stderr[-2000:] if done.returncode else "done"
    told["pages"] = served(var)
    told["calls_out"] = calls_out()
    with socket.socket() as probe:
        told["tried"] = probe.connect_ex(("192.0.2.1", 443))
    told["calls_out_after_one"] = calls_out()
    return told


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]))))
