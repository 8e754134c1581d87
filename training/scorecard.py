"""The scorecard: what a back-test found, as data. `training.texts` and `training.pages` show it to people."""

from collections.abc import Mapping
from datetime import date, datetime

import numpy as np
from pydantic import BaseModel, ConfigDict

from features.grade_steps import Grade
from models.contract import Method
from models.registry_names import Task
from training.judge import Difference

HEADLINE_METRICS: dict[str, tuple[str, ...]] = {
    "churn": (
        "log_loss",
        "auc",
        "brier",
        "ece",
        "calibration_slope",
        "calibration_intercept",
        "lift_top_decile",
    ),
    "clv": (
        "deviance",
        "normalised_gini",
        "rmse",
        "mae",
        "total_bias",
        "decile_error",
        "top_20_captured",
        "spearman",
        "above_high_share",
        "buyers_inside_share",
    ),
    "recommender": ("ndcg_at_10", "recall_at_10", "hit_at_10", "mrr_at_10"),
}
LOSS_NAMES: dict[str, str] = {"churn": "log-loss", "clv": "Tweedie deviance", "recommender": "1 - NDCG@10"}
PAIRED_METRICS: dict[Task, tuple[str, ...]] = {
    "churn": ("log_loss", "auc"),
    "clv": ("deviance", "normalised_gini"),
    "recommender": ("ndcg_at_10", "recall_at_10"),
}
"""Metrics in which every recipe is compared with the strongest simple rule, customer by customer."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Summary(_Part):
    """A metric over the origins; `by_origin` keeps every value (None where it is not defined).

    `low` and `high` are a 95 % interval of the mean, `intervals_by_origin` the same at each origin; None or
    absent where none was made.
    """

    mean: float | None
    spread: float | None
    by_origin: dict[date, float | None]
    low: float | None = None
    high: float | None = None
    intervals_by_origin: dict[date, tuple[float, float]] = {}


class Comparison(_Part):
    """A recipe against a rival, mostly the strongest simple rule; positive: the recipe is better."""

    rival: str
    mean: float
    low: float
    high: float


class CandidateResult(_Part):
    """One recipe: its method, its metrics by horizon (days) and name, its grade.

    `against_rule` is its paired difference to the strongest simple rule, by metric; `is_rule` says whether it
    is one of those itself.
    """

    method: Method
    metrics: dict[int, dict[str, Summary]]
    grade: Grade | None = None
    against_rule: dict[str, Comparison] = {}
    is_rule: bool = False


class Gate(_Part):
    """A figure of the winner and where it should lie; `of` is as in `training.gates.Target`."""

    metric: str
    words: str
    value: float | None
    of: str
    at_least: float | None
    at_most: float | None
    passed: bool


class CoverageRow(_Part):
    """Intervals of one tenth of the customers by predicted spend (1 is the lowest), all origins pooled.

    `above_high_share` is of the `positive_high_count` customers whose 90th percentile is above 0,
    `buyers_inside_share` of the `buyer_count` who bought; None where there are none.
    """

    decile: int
    customer_count: int
    predicted_mean: float
    actual_mean: float
    inside_share: float
    positive_high_count: int
    above_high_share: float | None
    buyer_count: int
    buyers_inside_share: float | None


class Total(_Part):
    """What all customers of an origin were predicted to spend, and what they spent."""

    predicted: float
    actual: float


class GroupErrors(_Part):
    """The formula and the winner beside what came, in one RFM group, all origins pooled.

    Means are a customer's spend within the headline horizon, in major units; a bias is predicted total ÷
    actual total - 1, None where nobody spent anything; `mae` the mean absolute error. `ordered_share` of them
    ordered within the horizon, `once_share` had ordered once before. The last group is all customers.
    """

    name: str
    customer_count: int
    actual_mean: float
    formula_mean: float | None
    formula_bias: float | None
    formula_mae: float | None
    winner_mean: float | None
    winner_bias: float | None
    winner_mae: float | None
    ordered_share: float | None = None
    once_share: float | None = None


class Segment(_Part):
    """Lists of customers with so many orders before the origin, all origins together.

    A customer counts once an origin. `metrics` are means over customers, by recipe and name; `against` is by
    how much the NDCG of the recipe that serves is above that of its rival there, customer by customer.
    """

    name: str
    customer_count: int
    metrics: dict[str, dict[str, float]]
    against: Comparison | None = None


class TaskResult(_Part):
    """One task: every recipe, the best one, and why others are missing.

    `gates`, `coverage` and `groups` are the winner's; `totals` are every value recipe's, by origin;
    `segments` are of lists, as is `discovery_gain`: by how much cross_sell names new categories that are
    bought more often than the most popular ones. `undefined` says why a metric has no value at all.
    """

    task: Task
    horizon_days: int
    loss_name: str
    origins: list[date]
    candidates: dict[str, CandidateResult]
    left_out: dict[str, str]
    winner: str | None
    mean_losses: dict[str, float]
    against_rule: Comparison | None
    against_champion: Comparison | None = None
    beats_baseline: bool
    customer_counts: dict[date, int] = {}
    gates: list[Gate] = []
    coverage: list[CoverageRow] = []
    totals: dict[str, dict[date, Total]] = {}
    groups: list[GroupErrors] = []
    segments: list[Segment] = []
    discovery_gain: Comparison | None = None
    undefined: dict[str, str] = {}

    @property
    def best_rule(self) -> str | None:
        """The strongest simple rule, if one was judged."""
        return next((name for name in self.mean_losses if self.candidates[name].is_rule), None)

    @property
    def rival(self) -> str | None:
        """Who stands beside the winner: the strongest simple rule; the next best recipe if that has won."""
        others = [name for name in self.mean_losses if name != self.winner]
        return self.best_rule if self.best_rule in others else next(iter(others), None)

    @property
    def grade(self) -> Grade | None:
        """The winner's grade."""
        return self.candidates[self.winner].grade if self.winner else None


class Scorecard(_Part):
    """A whole back-test."""

    as_of: date
    headline_days: int
    data_hash: str
    recipe_hash: str
    git_revision: str
    currency: str
    clv_basis: str
    created_at: datetime
    tasks: dict[Task, TaskResult]


def summary_of(by_origin: Mapping[date, float]) -> Summary:
    """Return mean and standard deviation over origins; values that are not defined stay out of both."""
    finite = [value for value in by_origin.values() if np.isfinite(value)]
    return Summary(
        mean=float(np.mean(finite)) if finite else None,
        spread=float(np.std(finite, ddof=1)) if len(finite) > 1 else None,
        by_origin={day: float(value) if np.isfinite(value) else None for day, value in by_origin.items()},
    )


def comparison_of(found: Difference | None) -> Comparison | None:
    """Return a difference in the scorecard's form."""
    if found is None:
        return None
    return Comparison(rival=found.rival, mean=found.mean, low=found.low, high=found.high)


def verdict_text(result: TaskResult) -> str:
    """Say in one sentence what won, and whether it beats the simple rules."""
    if result.winner is None:
        return "no back-test: the history is too short for one"
    method = result.candidates[result.winner].method
    if result.against_rule is None:
        return f"{result.winner} ({method}) has the lowest {result.loss_name}; no model does better here"
    found = result.against_rule
    if found.mean < 0:
        return (
            f"{result.winner} ({method}) is no better than a simple rule: {found.rival} has a "
            f"{result.loss_name} lower by {-found.mean:.4g} "
            f"(95 % interval {-found.high:.4g} … {-found.low:.4g})"
        )
    sure = "beyond doubt" if result.beats_baseline else "not beyond doubt"
    return (
        f"{result.winner} ({method}) beats the best simple rule, {found.rival}, {sure}: {result.loss_name} "
        f"lower by {found.mean:.4g} (95 % interval {found.low:.4g} … {found.high:.4g})"
    )
