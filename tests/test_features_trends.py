"""Orders of the newest window beside those expected from the weeks before, counted by hand."""

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from recommender_shop import Line, day, settings, write_shop

from features.interactions import Engine
from features.items import build_items
from features.trends import TREND_SCHEMA, build_trends

# With a window of 10 days as of day 60: the newest are days 50 to 59, the earlier ones 10 to 49.
CHOSEN = settings(popularity_days=10)
LINES: list[Line] = [
    ("ann", "tea", 5.0, 1, 1.0),  # before both windows: only says that tea was there
    ("ann", "tea", 12.0, 1, 1.0),
    ("bob", "tea", 12.0, 2, 2.0),
    ("bob", "tea", 12.0, 1, 1.0),  # the same order
    ("ann", "tea", 49.5, 1, 1.0),
    ("ann", "tea", 50.0, 1, 1.0),
    ("cyd", "tea", 59.5, 1, 1.0),
    ("cyd", "tea", 60.0, 1, 1.0),  # not known yet
    ("bob", "tea", 55.0, 1, -1.0),  # a return
    ("dan", "mug", 30.0, 1, 1.0),
    ("dan", "mug", 55.0, 1, 1.0),
    ("eve", "late", 45.0, 1, 1.0),  # first sold within twice the window: too young to have a usual
    ("eve", "late", 55.0, 1, 1.0),
    ("eve", "past", 15.0, 1, 1.0),
]


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_the_hand_table(tmp_path: Path, engine: Engine) -> None:
    shop = write_shop(tmp_path, LINES)
    items = build_items(shop, day(60), settings=CHOSEN)
    found = build_trends(shop, day(60), items=items, settings=CHOSEN, engine=engine)
    wanted = pl.DataFrame(
        [
            ("mug", 1, 1, 4, 3),  # from day 30 on the shop sold mug, late and tea before day 50
            ("tea", 2, 3, 4, 6),
        ],
        schema=TREND_SCHEMA,
        orient="row",
    )
    assert_frame_equal(found, wanted)


def test_a_shop_without_sales_lately_has_no_trends(tmp_path: Path) -> None:
    shop = write_shop(tmp_path, LINES)
    items = build_items(shop, day(200), settings=CHOSEN)
    assert build_trends(shop, day(200), items=items, settings=CHOSEN).is_empty()
