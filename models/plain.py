"""Plain files: how models keep what they learnt. JSON and `.npz` without pickle: nothing that can run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

STATE_FILE = "state.json"
ARRAYS_FILE = "arrays.npz"


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write a model's state as JSON; numbers read back exactly as they were."""
    text = json.dumps(state, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    (folder / STATE_FILE).write_text(text + "\n", encoding="utf-8")


def read_state(folder: Path) -> dict[str, Any]:
    """Read what `write_state` wrote."""
    state: dict[str, Any] = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
    return state


def write_arrays(folder: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write numeric arrays."""
    np.savez(folder / ARRAYS_FILE, allow_pickle=False, **arrays)


def read_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """Read what `write_arrays` wrote."""
    with np.load(folder / ARRAYS_FILE, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
