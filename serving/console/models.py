"""The champions as the console shows them: what they are, and how they did beside the simple rules."""

from dataclasses import dataclass
from typing import Any, Final

from features.grade_steps import CHURN_STEPS, CLV_STEPS, Step
from serving.console.figures import NOTHING, Figures
from serving.console.words import CANDIDATES, METHODS, METRICS, TASKS
from serving.store.records import RunMeta

_STEPS: Final = {"churn": CHURN_STEPS, "clv": CLV_STEPS}
_SIGNED: Final = "total_bias"


@dataclass(frozen=True, slots=True)
class MetricLine:
    """One figure of a model beside the same figure of its baseline; the label is a sentence to translate."""

    label: str
    value: str
    baseline: str


@dataclass(frozen=True, slots=True)
class ModelLine:
    """One champion; `beats` says whether it won.

    `task`, `title`, `method`, `baseline` and labels are sentences to translate.
    `steps` are the rule of its grade, none of a task without grades.
    """

    task: str
    title: str
    method: str
    version: int
    baseline: str | None
    beats: bool | None
    grade: str | None
    steps: tuple[Step, ...]
    origins: list[str]
    metrics: list[MetricLine]


def model_lines(meta: RunMeta, figures: Figures) -> list[ModelLine]:
    """Return the champions in the order churn, value, recommendations, beside their baselines."""
    lines = []
    for task, label in TASKS.items():
        card = meta.models.get(task)
        if card is None:
            continue
        baseline = card.scorecard.get("baseline") or {}
        name = baseline.get("candidate")
        lines.append(
            ModelLine(
                task=label,
                title=_title(card.candidate),
                method=METHODS.get(card.method, card.method),
                version=card.version,
                baseline=name and _title(name),
                beats=card.beats_baseline,
                grade=card.grade,
                steps=_STEPS.get(task, ()),
                origins=card.scorecard.get("origins") or [],
                metrics=_metric_lines(
                    card.scorecard.get("metrics") or {}, baseline.get("metrics") or {}, figures
                ),
            )
        )
    return lines


def _title(candidate: str) -> str:
    return CANDIDATES.get(candidate, candidate.replace("_", " "))


def _metric_lines(own: dict[str, Any], baseline: dict[str, Any], figures: Figures) -> list[MetricLine]:
    return [
        MetricLine(label, _figure(name, own[name], figures), _figure(name, baseline.get(name), figures))
        for name, label in METRICS.items()
        if own.get(name) is not None
    ]


def _figure(name: str, value: float | None, figures: Figures) -> str:
    if value is None:
        return NOTHING
    if name == _SIGNED:
        return figures.signed(value)
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
