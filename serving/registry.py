"""Champions from the MLflow registry: found by alias and tags, downloaded, checked, loaded.

No MLflow model is ever loaded (a model folder can run code): only its data-only bundle is read, after its
manifest was checked and a child process predicted its golden rows.
"""

import json
import logging
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from importlib.metadata import version as package_version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

from features.errors import UserError
from features.families import FEATURE_NAMES
from features.layout import Layout
from models import registry_names as names
from models.bundle import MANIFEST_FILE, Bundle, check_bundle, read_bundle, verify_manifest
from serving.store.records import ChampionCard

_CANARY_LIBRARIES = ("numpy", "lightgbm", "implicit", "polars", "pandas", "scipy")


class RegistryError(UserError):
    """MLflow cannot be used, or holds no version that may score."""


@dataclass(frozen=True, slots=True)
class Champion:
    """A registered version that may score, and its loaded bundle; `folder` is where that was read from."""

    task: names.Task
    version: int
    run_id: str
    candidate: str
    method: str
    data_until: date
    headline_days: int
    scorecard: dict[str, Any]
    bundle: Bundle
    folder: Path

    @property
    def card(self) -> ChampionCard:
        """What a score run keeps of it."""
        return ChampionCard(
            name=names.REGISTERED[self.task],
            version=self.version,
            method=self.method,
            candidate=self.candidate,
            mlflow_run_id=self.run_id,
            data_until=self.data_until,
            beats_baseline=self.scorecard.get("beats_baseline"),
            grade=self.scorecard.get("grade"),
            scorecard=self.scorecard,
        )


def load_champions(layout: Layout, *, as_of: date) -> dict[names.Task, Champion]:
    """Return the versions that score a date: the champion if it was fitted before it, else the newest passed.

    A task without any passed version is left out. Raises `RegistryError` where every passed version of a task
    has seen data on or after the date, and `models.bundle.BundleError` where a bundle is damaged.
    """
    client = _connect(layout)
    versions = {task: _find_version(client, task, as_of) for task in names.REGISTERED}
    return _load(client, layout, {task: version for task, version in versions.items() if version is not None})


def load_versions(layout: Layout, wanted: Mapping[names.Task, int]) -> dict[names.Task, Champion]:
    """Return the versions that are named; raises `RegistryError` where one is gone, else as above."""
    client = _connect(layout)
    found = {}
    for task, number in wanted.items():
        known = {int(version.version): version for version in _passed_versions(client, task)}
        if number not in known:
            raise RegistryError(f"version {number} of {task} is not in MLflow any more; run `make score`")
        found[task] = known[number]
    return _load(client, layout, found)


def _load(
    client: MlflowClient, layout: Layout, found: Mapping[names.Task, Any]
) -> dict[names.Task, Champion]:
    folders = {task: _download(client, layout, task, version) for task, version in found.items()}
    _check_once(list(folders.values()))
    return {task: _champion(task, version, folders[task]) for task, version in found.items()}


def _find_version(client: MlflowClient, task: names.Task, as_of: date) -> Any | None:  # noqa: ANN401
    passed = _passed_versions(client, task)
    if not passed:
        return None
    known = [version for version in passed if _data_until(version) <= as_of]
    if not known:
        oldest = min(passed, key=_data_until)
        raise RegistryError(
            f"no {task} model may score {as_of}: the oldest passed one, version {oldest.version}, has seen "
            f"data until {_data_until(oldest)}; run `make train evaluate promote AS_OF={as_of}` first"
        )
    return _champion_of(client, task, known) or max(known, key=lambda v: (_data_until(v), int(v.version)))


def _connect(layout: Layout) -> MlflowClient:
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # four minutes of silence help nobody
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(layout.mlflow / 'mlflow.db').resolve()}"
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        raise RegistryError(f"no models in {uri}; run `make train evaluate promote` first")
    # Not `set_tracking_uri`: that writes the environment, where another VAR would find it.
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _passed_versions(client: MlflowClient, task: names.Task) -> list[Any]:
    try:
        found = client.search_model_versions(f"name = '{names.REGISTERED[task]}'", max_results=10_000)
    except MlflowException as error:
        reason = str(error).splitlines()[0]
        raise RegistryError(f"MLflow at {client.tracking_uri} cannot be used: {reason}") from None
    return [version for version in found if version.tags.get(names.TAG_PASSED) == "true"]


def _champion_of(client: MlflowClient, task: names.Task, known: list[Any]) -> Any | None:  # noqa: ANN401
    try:
        champion = client.get_model_version_by_alias(names.REGISTERED[task], names.CHAMPION)
    except MlflowException:
        return None
    return next((version for version in known if version.version == champion.version), None)


def _data_until(version: Any) -> date:  # noqa: ANN401 - MLflow is untyped
    return date.fromisoformat(version.tags[names.TAG_DATA_UNTIL])


def _champion(task: names.Task, version: Any, folder: Path) -> Champion:  # noqa: ANN401
    tags = version.tags
    return Champion(
        task=task,
        version=int(version.version),
        run_id=version.run_id or "",
        candidate=tags[names.TAG_CANDIDATE],
        method=tags[names.TAG_METHOD],
        data_until=_data_until(version),
        headline_days=int(tags[names.TAG_CHURN_HORIZON_DAYS]),
        scorecard=json.loads(tags.get(names.TAG_SCORECARD, "{}")),
        bundle=read_bundle(folder, feature_names=FEATURE_NAMES),
        folder=folder,
    )


def _check_once(folders: Sequence[Path]) -> None:
    """Run the canary of bundles, but for those whose very bytes passed it before under the same libraries."""
    libraries = " ".join(f"{name}={package_version(name)}" for name in _CANARY_LIBRARIES)
    unknown = {}
    for folder in folders:
        verify_manifest(folder)
        digest = sha256((folder / MANIFEST_FILE).read_bytes()).hexdigest()
        passed = f"{digest} {sys.version_info[:3]} {libraries}"
        record = folder.with_name(f"{folder.name}.passed")
        if not record.exists() or record.read_text(encoding="utf-8") != passed:
            unknown[folder] = (record, passed)
    if unknown:
        check_bundle(*unknown)
    for record, passed in unknown.values():
        record.write_text(passed, encoding="utf-8")


def _download(client: MlflowClient, layout: Layout, task: names.Task, version: Any) -> Path:  # noqa: ANN401
    """Return the local copy of a version's bundle; its manifest is checked on every use, so it may stay."""
    cached = (
        layout.root / "bundles" / f"{task}-{version.version}-{version.run_id or version.creation_timestamp}"
    )
    if cached.exists():
        return cached
    cached.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cached.parent) as temporary:
        try:
            uri = client.get_model_version_download_uri(names.REGISTERED[task], version.version)
            folder = Path(
                download_artifacts(artifact_uri=uri, dst_path=temporary, tracking_uri=client.tracking_uri)
            )
        except (MlflowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise RegistryError(
                f"version {version.version} of {task} cannot be downloaded: {reason}"
            ) from None
        bundles = [path for path in folder.rglob(names.BUNDLE_FOLDER) if path.is_dir()]
        if len(bundles) != 1:
            raise RegistryError(
                f"the {task} model, version {version.version}, holds no bundle; train it again"
            )
        shutil.move(bundles[0], cached)
    return cached
