"""F2, F3: commands on a disk that fails at its n-th change, for each n, and killed at any moment.

Old state or new, never between; the command run again reaches the new; no partial file is left.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent
WORKS = ("ingest", "intake", "fold", "publish", "key", "migration")


def rounds(names: str, folder: Path, how: str, *, shim: Path | None = None) -> list[dict[str, Any]]:
    """Run `fault_rounds.py` and return what it found, by name."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]),
        "REGULARS_PEPPER": "pepper",
        **({"LD_PRELOAD": str(shim)} if shim else {}),
    }
    command = [sys.executable, str(TESTS / "fault_rounds.py"), names, str(folder), how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def killed_while_taking_orders(folder: Path, count: int) -> None:
    (found,) = rounds("service", folder, str(count))
    assert found["calls"] >= count
    assert found["wrong"] == []


def test_no_acknowledged_order_is_lost_when_the_service_is_killed(tmp_path: Path) -> None:
    killed_while_taking_orders(tmp_path, 6)


@pytest.mark.slow
def test_no_acknowledged_order_is_lost_in_two_hundred_kills(tmp_path: Path) -> None:
    killed_while_taking_orders(tmp_path, 200)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes the disk fail."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to make the failing disk with")
    library = tmp_path_factory.mktemp("shim") / "fault_shim.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", str(library), str(TESTS / "fault_shim.c"), "-ldl"], check=True
    )
    return library


@pytest.mark.slow
def test_killed_at_some_moments_there_is_the_old_state_or_the_new(tmp_path: Path) -> None:
    assert rounds(",".join(WORKS), tmp_path, "2") == [{"rounds": 2, "wrong": []}] * len(WORKS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count"),
    [("publish", 200), ("fold", 60), ("ingest", 60), ("intake", 60), ("key", 40), ("migration", 40)],
)
def test_killed_at_many_moments_there_is_the_old_state_or_the_new(
    name: str, count: int, tmp_path: Path
) -> None:
    assert rounds(name, tmp_path, str(count)) == [{"rounds": count, "wrong": []}]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fails once", "is full", "is killed"])
@pytest.mark.parametrize("name", WORKS)
def test_whichever_change_of_the_disk_fails_there_is_the_old_state_or_the_new(
    name: str, kind: str, tmp_path: Path, shim: Path
) -> None:
    (found,) = rounds(name, tmp_path, kind, shim=shim)
    assert found["wrong"] == []
    assert found["rounds"] >= 10
