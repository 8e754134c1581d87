"""The tables of `docs/segments.md`, made from the declarations.

python -m serving.segment_page [--page docs/segments.md]
"""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from features.condition_functions import FUNCTIONS
from features.console import run_command
from serving.rows import Column
from serving.segments.presets import PRESETS
from serving.segments.suggested import SUGGESTED
from serving.segments.traits import SCORES, TRAITS
from serving.segments.words import KINDS

_BEGIN: Final = "## Functions\n"
"""From here on the page is generated."""


def generated() -> str:
    """Return the last part of the page: functions, presets, suggestions, attributes."""
    functions = "".join(f"| `{each.signature}` | {each.meaning} |\n" for each in FUNCTIONS.values())
    presets = "".join(f"| `{each.slug}` | {each.title} | `{_shown(each.text)}` |\n" for each in PRESETS)
    suggested = "".join(f"| `{each.slug}` | {each.title} | `{each.text}` |\n" for each in SUGGESTED)
    scores = [column for column in SCORES if column.name != "customer_id"]
    return (
        f"{_BEGIN}\n| function | meaning |\n|---|---|\n{functions}"
        f"\n## Presets\n\n| name | who | condition |\n|---|---|---|\n{presets}"
        f"\n## Suggestions\n\n| name | who | condition |\n|---|---|---|\n{suggested}"
        f"\n## Attributes of a score\n\n{_table(scores)}"
        f"\n## Traits\n\n{_table(TRAITS)}"
    )


def _shown(text: str) -> str:
    return text.replace("{product}", "'…'").replace("{country}", "'…'")


def _table(columns: "tuple[Column, ...] | list[Column]") -> str:
    rows = "".join(
        f"| `{each.name}` | {KINDS[each.kind]} | {each.unit} | {each.meaning} |\n" for each in columns
    )
    return f"| attribute | kind | unit | meaning |\n|---|---|---|---|\n{rows}"


def written_anew(page: str) -> str:
    """Return a page with its generated part as it is by now."""
    return page[: page.index(_BEGIN)] + generated()


def _command(
    *, page: Annotated[Path, typer.Option(help="the page to write anew")] = Path("docs/segments.md")
) -> None:
    """Write the generated part of the page of segments anew."""
    page.write_text(written_anew(page.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{page}\n")


if __name__ == "__main__":
    run_command(_command)
