"""The scorecard's files under `VAR/reports`: JSON, text, and one HTML page that needs nothing but itself.

The page carries plotly.js once and asks for nothing over a network; its tables need no JavaScript.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from features.basis import basis_words
from features.layout import Layout
from features.whole import write_whole
from training.grades import rule_text
from training.list_tables import list_lines, list_tables
from training.minute import TITLES, advice_of
from training.pictures import Figures, draw_figures
from training.scorecard import Scorecard, TaskResult, verdict_text
from training.sections import Picture, Section
from training.tables import (
    coverage_table,
    differences_table,
    gates_table,
    meanings_table,
    metric_names,
    metrics_table,
    origins_table,
    totals_table,
)
from training.texts import scorecard_text

__all__ = ["Figures", "draw_figures", "picture_json", "write_page", "write_scorecard"]


def write_scorecard(
    layout: Layout, scorecard: Scorecard, figures: Figures, *, extra: Sequence[Section] = ()
) -> None:
    """Write `scorecard.json`, `.txt`, `.html` and the pictures (plotly's JSON) of a back-test.

    `extra` are sections of others (see `training.sections`); they follow those of the tasks.
    """
    write_whole(layout.reports / "scorecard.txt", scorecard_text(scorecard, extra))
    for task, pictures in figures.items():
        for picture in pictures:
            write_whole(layout.reports / f"{task}-{picture.name}.json", picture_json(picture))
    page = _render("scorecard.html", card=scorecard, tasks=_tasks(scorecard, figures), extra=extra)
    write_whole(layout.reports / "scorecard.html", page)
    # Last: it is what promotion reads.
    write_whole(layout.reports / "scorecard.json", scorecard.model_dump_json(indent=1) + "\n")


def write_page(path: Path, *, title: str, sections: Sequence[Section]) -> None:
    """Write sections as a page of their own, as self-contained as the scorecard."""
    write_whole(path, _render("page.html", title=title, sections=sections))


def picture_json(picture: Picture) -> str:
    """Return a picture as plotly's JSON with its title, as MLflow keeps it."""
    titled = go.Figure(picture.figure).update_layout(title_text=picture.title, margin_t=48)
    return str(titled.to_json()) + "\n"


def _tasks(scorecard: Scorecard, figures: Figures) -> list[dict[str, object]]:
    return [
        {
            "title": TITLES[task],
            "result": result,
            "verdict": verdict_text(result),
            "rule": rule_text(task) if result.grade else None,
            "lines": list(list_lines(result)) if task == "recommender" else [],
            "tables": _tables(result, scorecard.currency),
            "origins": origins_table(result) if result.winner else None,
            "pictures": figures.get(task, []),
        }
        for task, result in scorecard.tasks.items()
    ]


def _tables(result: TaskResult, currency: str) -> list[object]:
    if result.winner is None:
        return []
    if result.task == "recommender":
        return list(list_tables(result))
    found = (
        metrics_table(result, names=metric_names(result)),
        differences_table(result),
        gates_table(result),
        coverage_table(result),
        totals_table(result, currency=currency),
    )
    return [table for table in found if table is not None]


def _render(template: str, **values: object) -> str:
    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["script"] = _script
    environment.filters["basis_words"] = basis_words
    library = Markup(get_plotlyjs())  # noqa: S704 - the package's own file
    return environment.get_template(template).render(
        plotly=library, advice_of=advice_of, meanings_table=meanings_table, **values
    )


def _script(figure: go.Figure) -> Markup:
    """Return a figure as JSON that cannot end the script element that holds it."""
    text = json.dumps(json.loads(figure.to_json()), separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - no < is left
