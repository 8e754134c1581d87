"""Metrics in words: their names, what they mean, and how their figures are written."""

from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from training.scorecard import Summary

Kind = Literal["number", "share", "signed"]


@dataclass(frozen=True, slots=True)
class MetricWords:
    """How a metric is called, what it says, and whether it is a number, a share or a signed share."""

    label: str
    meaning: str
    kind: Kind = "number"


METRIC_WORDS: Final[dict[str, MetricWords]] = {
    "log_loss": MetricWords("log-loss", "how wrong the probabilities were; lower is better"),
    "auc": MetricWords("AUC", "how often a churner was ranked above somebody who came back; 0.5 is a coin"),
    "brier": MetricWords("Brier", "squared distance of probability and outcome; lower is better"),
    "ece": MetricWords(
        "calibration error", "distance of predicted and observed churn, by tenths of customers", "share"
    ),
    "calibration_slope": MetricWords("slope", "1 is right, below 1 overconfident, above 1 timid"),
    "calibration_intercept": MetricWords(
        "intercept", "0 is right, above 0 more churned than said (log-odds)"
    ),
    "lift_top_decile": MetricWords("lift, top tenth", "churn of the riskiest tenth over everybody's"),
    "churned_share": MetricWords("churned", "share who did not order", "share"),
    "predicted_share": MetricWords("predicted", "mean churn probability", "share"),
    "deviance": MetricWords("deviance", "Tweedie, power 1.5: how wrong expected spend was; lower is better"),
    "normalised_gini": MetricWords("Gini", "how well spenders were ranked: 1 is perfect, 0 random"),
    "rmse": MetricWords("RMSE", "typical error of one customer's spend, big ones weighing most"),
    "mae": MetricWords("MAE", "mean absolute error; the lowest for who predicts nothing for most"),
    "total_bias": MetricWords("total off by", "predicted over actual total, less 1", "signed"),
    "decile_error": MetricWords(
        "tenths off by", "distance of predicted and actual totals of tenths, over the total", "share"
    ),
    "top_20_captured": MetricWords(
        "top fifth caught", "spend of the fifth valued highest over that of the truly best fifth", "share"
    ),
    "spearman": MetricWords("Spearman", "rank correlation of predicted and actual spend"),
    "above_high_share": MetricWords(
        "above p90", "customers above their 90th percentile, where it is above 0; 10 % is right", "share"
    ),
    "inside_share": MetricWords(
        "p10 to p90", "within the marginal range; over 80 % where most spend nothing", "share"
    ),
    "buyers_inside_share": MetricWords(
        "buyers inside", "buyers within the range given an order; 80 % is right", "share"
    ),
    "worst_fifth_buyers_inside_share": MetricWords(
        "worst fifth inside", "the same for the fifth of buyers furthest from 80 %", "share"
    ),
    "ndcg_at_10": MetricWords("NDCG@10", "bought items near the top of the list; 1 is the best list"),
    "recall_at_10": MetricWords("recall@10", "bought items that were shown", "share"),
    "hit_at_10": MetricWords("hit@10", "customers who bought at least one item shown", "share"),
    "mrr_at_10": MetricWords("MRR@10", "1 over the place of the first item bought"),
    "precision_at_10": MetricWords("precision@10", "places of the list that were bought", "share"),
    "repeat_recall_at_10": MetricWords(
        "repeat recall@10", "bought items that were shown, of those bought before the origin too", "share"
    ),
    "explore_recall_at_10": MetricWords(
        "explore recall@10", "bought items that were shown, of those never bought before", "share"
    ),
    "coverage_at_10": MetricWords("coverage@10", "items on offer that are shown to anybody", "share"),
    "novelty_at_10": MetricWords(
        "novelty@10", "how rare shown items are: 1 if half of the customers had bought them, 2 if a quarter"
    ),
    "exposure_gini_at_10": MetricWords(
        "Gini of exposure@10", "0 if all items on offer hold as many places, 1 if one item holds all"
    ),
    "fallback_share_at_10": MetricWords(
        "fallback share@10", "places that say nothing of the customer: popular items", "share"
    ),
    "discovery_at_10": MetricWords(
        "discovery hit@10",
        "of those who bought from a category new to them, who had one named by the first ten of cross_sell",
        "share",
    ),
    "popular_discovery_at_10": MetricWords(
        "popular new categories hit@10", "the same for the ten most popular categories new to each", "share"
    ),
}


def label_of(metric: str) -> str:
    """Return a metric's name for people; one without words keeps its own."""
    known = METRIC_WORDS.get(metric)
    return known.label if known else metric.replace("_", " ")


def kind_of(metric: str) -> Kind:
    """Return whether a metric is a number, a share or a signed share."""
    known = METRIC_WORDS.get(metric)
    return known.kind if known else "number"


def figure_text(metric: str, value: float | None, *, with_unit: bool = True) -> str:
    """Write a metric's value.

    >>> figure_text("auc", 0.88094), figure_text("total_bias", -0.0638), figure_text("rmse", 1622.9)
    ('0.8809', '-6.4 %', '1,623')
    >>> figure_text("ece", None)
    '–'
    """
    if value is None:
        return "–"
    kind = kind_of(metric)
    if kind != "number":
        sign = "+" if kind == "signed" else ""
        return f"{value * 100:{sign}.1f}" + (" %" if with_unit else "")
    size = abs(value)
    return f"{value:,.0f}" if size >= 1000 else f"{value:.1f}" if size >= 100 else f"{value:.4g}"


def interval_text(metric: str, low: float | None, high: float | None) -> str:
    """Write an interval, or nothing where there is none.

    >>> interval_text("auc", 0.8702, 0.8911)
    '0.8702 … 0.8911'
    """
    if low is None or high is None:
        return ""
    return f"{figure_text(metric, low, with_unit=False)} … {figure_text(metric, high)}"


def summary_text(metric: str, summary: Summary | None) -> str:
    """Write a mean over origins with its interval."""
    if summary is None:
        return "–"
    found = interval_text(metric, summary.low, summary.high)
    return figure_text(metric, summary.mean) + (f" ({found})" if found else "")


def origin_text(metric: str, summary: Summary | None, day: date) -> str:
    """Write a metric at one origin with its interval."""
    if summary is None:
        return "–"
    found = interval_text(metric, *summary.intervals_by_origin.get(day, (None, None)))
    return figure_text(metric, summary.by_origin.get(day)) + (f" ({found})" if found else "")


def range_text(metric: str, at_least: float | None, at_most: float | None) -> str:
    """Write where a figure should lie.

    >>> range_text("above_high_share", 0.07, 0.13), range_text("ece", None, 0.03)
    ('7.0 to 13.0 %', 'at most 3.0 %')
    """
    if at_least is None:
        return f"at most {figure_text(metric, at_most)}"
    if at_most is None:
        return f"above {figure_text(metric, at_least)}"
    return f"{figure_text(metric, at_least, with_unit=False)} to {figure_text(metric, at_most)}"


def percent_text(share: float | None) -> str:
    """Write a share as a whole percentage.

    >>> percent_text(0.787), percent_text(None)
    ('79 %', '–')
    """
    return "–" if share is None else f"{share * 100:.0f} %"
