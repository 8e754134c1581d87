"""Which recipe is best, by how much, and how sure that is: paired bootstrap over customers."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from training.resampling import Resample, interval
from training.weighted import mean_of

_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean loss of a rival minus that of a recipe (positive: the recipe is better), with a 95 % interval."""

    rival: str
    mean: float
    low: float
    high: float

    @property
    def is_beyond_doubt(self) -> bool:
        """Say whether the whole interval lies above zero."""
        return self.low > 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The best recipe of a back-test, and how it stands to the strongest rule and to the one that serves."""

    winner: str
    loss_name: str
    mean_losses: dict[str, float]
    against_rule: Difference | None
    against_incumbent: Difference | None = None

    @property
    def beats_baseline(self) -> bool:
        """Say whether the winner is better than every simple rule beyond doubt."""
        return self.against_rule is not None and self.against_rule.is_beyond_doubt


def mean_losses(losses: pd.DataFrame) -> dict[str, float]:
    """Return each recipe's mean over origins of its mean loss, the best first (ties by name).

    `losses` has the columns candidate, origin, customer_id, loss.
    """
    by_origin = losses.groupby(["candidate", "origin"], sort=True)["loss"].mean()
    means = by_origin.groupby("candidate").mean()
    return {
        str(name): float(value) for name, value in sorted(means.items(), key=lambda item: (item[1], item[0]))
    }


def compare(losses: pd.DataFrame, recipe: str, rival: str, *, resamples: int, seed: int) -> Difference:
    """Compare two recipes on the same customers and origins; customers are resampled whole (Efron 1979).

    The draws are those of `training.resampling`, so the interval is the one that the scorecard shows.
    """
    keys = ["origin", "customer_id"]
    left = losses[losses["candidate"] == recipe].set_index(keys)["loss"]
    right = losses[losses["candidate"] == rival].set_index(keys)["loss"]
    gaps = (right - left).dropna().rename("gap").reset_index()
    resample = Resample(losses["customer_id"], draw_count=resamples, seed=seed)
    parts = [rows for _, rows in gaps.groupby("origin", sort=True)]
    draws = [
        resample.draws({"gap": mean_of(rows["gap"].to_numpy(float))}, resample.groups_of(rows["customer_id"]))
        for rows in parts
    ]
    mean = float(np.mean([rows["gap"].mean() for rows in parts]))
    # One customer cannot be resampled: without an interval nothing is beyond doubt.
    ends = interval(mean, np.mean([found["gap"] for found in draws], axis=0)) or sorted((0.0, mean))
    return Difference(rival=rival, mean=mean, low=ends[0], high=ends[1])


@dataclass(frozen=True, slots=True)
class Field:
    """Who takes part beside the models.

    `simple`      recipes that are no machine learning
    `rules`       those of them that a model must beat
    `bystanders`  those of them that cannot serve
    """

    simple: frozenset[str]
    rules: frozenset[str]
    bystanders: frozenset[str] = frozenset()


def decide(
    losses: pd.DataFrame,
    field: Field,
    *,
    loss_name: str,
    resamples: int,
    seed: int,
    incumbent: str | None = None,
) -> Verdict:
    """Choose who serves: the recipe with the lowest mean loss, where that is no accident.

    A model learns more from the whole history than it could at the origins, a simple recipe does not: so a
    simple one takes the place of a model only where it is better beyond doubt, or exactly as good. A winner
    that is no rule itself is compared with the strongest one, and any with the `incumbent`, the recipe that
    serves now. The winner stands first in `mean_losses`.
    """
    found = mean_losses(losses)
    means = dict(sorted(found.items(), key=lambda item: (item[1], item[0] not in field.simple, item[0])))
    served = [name for name in means if name not in field.bystanders]
    winner = served[0]
    models = [name for name in served if name not in field.simple]
    if winner in field.simple and models and means[models[0]] > means[winner]:
        ahead = compare(losses, winner, models[0], resamples=resamples, seed=seed)
        winner = winner if ahead.is_beyond_doubt else models[0]
    rivals = [name for name in means if name in field.rules]
    against = None
    if winner not in field.rules and rivals:
        against = compare(losses, winner, rivals[0], resamples=resamples, seed=seed)
        # A rung that answers as its own rule does is that rule.
        against = None if abs(against.mean) <= _SAME * abs(means[winner]) else against
    beside = None
    if incumbent in means:
        beside = compare(losses, winner, str(incumbent), resamples=resamples, seed=seed)
    return Verdict(winner, loss_name, {winner: means[winner]} | means, against, beside)
