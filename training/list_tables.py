"""What the scorecard says of recommendations: tables for the page, a few lines for the text."""

from collections.abc import Iterator

from training.scorecard import HEADLINE_METRICS, Comparison, Segment, Summary, TaskResult
from training.sections import Table
from training.tables import MEANS_CAPTION, differences_table, metrics_table
from training.words import figure_text, interval_text, label_of, summary_text

PARTS = ("repeat_recall_at_10", "explore_recall_at_10")
"""Recall of what a customer had bought before, and of what was new to them."""
FOUND = (*HEADLINE_METRICS["recommender"], "precision_at_10", *PARTS)
SHOWN = ("coverage_at_10", "novelty_at_10", "exposure_gini_at_10", "fallback_share_at_10")
DISCOVERY = ("discovery_at_10", "popular_discovery_at_10")


def list_tables(result: TaskResult) -> list[Table]:
    """Return the page's tables: what was found, what is shown, discovery, segments, what has no value."""
    tables = (
        metrics_table(result, names=FOUND, caption=f"What was found. {MEANS_CAPTION}"),
        differences_table(result),
        metrics_table(result, names=SHOWN, caption=f"What is shown. {MEANS_CAPTION}"),
        discovery_table(result),
        segments_table(result),
        undefined_table(result),
    )
    return [table for table in tables if table is not None]


def discovery_table(result: TaskResult) -> Table | None:
    """Return how often cross_sell names a new category that is then bought; None where nobody bought one."""
    found = _metrics(result)
    if not any(name in found and found[name].mean is not None for name in DISCOVERY):
        return None
    names = ("cross_sell", "most popular categories that are new to the customer")
    gains = (_gain_text(DISCOVERY[0], result.discovery_gain), "")
    rows = [
        (words, summary_text(name, found.get(name)), gain)
        for words, name, gain in zip(names, DISCOVERY, gains, strict=True)
    ]
    caption = (
        "Discovery: customers who bought from a category new to them. One of ten categories was right for"
    )
    return Table(("list of categories", "hit@10", "better by"), rows, caption=caption)


def segments_table(result: TaskResult) -> Table | None:
    """Return the winner's metrics, each with its rival's, by how many orders customers had before."""
    if not result.segments or result.winner is None:
        return None
    names = list(result.segments[0].metrics[result.winner])
    rows = [
        (
            segment.name,
            f"{segment.customer_count:,}",
            *(_pair_text(segment, name, result) for name in names),
            _gain_text("ndcg_at_10", segment.against),
        )
        for segment in result.segments
    ]
    beside = f", and {result.rival} (below)" if result.rival else ""
    caption = f"{result.winner}{beside} by orders before the origin; a customer counts once an origin"
    header = ("orders before", "customers", *map(label_of, names), "NDCG@10 better by")
    return Table(header, rows, caption=caption)


def undefined_table(result: TaskResult) -> Table | None:
    """Return which metrics have no value, and why; None where all have one."""
    if not result.undefined:
        return None
    rows = [(label_of(name), reason) for name, reason in result.undefined.items()]
    return Table(("not defined", "because"), rows, words=frozenset({0, 1}))


def list_lines(result: TaskResult) -> Iterator[str]:
    """Say who is to serve, what is found of the old and of the new, discovery, and what is not personal."""
    if result.winner is None:
        return
    yield f"chosen to serve: {result.winner}{_rank_text(result)}"
    for name, words in zip(PARTS, ("bought before", "new to the customer"), strict=True):
        if text := _beside_rival(result, name):
            yield f"found of items {words}: {text}"
    found = _metrics(result)
    own, popular = (found.get(name) for name in DISCOVERY)
    if own is not None and own.mean is not None and popular is not None:
        yield (
            f"new categories, ten named: cross_sell {summary_text(DISCOVERY[0], own)}, most popular ones "
            f"{figure_text(DISCOVERY[1], popular.mean)}"
        )
    if text := _beside_rival(result, "fallback_share_at_10"):
        yield f"places that say nothing of the customer: {text}"
    for name, reason in result.undefined.items():
        yield f"{label_of(name)} is not defined: {reason}"


def _rank_text(result: TaskResult) -> str:
    if result.candidates[str(result.winner)].is_rule:
        return ", a simple rule: no model is better beyond doubt"
    if result.against_rule is None:
        return ""
    beats = "better than" if result.beats_baseline else "not better beyond doubt than"
    return f", {beats} the strongest simple rule, {result.against_rule.rival}"


def _beside_rival(result: TaskResult, name: str) -> str:
    """Return the winner's figure and its rival's, or nothing where the winner has none."""
    own = _metrics(result).get(name)
    if own is None or own.mean is None:
        return ""
    if result.rival is None:
        return summary_text(name, own)
    other = result.candidates[result.rival].metrics[result.horizon_days].get(name)
    return f"{summary_text(name, own)}, {result.rival} {figure_text(name, other.mean if other else None)}"


def _metrics(result: TaskResult) -> dict[str, Summary]:
    return result.candidates[str(result.winner)].metrics[result.horizon_days]


def _pair_text(segment: Segment, name: str, result: TaskResult) -> str:
    own = figure_text(name, segment.metrics[str(result.winner)][name])
    if result.rival is None:
        return own
    return f"{own} ({figure_text(name, segment.metrics.get(result.rival, {}).get(name))})"


def _gain_text(metric: str, gain: Comparison | None) -> str:
    if gain is None:
        return "–"
    return f"{figure_text(metric, gain.mean)} ({interval_text(metric, gain.low, gain.high)})"
