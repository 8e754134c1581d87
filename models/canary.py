"""Load bundles and compare their golden answers: `python -m models.canary FOLDER ...`.

Meant for a child process with a time limit (`models.bundle.check_bundle`): whatever a damaged model does to
the process that loads it, it does here. One line on standard output for each bundle that answers as on the
day of writing; exit code 2 and one line on standard error at the first that does not.
"""

import sys
from pathlib import Path

import numpy as np

from features.errors import UserError
from models.bundle import GOLDEN_FILE, BundleError, read_bundle
from models.golden import golden_answers

_RELATIVE_TOLERANCE = 1e-6
_ABSOLUTE_TOLERANCE = 1e-9


def compare_golden_answers(folder: Path) -> None:
    """Raise `BundleError` unless the model answers its made-up rows as it did when it was written."""
    bundle = read_bundle(folder)
    with np.load(folder / GOLDEN_FILE, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    answers = golden_answers(bundle.kind, bundle.model, arrays)
    if {f"answer_{name}" for name in answers} != {name for name in arrays if name.startswith("answer_")}:
        raise BundleError(f"{folder}: the golden rows are for other questions; train again")
    for name, values in answers.items():
        wanted = arrays[f"answer_{name}"]
        if not np.isfinite(values).all():
            raise BundleError(f"{folder}: the answers {name!r} to the golden rows are not all numbers")
        if values.shape != wanted.shape or not np.allclose(
            values, wanted, rtol=_RELATIVE_TOLERANCE, atol=_ABSOLUTE_TOLERANCE
        ):
            raise BundleError(f"{folder}: the answers {name!r} to the golden rows changed; train again")


def main(arguments: list[str]) -> int:
    """Compare one folder after another; return the exit code."""
    if not arguments:
        sys.stderr.write("error: usage: python -m models.canary FOLDER ...\n")
        return 2
    for folder in arguments:
        try:
            compare_golden_answers(Path(folder))
        except UserError as error:
            sys.stderr.write(f"error: {error}\n")
            return 2
        sys.stdout.write(f"{folder}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
