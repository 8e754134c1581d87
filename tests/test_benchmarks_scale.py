"""The cost curve's own arithmetic, table and picture, and one small run of all of it."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks.process_tree import family, watch
from benchmarks.readme import placed
from benchmarks.scale_advice import advice, machine_words, spark_words
from benchmarks.scale_curve import (
    Book,
    Cost,
    growth_exponent,
    ratio_table,
    table,
    verdicts,
    whole_curve,
)
from benchmarks.scale_picture import picture


def _book() -> Book:
    """A million and ten million lines: ingest is linear, train grows with the root, score quadratically."""
    book = Book()
    for step, seconds in (("ingest", (4.0, 40.0)), ("train", (30.0, 94.868)), ("score", (2.0, 200.0))):
        for size, each in zip((1_000_000, 10_000_000), seconds, strict=True):
            book.add(Cost(size, "polars", step, each, 2 * each, 0.5 if step == "ingest" else 1.5))
    book.add(Cost(1_000_000, "pyspark", "features", 30.0, 50.0, 3.0))
    book.add(Cost(1_000_000, "polars", "features", 5.0, 8.0, 0.4))
    book.ratios["1000000"] = {"hand": 0.5, "hand_cpu": 0.6, "pandas": 6.0, "different": 1.0, "blend": 3.25}
    return book


def test_growth_is_the_slope_of_logarithms() -> None:
    assert growth_exponent([1e6, 1e7], [5.0, 50.0]) == 1.0
    assert growth_exponent([1e6, 1e7, 1e8], [1.0, 10.0, 1000.0]) == 1.5
    assert growth_exponent([1e6], [5.0]) is None
    assert growth_exponent([1e6, 1e6], [5.0, 6.0]) is None
    assert growth_exponent([1e6, 1e7], [0.0, 6.0]) is None


def test_the_whole_way_adds_seconds_and_takes_the_most_memory() -> None:
    small, large = whole_curve(_book())
    assert small == Cost(1_000_000, "polars", "whole", 36.0, 72.0, 1.5)
    assert large.seconds == pytest.approx(334.868)


def test_the_whole_way_is_told_only_where_all_of_it_was_measured() -> None:
    book = _book()
    book.costs = [cost for cost in book.costs if (cost.step, cost.line_count) != ("score", 10_000_000)]
    assert [cost.line_count for cost in whole_curve(book)] == [1_000_000]


def test_a_newer_cost_takes_the_place_of_an_older_one() -> None:
    book = _book()
    book.add(Cost(1_000_000, "polars", "ingest", 9.0, 9.0, 9.0))
    assert [cost.seconds for cost in book.of("ingest")] == [9.0, 40.0]


def test_the_table_has_a_row_a_step_and_engine() -> None:
    assert table(_book()).splitlines() == [
        "| | engine | 1 million lines: s | CPU s | GiB | 10 million lines: s | CPU s | GiB | exponent |",
        "|---|---|---|---|---|---|---|---|---|",
        "| ingest | polars | 4.00 | 8.00 | 0.50 | 40.0 | 80.0 | 0.50 | 1.00 |",
        "| features | polars | 5.00 | 8.00 | 0.40 | – | – | – | – |",
        "| features | pyspark | 30.0 | 50.0 | 3.00 | – | – | – | – |",
        "| train, every candidate | polars | 30.0 | 60.0 | 1.50 | 94.9 | 190 | 1.50 | 0.50 |",
        "| score and publish | polars | 2.00 | 4.00 | 1.50 | 200 | 400 | 1.50 | 2.00 |",
        "| **file to scores**: ingest, train, score | polars "
        "| 36.0 | 72.0 | 1.50 | 335 | 670 | 1.50 | 0.97 |",
    ]


def test_the_ratios_are_told_by_wall_clock_and_by_processor() -> None:
    assert ratio_table(_book()).splitlines() == [
        "| times as long | 1 million lines |",
        "|---|---|",
        "| hand-written Polars ÷ features | 0.50 (CPU 0.60) |",
        "| plain pandas ÷ features | 6.00 |",
        "| the whole recommender's fit ÷ implicit's own ALS fit | 3.25 |",
    ]


def test_verdicts_name_what_was_missed() -> None:
    assert verdicts(_book()) == [
        ("ingest grows with lines^1.00 ≤ 1.1", True),
        ("train, every candidate grows with lines^0.50 ≤ 1.1", True),
        ("score and publish grows with lines^2.00 ≤ 1.1", False),
        ("features 2.00 × hand-written Polars ≤ 1.5 at 1 million lines", False),
        ("plain pandas 6.0 × features ≥ 5 at 1 million lines", True),
        ("1 columns with other sums at 1 million lines", False),
    ]


def test_answers_have_the_figures_measured() -> None:
    curve = whole_curve(_book())
    assert machine_words(curve) == (
        "How big a machine: from file to published scores took 1.5 GiB for 1 million lines, 1.5 GiB for "
        "10 million lines; with half as much again to spare, a machine of 4 and 4 GiB."
    )
    assert "features of 1 million lines took 6.0 times as long" in spark_words(_book())
    told = advice(_book())
    assert "How long: 0.6 min (1.2 of processor time) for 1 million lines, 5.6 min (11.2 of" in told
    assert "ten times the lines take 9.3 times the work." in told
    assert "was not measured" in spark_words(Book())
    assert advice(Book()) == ""


def test_a_book_is_read_back_as_it_was_kept() -> None:
    book = _book()
    assert Book.of_plain(json.loads(json.dumps(book.to_plain()))) == book


def test_the_picture_places_points_on_logarithmic_axes_and_knows_dark() -> None:
    drawn = picture(_book())
    root = ET.fromstring(drawn)  # noqa: S314 - our own
    polylines = [each.attrib["points"] for each in root.iter("{http://www.w3.org/2000/svg}polyline")]
    # Ingest: from 1 to 10 million, the whole width; from 4 s to 40 s on an axis from 1 to 1,000.
    assert polylines[0] == "62.0,261.8 332.0,171.8"
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("order lines") == 3
    assert {"seconds", "GiB", "1 m", "10 m", "ingest", "features, pyspark"} <= set(texts)
    heights = [
        float(each.attrib["y"])
        for each in root.iter("{http://www.w3.org/2000/svg}text")
        if "y" in each.attrib
    ]
    assert max(heights) < float(root.attrib["viewBox"].split()[3])
    assert "prefers-color-scheme: dark" in drawn
    assert picture(_book()) == drawn
    ET.fromstring(picture(Book()))  # noqa: S314


def test_what_a_command_starts_counts_as_its_memory_and_time() -> None:
    child = (
        "import time; held = bytearray(80_000_000); held[::4096] = b'x' * len(held[::4096]); time.sleep(1.5)"
    )
    code = "import subprocess, sys; "
    code += f"sys.stderr.write('[a] b\\n'); subprocess.run([sys.executable, '-c', {child!r}])"
    seen = watch([sys.executable, "-c", code])
    assert (seen.exit_code, [text for _, text in seen.lines]) == (0, ["[a] b"])
    assert seen.span(0.0, seen.seconds).gigabytes > 0.08
    assert seen.span(0.0, seen.seconds).cpu_seconds > 0


def test_a_failing_command_tells_its_last_line() -> None:
    seen = watch([sys.executable, "-c", "import sys; sys.exit('error: no history here')"])
    assert (seen.exit_code, seen.last_line) == (1, "no history here")


def test_the_family_of_nobody_is_empty() -> None:
    assert family(2**22 + 1) == {}
    assert os.getpid() in family(os.getpid())


def test_a_page_without_the_place_is_told() -> None:
    with pytest.raises(ValueError, match="the page has 0 blocks named scale"):
        placed("nothing here", "scale", "body")


@pytest.mark.slow
def test_a_tiny_curve_from_files_to_published_scores(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# P\n\n<!-- printed:scale -->\n<!-- end -->\n", encoding="utf-8")
    arguments = [
        "--lines",
        "3000,6000",
        "--engines",
        "duckdb",
        "--folder",
        str(tmp_path),
        "--page",
        str(page),
    ]
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", *arguments], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
    kept = Book.of_plain(json.loads((tmp_path / "costs.json").read_text(encoding="utf-8")))
    steps = {(cost.step, cost.engine) for cost in kept.costs if cost.line_count == 6_000}
    assert steps >= {("ingest", "polars"), ("features", "duckdb"), ("publish", "polars")}
    assert [ratios["different"] for ratios in kept.ratios.values()] == [0, 0]
    assert "How big a machine: " in page.read_text(encoding="utf-8")
    ET.parse(tmp_path / "performance-scale.svg")  # noqa: S314
