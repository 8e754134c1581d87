"""What the scorecard's page is built of: sections with a text, a table and pictures.

A part of the program that has more to tell hands its own sections to `training.pages.write_scorecard`:

    Section(
        title="What we said, and what came",
        text="Of 4,112 customers we gave 30 % to, 28.7 % stayed away.",
        table=Table(("said", "came", "customers"), [("30 %", "28.7 %", "4,112")]),
        pictures=[Picture("ledger", title="Said and came", alt="A line near the diagonal", figure=figure)],
    )

Figures begin with `training.canvas.canvas`, whose colours can be read on light and on dark. Sections follow
those of the back-test, in the page and (without pictures) in the text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import plotly.graph_objects as go


@dataclass(frozen=True, slots=True)
class Table:
    """A table of finished cells; the first column names the row.

    `marked` are the rows to stand out, `words` the columns of words, which are set to the left.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    marked: frozenset[int] = frozenset()
    words: frozenset[int] = frozenset({0})


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure with its file name, its title, what it shows in words, and its numbers as a table."""

    name: str
    title: str
    alt: str
    figure: go.Figure
    numbers: Table | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: plain text (paragraphs set apart by an empty line), a table, pictures."""

    title: str
    text: str = ""
    table: Table | None = None
    pictures: Sequence[Picture] = field(default_factory=tuple)


def table_text(table: Table) -> list[str]:
    """Return a table as lines of text, the first column to the left.

    >>> table_text(Table(("said", "came"), [("30 %", "28.7 %")]))
    ['  said    came', '  30 %  28.7 %']
    """
    rows = [table.header, *table.rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(table.header))]
    lines = []
    for number, row in enumerate(rows):
        cells = [
            f"{cell:<{width}}" if place in table.words else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        mark = "* " if number - 1 in table.marked else "  "
        lines.append((mark + "  ".join(cells)).rstrip())
    return lines
