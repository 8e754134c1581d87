"""What a recipe may learn from: dates, purge, sample, and the same numbers as `build_features`."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from features_shop import line, write_shop
from test_features_build import random_rows

from features.build import build_features
from features.examples import ExampleBuilder
from features.families import FEATURE_NAMES
from features.history import History
from features.labels import build_labels
from features.settings import Settings
from features.snapshot import Snapshot

ORIGIN = Snapshot(date(2026, 3, 1))


def settings_with(**churn: Any) -> Settings:
    return Settings.model_validate({"churn": churn})


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_shop(tmp_path_factory.mktemp("shop"), random_rows(500), bucket_count=2)


@pytest.fixture(scope="module")
def builder(history: History) -> ExampleBuilder:
    return ExampleBuilder(history, settings_with(snapshots_max=6))


def test_features_at_are_those_of_build_features(builder: ExampleBuilder, history: History) -> None:
    for snapshot in (ORIGIN, ORIGIN.shifted(-45), Snapshot(ORIGIN.date, "UTC", 60)):
        table = build_features(history, snapshot, settings=Settings())
        built = builder.features_at(snapshot)
        assert built.index.name == "customer_id"
        assert built.index.to_list() == table["customer_id"].to_list()
        expected = table.select(FEATURE_NAMES).fill_null(float("nan")).to_numpy()
        np.testing.assert_array_equal(built.to_numpy(), expected)
        assert tuple(built.columns) == FEATURE_NAMES


def test_a_caller_cannot_spoil_what_is_kept(builder: ExampleBuilder) -> None:
    mine = builder.features_at(ORIGIN)
    before = mine["recency_days"].copy()
    mine["recency_days"] = -1.0
    mine.iloc[0, 0] = 7.0
    pd.testing.assert_series_equal(builder.features_at(ORIGIN)["recency_days"], before)


def test_outcomes_are_those_of_build_labels(builder: ExampleBuilder, history: History) -> None:
    snapshot, horizons = ORIGIN.shifted(-40), [14, 30, 60]
    labels = build_labels(history, snapshot, horizons_days=horizons, known_until=ORIGIN, settings=Settings())
    outcomes = builder.outcomes(snapshot, horizons_days=horizons, known_until=ORIGIN)
    assert outcomes.index.to_list() == builder.features_at(snapshot).index.to_list()
    expected = labels.drop("customer_id", "as_of").fill_null(float("nan")).to_numpy()
    np.testing.assert_array_equal(outcomes.to_numpy(), expected)
    assert outcomes["churned_60"].isna().all()


def test_snapshots_lie_a_quarter_of_the_headline_apart(builder: ExampleBuilder) -> None:
    examples = builder.examples(ORIGIN, headline_days=45)
    dates = examples.features.index.get_level_values("as_of").unique().to_list()
    # Steps of round(45 / 4) = 11 days; at 11 days no horizon of the grid (14 days at least) is over yet.
    assert dates == [ORIGIN.date - timedelta(days=11 * number) for number in range(2, 7)]
    assert examples.horizons_days == (14, 30, 45, 60, 90, 180, 365)
    assert examples.features.index.equals(examples.labels.index)
    assert examples.features.index.names == ["customer_id", "as_of"]
    assert examples.current.index.equals(builder.features_at(ORIGIN).index)
    assert list(examples.labels.columns) == [
        f"{name}_{h}" for h in examples.horizons_days for name in ("churned", "spend", "order_count")
    ]


def test_purge_every_known_outcome_ends_on_or_before_the_origin(builder: ExampleBuilder) -> None:
    examples = builder.examples(ORIGIN, headline_days=45)
    as_of = pd.to_datetime(examples.labels.index.get_level_values("as_of"))
    for horizon in examples.horizons_days:
        is_over = as_of + pd.Timedelta(days=horizon) <= pd.Timestamp(ORIGIN.date)
        known = examples.labels[f"churned_{horizon}"].notna()
        assert (known.to_numpy() == np.asarray(is_over)).all()


def test_examples_do_not_change_with_what_happens_later(history: History, tmp_path: Path) -> None:
    rows = random_rows(500)
    later = [line("c01", "new", "2026-03-01T00:00", 500.0), line("c99", "first", "2026-03-05", 5.0)]
    longer = write_shop(tmp_path, rows + later)
    settings = settings_with(snapshots_max=3)
    mine, theirs = (ExampleBuilder(h, settings).examples(ORIGIN, headline_days=30) for h in (history, longer))
    for part in ("features", "labels", "current"):
        pd.testing.assert_frame_equal(getattr(mine, part), getattr(theirs, part), check_exact=True)


def test_a_snapshot_needs_history_before_it(tmp_path: Path) -> None:
    rows = [line("ann", f"o{day}", f"2026-02-{day:02d}", 1.0) for day in range(1, 29)]
    builder = ExampleBuilder(write_shop(tmp_path, rows), settings_with(history_days_min=10))
    found = builder.snapshots_before(ORIGIN, headline_days=8)
    assert [s.date for s in found] == [ORIGIN.date - timedelta(days=2 * number) for number in range(1, 10)]


def test_a_large_shop_is_sampled_by_customer(history: History) -> None:
    whole = ExampleBuilder(history, settings_with(snapshots_max=16)).examples(ORIGIN, headline_days=30)
    row_count = int(whole.labels.filter(like="churned_").notna().to_numpy().sum())
    assert row_count > 1500
    builder = ExampleBuilder(history, settings_with(snapshots_max=16, training_rows_max=1000))
    sample, again = (builder.examples(ORIGIN, headline_days=30) for _ in range(2))
    kept = set(sample.features.index.get_level_values("customer_id"))
    assert 0 < len(kept) < whole.current.shape[0]
    pd.testing.assert_frame_equal(sample.features, again.features)
    # Kept customers keep all of their rows, and the current cohort is whole.
    expected = whole.features[whole.features.index.get_level_values("customer_id").isin(kept)]
    pd.testing.assert_frame_equal(sample.features, expected)
    pd.testing.assert_frame_equal(sample.current, whole.current)
    share = int(sample.labels.filter(like="churned_").notna().to_numpy().sum()) / row_count
    assert share == pytest.approx(1000 / row_count, abs=0.25)


def test_a_history_too_short_gives_empty_examples(tmp_path: Path) -> None:
    builder = ExampleBuilder(write_shop(tmp_path, [line("ann", "1", "2026-02-27", 1.0)]), Settings())
    examples = builder.examples(ORIGIN, headline_days=30)
    assert examples.features.shape == (0, len(FEATURE_NAMES))
    assert examples.labels.shape == (0, 18)
    assert examples.current.shape == (1, len(FEATURE_NAMES))


@pytest.mark.slow
def test_last_year_is_seen_52_weeks_ago_where_the_history_reaches_half_a_year_further(tmp_path: Path) -> None:
    first = date(2024, 3, 1)
    days = [first + timedelta(days=number) for number in range(0, 730, 10)]
    rows = [line(name, f"{name}{day}", day.isoformat(), 5.0) for name in ("ann", "bob") for day in days]
    builder = ExampleBuilder(write_shop(tmp_path, rows), Settings())
    examples = builder.examples(ORIGIN, headline_days=30)
    assert not examples.is_first_season
    assert examples.year_ago is not None
    after = ORIGIN.shifted(-364)
    for pair, snapshot in zip(
        (examples.year_ago.before, examples.year_ago.after), (after.shifted(-30), after), strict=True
    ):
        pd.testing.assert_frame_equal(pair[0], builder.features_at(snapshot))
        assert pair[1]["churned_30"].tolist() == [0.0, 0.0]
    # The year after it ends a day too late to be known.
    assert examples.year_ago.after[1]["churned_365"].isna().all()
    earlier = builder.examples(Snapshot(date(2025, 9, 20)), headline_days=30)
    assert earlier.year_ago is None
    assert not earlier.is_first_season
    assert builder.examples(Snapshot(date(2025, 2, 1)), headline_days=30).is_first_season
