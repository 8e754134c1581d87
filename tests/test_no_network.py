"""No data leaves: the whole chain runs without a network, and nothing even tries to call out."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_shop import ROOT, write_orders
from no_network import PAGES, STEPS


def cut_off() -> list[str]:
    """Return the words that run a command without a network; skips where the kernel does not let us."""
    words = [shutil.which("unshare") or "unshare", "-rn"]
    try:
        subprocess.run([*words, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine lets nobody make a network namespace (unshare -rn)")
    return words


@pytest.mark.slow
def test_from_orders_to_a_live_console_without_a_network_in_a_folder_of_any_name(tmp_path: Path) -> None:
    script = Path(__file__).with_name("no_network.py")
    words = [*cut_off(), sys.executable, str(script), str(tmp_path / "my [shop] {1}*")]
    write_orders(tmp_path / "orders.csv", customer_count=80)
    # Libraries keep still where they believe themselves in a test.
    quiet = ("CI", "MLFLOW_DISABLE_TELEMETRY", "PYTEST_CURRENT_TEST", "PYTEST_VERSION", "DO_NOT_TRACK")
    environment = {name: value for name, value in os.environ.items() if name not in quiet}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["answers"] == dict.fromkeys(STEPS, "done")
    assert told["pages"] == dict.fromkeys(PAGES, 200)
    assert told["calls_out"] == 0
    # The count sees a call: this one was made on purpose.
    assert (told["tried"], told["calls_out_after_one"]) == (errno.ENETUNREACH, 1)
