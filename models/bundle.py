"""A bundle: a fitted model as plain files, the same for churn, value and recommendations.

    bundle.json     kind, candidate, method, feature names, what it was made from, library versions
    golden.npz      made-up rows and the answers to them
    model/…         what the model's own `save` wrote (JSON, `.npz`, LightGBM text)
    manifest.json   sha256 and size of every other file; written last

Reading checks the manifest before anything is loaded. That catches accidents and tampering with single files;
a damaged LightGBM text could still crash or hang the process that reads it, so `check_bundle` loads a new
bundle in a child process first and compares the golden answers.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from features.errors import UserError
from models.golden import golden_answers, golden_inputs
from models.horizon import difference
from models.registry_names import Task

MANIFEST_FILE = "manifest.json"
BUNDLE_FILE = "bundle.json"
GOLDEN_FILE = "golden.npz"
MODEL_FOLDER = "model"
FORMAT_VERSION = 2
_LIBRARIES = ("numpy", "scipy", "pandas", "lightgbm", "implicit", "polars")
_KINDS = ("churn", "clv", "recommender")


class BundleError(UserError):
    """A bundle is damaged, incomplete, of another kind or made for other features."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model as it was read, and what its bundle says about it."""

    model: Any
    kind: Task
    candidate: str
    method: str
    feature_names: tuple[str, ...]
    info: dict[str, Any]


def write_bundle(model: Any, folder: Path, *, kind: Task, info: Mapping[str, Any]) -> None:  # noqa: ANN401
    """Write a fitted model into a new or empty folder.

    `info` is kept as JSON: `data_until`, `churn_horizon_days`, `currency`, … It must name no customer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BundleError(f"{folder} is not empty; a bundle is written once, into a folder of its own")
    (folder / MODEL_FOLDER).mkdir()
    model.save(folder / MODEL_FOLDER)
    names = tuple(getattr(model, "feature_names_", ()))
    inputs = golden_inputs(names)
    answers = golden_answers(kind, model, inputs)
    stored = inputs | {f"answer_{name}": values for name, values in answers.items()}
    np.savez(folder / GOLDEN_FILE, allow_pickle=False, **stored)
    about = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "candidate": model.name,
        "method": model.method,
        "feature_names": list(names),
        "info": dict(info),
        "libraries": _library_versions(),
    }
    (folder / BUNDLE_FILE).write_bytes(_canonical(about))
    (folder / MANIFEST_FILE).write_bytes(_canonical({"files": _describe(folder)}))


def read_bundle(folder: Path, *, feature_names: Sequence[str] | None = None) -> Bundle:
    """Check a bundle against its manifest, then load it.

    With `feature_names`, a bundle made for other features is refused, naming the difference. Raises
    `BundleError`.
    """
    about = read_description(folder)
    names = tuple(about["feature_names"])
    if feature_names is not None and names and tuple(feature_names) != names:
        raise BundleError(
            f"{folder} was made for other features: {difference(feature_names, names)}; train again"
        )
    return Bundle(
        model=_load_model(folder, about),
        kind=about["kind"],
        candidate=about["candidate"],
        method=about["method"],
        feature_names=names,
        info=about["info"],
    )


def read_description(folder: Path) -> dict[str, Any]:
    """Check a bundle against its manifest and return `bundle.json`, without loading the model."""
    verify_manifest(folder)
    about: dict[str, Any] = json.loads((folder / BUNDLE_FILE).read_bytes())
    if about.get("format_version") != FORMAT_VERSION or about.get("kind") not in _KINDS:
        raise BundleError(
            f"{folder} is a bundle of format {about.get('format_version')!r} and kind {about.get('kind')!r}; "
            f"this version reads format {FORMAT_VERSION} of {', '.join(_KINDS)}: train again"
        )
    return about


def verify_manifest(folder: Path) -> None:
    """Raise `BundleError` unless the folder holds exactly the files of its manifest, each byte for byte."""
    path = folder / MANIFEST_FILE
    if folder.is_symlink() or path.is_symlink() or not path.is_file():
        raise BundleError(
            f"{folder} is no bundle: it has no {MANIFEST_FILE}; take the bundle from training again"
        )
    content = path.read_bytes()
    try:
        manifest = json.loads(content)
        wanted = dict(manifest["files"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BundleError(f"{path} is damaged; take the bundle from training again") from None
    found = _describe(folder)
    if content != _canonical({"files": wanted}) or BUNDLE_FILE not in wanted:
        raise BundleError(f"{path} is damaged; take the bundle from training again")
    if sorted(found) != sorted(wanted):
        raise BundleError(
            f"{folder} holds other files than its manifest: {difference(sorted(found), sorted(wanted))}"
        )
    damaged = [name for name in sorted(wanted) if found[name] != wanted[name]]
    if damaged:
        raise BundleError(
            f"{folder} is damaged: {', '.join(damaged)} changed; take the bundle from training again"
        )


def check_bundle(*folders: Path, timeout_seconds: float = 60.0) -> None:
    """Load bundles in one child process and compare their golden answers.

    Raises `BundleError`, naming the first that is damaged, answers otherwise than on the day of writing,
    crashes or hangs (`timeout_seconds` is for all of them together).
    """
    for folder in folders:
        verify_manifest(folder)
    root = str(Path(__file__).resolve().parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "models.canary", *(str(folder.resolve()) for folder in folders)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        silent = _first_unanswered(folders, late.stdout or b"")
        raise BundleError(f"{silent} did not answer within {timeout_seconds:g} s; it is not used") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        last = (said or [f"it ended with code {done.returncode}"])[-1]
        failed = _first_unanswered(folders, done.stdout)
        raise BundleError(f"{failed} failed its canary: {last.removeprefix('error: ')}")


def _first_unanswered(folders: Sequence[Path], printed: bytes) -> Path:
    """Return the folder that a canary was busy with: the first that it has not printed."""
    answered = set(printed.decode(errors="replace").splitlines())
    return next((folder for folder in folders if str(folder.resolve()) not in answered), folders[-1])


def _load_model(folder: Path, about: Mapping[str, Any]) -> Any:  # noqa: ANN401
    # Late: the candidates import every model, which a look at a description does not need.
    from models.candidates import model_class  # noqa: PLC0415

    found = model_class(about["kind"], about["candidate"])
    if found is None:
        raise BundleError(
            f"{folder} needs the {about['kind']} model {about['candidate']!r}, which is not known here"
        )
    try:
        return found.load(folder / MODEL_FOLDER)
    except Exception as error:  # whatever a loader stumbles over means the same to the user
        raise BundleError(
            f"{folder} cannot be loaded ({type(error).__name__}: {error}); train again"
        ) from error


def _describe(folder: Path) -> dict[str, dict[str, Any]]:
    """Return sha256 and size of every file but the manifest, by path; raises `BundleError` on a link."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise BundleError(f"{path} is a link or no ordinary file; a bundle holds plain files only")
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST_FILE:
            content = path.read_bytes()
            files[name] = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    return files


def _library_versions() -> dict[str, str]:
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def _canonical(content: Mapping[str, Any]) -> bytes:
    """Return the one way to write some content, so that no changed byte of it goes unseen."""
    return (
        json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    ).encode()
