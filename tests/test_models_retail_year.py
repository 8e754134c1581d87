"""The retail year: stands in for a season that a shop has not lived through, and for nothing else."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from model_examples import HEADLINE_DAYS, QUICK, make_examples, simulate_orders
from scipy.special import expit, logit

from features.examples import Examples, YearAgo
from features.settings import Settings
from features.snapshot import Snapshot
from models.candidates import churn_candidates
from models.churn import BlendedChurn, HorizonChurn
from models.clv import HurdleClv
from models.retail_year import busyness, discretion, followed, order_shifts, spend_shifts


@pytest.fixture(scope="module")
def january() -> Examples:
    """Return a shop whose origin is 1 January 2026, with snapshots every 8 days since September."""
    return make_examples(simulate_orders(500, seed=3))


def moved_to(shop: Examples, origin: date) -> Examples:
    """Return the same shop at another time of the year."""
    days = (origin - shop.origin.date).days
    moved = [
        table.set_index(
            pd.MultiIndex.from_arrays(
                [
                    table.index.get_level_values("customer_id"),
                    [day + pd.Timedelta(days=days) for day in table.index.get_level_values("as_of")],
                ],
                names=["customer_id", "as_of"],
            )
        )
        for table in (shop.features, shop.labels)
    ]
    return replace(shop, origin=Snapshot(origin), features=moved[0], labels=moved[1])


def test_a_window_is_as_busy_as_its_days_are() -> None:
    ten_of_each = 10 * (0.957 / 31 + 1.098 / 30) * 366 / 12 / 20
    assert busyness(date(2025, 10, 22), 20) == pytest.approx(ten_of_each)
    assert busyness(date(2025, 1, 1), 365) == pytest.approx(1.0, abs=0.01)


def test_a_shift_is_the_log_of_how_much_busier_the_coming_window_is(january: Examples) -> None:
    november = moved_to(january, date(2025, 11, 10))
    known = november.labels["churned_30"].dropna().groupby(level="as_of").size()
    windows = [busyness(day.date(), 30) for day in pd.DatetimeIndex(known.index)]
    usual = float(np.average(windows, weights=known))
    busier = float(np.log(busyness(date(2025, 11, 10), 30) / usual))
    assert busier > 0.1
    for share in (0.5, 1.0):
        wanted = followed(november, 30, share=share) * busier
        assert order_shifts(november, [30], share=share)[30] == pytest.approx(wanted)
    assert order_shifts(november, [30], share=0.0) == {}


def with_orders(shop: Examples, *, slope: float) -> Examples:
    """Return a shop whose chance of an order within 14 days goes with the retail year."""
    labels = shop.labels.copy()
    busy = [
        np.log(busyness(day.date(), 14)) for day in pd.DatetimeIndex(labels.index.get_level_values("as_of"))
    ]
    chance = expit(-0.5 + slope * np.array(busy))
    churned = np.random.default_rng(2).random(len(labels)) >= chance
    labels["churned_14"] = labels["churned_14"].where(labels["churned_14"].isna(), churned)
    return replace(shop, labels=labels)


def test_what_a_shop_has_done_corrects_what_is_expected_of_it(january: Examples) -> None:
    shop = moved_to(january, date(2026, 1, 25))
    expected = discretion(float(shop.current["median_gap_days"].median()))
    assert 0.4 < expected < 0.9
    assert followed(with_orders(shop, slope=0.0), 14, share=1.0) < expected - 0.15
    assert followed(with_orders(shop, slope=expected), 14, share=1.0) == pytest.approx(expected, abs=0.2)
    assert followed(with_orders(shop, slope=3.0), 14, share=1.0) > expected + 0.15


def test_windows_that_tell_nothing_leave_what_is_expected(january: Examples) -> None:
    expected = discretion(float(january.current["median_gap_days"].median()))
    few = january.labels.index.get_level_values("as_of") >= pd.Timestamp("2025-12-01").date()
    young = replace(january, features=january.features[few], labels=january.labels[few])
    assert followed(young, 14, share=1.0) == expected


def test_a_shop_whose_customers_come_every_few_days_hardly_follows(january: Examples) -> None:
    november = moved_to(january, date(2025, 11, 10))
    found = {
        gap_days: followed(
            replace(november, current=november.current.assign(median_gap_days=gap_days)), 30, share=1.0
        )
        for gap_days in (5.0, 30.0, np.nan)
    }
    assert found[5.0] < found[30.0] / 4
    assert found[30.0] < found[np.nan]


@pytest.mark.parametrize("kind", [HorizonChurn, BlendedChurn])
def test_a_first_november_makes_an_order_likelier_for_everybody(
    kind: type[HorizonChurn], january: Examples, tmp_path: Path
) -> None:
    november = moved_to(january, date(2025, 11, 10))
    plain = kind(recipe=QUICK, retail_year=0.0).fit(november)
    expecting = kind(recipe=QUICK).fit(november)
    asked = {"features": november.current, "horizons_days": [14, 30, 60]}
    assert (expecting.predict(**asked) < plain.predict(**asked)).all(axis=None)
    assert plain.season_ == {}
    expecting.save(tmp_path)
    read = kind.load(tmp_path)
    assert read.params() == expecting.params()
    pd.testing.assert_frame_equal(read.predict(**asked), expecting.predict(**asked))


def test_what_is_bought_rises_as_retail_does_by_more_customers_and_by_more_of_each(january: Examples) -> None:
    november = moved_to(january, date(2025, 11, 10))
    odds, spend = (shifts(november, [14, 30, 60], share=1.0) for shifts in (order_shifts, spend_shifts))
    for days in (14, 30, 60):
        usual = 1.0 - november.labels[f"churned_{days}"].mean()
        risen = expit(logit(usual) + odds[days])
        assert risen / usual * np.exp(spend[days]) == pytest.approx(np.exp(odds[days]))
        assert 0 < spend[days] < odds[days]
    chance = pd.DataFrame({30: 0.5}, index=november.current.index)
    asked = {"features": november.current, "order_probability": chance, "horizons_days": [30]}
    plain, expecting = (
        HurdleClv(recipe=QUICK, retail_year=share).fit(november).predict(**asked)[30] for share in (0.0, 1.0)
    )
    np.testing.assert_allclose(expecting / plain, np.exp(spend[30]))


def test_a_season_of_its_own_leaves_no_room_for_that_of_others(january: Examples) -> None:
    november = moved_to(january, date(2025, 11, 10))
    known = november.labels[november.labels["churned_30"].notna()].iloc[:400]
    pair = (november.features.loc[known.index].droplevel("as_of"), known.droplevel("as_of"))
    quiet = replace(november, year_ago=YearAgo(pair, pair, HEADLINE_DAYS))
    season = HorizonChurn(recipe=QUICK).fit(quiet).season_
    assert set(season.values()) == {0.0}


def test_a_shop_that_has_lived_through_the_season_needs_no_other(january: Examples) -> None:
    grown = replace(moved_to(january, date(2025, 11, 10)), history_days=364.0 + HEADLINE_DAYS)
    assert HorizonChurn(recipe=QUICK).fit(grown).season_ == {}


def test_the_setting_reaches_the_recipes() -> None:
    settings = Settings.model_validate({"churn": {"retail_year": 0.25}})
    found = [model.params().get("retail_year") for model in churn_candidates(settings).values()]
    assert found == [0.25, 0.25, None, None, None]
