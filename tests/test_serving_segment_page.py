"""docs/segments.md agrees with the program: its tables, its examples, its mistake."""

import json
import re
from pathlib import Path

import pytest
from serving_runs import meta

from features.condition_text import FilterError
from serving.segment_page import generated, written_anew
from serving.segments.presets import PRESETS
from serving.segments.words import SEGMENTS, compile_segment

PAGE = (Path(__file__).parents[1] / "docs/segments.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```segment\n(.+?)\n```", PAGE)


def test_the_page_is_as_generated() -> None:
    assert written_anew(PAGE) == PAGE, "run `python -m serving.segment_page`"
    assert [name for name in SEGMENTS.attributes if f"| `{name}` |" not in generated()] == []


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_is_a_condition(text: str) -> None:
    assert compile_segment(text, meta()).sql


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.slug)
def test_every_preset_is_a_condition(preset: object) -> None:
    text = preset.text.format(product='"p"', country='"c"') if "{" in preset.text else preset.text  # type: ignore[attr-defined]
    assert compile_segment(text, meta()).sql


def test_the_mistake_that_is_shown_is_the_one_that_is_told() -> None:
    shown = json.loads(re.findall(r"```json\n(.+?)\n```", PAGE)[0])
    with pytest.raises(FilterError) as refused:
        compile_segment("lapsed and churn_probabilty > 0.5", meta())
    error = refused.value
    assert shown == {
        "pointer": "/body/text",
        "code": error.code,
        "message": error.message,
        "offset": error.span.offset,
        "length": error.span.length,
    }
