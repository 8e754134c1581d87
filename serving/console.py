"""What the page says: numbers as people write them, models beside their baselines."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

from serving.store import Item, RunMeta

_LOCALE: Final = "en_GB"
_WHOLE_FROM = 100
_RATES: Final = {"auc", "log_loss", "brier", "ece", "normalised_gini"}
METRIC_LABELS: Final = {
    "auc": "ranks right (AUC)",
    "log_loss": "log-loss",
    "ece": "calibration error",
    "lift_top_decile": "lift in the top tenth",
    "normalised_gini": "ranks money (Gini)",
    "total_bias": "total off by",
    "rmse": "error (RMSE)",
    "ndcg_at_10": "NDCG@10",
    "recall_at_10": "recall@10",
    "hit_at_10": "hit rate@10",
}
TASK_LABELS: Final = {"churn": "Churn", "clv": "Customer value", "recommender": "Recommendations"}
METHOD_LABELS: Final = {
    "ml": "machine learning",
    "btyd": "a purchase-process model",
    "formula": "a formula",
    "baseline": "a simple rule",
}


@dataclass(frozen=True, slots=True)
class MetricLine:
    """One figure of a model beside the same figure of its baseline."""

    label: str
    value: str
    baseline: str


@dataclass(frozen=True, slots=True)
class ModelLine:
    """One champion: what it is, its figures, and whether it beats the simple rules."""

    task: str
    title: str
    baseline: str | None
    verdict: str
    grade: str | None
    metrics: list[MetricLine]


def percent(share: float | None) -> str:
    """Write a share as a percentage.

    >>> percent(0.184), percent(0.004), percent(None)
    ('18 %', '0.4 %', '–')
    """
    if share is None:
        return "–"
    value = share * 100
    return f"{value:.0f} %" if value >= 1 or value == 0 else f"{value:.1f} %"


def times(value: float | None, usual: float | None) -> str:
    """Write how many times the usual a value is.

    >>> times(0.48, 0.16), times(0.2, 0.16), times(0.2, None)
    ('3 × usual', '1.2 × usual', '')
    """
    if value is None or not usual:
        return ""
    ratio = value / usual
    text = f"{ratio:.0f}" if ratio >= 10 or abs(ratio - round(ratio)) < 0.05 else f"{ratio:.1f}"
    return f"{text} × usual"


def money(value: float | None, currency: str) -> str:
    """Write an amount in a currency; zero and amounts from 100 on without cents."""
    if value is None:
        return "–"
    if value == 0 or abs(value) >= _WHOLE_FROM:
        return format_currency(round(value), currency, "¤#,##0", locale=_LOCALE, currency_digits=False)
    return format_currency(value, currency, locale=_LOCALE)


def day(value: date | datetime | str | None) -> str:
    """Write a date in words: 2 Jul 2026."""
    if value is None:
        return "–"
    known = datetime.fromisoformat(value) if isinstance(value, str) else value
    return format_date(known, "d MMM y", locale=_LOCALE)


def count(value: int) -> str:
    """Write a count with its thousands set apart."""
    return format_decimal(value, locale=_LOCALE)


FILTERS: Final[dict[str, Callable[..., str]]] = {
    "percent": percent,
    "times": times,
    "money": money,
    "day": day,
    "count": count,
}


def customer_line(flat: dict[str, Any], top: Item | None) -> dict[str, Any]:
    """Return a table row: the flat score, its reasons that speak for churn first, and what to offer."""
    reasons = flat["reasons"] or []
    speaking = [reason["text"] for reason in reasons if reason["direction"] == "up"]
    calming = [reason["text"] for reason in reasons if reason["direction"] != "up"]
    return {
        **flat,
        "worrying": speaking,
        "calming": calming,
        "offer": (top.name or top.product_id) if top else None,
    }


def model_lines(meta: RunMeta) -> list[ModelLine]:
    """Return the champions in the order churn, value, recommendations, beside their baselines."""
    lines = []
    for task, label in TASK_LABELS.items():
        card = meta.models.get(task)
        if card is None:
            continue
        baseline = card.scorecard.get("baseline") or {}
        method = METHOD_LABELS.get(card.method, card.method)
        title = f"{card.candidate.replace('_', ' ')}, {method}, version {card.version}"
        figures = _metric_lines(card.scorecard.get("metrics") or {}, baseline.get("metrics") or {})
        name = baseline.get("candidate")
        lines.append(
            ModelLine(
                task=label,
                title=title,
                baseline=name and name.replace("_", " "),
                verdict=_verdict(card.beats_baseline),
                grade=card.grade,
                metrics=figures,
            )
        )
    return lines


def _metric_lines(own: dict[str, Any], baseline: dict[str, Any]) -> list[MetricLine]:
    return [
        MetricLine(label, _figure(name, own[name]), _figure(name, baseline.get(name)))
        for name, label in METRIC_LABELS.items()
        if own.get(name) is not None
    ]


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if name == "total_bias":
        return f"{value * 100:+.0f} %"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def _verdict(beats_baseline: bool | None) -> str:
    if beats_baseline is None:
        return "not compared yet"
    return "better than every simple rule" if beats_baseline else "no better than a simple rule here"
