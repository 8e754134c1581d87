"""Last year's season: carried over where it is known and large, left out where it is noise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from model_examples import GRID_DAYS, HEADLINE_DAYS, QUICK, make_examples, simulate_orders

from features.examples import Examples, YearAgo
from models.churn import BlendedChurn, HorizonChurn
from models.clv import HurdleClv
from models.horizon import logit
from models.season import Level, carried_over, season_shifts, shifts_at


@pytest.fixture(scope="module")
def shop() -> Examples:
    return make_examples(simulate_orders(500, seed=3))


def year_ago(shop: Examples, *, ordered_more: float) -> YearAgo:
    """Return a last year like today's shop; after its season began a share more customers ordered."""
    known = shop.labels[shop.labels["churned_30"].notna()].iloc[:400]
    features = shop.features.loc[known.index].droplevel("as_of")
    before = known.droplevel("as_of")
    after = before.copy()
    came = np.random.default_rng(1).random(len(after)) < ordered_more
    for days in GRID_DAYS:
        lured = came & (after[f"churned_{days}"] == 1).to_numpy()
        after.loc[lured, [f"churned_{days}", f"spend_{days}"]] = [0.0, 20.0]
    return YearAgo((features, before), (features, after), HEADLINE_DAYS)


def test_a_shift_is_shrunk_by_its_noise_and_dropped_where_it_is_noise() -> None:
    # .5² - (.1² drift + .02 + .01 sampling) leaves 1 - .04 / .25 of it.
    assert carried_over(Level(0.6, 0.02), Level(0.1, 0.01)) == pytest.approx(0.5 * (1 - 0.04 / 0.25))
    assert carried_over(Level(0.2, 0.02), Level(0.05, 0.01)) == 0.0
    assert carried_over(None, Level(0.1, 0.0)) == 0.0


def test_a_season_raises_the_chance_of_an_order_and_a_quiet_year_changes_nothing(shop: Examples) -> None:
    for kind in (HorizonChurn, BlendedChurn):
        alone = kind(recipe=QUICK, retail_year=0.0).fit(shop)
        plain = alone.predict(shop.current, horizons_days=[30, 90])
        quiet = kind(recipe=QUICK).fit(replace(shop, year_ago=year_ago(shop, ordered_more=0.0)))
        pd.testing.assert_frame_equal(quiet.predict(shop.current, horizons_days=[30, 90]), plain)
        busy = kind(recipe=QUICK).fit(replace(shop, year_ago=year_ago(shop, ordered_more=0.4)))
        assert busy.season_[30] > 0.5
        lowered = busy.predict(shop.current, horizons_days=[30, 90])
        assert (lowered[30] < plain[30]).all()
        assert (lowered[90] <= lowered[30]).all()


def test_spend_follows_last_years_spend(shop: Examples) -> None:
    last = year_ago(shop, ordered_more=0.0)
    doubled = last.after[1].copy()
    doubled[[f"spend_{days}" for days in GRID_DAYS]] *= 2.0
    chance = pd.DataFrame({30: np.full(len(shop.current), 0.5)}, index=shop.current.index)
    given = {"order_probability": chance, "horizons_days": [30]}
    plain = HurdleClv(recipe=QUICK).fit(shop).predict(shop.current, **given)
    season = YearAgo(last.before, (last.after[0], doubled), HEADLINE_DAYS)
    busy = HurdleClv(recipe=QUICK).fit(replace(shop, year_ago=season)).predict(shop.current, **given)
    assert (busy[30] / plain[30]).round(6).nunique() == 1
    assert 1.5 < float((busy[30] / plain[30]).iloc[0]) < 2.1


def test_a_season_is_kept_with_the_model(shop: Examples, tmp_path: Path) -> None:
    model = HorizonChurn(recipe=QUICK).fit(replace(shop, year_ago=year_ago(shop, ordered_more=0.4)))
    model.save(tmp_path)
    read = HorizonChurn.load(tmp_path)
    assert read.season_ == model.season_
    pd.testing.assert_frame_equal(
        read.predict(shop.current, horizons_days=[30]), model.predict(shop.current, horizons_days=[30])
    )


def test_without_a_last_year_nothing_moves_and_a_year_has_no_season() -> None:
    assert season_shifts(None, GRID_DAYS, lambda *_: Level(1.0, 0.0)) == {}
    assert shifts_at({}, [30, 400]).tolist() == [0.0, 0.0]
    assert shifts_at({30: 0.3}, [30, 364, 730]).tolist() == [0.3, 0.0, 0.0]


@pytest.mark.parametrize("kind", [HorizonChurn, BlendedChurn])
def test_a_season_that_turns_gives_one_answer_whatever_else_is_asked(
    kind: type[HorizonChurn], shop: Examples
) -> None:
    model = kind(recipe=QUICK).fit(shop)
    model.season_ = {14: 0.0, 30: 0.2, 60: 1.2, 90: 0.1}
    days = [14, 30, 45, 60, 90, 180, 365]
    together = model.predict(shop.current, horizons_days=days)
    for horizon_days in days:
        alone = model.predict(shop.current, horizons_days=[horizon_days])
        pd.testing.assert_series_equal(alone[horizon_days], together[horizon_days])
        shares = model.contributions(shop.current, horizon_days=horizon_days)
        total = logit(shares.reference.to_numpy()) + shares.logits.sum(axis=1).to_numpy()
        np.testing.assert_allclose(total, logit(together[horizon_days].to_numpy()), atol=1e-6)


def test_spend_that_would_turn_with_the_season_gives_one_answer_too(shop: Examples) -> None:
    model = HurdleClv(recipe=QUICK).fit(shop)
    model.season_ = {14: 0.0, 30: 0.9, 60: 0.0, 90: -0.5}
    days = [14, 30, 60, 90, 365]
    certain = pd.DataFrame(1.0, index=shop.current.index, columns=days)
    together = model.predict(shop.current, order_probability=certain, horizons_days=days)
    for horizon_days in days:
        alone = model.predict(shop.current, order_probability=certain, horizons_days=[horizon_days])
        pd.testing.assert_series_equal(alone[horizon_days], together[horizon_days])
    assert (together.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
