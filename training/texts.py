"""The scorecard as a page of text, for a terminal and for MLflow."""

from collections.abc import Sequence

from training.grades import rule_text
from training.list_tables import list_lines
from training.minute import advice_of
from training.scorecard import Scorecard, TaskResult, verdict_text
from training.sections import Section, Table, table_text
from training.tables import (
    coverage_table,
    differences_table,
    gates_table,
    metrics_table,
    spread_table,
    totals_table,
)

_MARKS = {"good": "+", "care": "~", "bad": "!"}


def scorecard_text(scorecard: Scorecard, extra: Sequence[Section] = ()) -> str:
    """Return the scorecard as a page of text; `extra` are further sections, shown without their pictures."""
    lines = [f"Scorecard as of {scorecard.as_of} · data {scorecard.data_hash[:12]}", "", "In one minute"]
    lines += [f"  {_MARKS[advice.tone]} {advice.text}" for advice in advice_of(scorecard)]
    for result in scorecard.tasks.values():
        lines += ["", *_task(result, scorecard.currency)]
    for section in extra:
        lines += ["", section.title, *section.text.splitlines(), *_shown(section.table)]
    return "\n".join(lines) + "\n"


def _task(result: TaskResult, currency: str) -> list[str]:
    origins = ", ".join(map(str, result.origins)) or "none"
    lines = [f"{result.task} · {result.horizon_days} days · origins {origins}", verdict_text(result)]
    if result.winner is not None:
        lines += table_text(metrics_table(result))
        if result.task == "recommender":
            lines += [f"  {line}" for line in list_lines(result)]
        if result.grade is not None:
            lines.append(f"  {result.winner}: grade {result.grade} ({rule_text(result.task)})")
        found = (differences_table(result), gates_table(result), spread_table(result), coverage_table(result))
        for table in (*found, totals_table(result, currency=currency)):
            lines += _shown(table)
    return lines + [f"  left out: {name}: {reason}" for name, reason in sorted(result.left_out.items())]


def _shown(table: Table | None) -> list[str]:
    if table is None:
        return []
    return ["", *([f"  {table.caption}"] if table.caption else []), *table_text(table)]
