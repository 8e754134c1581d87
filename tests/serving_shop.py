"""A tiny shop for the scoring tests: a hand-made history, and simple champions registered in MLflow."""

import json
import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
from mlflow import MlflowClient

from features.basis import Basis
from features.examples import ExampleBuilder
from features.generation import GenerationWriter
from features.history import STORED_SCHEMAS, History, bucket_of
from features.layout import Layout
from features.settings import Settings
from features.snapshot import Snapshot, days_since_epoch
from models import registry_names as names
from models.bundle import write_bundle
from models.candidates import churn_candidates, clv_candidates, recommender_candidates
from models.recommender.material import build_material

FIRST_DAY = datetime(2026, 1, 1, 10, tzinfo=UTC)
AS_OF = date(2026, 7, 1)
HEADLINE_DAYS = 30
BUCKET_COUNT = 2
NASTY = ("00123", "NA", "=1+1", "a/b", "김철수")


def make_orders(customers: int = 40, *, seed: int = 7) -> list[dict[str, Any]]:
    """Return order lines until the end of June 2026: regulars, people who stopped, and one order each."""
    dice = random.Random(seed)
    lines = []
    ids = [*NASTY, *(f"c{number}" for number in range(customers - len(NASTY)))]
    for number, customer in enumerate(ids):
        gap = dice.choice([7, 14, 30])
        stop = 180 if number % 3 else dice.choice([40, 90])
        day = dice.randrange(20)
        order = 0
        while day < stop and (number % 7 or order == 0):
            lines += _order(dice, customer, order, day)
            order += 1
            day += max(1, round(dice.gauss(gap, 2)))
    lines += _order(dice, "c0", 999, 180)
    return lines


def _order(dice: random.Random, customer: str, order: int, day: int) -> list[dict[str, Any]]:
    at = FIRST_DAY + timedelta(days=day, minutes=dice.randrange(600))
    return [
        {
            "customer_id": customer,
            "order_id": f"{customer}-{order}",
            "line_id": f"{customer}-{order}-{line}",
            "ordered_at": at,
            "ordered_days": days_since_epoch(at),
            "product_id": f"p{dice.randrange(12):02d}",
            "amount_minor": dice.randrange(10_000, 400_000),
            "quantity_minor": 1000,
            "is_return": False,
            "loaded_at": FIRST_DAY,
        }
        for line in range(2)
    ]


BASIS = {"clv_basis": "net", "time_zone": "UTC", "observation_days": 0, "currency": "EUR"}


def write_history(
    root: Path,
    lines: list[dict[str, Any]],
    *,
    refused: tuple[str, ...] = (),
    unit_cost_minor: int | None = None,
    previous: History | None = None,
) -> History:
    """Write lines as a history; customers in `refused` have said no to e-mails; all goods cost the same.

    Where others read meanwhile it must follow the `previous` one, whose files stay until it is there.
    """
    schema = STORED_SCHEMAS["order_lines"]
    rows = pl.DataFrame([{**dict.fromkeys(schema), **line} for line in lines], schema=schema)
    buckets = [bucket_of(customer, BUCKET_COUNT) for customer in rows["customer_id"]]
    with GenerationWriter(
        Layout(root).history, bucket_count=BUCKET_COUNT, currency="EUR", previous=previous
    ) as writer:
        for bucket in range(BUCKET_COUNT):
            writer.write("order_lines", rows.filter(pl.Series(buckets) == bucket), bucket=bucket)
        consent = [
            {**dict.fromkeys(STORED_SCHEMAS["customers"]), "customer_id": c, "email_consent": False}
            for c in refused
        ]
        writer.write("customers", pl.DataFrame(consent, schema=STORED_SCHEMAS["customers"]))
        if unit_cost_minor is not None:
            writer.write("products", _products(lines, unit_cost_minor))
        return writer.commit()


def _products(lines: list[dict[str, Any]], unit_cost_minor: int) -> pl.DataFrame:
    empty = dict.fromkeys(STORED_SCHEMAS["products"])
    sold = sorted({line["product_id"] for line in lines})
    rows = [{**empty, "product_id": product, "unit_cost_minor": unit_cost_minor} for product in sold]
    return pl.DataFrame(rows, schema=STORED_SCHEMAS["products"])


def fit_champions(
    history: History, as_of: date, *, choice: Mapping[names.Task, str], settings: Settings | None = None
) -> dict[names.Task, Any]:
    """Fit one candidate of each task named in `choice`."""
    settings = settings or Settings()
    snapshot = Snapshot(as_of)
    examples = ExampleBuilder(history, settings).examples(snapshot, headline_days=HEADLINE_DAYS)
    makers: dict[names.Task, Any] = {
        "churn": churn_candidates,
        "clv": clv_candidates,
        "recommender": recommender_candidates,
    }
    fitted = {}
    for task, name in choice.items():
        material = build_material(history, snapshot, settings=settings) if task == "recommender" else examples
        fitted[task] = makers[task](settings)[name].fit(material)
    return fitted


def register(
    root: Path,
    fitted: Mapping[names.Task, Any],
    *,
    as_of: date,
    passed: bool = True,
    basis: Basis | None = None,
) -> None:
    """Register fitted candidates as champions in the MLflow database under a folder."""
    info = BASIS | (basis or Basis()).tags
    layout = Layout(root)
    database = layout.mlflow / "mlflow.db"
    if not database.exists():
        layout.mlflow.mkdir(parents=True, exist_ok=True)
        database.write_bytes(_empty_registry())
    uri = f"sqlite:///{database}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.get_experiment_by_name("t")
    location = (layout.mlflow / "artifacts").as_uri()
    experiment_id = experiment.experiment_id if experiment else client.create_experiment("t", location)
    for task, model in fitted.items():
        run = client.create_run(experiment_id)
        folder = root / "staged" / f"{task}-{run.info.run_id}" / names.BUNDLE_FOLDER
        folder.mkdir(parents=True)
        write_bundle(model, folder, kind=task, info=info)
        client.log_artifacts(run.info.run_id, str(folder), f"model/{names.BUNDLE_FOLDER}")
        _register_version(client, task, model, run, as_of=as_of, passed=passed)


@lru_cache(maxsize=1)
def _empty_registry() -> bytes:
    """Return an MLflow database without a model: its tables take seconds to make, and are always the same."""
    with TemporaryDirectory() as folder:
        database = Path(folder) / "mlflow.db"
        MlflowClient(f"sqlite:///{database}").search_experiments()
        return database.read_bytes()


def _register_version(
    client: MlflowClient, task: names.Task, model: Any, run: Any, *, as_of: date, passed: bool
) -> None:
    name = names.REGISTERED[task]
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    version = client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id).version
    card = {"metrics": {"auc": 0.7}, "baseline": {"candidate": "recency", "metrics": {"auc": 0.7}}}
    tags = {
        names.TAG_CANDIDATE: model.name,
        names.TAG_METHOD: model.method,
        names.TAG_DATA_UNTIL: as_of.isoformat(),
        names.TAG_CHURN_HORIZON_DAYS: str(HEADLINE_DAYS),
        names.TAG_SCORECARD: json.dumps({**card, "beats_baseline": False}),
        **({names.TAG_PASSED: "true"} if passed else {}),
    }
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)
    if passed:
        client.set_registered_model_alias(name, names.CHAMPION, version)
