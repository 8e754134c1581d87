"""One point of the learning curve: a sample of customers learnt from, judged on the customers of an origin.

It runs in a process of its own, so that its time and its memory are its own too.
"""

import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from features.examples import ExampleBuilder, Examples
from features.history import History
from features.settings import Settings
from features.snapshot import Snapshot
from models.candidates import churn_candidates, clv_candidates
from models.contract import ChurnModel, ClvModel, NotEnoughDataError
from training.metrics_churn import churn_metrics
from training.metrics_clv import clv_metrics

CHURN_RECIPES = ("lightgbm_btyd", "btyd")
CLV_RECIPES = ("hurdle", "btyd")
_KILOBYTES_A_GIGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Task:
    """What is learnt from, and where the customers to judge by lie.

    `customer_count` of the shop are learnt from, by another `draw` others; `folder` holds the judged
    customers' features and outcomes at the origin.
    """

    history: Path
    settings: Settings
    origin: Snapshot
    headline_days: int
    customer_count: int
    draw: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Learnt:
    """What one sample gave: metrics by recipe (`churn/btyd`), rows learnt from, seconds and gigabytes."""

    customer_count: int
    draw: int
    row_count: int
    seconds: float
    gigabytes: float
    metrics: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class _Fitted:
    churn: dict[str, ChurnModel]
    clv: dict[str, ClvModel]


def in_own_process(task: Task) -> Learnt:
    """Learn in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(learn, task).result()


def write_judges(
    builder: ExampleBuilder, origin: Snapshot, until: Snapshot, *, days: int, folder: Path
) -> int:
    """Write features and outcomes of those to judge by, a plain sample of a large shop; return how many.

    None has a row where the outcome is hidden or not over.
    """
    features, outcomes = builder.features_at(origin), builder.outcomes(origin, [days], until)
    known = outcomes[f"churned_{days}"].notna().to_numpy()
    if builder.sample is not None:
        known = known & builder.sample.even_of(features.index)
    features, outcomes = features[known], outcomes[known]
    features.to_parquet(folder / "features.parquet")
    outcomes.to_parquet(folder / "outcomes.parquet")
    return len(features)


def learn(task: Task) -> Learnt:
    """Learn churn and value from a sample and judge them; a recipe that cannot be fitted has no metrics."""
    begun = time.perf_counter()
    training = task.settings.training.model_copy(update={"customers_max": task.customer_count})
    settings = task.settings.model_copy(update={"training": training, "seed": task.settings.seed + task.draw})
    history = History.open(task.history)
    builder = ExampleBuilder(history, settings, sampled_as_of=task.origin, draw=task.draw)
    examples = builder.examples(task.origin, headline_days=task.headline_days)
    fitted = _fitted(examples, settings)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KILOBYTES_A_GIGABYTE
    known = int(sum(examples.labels[f"churned_{h}"].notna().sum() for h in examples.horizons_days))
    metrics = _judged(fitted, task)
    return Learnt(len(examples.current), task.draw, known, seconds, peak, metrics)


def _fitted(examples: Examples, settings: Settings) -> "_Fitted":
    """Fit the recipes of the curve; one that cannot be fitted on so few customers is left out."""
    churn, clv = churn_candidates(settings), clv_candidates(settings)
    return _Fitted(
        {name: churn[name] for name in CHURN_RECIPES if _fits(churn[name], examples)},
        {name: clv[name] for name in CLV_RECIPES if _fits(clv[name], examples)},
    )


def _fits(model: ChurnModel | ClvModel, examples: Examples) -> bool:
    try:
        model.fit(examples)
    except NotEnoughDataError:
        return False
    return True


def _judged(fitted: "_Fitted", task: Task) -> dict[str, dict[str, float]]:
    """Judge at the headline horizon; value takes the order probabilities of the first churn recipe."""
    features = pd.read_parquet(task.folder / "features.parquet")
    outcomes = pd.read_parquet(task.folder / "outcomes.parquet")
    days, found = task.headline_days, {}
    orders: pd.DataFrame | None = None
    for name, churn in fitted.churn.items():
        chances = churn.predict(features, horizons_days=[days])
        orders = 1 - chances if orders is None else orders
        churned = outcomes[f"churned_{days}"].to_numpy(dtype=np.float64)
        found[f"churn/{name}"] = churn_metrics(churned, chances[days].to_numpy())
    spent = outcomes[f"spend_{days}"].to_numpy(dtype=np.float64)
    for name, clv in fitted.clv.items() if orders is not None else ():
        assert orders is not None  # noqa: S101 - asked above
        expected = clv.predict(features, order_probability=orders, horizons_days=[days])
        found[f"clv/{name}"] = clv_metrics(spent, expected[days].to_numpy())
    return found
