"""`make learning-curve`: what more customers to learn from would bring, and how many suffice.

    python -m training.learning_curve [--as-of 2026-11-22] [--horizon 90] [--repeats 2] [--customers 100000]

Churn and value are learnt at the newest origin whose outcome is over, from 1/16, 1/8, 1/4, 1/2 and all of the
customers (at most `--customers`), chosen as `training.customers_max` would choose them; smaller samples are
drawn several times. All are judged by the same customers. Writes `VAR/reports/learning_curve.{txt,html}`,
and keeps both with the picture in an MLflow run.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import mlflow
import numpy as np
import plotly.graph_objects as go
import typer

from features.console import Announce, progress, run_command
from features.errors import UserError
from features.examples import ExampleBuilder
from features.layout import Layout
from features.settings import load_settings
from features.whole import write_whole
from training.canvas import COLOURS, bars, canvas
from training.context import Context, open_context
from training.learning_fit import Learnt, Task, in_own_process, write_judges
from training.pages import picture_json, write_page
from training.sections import Picture, Section, Table, table_text
from training.tracking import connect

PARTS = (16, 8, 4, 2, 1)
NEGLIGIBLE_SHARE = 0.005
"""A loss that lies no further from the best one is held to be as good."""
# Those who judge are another draw than those who teach.
_JUDGES_DRAW = 2**32
_LOSSES = {"churn": "log_loss", "clv": "deviance"}
_SHOWN = {
    "churn": {"log_loss": "log-loss", "auc": "AUC", "ece": "calibration error"},
    "clv": {"deviance": "deviance", "normalised_gini": "Gini", "total_bias": "total off by"},
}
_RECIPES = {
    "Boosting": {"churn": "churn/lightgbm_btyd", "clv": "clv/hurdle"},
    "BTYD": {"churn": "churn/btyd", "clv": "clv/btyd"},
}


class LearningCurveError(UserError):
    """There is nothing to learn from or to judge by before the date."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What every sample gave; `shop_count` customers are in the shop, `judged_count` judged."""

    origin: str
    headline_days: int
    shop_count: int
    judged_count: int
    points: Sequence[Learnt]

    @property
    def sizes(self) -> list[int]:
        """The sizes of the samples, rising."""
        return sorted({point.customer_count for point in self.points})

    def values(self, size: int, recipe: str, metric: str) -> list[float]:
        """Return a metric of a recipe (`churn/btyd`) in every sample of a size that it could be fitted on."""
        own = (point.metrics for point in self.points if point.customer_count == size)
        return [metrics[recipe][metric] for metrics in own if recipe in metrics]


def plan_of(customers: int, *, repeats: int) -> list[tuple[int, int]]:
    """Return (customers, draw) of every sample, small ones first; of all customers there is one draw.

    >>> plan_of(1000, repeats=2)[:3], plan_of(1000, repeats=2)[-1], plan_of(1, repeats=3)
    ([(62, 0), (62, 1), (125, 0)], (1000, 0), [(1, 0)])
    """
    sizes = sorted({max(customers // part, 1) for part in PARTS})
    return [(size, draw) for size in sizes for draw in range(1 if size == customers else repeats)]


def run_curve(context: Context, announce: Announce, *, repeats: int, customers_max: int) -> Curve:
    """Learn from every sample of the plan, each in a process of its own, and judge it."""
    days, history = context.headline_days, context.history
    origin = context.as_of.shifted(-days)
    first = history.manifest.first_order_days
    if first is None or first >= origin.end_days:
        raise LearningCurveError(
            f"no order before {origin.date}, {days} days before {context.as_of.date}: load a longer history "
            "or ask for a shorter HORIZON"
        )
    training = context.settings.training.model_copy(update={"customers_max": customers_max})
    settings = context.settings.model_copy(update={"training": training})
    announce(f"customers to judge by, as of {origin.date}")
    builder = ExampleBuilder(history, settings, sampled_as_of=origin, draw=_JUDGES_DRAW)
    with TemporaryDirectory() as folder:
        judged = write_judges(builder, origin, context.as_of, days=days, folder=Path(folder))
        if not judged:
            raise LearningCurveError(
                f"what came after {origin.date} lies in a hole of the data: ask another day"
            )
        customers = len(builder.features_at(origin))
        shop = customers if builder.sample is None else builder.sample.shop_count
        del builder
        points = []
        for size, draw in plan_of(customers, repeats=repeats):
            announce(f"{size:,} customers, sample {draw + 1}")
            task = Task(history.root, context.settings, origin, days, size, draw, Path(folder))
            points.append(in_own_process(task))
    return Curve(str(origin.date), days, shop, judged, points)


def sufficient_size(curve: Curve) -> int:
    """Return the smallest size from which on no loss of boosting (else of BTYD) is off that of the largest.

    Off is by half a per cent or more, in the mean over the samples of a size; a size on which a recipe could
    not be fitted is too small.
    """
    largest = curve.sizes[-1]
    enough = largest
    for size in reversed(curve.sizes):
        gaps = [_gap(curve, size, largest, task) for task in _LOSSES]
        if any(gap is None or abs(gap) >= NEGLIGIBLE_SHARE for gap in gaps):
            break
        enough = size
    return enough


def sentence_of(curve: Curve) -> str:
    """Say in one sentence what more customers would bring, and how many suffice."""
    largest, enough = curve.sizes[-1], sufficient_size(curve)
    of_all = "all" if largest == curve.shop_count else f"{largest:,} of"
    whom = f"{of_all} {curve.shop_count:,} customers"
    if enough == largest:
        smaller = curve.sizes[-2] if len(curve.sizes) > 1 else largest
        told = [_gap_text(curve, smaller, largest, task) for task in _LOSSES]
        return f"More customers still help: {' and '.join(told)} with {whom} than with {smaller:,}."
    told = [f"{_means_text(curve, enough, largest, task)}" for task in _LOSSES]
    return (
        f"From {enough:,} customers on the losses change by less than {NEGLIGIBLE_SHARE:.1%}: with {whom} "
        f"{' and '.join(told)}; so many suffice."
    )


def table_of(curve: Curve, recipes: dict[str, str]) -> Table:
    """Return one row a size: metrics (mean over the samples, half their range), time and memory."""
    header = [
        "customers",
        "samples",
        *(word for names in _SHOWN.values() for word in names.values()),
        "s",
        "GB",
    ]
    rows = []
    for size in curve.sizes:
        own = [point for point in curve.points if point.customer_count == size]
        cells = [
            _cell(curve.values(size, recipes[task], name)) for task, names in _SHOWN.items() for name in names
        ]
        seconds, peak = (float(np.mean([getattr(p, n) for p in own])) for n in ("seconds", "gigabytes"))
        rows.append([f"{size:,}", str(len(own)), *cells, f"{seconds:.0f}", f"{peak:.1f}"])
    return Table(header, rows)


def figure_of(curve: Curve, task: str) -> go.Figure:
    """Plot a task's loss by the size of the sample, with the lowest and highest of its samples."""
    metric = _LOSSES[task]
    figure = canvas("customers learnt from", _SHOWN[task][metric])
    for colour, (name, recipes) in zip(COLOURS, _RECIPES.items(), strict=False):
        found = {size: curve.values(size, recipes[task], metric) for size in curve.sizes}
        known = {size: values for size, values in found.items() if values}
        means = np.array([np.mean(values) for values in known.values()], dtype=np.float64)
        low, high = (np.array([end(v) for v in known.values()], dtype=np.float64) for end in (min, max))
        dots = {"mode": "lines+markers", "name": name, "line": {"color": colour}}
        figure.add_trace(go.Scatter(x=list(known), y=means, error_y=bars(means, low, high), **dots))
    figure.update_xaxes(type="log", tickvals=curve.sizes, ticktext=[f"{size:,}" for size in curve.sizes])
    return figure


def sections_of(curve: Curve) -> list[Section]:
    """Return the page: the sentence with the pictures, then a table for boosting and one for BTYD."""
    pictures = [
        Picture(
            f"learning-{task}",
            title=title,
            alt=f"{title}: {sentence_of(curve)}",
            figure=figure_of(curve, task),
        )
        for task, title in (
            ("churn", "Churn by customers learnt from"),
            ("clv", "Value by customers learnt from"),
        )
    ]
    about = (
        f"Learnt as of {curve.origin}, judged on {curve.judged_count:,} customers by the "
        f"{curve.headline_days} days after it. ± is half the way from the lowest to the highest sample; s "
        "and GB are of learning all recipes together, reading the history included."
    )
    tables = [Section(title, table=table_of(curve, recipes)) for title, recipes in _RECIPES.items()]
    return [
        Section("What more customers would bring", f"{sentence_of(curve)}\n\n{about}", pictures=pictures),
        *tables,
    ]


def curve_text(curve: Curve) -> str:
    """Return the page as text."""
    lines = []
    for section in sections_of(curve):
        lines += [section.title, *([section.text] if section.text else [])]
        lines += [*(table_text(section.table) if section.table else []), ""]
    return "\n".join(lines).rstrip() + "\n"


def write_curve(layout: Layout, curve: Curve) -> None:
    """Write text and page under `VAR/reports`, and keep them in an MLflow run of their own."""
    sections = sections_of(curve)
    text, page = layout.reports / "learning_curve.txt", layout.reports / "learning_curve.html"
    write_whole(text, curve_text(curve))
    write_page(page, title="Learning curve", sections=sections)
    connect(layout)
    with mlflow.start_run(run_name="learning curve", tags={"origin": curve.origin}):
        mlflow.log_metric("sufficient_customers", sufficient_size(curve))
        for point in curve.points:
            for recipe, metrics in point.metrics.items():
                named = {f"{recipe}/{name}": value for name, value in metrics.items() if np.isfinite(value)}
                mlflow.log_metrics(named, step=point.customer_count)
        for path in (text, page):
            mlflow.log_artifact(str(path), "learning_curve")
        for picture in sections[0].pictures:
            mlflow.log_text(picture_json(picture), f"learning_curve/{picture.name}.json")


def _gap(curve: Curve, size: int, largest: int, task: str) -> float | None:
    """Return a loss over that of the largest size, less 1; of boosting where the largest could be fitted."""
    for recipes in _RECIPES.values():
        best = curve.values(largest, recipes[task], _LOSSES[task])
        if best:
            own = curve.values(size, recipes[task], _LOSSES[task])
            return float(np.mean(own) / np.mean(best) - 1) if own else None
    return None


def _gap_text(curve: Curve, smaller: int, largest: int, task: str) -> str:
    gap = _gap(curve, smaller, largest, task)
    words = _SHOWN[task][_LOSSES[task]]
    return f"{words} not to be had" if gap is None else f"{words} is {gap:.1%} lower"


def _means_text(curve: Curve, size: int, largest: int, task: str) -> str:
    words, metric = _SHOWN[task][_LOSSES[task]], _LOSSES[task]
    recipes = next(r for r in _RECIPES.values() if curve.values(largest, r[task], metric))
    means = [float(np.mean(curve.values(at, recipes[task], metric))) for at in (size, largest)]
    return f"{words} is {means[1]:.4g} for {means[0]:.4g}"


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "-"
    mean = f"{np.mean(values):.4f}"
    return mean if len(values) == 1 else f"{mean} ± {(max(values) - min(values)) / 2:.4f}"


def _command(
    *,
    as_of: Annotated[str | None, typer.Option(help="as if that day were today (ISO date)")] = None,
    horizon: Annotated[int | None, typer.Option(help="headline horizon, in days", min=1, max=730)] = None,
    repeats: Annotated[int, typer.Option(help="samples of each size", min=1, max=20)] = 2,
    customers: Annotated[int, typer.Option(help="the largest sample", min=1)] = 100_000,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Show what more customers to learn from would bring."""
    layout = Layout(var)
    context = open_context(layout, load_settings(), as_of=as_of, headline_days=horizon, is_sampled=True)
    with progress("learning curve", total=2 + repeats * (len(PARTS) - 1)) as announce:
        curve = run_curve(context, announce, repeats=repeats, customers_max=customers)
    write_curve(layout, curve)
    sys.stdout.write(context.warning + curve_text(curve))
    sys.stdout.write(f"\nwritten to {layout.reports / 'learning_curve.html'}\n")


if __name__ == "__main__":
    run_command(_command)
