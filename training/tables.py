"""The tables of a scorecard, made once for the page and for the text."""

from collections.abc import Sequence
from datetime import date

from training.scorecard import HEADLINE_METRICS, CandidateResult, Scorecard, Summary, TaskResult
from training.sections import Table
from training.words import (
    METRIC_WORDS,
    figure_text,
    interval_text,
    label_of,
    origin_text,
    percent_text,
    range_text,
    summary_text,
)

MEANS_CAPTION = "Means over the origins, with 95 % intervals"


def metrics_table(
    result: TaskResult, *, names: Sequence[str] | None = None, caption: str = MEANS_CAPTION
) -> Table:
    """Return every recipe's metrics as means over the origins with their intervals, the best recipe first.

    `names` are the metrics, by default those that matter most.
    """
    names = HEADLINE_METRICS[result.task] if names is None else names
    rows = []
    for candidate in result.mean_losses:
        row = result.candidates[candidate]
        metrics = row.metrics[result.horizon_days]
        rows.append((candidate, row.method, *(summary_text(name, metrics.get(name)) for name in names)))
    return Table(
        ("recipe", "method", *map(label_of, names)),
        rows,
        caption=caption,
        marked=frozenset({0} if result.winner else ()),
        words=frozenset({0, 1}),
    )


def origins_table(result: TaskResult) -> Table:
    """Return every metric of every recipe at every origin, with its interval."""
    names = metric_names(result)
    rows = []
    for day in result.origins:
        for candidate in result.mean_losses:
            metrics = result.candidates[candidate].metrics[result.horizon_days]
            cells = (origin_text(name, metrics.get(name), day) for name in names)
            rows.append((f"{candidate}, {day}", f"{result.customer_counts.get(day, 0):,}", *cells))
    header = ("recipe, origin", "customers", *map(label_of, names))
    return Table(header, rows, caption="Each origin on its own, with 95 % intervals")


def spread_table(result: TaskResult) -> Table:
    """Return each origin's metrics of the winner, without intervals."""
    names = HEADLINE_METRICS[result.task]
    metrics = result.candidates[str(result.winner)].metrics[result.horizon_days]
    rows = [
        (
            str(day),
            f"{result.customer_counts.get(day, 0):,}",
            *(_at(metrics.get(name), name, day) for name in names),
        )
        for day in result.origins
    ]
    spreads = [metrics[name].spread if name in metrics else None for name in names]
    rows.append(
        ("spread", "", *(figure_text(name, value) for name, value in zip(names, spreads, strict=True)))
    )
    return Table((f"{result.winner} at", "customers", *map(label_of, names)), rows)


def differences_table(result: TaskResult) -> Table | None:
    """Return every recipe's paired difference to the strongest simple rule; None where there is none."""
    rule = result.best_rule
    compared = {name: result.candidates[name].against_rule for name in result.mean_losses}
    names = list(dict.fromkeys(metric for gaps in compared.values() for metric in gaps))
    if rule is None or not names:
        return None
    rows = [
        (candidate, *(_gap(metric, result.candidates[candidate]) for metric in names))
        for candidate, gaps in compared.items()
        if gaps
    ]
    caption = f"Better than {rule}, the best simple rule, by (below 0: worse)"
    return Table(("recipe", *map(label_of, names)), rows, caption=caption)


def gates_table(result: TaskResult) -> Table | None:
    """Return what the winner's figures should reach and whether they do; None where nothing is asked."""
    if not result.gates:
        return None
    words = {"mean": "", "size": ", mean size", "low": ", low end"}
    rows = [
        (
            label_of(gate.metric) + words[gate.of],
            figure_text(gate.metric, gate.value).removeprefix("+" if gate.of == "size" else ""),
            range_text(gate.metric, gate.at_least, gate.at_most).replace("+", ""),
            "met" if gate.passed else "missed",
            gate.words,
        )
        for gate in result.gates
    ]
    header = ("target", "found", "should be", "", "meaning")
    return Table(header, rows, caption=f"Targets of {result.winner}", words=frozenset({0, 4}))


def coverage_table(result: TaskResult) -> Table | None:
    """Return the winner's intervals by tenth of predicted spend; None where there are none."""
    if not result.coverage:
        return None
    rows = [
        (
            str(row.decile),
            f"{row.customer_count:,}",
            f"{row.predicted_mean:,.2f}",
            f"{row.actual_mean:,.2f}",
            percent_text(row.inside_share),
            f"{percent_text(row.above_high_share)} of {row.positive_high_count:,}",
            f"{percent_text(row.buyers_inside_share)} of {row.buyer_count:,}",
        )
        for row in result.coverage
    ]
    header = ("tenth", "customers", "predicted", "actual", "p10 to p90", "above p90", "buyers inside")
    return Table(header, rows, caption=f"Intervals of {result.winner} by tenth of predicted spend")


def totals_table(result: TaskResult, *, currency: str) -> Table | None:
    """Return what all customers were predicted to spend and spent, by recipe and origin."""
    if not result.totals:
        return None
    rows = [
        (
            f"{candidate}, {day}",
            f"{total.predicted:,.0f}",
            f"{total.actual:,.0f}",
            f"{total.predicted / total.actual - 1:+.1%}".replace("%", " %") if total.actual > 0 else "–",
        )
        for candidate in result.mean_losses
        for day, total in sorted(result.totals.get(candidate, {}).items())
    ]
    header = ("recipe, origin", f"predicted, {currency}", f"actual, {currency}", "off by")
    count = len(result.totals.get(str(result.winner), {}))
    return Table(header, rows, caption="The total of all customers", marked=frozenset(range(count)))


def meanings_table(scorecard: Scorecard) -> Table:
    """Return what each metric of a scorecard means."""
    names = [name for result in scorecard.tasks.values() if result.winner for name in metric_names(result)]
    rows = [(label_of(name), METRIC_WORDS[name].meaning) for name in names if name in METRIC_WORDS]
    return Table(("metric", "meaning"), rows, words=frozenset({0, 1}))


def metric_names(result: TaskResult) -> list[str]:
    """Return the metrics of a task, those that matter most first."""
    found = result.candidates[str(result.winner)].metrics[result.horizon_days] if result.winner else {}
    first = [name for name in HEADLINE_METRICS[result.task] if name in found]
    return first + [name for name in found if name not in first]


def _gap(metric: str, candidate: CandidateResult) -> str:
    gap = candidate.against_rule.get(metric)
    if gap is None:
        return "–"
    return f"{figure_text(metric, gap.mean)} ({interval_text(metric, gap.low, gap.high)})"


def _at(summary: Summary | None, metric: str, day: date) -> str:
    return figure_text(metric, summary.by_origin.get(day) if summary else None)
