"""The sample of customers: its strata, whom it takes, what they stand for, and the same features for them."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from features_shop import line, write_shop
from test_features_build import random_rows

from features.customer_sample import CustomerSample, allocate, choose_customers, read_order_spans, strata_of
from features.examples import ExampleBuilder
from features.history import History
from features.settings import Settings, SettingsError, load_settings
from features.snapshot import Snapshot

ORIGIN = Snapshot(date(2026, 3, 1))


def settings_with(customers_max: int, **churn: Any) -> Settings:
    return Settings.model_validate({"training": {"customers_max": customers_max}, "churn": churn})


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_shop(tmp_path_factory.mktemp("shop"), random_rows(500), bucket_count=2)


def ids(count: int) -> pl.Series:
    return pl.Series([f"c{number:05d}" for number in range(count)])


def test_rare_strata_give_twenty_and_the_rest_is_shared_out_by_size() -> None:
    taken, even = allocate(np.array([900, 90, 10]), 100)
    assert taken.tolist() == [70, 20, 10]
    # 70 of 900 is the chance of all: 7 of the 90 and 1 of the 10 are due.
    assert even.tolist() == [70, 7, 1]


def test_shares_are_made_whole_by_the_largest_remainder() -> None:
    # 100 of 3 x 400 are 33 1/3 each; the first of equals takes the one that is left.
    assert allocate(np.array([400, 400, 400]), 200)[0].tolist() == [67, 67, 66]
    assert allocate(np.array([1000, 500]), 100)[0].tolist() == [67, 33]


def test_each_stands_for_as_many_as_its_stratum_has_for_one_taken() -> None:
    strata = np.repeat([5, 2, 9], [900, 90, 10])
    sample = CustomerSample.of(ids(1000), strata, count=100)
    assert len(sample) == 100
    assert sample.weights.sum() == pytest.approx(1000.0)
    found = pd.Series(sample.weights).round(6).value_counts().to_dict()
    assert found == {round(900 / 70, 6): 70, 4.5: 20, 1.0: 10}
    assert sample.is_even.sum() == 78
    assert sample.customer_ids.to_list() == sorted(sample.customer_ids.to_list())


def test_one_stratum_is_a_plain_sample() -> None:
    sample = CustomerSample.of(ids(1000), np.zeros(1000, np.int64), count=250)
    assert sample.weights.tolist() == [4.0] * 250
    assert sample.is_even.all()


def test_too_few_for_every_stratum_are_taken_by_plain_chance() -> None:
    sample = CustomerSample.of(ids(1000), np.arange(1000) % 10, count=1)
    assert sample.weights.tolist() == [1000.0]
    assert CustomerSample.of(ids(1000), np.arange(1000) % 10, count=399).is_even.all()


def test_a_larger_sample_holds_the_smaller_one() -> None:
    strata = np.arange(3000) % 3
    small, large = (CustomerSample.of(ids(3000), strata, count=count) for count in (300, 900))
    assert set(small.customer_ids) <= set(large.customer_ids)


def test_weights_of_rows_have_a_mean_of_one() -> None:
    sample = CustomerSample.of(ids(1220), np.repeat([0, 1], [1200, 20]), count=80)
    # 20 of 20 stand for themselves, 60 of 1200 for 20 each.
    rare, usual = "c01210", next(one for one in sample.customer_ids if one < "c01200")
    weights = sample.weights_of(pd.Index([rare, usual, usual]))
    assert weights.tolist() == pytest.approx([3 / 41, 60 / 41, 60 / 41])
    with pytest.raises(KeyError, match="sample"):
        sample.weights_of(pd.Index(["stranger"]))


def test_weighted_totals_are_the_shops_within_sampling_error() -> None:
    """Over forty shops of other ids: the totals of customers, money and buyers are right on average."""
    rng = np.random.default_rng(7)
    strata = np.repeat([0, 1, 2], [1500, 450, 50])
    money = rng.gamma(1.0, np.repeat([10.0, 50.0, 400.0], [1500, 450, 50]))
    errors, even_errors = [], []
    for shop in range(40):
        names = pl.Series([f"{shop}-{number}" for number in range(2000)])
        sample = CustomerSample.of(names, strata, count=200)
        places = [int(name.split("-")[1]) for name in sample.customer_ids]
        errors.append((sample.weights * money[places]).sum() / money.sum() - 1)
        even_errors.append(money[places][sample.is_even].mean() / money.mean() - 1)
    for found in (np.array(errors), np.array(even_errors)):
        assert abs(found.mean()) < 3 * found.std() / np.sqrt(40)
    # Without weights the rare, dear stratum counts four times too much.
    assert money[places].mean() > 1.2 * money.mean()
    assert np.std(errors) < np.std(even_errors)


def test_bands_are_half_open() -> None:
    customers = pl.DataFrame(
        {
            "order_days": [1, 2, 2, 25, 1],
            "silent_days": [29.9, 30.0, 30.0, 400.0, 29.9],
            "lifetime_days": [29.9, 89.9, 90.0, 900.0, 29.9],
        }
    )
    strata = strata_of(customers)
    assert strata.tolist() == [0, 18, 19, 89, 0]


def test_order_spans_are_those_before_the_day(tmp_path: Path) -> None:
    rows = [
        line("ann", "1", "2026-02-20", 5.0),
        line("ann", "2", "2026-02-20T18:00", 5.0),
        line("ann", "3", "2026-02-27", 5.0),
        line("ann", "4", "2026-03-01", 5.0),
        line("bob", "5", "2026-03-02", 5.0),
        line("cat", "6", "2026-02-01", -5.0, is_return=True),
    ]
    spans = read_order_spans(write_shop(tmp_path, rows), ORIGIN, engine="polars")
    assert spans.rows() == [("ann", 2, 2.0, 9.0)]


@pytest.mark.parametrize("count_max", [120, 500, 10**9])
def test_a_shop_no_larger_than_the_setting_is_taken_whole(history: History, count_max: int) -> None:
    customers = len(read_order_spans(history, ORIGIN, engine="polars"))
    assert customers <= 120
    assert choose_customers(history, ORIGIN, count_max=count_max, engine="polars") is None


def test_below_the_setting_nothing_changes(history: History) -> None:
    whole = ExampleBuilder(history, settings_with(1, snapshots_max=3)).examples(ORIGIN, headline_days=30)
    settings = settings_with(10_000, snapshots_max=3)
    same = ExampleBuilder(history, settings, sampled_as_of=ORIGIN).examples(ORIGIN, headline_days=30)
    assert same.sample is None
    assert same.features.to_numpy().tobytes() == whole.features.to_numpy().tobytes()
    assert same.labels.to_numpy().tobytes() == whole.labels.to_numpy().tobytes()
    pd.testing.assert_frame_equal(same.judged, whole.current)
    assert same.weights_of(same.features) is None


@pytest.mark.parametrize("engine", ["polars", pytest.param("duckdb", marks=pytest.mark.slow)])
@pytest.mark.parametrize("time_zone", ["UTC", "America/New_York"])
def test_a_sample_s_features_are_those_in_the_whole_shop(
    history: History, engine: str, time_zone: str
) -> None:
    given = {
        "features": {"engine": engine},
        "training": {"customers_max": 25},
        "shop": {"time_zone": time_zone},
    }
    settings = Settings.model_validate(given)
    origin = Snapshot(ORIGIN.date, time_zone)
    whole, sampled = (
        ExampleBuilder(history, settings),
        ExampleBuilder(history, settings, sampled_as_of=origin),
    )
    for snapshot in (origin, origin.shifted(-40), Snapshot(ORIGIN.date, time_zone, 60)):
        few, everybody = sampled.features_at(snapshot), whole.features_at(snapshot)
        assert 0 < len(few) <= 25
        pd.testing.assert_frame_equal(few, everybody.loc[few.index], rtol=1e-9)
        outcomes = sampled.outcomes(snapshot, [14, 30], origin)
        pd.testing.assert_frame_equal(outcomes, whole.outcomes(snapshot, [14, 30], origin).loc[few.index])
    assert sampled.is_hidden(origin.shifted(-40), 30, origin) == whole.is_hidden(
        origin.shifted(-40), 30, origin
    )


def test_a_setting_of_one_learns_from_one(history: History) -> None:
    builder = ExampleBuilder(history, settings_with(1, snapshots_max=3), sampled_as_of=ORIGIN)
    examples = builder.examples(ORIGIN, headline_days=30)
    assert len(examples.current) == 1
    assert len(examples.judged) == 1
    assert examples.customer_count > 1
    weights = examples.weights_of(examples.current)
    assert weights is not None
    assert weights.tolist() == [1.0]


@pytest.mark.parametrize("value", ["0", "-5", '"all"', "1.5"])
def test_a_wrong_setting_is_named(tmp_path: Path, value: str) -> None:
    path = tmp_path / "regulars.toml"
    path.write_text(f"[training]\ncustomers_max = {value}\n")
    with pytest.raises(SettingsError, match=r"training\.customers_max: Input should be"):
        load_settings(path)
