"""Ask this machine's own service whether it can answer: exit code 0 if so, else 1.

python -m serving.health
"""

import sys
import urllib.error
import urllib.request

from serving.environment import Environment

_SECONDS = 4.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what is listened to, not opened here


def is_ready(environment: Environment) -> bool:
    """Say whether `/readyz` of the service with these settings is 200."""
    host = _EVERYWHERE.get(environment.host, environment.host)
    address = f"http://{host}:{environment.port}/readyz"
    try:
        with urllib.request.urlopen(address, timeout=_SECONDS) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_ready(Environment()) else 1)
