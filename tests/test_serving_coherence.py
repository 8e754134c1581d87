"""All numbers of a customer agree with each other, whichever recipes made them."""

import itertools
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from model_examples import make_examples, simulate_orders

from features.examples import Examples
from features.settings import BoostingSettings, Settings
from models.boosting import Recipe
from models.candidates import churn_candidates, clv_candidates
from models.churn import BlendedChurn, HorizonChurn
from models.clv import HurdleClv
from models.explanations import churn_effects
from serving.rows import CLV_HORIZONS_DAYS, HORIZONS_DAYS
from serving.scoring.bucket_scores import Predictors, score_bucket
from serving.scoring.horizons import clv_horizons

AS_OF = date(2026, 1, 1)
QUICK = Recipe(
    boosting=BoostingSettings(tree_count=30, learning_rate=0.1, rows_per_leaf_min=20),
    outcomes_min=20,
    thread_count=1,
)
CHURN = tuple(churn_candidates(Settings()))
CLV = tuple(clv_candidates(Settings()))


@pytest.fixture(scope="module")
def shop() -> Examples:
    return make_examples(simulate_orders(300, seed=21))


@pytest.fixture(scope="module")
def fitted(shop: Examples) -> dict[tuple[str, str], Any]:
    quick: dict[str, Any] = {
        "lightgbm": HorizonChurn(recipe=QUICK),
        "lightgbm_btyd": BlendedChurn(recipe=QUICK),
        "hurdle": HurdleClv(recipe=QUICK),
    }
    churn = {name: quick.get(name, model) for name, model in churn_candidates(Settings()).items()}
    clv = {name: quick.get(name, model) for name, model in clv_candidates(Settings()).items()}
    found = {("churn", name): model.fit(shop) for name, model in churn.items()}
    return found | {("clv", name): model.fit(shop) for name, model in clv.items()}


@pytest.fixture(params=list(itertools.product(CHURN, CLV)), ids="-".join)
def predictors(request: pytest.FixtureRequest, fitted: dict[tuple[str, str], Any]) -> Predictors:
    churn, clv = request.param
    return Predictors(churn=fitted["churn", churn], clv=fitted["clv", clv], headline_days=45, clv_days=730)


def scored(shop: Examples, predictors: Predictors) -> pl.DataFrame:
    facts = pl.DataFrame({"customer_id": shop.current.index.to_list()})
    features = shop.current
    return score_bucket(features, facts, predictors, as_of=AS_OF)


def test_the_numbers_of_a_customer_agree(shop: Examples, predictors: Predictors) -> None:
    rows = scored(shop, predictors)
    curve = [rows[f"churn_probability_{days}"].to_numpy() for days in HORIZONS_DAYS]
    assert all((later <= earlier + 1e-9).all() for earlier, later in itertools.pairwise(curve))
    assert (rows["churn_probability"] <= rows["churn_probability_30"] + 1e-9).all()
    assert (rows["churn_probability"] >= rows["churn_probability_60"] - 1e-9).all()
    spends = [rows[f"predicted_clv_{days}"].to_numpy() for days in CLV_HORIZONS_DAYS]
    spends.append(rows["predicted_clv"].to_numpy())
    assert all((later >= earlier - 0.01).all() for earlier, later in itertools.pairwise(spends))
    bounds = [rows[f"predicted_clv_{name}"].to_numpy() for name in ("low", "median", "high")]
    assert all((upper >= lower).all() for lower, upper in itertools.pairwise(bounds))
    assert (rows["spend_if_order_low"] <= rows["spend_if_order_high"]).all()
    assert (rows["predicted_clv_high"] <= rows["spend_if_order_high"] + 0.01).all()


def test_value_and_orders_are_the_chance_of_an_order_times_what_it_brings(
    shop: Examples, predictors: Predictors
) -> None:
    rows, days = scored(shop, predictors), predictors.clv_days
    horizons = sorted({*clv_horizons(days), predictors.headline_days})
    chances = 1.0 - predictors.churn.predict(shop.current, horizons_days=horizons)
    certain = pd.DataFrame(1.0, index=shop.current.index, columns=horizons)
    given = predictors.clv.predict(shop.current, order_probability=certain, horizons_days=horizons)
    # A longer horizon never brings less than a shorter one.
    wanted = (chances * given).cummax(axis=1)
    np.testing.assert_allclose(rows["predicted_clv"].to_numpy(), wanted[days], atol=0.0051)
    at_stake = (1.0 - chances[45]) * given[45]
    np.testing.assert_allclose(rows["value_at_risk"].to_numpy(), at_stake, atol=0.0051)
    chance = chances[days].to_numpy()
    orders = rows["predicted_number_of_orders"].to_numpy()
    assert (orders >= chance - 0.001).all()
    assert ((rows["value_at_risk"] >= 0) & rows["value_at_risk"].is_finite()).all()


def test_the_reference_and_every_effect_are_the_probability(shop: Examples, predictors: Predictors) -> None:
    rows = scored(shop, predictors)
    found = churn_effects(predictors.churn, shop.current, horizon_days=predictors.headline_days)
    if found is None:
        assert rows["churn_reference"].is_null().all()
        return
    total = rows["churn_reference"].to_numpy() + found.effects.sum(axis=1)
    np.testing.assert_allclose(total, rows["churn_probability"].to_numpy(), atol=1e-6)


def test_the_window_of_the_next_order_agrees_with_the_curve(shop: Examples, predictors: Predictors) -> None:
    rows = scored(shop, predictors)
    for name, share in (("p25", 0.25), ("p50", 0.5), ("p75", 0.75)):
        dates = rows[f"next_order_{name}_date"]
        assert (dates.drop_nulls() >= AS_OF).all()
        for place in (~dates.is_null()).arg_true().to_list()[:20]:
            days = (dates[place] - AS_OF + timedelta(days=1)).days
            one = shop.current.iloc[[place]]
            asked = sorted({*predictors.asked_days, days})
            within = 1.0 - predictors.churn.predict(one, horizons_days=asked)[days].iloc[0]
            assert within >= share - 0.03
    present = rows.drop_nulls(["next_order_p25_date", "next_order_p50_date", "next_order_p75_date"])
    assert (present["next_order_p25_date"] <= present["next_order_p50_date"]).all()
    assert (present["next_order_p50_date"] <= present["next_order_p75_date"]).all()
