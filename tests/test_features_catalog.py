"""Declarations: complete, unique, computed, and equal to the page that documents them."""

import re
from pathlib import Path
from typing import get_args

import pytest

from features.catalog import features_page, find_feature
from features.declare import Feature, Reason
from features.families import FAMILIES, FEATURE_NAMES, FEATURES

PAGE = Path(__file__).parents[1] / "docs" / "features.md"
UNIT_WORDS = (
    "_days",
    "_count",
    "_share",
    "spend",
    "value",
    "_over_",
    "_per_",
    "_change_",
    "_position_",
    "_cv",
)
UNIT_WORDS += ("_score", "_slope")
REQUIRED = {
    *("recency_days", "order_count", "spend_total", "tenure_days", "mean_order_value", "order_day_count"),
    *(
        "first_to_last_days",
        "repeat_spend_mean",
        "mean_gap_days",
        "median_gap_days",
        "last_gap_days",
        "gap_cv",
    ),
    *("recency_over_mean_gap", "recency_over_median_gap", "product_count", "category_count"),
    *("repeat_line_share", "returned_spend_share", "discount_share", "order_value_slope"),
    *(f"order_count_{days}" for days in (7, 14, 30, 60, 90, 180, 365)),
    *(f"spend_{days}" for days in (7, 14, 30, 60, 90, 180, 365)),
}


def test_at_least_sixty_features_with_unique_names() -> None:
    assert len(FEATURES) >= 60
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES)
    assert set(FEATURE_NAMES) >= REQUIRED


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_a_declaration_is_complete(feature: Feature) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]+", feature.name)
    assert any(word in feature.name for word in UNIT_WORDS)
    assert all((feature.unit, feature.window, feature.description))
    assert feature.reason in get_args(Reason)
    windows = [int(number) for number in re.findall(r"_(\d+)$", feature.name)]
    if windows and not feature.name.startswith("decayed"):
        assert str(windows[0]) in feature.description + feature.window or "change" in feature.name


def test_every_reason_has_a_feature() -> None:
    assert {feature.reason for feature in FEATURES} == set(get_args(Reason))


def test_the_page_is_generated_from_the_declarations() -> None:
    assert PAGE.read_text(encoding="utf-8") == features_page(), "run `make docs`"


def test_the_page_names_every_feature_once() -> None:
    named = re.findall(r"^\| `(\w+)` \|", features_page(), flags=re.MULTILINE)
    assert named == list(FEATURE_NAMES)
    assert len(FAMILIES) == features_page().count("\n## ")


def test_an_unknown_feature_has_no_declaration() -> None:
    with pytest.raises(KeyError):
        find_feature("shoe_size")
