"""MLflow: one run a candidate, one registered version a run, aliases for champion and challengers.

python -m training.tracking --serve      MLflow's own page on 127.0.0.1:5000
"""

import logging
import os
import platform
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from features.console import run_command
from features.errors import UserError
from features.layout import Layout
from models import registry_names as names
from models.bundle import write_bundle
from models.contract import Model
from training.scorecard import Scorecard

EXPERIMENT = "regulars"
# MLflow's stores call an alias that is not there an invalid parameter.
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_WRITTEN_BY_MLFLOW = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_ID")
PACKAGES = ("lightgbm", "implicit", "numpy", "scipy", "pandas", "scikit-learn")


_BASIS = ("clv_basis", "margin_share", "currency", "time_zone", "observation_days")
BASIS_TAGS = (names.TAG_CHURN_HORIZON_DAYS, *_BASIS)
"""Version tags: what two versions must share to score the same shop."""


class TrackingError(UserError):
    """MLflow cannot be reached, or holds no version that a command needs."""


@dataclass(frozen=True, slots=True)
class Training:
    """What every run of one training shares."""

    as_of: date
    headline_days: int
    data_hash: str
    recipe_hash: str
    settings_path: Path | None
    info: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Challenger:
    """The newest registered version of a candidate."""

    task: names.Task
    candidate: str
    version: str
    run_id: str
    method: str
    data_until: date
    data_hash: str
    recipe_hash: str
    headline_days: int


def connect(layout: Layout) -> MlflowClient:
    """Return a client of `$MLFLOW_TRACKING_URI`, else of the database under `VAR`.

    The experiment exists after it. Raises `TrackingError` where the server or the database cannot be used.
    """
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # a minute of silence helps nobody
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    artefacts = None
    if not uri:
        _make_folder(layout.mlflow)
        uri = f"sqlite:///{(layout.mlflow / 'mlflow.db').resolve()}"
        artefacts = (layout.mlflow / "artifacts").resolve().as_uri()
    with _environment_kept():
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        try:
            client = MlflowClient()
            if client.get_experiment_by_name(EXPERIMENT) is None:
                client.create_experiment(EXPERIMENT, artifact_location=artefacts)
            mlflow.set_experiment(EXPERIMENT)
        except (MlflowException, OSError) as error:
            raise TrackingError(f"MLflow at {uri} cannot be used: {str(error).splitlines()[0]}") from None
    return client


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Take back what MLflow writes into the environment, where the next `VAR` or a child would find it."""
    before = {name: os.environ.get(name) for name in _WRITTEN_BY_MLFLOW}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrackingError(f"cannot write under {folder}: {error.strerror or error}") from None


def register(
    client: MlflowClient, task: names.Task, model: Model, *, training: Training, card: str
) -> Challenger:
    """Log a fitted candidate as one run with its card and bundle; register it as its name's challenger."""
    common = _common_tags(task, model, training)
    with (
        mlflow.start_run(run_name=f"{task}/{model.name}", tags=common),
        _bundle(task, model, training) as folder,
    ):
        mlflow.log_params(
            {**model.params(), "as_of": str(training.as_of), "headline_days": training.headline_days}
        )
        if training.settings_path is not None:
            mlflow.log_artifact(str(training.settings_path))
        mlflow.log_text(card, "model_card.md")
        number = _log_version(client, folder, task, tags=common)
    registered = names.REGISTERED[task]
    client.set_registered_model_alias(registered, challenger_alias(model.name), number)
    return _challenger(task, client.get_model_version(registered, number))


def challengers(client: MlflowClient, task: names.Task) -> dict[str, Challenger]:
    """Return the newest version of every candidate of a task, by the candidate's name."""
    model = if_there(lambda: client.get_registered_model(names.REGISTERED[task]))
    if model is None:
        return {}
    prefix = challenger_alias("")
    numbers = [number for alias, number in model.aliases.items() if alias.startswith(prefix)]
    found = [_challenger(task, client.get_model_version(model.name, number)) for number in numbers]
    return {challenger.candidate: challenger for challenger in found}


def fits(challenger: Challenger, scorecard: Scorecard) -> bool:
    """Say whether a challenger and a scorecard speak of the same data, settings, date and headline."""
    made_from = (challenger.data_hash, challenger.recipe_hash)
    return made_from == (scorecard.data_hash, scorecard.recipe_hash) and (
        challenger.data_until,
        challenger.headline_days,
    ) == (scorecard.as_of, scorecard.headline_days)


def if_there(look_up: Callable[[], Any]) -> Any | None:  # noqa: ANN401 - MLflow is untyped
    """Return what MLflow answers, or None where it holds no such model or alias.

    Raises `TrackingError` where it cannot be asked: silence must not pass for absence.
    """
    try:
        return look_up()
    except MlflowException as error:
        if error.error_code in _ABSENT:
            return None
        raise TrackingError(f"MLflow cannot be used: {str(error).splitlines()[0]}") from None


def challenger_alias(candidate: str) -> str:
    """Return the alias of a candidate's newest version.

    >>> challenger_alias("base_rate")
    'challenger-base_rate'
    """
    return f"{names.CHALLENGER}-{candidate}"


def git_revision() -> str:
    """Return the commit that runs, with `+` where files differ from it; `unknown` outside a checkout."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def _common_tags(task: names.Task, model: Model, training: Training) -> dict[str, str]:
    return {
        "task": task,
        names.TAG_CANDIDATE: model.name,
        names.TAG_METHOD: model.method,
        names.TAG_DATA_UNTIL: str(training.as_of),
        names.TAG_CHURN_HORIZON_DAYS: str(training.headline_days),
        **{name: str(training.info[name]) for name in _BASIS if name in training.info},
        "data_hash": training.data_hash,
        "recipe_hash": training.recipe_hash,
        "git_revision": git_revision(),
        "python": platform.python_version(),
    }


@contextmanager
def _bundle(task: names.Task, model: Model, training: Training) -> Iterator[Path]:
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / names.BUNDLE_FOLDER
        folder.mkdir()
        write_bundle(model, folder, kind=task, info=dict(training.info))
        yield folder


def _log_version(client: MlflowClient, folder: Path, task: names.Task, *, tags: Mapping[str, str]) -> str:
    """Log the bundle as a model from code and register it; return the number of the version."""
    code = Path(__file__).with_name("bundle_model.py")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow asks for type hints that would make it guess a signature
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(code),
            artifacts={"bundle": str(folder)},
            pip_requirements=[f"{name}=={version(name)}" for name in PACKAGES],
        )
    registered = names.REGISTERED[task]
    if not client.search_registered_models(f"name = '{registered}'"):
        client.create_registered_model(registered)
    created = client.create_model_version(
        registered, logged.model_uri, run_id=logged.run_id, tags=dict(tags), model_id=logged.model_id
    )
    return str(created.version)


def _challenger(task: names.Task, found: Any) -> Challenger:  # noqa: ANN401
    tags = found.tags
    return Challenger(
        task=task,
        candidate=tags[names.TAG_CANDIDATE],
        version=str(found.version),
        run_id=found.run_id,
        method=tags[names.TAG_METHOD],
        data_until=date.fromisoformat(tags[names.TAG_DATA_UNTIL]),
        data_hash=tags["data_hash"],
        recipe_hash=tags["recipe_hash"],
        headline_days=int(tags[names.TAG_CHURN_HORIZON_DAYS]),
    )


def _command(
    *,
    serve: Annotated[bool, typer.Option("--serve", help="show MLflow's page on 127.0.0.1")] = False,
    port: Annotated[int, typer.Option(help="port of the page")] = 5000,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Say where MLflow keeps its runs, or show its page."""
    connect(Layout(var))
    uri = mlflow.get_tracking_uri()
    sys.stdout.write(f"runs and models: {uri}\n")
    if serve:
        arguments = [
            "-m",
            "mlflow",
            "server",
            "--backend-store-uri",
            uri,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        raise SystemExit(subprocess.run([sys.executable, *arguments], check=False).returncode)


if __name__ == "__main__":
    run_command(_command)
