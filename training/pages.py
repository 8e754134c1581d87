"""The scorecard's files under `VAR/reports`: JSON, text, and one HTML page that carries its own pictures."""

import io
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from matplotlib.figure import Figure

from features.settings import Layout
from features.whole import write_whole
from models.registry_names import Task
from training.grades import rule_text
from training.plots import calibration_plot, decile_plot, gains_plot, recall_plot
from training.rounds import Backtest
from training.scorecard import (
    HEADLINE_METRICS,
    Scorecard,
    TaskResult,
    metric_cell,
    scorecard_text,
    verdict_text,
)

TITLES = {"churn": "Churn", "clv": "Customer lifetime value", "recommender": "Recommendations"}
Figures = dict[Task, dict[str, Figure]]


def write_scorecard(layout: Layout, scorecard: Scorecard, figures: Figures) -> None:
    """Write `scorecard.json`, `.txt`, `.html` and the plots (SVG) of a back-test."""
    write_whole(layout.reports / "scorecard.txt", scorecard_text(scorecard))
    pictures = {
        task: {name: svg_of(figure) for name, figure in found.items()} for task, found in figures.items()
    }
    for task, found in pictures.items():
        for name, svg in found.items():
            write_whole(layout.reports / f"{task}-{name}.svg", svg)
    write_whole(layout.reports / "scorecard.html", _page(scorecard, pictures))
    # Last: it is what promotion reads.
    write_whole(layout.reports / "scorecard.json", scorecard.model_dump_json(indent=1) + "\n")


def draw_figures(scorecard: Scorecard, result: Backtest) -> Figures:
    """Draw the pictures of every task that was judged: the winner beside the best simple rule."""
    drawn: Figures = {"churn": {}, "clv": {}, "recommender": {}}
    churn, clv, lists = (scorecard.tasks[task] for task in ("churn", "clv", "recommender"))
    if churn.winner:
        rows = _shown(result.churn, churn)
        title = f"churn, {churn.horizon_days} days"
        drawn["churn"] = {
            "calibration": calibration_plot(rows, title=f"Calibration: {title}"),
            "gains": gains_plot(rows, title=f"Churners found: {title}"),
        }
    if clv.winner:
        rows = _shown(result.clv, clv)
        title = f"Value by tenth: {clv.winner}, {clv.horizon_days} days"
        chosen = rows[rows["candidate"] == clv.winner]
        drawn["clv"] = {"deciles": decile_plot(chosen, title=title, currency=scorecard.currency)}
    if lists.winner and result.recalls:
        title = f"Recall, {lists.horizon_days} days, newest origin"
        drawn["recommender"] = {"recall": recall_plot(result.recalls, title=title)}
    return drawn


def _shown(predictions: pd.DataFrame, result: TaskResult) -> pd.DataFrame:
    names = [result.winner] + ([result.against_rule.rival] if result.against_rule else [])
    rows = predictions[predictions["horizon_days"] == result.horizon_days]
    return pd.concat([rows[rows["candidate"] == name] for name in names])


def svg_of(figure: Figure) -> str:
    """Return a figure as SVG text, the same bytes for the same figure."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]


def _page(scorecard: Scorecard, pictures: dict[Task, dict[str, str]]) -> str:
    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("scorecard.html").render(
        card=scorecard,
        titles=TITLES,
        metrics=HEADLINE_METRICS,
        verdict_text=verdict_text,
        rule_text=rule_text,
        cell=metric_cell,
        pictures={task: [Markup(svg) for svg in found.values()] for task, found in pictures.items()},  # noqa: S704
    )
