"""One suite that every churn and value recipe passes, models and baselines alike."""

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from model_examples import GRID_DAYS, make_examples, outcome_row, simulate_orders
from sklearn.metrics import roc_auc_score

from features.examples import Examples
from features.settings import BoostingSettings, Settings
from models.boosting import Recipe
from models.candidates import churn_candidates, clv_candidates, model_class
from models.churn import BlendedChurn, HorizonChurn
from models.clv import HurdleClv
from models.contract import ChurnModel, ClvModel, NotEnoughDataError
from models.horizon import FeatureMismatchError, logit

HORIZONS_DAYS = (7, 14, 28, 30, 60, 90, 180, 365, 730, 1825)
CHURN = list(churn_candidates(Settings()))
CLV = list(clv_candidates(Settings()))
QUICK = Recipe(
    boosting=BoostingSettings(tree_count=40, learning_rate=0.1, rows_per_leaf_min=20),
    outcomes_min=20,
    thread_count=1,
)


def churn_model(name: str) -> ChurnModel:
    quick = {model.name: model for model in (HorizonChurn(recipe=QUICK), BlendedChurn(recipe=QUICK))}
    return quick.get(name) or churn_candidates(Settings())[name]


def clv_model(name: str) -> ClvModel:
    return HurdleClv(recipe=QUICK) if name == "hurdle" else clv_candidates(Settings())[name]


def any_model(kind: str, name: str) -> Any:
    return churn_model(name) if kind == "churn" else clv_model(name)


def chances(features: pd.DataFrame) -> pd.DataFrame:
    """Return P(order) that differs by customer and rises with the horizon."""
    daily = np.linspace(0.0005, 0.03, len(features)) if len(features) else np.empty(0)
    columns = {days: 1 - np.exp(-daily * days) for days in HORIZONS_DAYS}
    return pd.DataFrame(columns, index=features.index, columns=list(HORIZONS_DAYS))


def answers(kind: str, model: Any, features: pd.DataFrame) -> pd.DataFrame:
    """Return everything a model says about some customers, as one frame."""
    if kind == "churn":
        return model.predict(features, horizons_days=HORIZONS_DAYS)
    given = {"order_probability": chances(features)}
    spend = model.predict(features, horizons_days=HORIZONS_DAYS, **given)
    bounds = [model.predict_interval(features, horizon_days=days, **given) for days in (30, 1825)]
    orders = [model.predict_order_count(features, horizon_days=days, **given) for days in (30, 1825)]
    return pd.concat([spend, *bounds, *orders], axis=1)


ALL = [("churn", name) for name in CHURN] + [("clv", name) for name in CLV]


@pytest.fixture(scope="module")
def shop() -> Examples:
    return make_examples(simulate_orders(400))


@pytest.fixture(scope="module")
def other_shop() -> Examples:
    return make_examples(simulate_orders(150, seed=99))


@pytest.fixture(scope="module")
def fitted(shop: Examples) -> dict[tuple[str, str], Any]:
    return {(kind, name): any_model(kind, name).fit(shop) for kind, name in ALL}


@pytest.fixture(params=ALL, ids=[f"{kind}-{name}" for kind, name in ALL])
def case(request: pytest.FixtureRequest, fitted: dict[tuple[str, str], Any]) -> tuple[str, Any]:
    return request.param[0], fitted[request.param]


def test_predictions_keep_index_and_order(case: tuple[str, Any], shop: Examples) -> None:
    kind, model = case
    shuffled = shop.current.sample(frac=1.0, random_state=1)
    straight = answers(kind, model, shop.current).loc[shuffled.index]
    predicted = model.predict(shuffled, horizons_days=(90, 30), **_given(kind, shuffled, shop))
    assert list(predicted.columns) == [90, 30]
    pd.testing.assert_index_equal(predicted.index, shuffled.index)
    np.testing.assert_allclose(predicted[90], straight.iloc[:, HORIZONS_DAYS.index(90)], rtol=1e-12)


def _given(kind: str, features: pd.DataFrame, shop: Examples) -> dict[str, pd.DataFrame]:
    return {} if kind == "churn" else {"order_probability": chances(shop.current).loc[features.index]}


def test_answers_are_finite_and_in_range(case: tuple[str, Any], shop: Examples) -> None:
    kind, model = case
    found = answers(kind, model, shop.current).to_numpy()
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    if kind == "churn":
        assert (found <= 1).all()


def test_answers_never_go_against_the_horizon(case: tuple[str, Any], shop: Examples) -> None:
    kind, model = case
    curve = answers(kind, model, shop.current).to_numpy()[:, : len(HORIZONS_DAYS)]
    steps = np.diff(curve, axis=1)
    assert (steps <= 0).all() if kind == "churn" else (steps >= 0).all()


def test_a_batch_equals_single_rows(case: tuple[str, Any], shop: Examples) -> None:
    kind, model = case
    batch = shop.current.iloc[:5]
    whole = model.predict(batch, horizons_days=HORIZONS_DAYS, **_given(kind, batch, shop))
    for position in range(5):
        single = batch.iloc[[position]]
        alone = model.predict(single, horizons_days=HORIZONS_DAYS, **_given(kind, single, shop))
        pd.testing.assert_frame_equal(alone, whole.iloc[[position]], rtol=1e-12, atol=0)


def test_save_and_load_change_nothing(case: tuple[str, Any], shop: Examples, tmp_path: Path) -> None:
    kind, model = case
    model.save(tmp_path)
    found = model_class(kind, model.name)  # type: ignore[arg-type]
    assert found is type(model)
    loaded = found.load(tmp_path)
    assert loaded.params() == model.params()
    assert loaded.feature_names_ == model.feature_names_
    assert loaded.supported_days_ == model.supported_days_
    before, after = answers(kind, model, shop.current), answers(kind, loaded, shop.current)
    assert before.to_numpy().tobytes() == after.to_numpy().tobytes()
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".npz", ".txt"}


def test_no_file_names_a_customer(case: tuple[str, Any], tmp_path: Path) -> None:
    case[1].save(tmp_path)
    assert not any(b"customer-0" in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_a_second_fit_refits(
    kind: str, name: str, shop: Examples, other_shop: Examples, fitted: dict[tuple[str, str], Any]
) -> None:
    again = any_model(kind, name).fit(other_shop).fit(shop)
    wanted = answers(kind, fitted[kind, name], shop.current)
    assert answers(kind, again, shop.current).equals(wanted)


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_the_constructor_only_stores_and_params_are_flat(kind: str, name: str) -> None:
    model = any_model(kind, name)
    arguments = inspect.signature(type(model).__init__).parameters
    kinds = {
        argument.kind for label, argument in arguments.items() if label not in {"self", "args", "kwargs"}
    }
    assert kinds <= {inspect.Parameter.KEYWORD_ONLY}
    assert not [attribute for attribute in vars(model) if attribute.endswith("_")]
    assert all(isinstance(value, str | int | float | bool) for value in model.params().values())


def test_missing_numbers_get_an_answer(case: tuple[str, Any], shop: Examples) -> None:
    kind, model = case
    unknown = shop.current.iloc[:3] * np.nan
    assert np.isfinite(answers(kind, model, unknown).to_numpy()).all()


def test_an_empty_frame_gives_an_empty_frame(case: tuple[str, Any], shop: Examples) -> None:
    kind, model = case
    nobody = shop.current.iloc[:0]
    found = model.predict(nobody, horizons_days=HORIZONS_DAYS, **_given(kind, nobody, shop))
    assert found.shape == (0, len(HORIZONS_DAYS))
    assert answers(kind, model, nobody).shape[0] == 0


def test_other_features_are_refused_by_name(case: tuple[str, Any], shop: Examples) -> None:
    kind, model = case
    renamed = shop.current.rename(columns={"recency_days": "silence_days"})
    with pytest.raises(FeatureMismatchError, match="missing recency_days; unexpected silence_days"):
        answers(kind, model, renamed)
    with pytest.raises(FeatureMismatchError, match="another order"):
        answers(kind, model, shop.current[shop.current.columns[::-1]])


SMALL = {
    "one customer": simulate_orders(1, seed=8),
    "one order each": [(times[:1], amounts[:1]) for times, amounts in simulate_orders(60)],
    "50 customers": simulate_orders(50, seed=2),
    "nothing known yet": simulate_orders(20, seed=4),
    "all money came back": [(times, -amounts) for times, amounts in simulate_orders(60)],
}


@pytest.mark.parametrize("small", SMALL)
@pytest.mark.parametrize(("kind", "name"), ALL)
def test_a_small_shop_gets_an_answer_or_a_named_minimum(kind: str, name: str, small: str) -> None:
    examples = make_examples(SMALL[small])
    if small == "nothing known yet":
        none = replace(examples, features=examples.features.iloc[:0], labels=examples.labels.iloc[:0])
        examples = none
    try:
        model = any_model(kind, name).fit(examples)
    except NotEnoughDataError as error:
        refusal = str(error)
        assert name in {"lightgbm", "lightgbm_btyd", "hurdle", "recency", "base_rate"}, refusal
        assert "customers with each outcome" in refusal or "nobody spent" in refusal, refusal
        return
    found = answers(kind, model, examples.current).to_numpy()
    assert np.isfinite(found).all()
    assert (found >= 0).all()


@pytest.mark.parametrize("kind", ["churn", "clv"])
def test_btyd_answers_every_shop(kind: str) -> None:
    examples = make_examples(SMALL["one customer"])
    assert any_model(kind, "btyd").fit(examples).method == "btyd"


@pytest.mark.parametrize("name", ["lightgbm", "lightgbm_btyd"])
def test_reasons_add_up_to_the_answer(name: str, fitted: dict[tuple[str, str], Any], shop: Examples) -> None:
    model = fitted["churn", name]
    for days in (30, 45, 1825):  # a grid point, between two, beyond the last
        shares = model.contributions(shop.current, horizon_days=days)
        total = logit(shares.reference.to_numpy()) + shares.logits.sum(axis=1).to_numpy()
        wanted = logit(model.predict(shop.current, horizons_days=[days])[days].to_numpy())
        np.testing.assert_allclose(total, wanted, atol=1e-6)
        assert list(shares.logits.columns) == list(model.feature_names_)


@pytest.mark.parametrize("name", ["lightgbm", "lightgbm_btyd"])
def test_at_a_grid_point_the_reference_hardly_differs_between_customers(
    name: str, fitted: dict[tuple[str, str], Any], shop: Examples
) -> None:
    """What is left to the reference is the average and the horizon's own share, not the customer."""
    shares = fitted["churn", name].contributions(shop.current, horizon_days=30)
    answers = fitted["churn", name].predict(shop.current, horizons_days=[30])[30]
    assert shares.reference.std() < 0.25 * answers.std()


@pytest.mark.parametrize("name", [name for name in CHURN if name != "base_rate"])
def test_churn_recipes_rank_unseen_customers(name: str, fitted: dict[tuple[str, str], Any]) -> None:
    assert auc(fitted["churn", name], make_examples(simulate_orders(300, seed=77))) > 0.74


@pytest.mark.slow
def test_shuffled_labels_teach_nothing() -> None:
    """Labels are shuffled within each snapshot; eight shuffles, because one alone strays by .03."""
    many = make_examples(simulate_orders(1500, seed=31), snapshot_count=8)
    others = make_examples(simulate_orders(1500, seed=32), snapshot_count=8)
    found = []
    for seed in range(8):
        generator = np.random.default_rng(seed)
        parts = [
            part.iloc[generator.permutation(len(part))].set_axis(part.index)
            for _, part in many.labels.groupby(level="as_of", sort=False)
        ]
        shuffled = replace(many, labels=pd.concat(parts).loc[many.labels.index])
        found.append(auc(HorizonChurn(recipe=QUICK).fit(shuffled), others))
    assert np.mean(found) == pytest.approx(0.5, abs=0.02)


def auc(model: ChurnModel, examples: Examples) -> float:
    """Return the AUC at 30 days over examples whose outcome is known."""
    churned = examples.labels["churned_30"]
    predicted = model.predict(examples.features[churned.notna()], horizons_days=[30])[30]
    return float(roc_auc_score(churned.dropna(), predicted))


def test_more_horizon_more_orders(fitted: dict[tuple[str, str], Any], shop: Examples) -> None:
    chance = chances(shop.current)
    for name in CLV:
        counts = fitted["clv", name].predict_order_count(
            shop.current, order_probability=chance, horizon_days=90
        )
        assert (counts >= chance[90] * (1 - 1e-9)).all()


def test_labels_of_the_simulation_are_the_definition() -> None:
    row = outcome_row(np.array([0.0, 40.0, 44.0]), np.array([5.0, 7.0, 9.0]), 30.0, until=60.0)
    assert (row["churned_14"], row["spend_14"], row["order_count_14"]) == (0.0, 7.0, 1.0)
    assert (row["churned_30"], row["spend_30"], row["order_count_30"]) == (0.0, 16.0, 2.0)
    assert np.isnan(row["churned_60"])
    assert set(GRID_DAYS) <= set(HORIZONS_DAYS)


def test_a_shop_where_nobody_orders_twice_within_a_horizon_counts_one_order(
    shop: Examples, tmp_path: Path
) -> None:
    once = shop.labels.copy()
    counts = [name for name in once.columns if name.startswith("order_count_")]
    once[counts] = once[counts].clip(upper=1.0)
    model = HurdleClv(recipe=QUICK).fit(replace(shop, labels=once))
    given = {"order_probability": chances(shop.current)}
    expected = model.predict_order_count(shop.current, horizon_days=30, **given)
    assert expected.to_numpy() == pytest.approx(given["order_probability"][30].to_numpy())
    model.save(tmp_path)
    read = HurdleClv.load(tmp_path).predict_order_count(shop.current, horizon_days=30, **given)
    pd.testing.assert_series_equal(read, expected)


def test_several_orders_at_one_instant_are_no_rate(shop: Examples) -> None:
    """A shop whose whole history is one day says nothing of how often anybody comes."""
    day = shop.current.assign(
        order_count=9.0, order_day_count=1.0, tenure_days=0.6, first_to_last_days=0.0, mean_order_value=30.0
    )
    model = clv_candidates(Settings())["formula"].fit(replace(shop, current=day, labels=shop.labels * np.nan))
    spend = model.predict(day, order_probability=chances(day), horizons_days=[365])
    assert spend.to_numpy().max() < 2 * 9 * 30
