"""BG/NBD, MBG/NBD and Gamma-Gamma: published numbers, their traps, and answers at the edges."""

import importlib.metadata

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from models.btyd import BgNbd, PurchaseHistories, TimeUnitError, fit_btyd
from models.gamma_gamma import GammaGamma


def cdnow(file_name: str) -> pd.DataFrame:
    """Read a data file of the installed distribution; its code is never imported."""
    try:
        files = importlib.metadata.files("lifetimes") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the CDNOW sample comes with the group `bench`, which is not installed")
    [path] = [file for file in files if file.name == file_name]
    return pd.read_csv(str(path.locate()))


@pytest.fixture(scope="module")
def sample() -> PurchaseHistories:
    rows = cdnow("cdnow_customers_summary.csv")
    return PurchaseHistories.from_arrays(rows["frequency"], rows["recency"], rows["T"], unit="weeks")


@pytest.fixture(scope="module")
def spend() -> pd.DataFrame:
    return cdnow("cdnow_customers_summary_with_transactions.csv")


@pytest.fixture(scope="module")
def bgnbd(sample: PurchaseHistories) -> BgNbd:
    return BgNbd().fit(sample)


def one(x: float, last: float, age: float, *, unit: str = "weeks") -> PurchaseHistories:
    return PurchaseHistories.from_arrays([x], [last], [age], unit=unit)  # type: ignore[arg-type]


def model(r: float, alpha: float, a: float, b: float, *, early: bool = False) -> BgNbd:
    state = {"dropout_at_first_order": early, "penalty": 0.0, "unit": "weeks", "log_likelihood": 0.0}
    return BgNbd.from_state({**state, "r": r, "alpha": alpha, "a": a, "b": b})


def test_bgnbd_table_1_of_fader_hardie_lee_2005(bgnbd: BgNbd) -> None:
    found = (bgnbd.r_, bgnbd.alpha_, bgnbd.a_, bgnbd.b_)
    assert found == pytest.approx((0.243, 4.414, 0.793, 2.426), abs=5e-4)
    assert bgnbd.log_likelihood_ == pytest.approx(-9582.43, abs=0.01)


def test_bgnbd_expected_orders_of_the_published_example(bgnbd: BgNbd) -> None:
    expected = bgnbd.expected_orders(one(2, 30.43, 38.86), 39, unit="weeks")
    assert expected[0] == pytest.approx(1.226, abs=1e-3)


def test_mbgnbd_published_parameters(sample: PurchaseHistories) -> None:
    fitted = BgNbd(dropout_at_first_order=True).fit(sample)
    found = (fitted.r_, fitted.alpha_, fitted.a_, fitted.b_)
    assert found == pytest.approx((0.525, 6.183, 0.891, 1.614), abs=5e-4)


def test_gamma_gamma_published_parameters(spend: pd.DataFrame) -> None:
    fitted = GammaGamma().fit(spend["x"], spend["zbar"])
    assert (fitted.p_, fitted.q_, fitted.v_) == pytest.approx((6.25, 3.74, 15.44), abs=0.01)
    assert fitted.log_likelihood_ == pytest.approx(-4055.92, abs=0.01)
    first_ten = fitted.expected_spend(spend["x"], spend["zbar"])[:10]
    wanted = [24.65, 18.91, 35.17, 35.17, 35.17, 71.46, 18.91, 35.17, 27.28, 35.17]
    assert first_ten.tolist() == pytest.approx(wanted, abs=0.011)


def test_log_terms_stay_finite_for_a_frequent_customer() -> None:
    frequent = one(200, 38, 40)
    fitted = model(0.25, 4, 0.8, 2.5)
    assert np.isfinite(fitted.log_likelihood(frequent))
    assert np.isfinite(fitted.expected_orders(frequent, 39, unit="weeks")).all()


def test_alive_is_no_churn_score_for_one_time_buyers() -> None:
    """The trap: BG/NBD holds every customer with one order for alive, however long ago that was."""
    fitted, ages = model(0.243, 4.414, 0.793, 2.426), np.array([1.0, 20.0, 200.0])
    once = PurchaseHistories.from_arrays(np.zeros(3), np.zeros(3), ages, unit="weeks")
    assert fitted.alive_probability(once).tolist() == [1.0, 1.0, 1.0]
    chance = fitted.order_probability(once, 13, unit="weeks")
    assert chance[0] > 2 * chance[1] > 4 * chance[2] > 0


def test_the_modified_model_doubts_one_time_buyers_too() -> None:
    fitted = model(0.525, 6.183, 0.891, 1.614, early=True)
    assert fitted.alive_probability(one(0, 0, 100))[0] < 0.5


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize(
    ("x", "last", "age"), [(0, 0, 0), (0, 0, 38), (2, 30, 38), (200, 38, 40), (50, 50, 600)]
)
@pytest.mark.parametrize("horizon", [1.0, 39.0, 500.0])
def test_expected_orders_equal_their_integral(
    x: float, last: float, age: float, horizon: float, early: bool
) -> None:
    """E[(1 - (s / (s + p h))^(r + x)) / p] over the posterior of p, times P(alive)."""
    fitted, customer = model(0.525, 6.183, 0.891, 1.614, early=early), one(x, last, age)
    chances, s = fitted.b_ + x + early, fitted.alpha_ + age

    def orders(p: float) -> float:
        grown = -np.expm1(-(fitted.r_ + x) * np.log1p(p * horizon / s)) / p
        return float(grown * beta.pdf(p, fitted.a_, chances))

    points = [beta.ppf(level, fitted.a_, chances) for level in (0.01, 0.5, 0.99)]
    integral = quad(orders, 0, 1, points=points, limit=500)[0] * fitted.alive_probability(customer)[0]
    found = fitted.expected_orders(customer, horizon, unit="weeks")[0]
    assert found == pytest.approx(integral, rel=1e-6, abs=1e-12)


@given(
    x=st.integers(0, 500), age=st.floats(0, 2000), share=st.floats(0, 1), horizon=st.floats(0.1, 2000),
    logs=st.tuples(*[st.floats(-4, 4)] * 4), early=st.booleans(),
)  # fmt: skip
@example(x=0, age=0.0, share=0.0, horizon=384.0, logs=(1.0, 0.0, 1.0, 4.0), early=False)
@settings(max_examples=200, deadline=None)
def test_answers_are_probabilities_that_rise_with_the_horizon(
    x: int, age: float, share: float, horizon: float, logs: tuple[float, float, float, float], early: bool
) -> None:
    fitted, customer = model(*np.exp(logs), early=early), one(x, share * age, age)
    near = fitted.order_probability(customer, horizon, unit="weeks")[0]
    far = fitted.order_probability(customer, 2 * horizon, unit="weeks")[0]
    assert 0 <= near <= far * (1 + 1e-9) <= 1 + 1e-9
    silent = fitted.silence_probability(customer, horizon, unit="weeks")[0]
    assert near + silent == pytest.approx(1, abs=1e-9)
    assert fitted.expected_orders(customer, horizon, unit="weeks")[0] >= near


def test_a_wrong_time_unit_is_refused(bgnbd: BgNbd) -> None:
    with pytest.raises(TimeUnitError, match="fitted in weeks and was asked about days"):
        bgnbd.order_probability(one(2, 30, 38), 90, unit="days")
    with pytest.raises(TimeUnitError):
        bgnbd.alive_probability(one(2, 200, 270, unit="days"))


def test_days_and_weeks_agree(sample: PurchaseHistories, bgnbd: BgNbd) -> None:
    in_days = PurchaseHistories.from_arrays(sample.frequency, sample.recency * 7, sample.age * 7, unit="days")
    by_day = BgNbd().fit(in_days)
    assert by_day.alpha_ == pytest.approx(7 * bgnbd.alpha_, rel=1e-4)
    weekly = bgnbd.order_probability(sample, 13, unit="weeks")
    assert by_day.order_probability(in_days, 91, unit="days") == pytest.approx(weekly, abs=1e-4)


EDGES = {
    "nobody": ([], [], []),
    "one customer on the first day": ([0], [0], [0]),
    "one customer with repeats": ([3], [20], [25]),
    "nobody repeats": ([0] * 50, [0] * 50, [300] * 50),
    "all recency zero": ([5] * 50, [0] * 50, [300] * 50),
    "all age zero": ([0] * 9, [0] * 9, [0] * 9),
    "a hundred thousand orders": ([1e5], [300], [300]),
    "missing numbers": ([np.nan, 2], [np.nan, 9], [np.nan, 30]),
}


@pytest.mark.parametrize("edge", EDGES)
def test_tiny_and_odd_cohorts_never_give_nan(edge: str) -> None:
    purchases = PurchaseHistories.from_arrays(*EDGES[edge], unit="days")
    fitted = fit_btyd(purchases)
    probes = PurchaseHistories.from_arrays([0, 1, 40], [0, 50, 200], [10, 100, 201], unit="days")
    for horizon in (1, 90, 1825):
        chance = fitted.order_probability(probes, horizon, unit="days")
        assert np.isfinite(chance).all()
        assert ((chance >= 0) & (chance <= 1)).all()
        assert np.isfinite(fitted.expected_orders(probes, horizon, unit="days")).all()


@pytest.mark.parametrize(
    "spend",
    [
        ([], []),
        ([0], [np.nan]),
        ([3], [20.0]),
        ([1, 2], [-5, 0]),
        ([1] * 3, [1e-4, 1e12, 5]),
        ([1] * 9, [7] * 9),
    ],
)
def test_gamma_gamma_never_gives_nan(spend: tuple[list[float], list[float]]) -> None:
    fitted = GammaGamma(penalty=0.05).fit(*spend, fallback_mean=30.0)
    answers = fitted.expected_spend([0, 1, 5], [np.nan, 10, -3])
    assert np.isfinite(answers).all()
    assert (answers > 0).all()


def test_condensed_histories_keep_the_likelihood(sample: PurchaseHistories, bgnbd: BgNbd) -> None:
    condensed = sample.condensed()
    assert len(condensed.age) < len(sample.age)
    assert condensed.weight.sum() == len(sample.age)
    assert bgnbd.log_likelihood(condensed) == pytest.approx(bgnbd.log_likelihood(sample), rel=1e-12)


def test_a_large_cohort_is_binned_and_fits_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(3)
    x, age = generator.negative_binomial(0.5, 0.2, 20_000), generator.uniform(0, 700, 20_000)
    recency = np.where(x > 0, age * generator.beta(2, 1, 20_000), 0)
    purchases = PurchaseHistories.from_arrays(x, recency, age, unit="days")
    exact = BgNbd(penalty=0.05).fit(purchases)
    monkeypatch.setattr("models.btyd._EXACT_ROWS_MAX", 1_000)
    assert len(purchases.condensed().age) < 19_000
    binned = BgNbd(penalty=0.05).fit(purchases)
    assert binned.order_probability(purchases, 90, unit="days") == pytest.approx(
        exact.order_probability(purchases, 90, unit="days"), abs=0.01
    )
