"""Money that comes later counts less: as a formula, and in a whole run, which says so."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving_shop import AS_OF, fit_champions, make_orders, register, write_history

from features.layout import Layout
from features.ledger import list_files, read_rows, read_run
from serving.environment import Environment
from serving.rows import CLV_HORIZONS_DAYS
from serving.score import run_scoring, summary
from serving.scoring.request import open_request
from serving.scoring.worth import present_values, undiscounted

# MLflow's own database layer uses what SQLAlchemy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
HORIZONS = list(CLV_HORIZONS_DAYS)
spends = st.lists(st.floats(0, 1e6), min_size=len(HORIZONS), max_size=len(HORIZONS)).map(sorted)


def test_money_that_comes_evenly_over_a_year_counts_the_mean_of_its_discounts() -> None:
    days = (np.arange(10_000) + 0.5) / 10_000
    by_hand = 1000.0 * float(np.mean(1.1**-days))
    assert present_values(np.array([[1000.0]]), [365.25], yearly_rate=0.1)[0, 0] == pytest.approx(by_hand)  # type: ignore[list-item]


def test_without_a_rate_money_is_what_it_is() -> None:
    spend = np.array([[10.0, 20.0, 35.5]])
    assert (present_values(spend, [30, 90, 365], yearly_rate=0.0) == spend).all()


@given(spend=spends, rate=st.floats(0.001, 1.0))
def test_worth_grows_with_the_horizon_never_passes_the_spend_and_can_be_undone(
    spend: list[float], rate: float
) -> None:
    table = np.array([spend])
    worth = present_values(table, HORIZONS, yearly_rate=rate)
    assert (np.diff(worth, axis=1) >= 0).all()
    assert (worth <= table + 1e-9).all()
    assert (worth >= table / (1.0 + rate) - 1e-6).all()
    np.testing.assert_allclose(undiscounted(worth, HORIZONS, yearly_rate=rate), table, rtol=1e-9, atol=1e-6)


@pytest.mark.slow
def test_a_run_tells_worth_and_its_rate_and_is_graded_by_what_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.registry.check_bundle", lambda *_: None)
    history = write_history(tmp_path, make_orders())
    register(tmp_path, fit_champions(history, AS_OF, choice={"churn": "btyd", "clv": "btyd"}), as_of=AS_OF)
    plain, told = (scored(tmp_path, monkeypatch, rate=rate) for rate in (0.0, 0.25))
    bounds = [f"predicted_clv_{name}" for name in ("low", "median", "high")]
    spend, worth = (
        rows.select(f"predicted_clv_{days}" for days in HORIZONS).to_numpy() for rows in (plain, told)
    )
    wanted = present_values(spend, HORIZONS, yearly_rate=0.25)
    np.testing.assert_allclose(worth, wanted, atol=0.02)
    kept = told["predicted_clv"] / plain["predicted_clv"]
    assert kept.is_between(0.8, 0.95).all()
    for name in (*bounds, "spend_if_order_low", "spend_if_order_high"):
        np.testing.assert_allclose(told[name], plain[name] * kept, rtol=5e-3, atol=0.02)
    same = ["historic_clv", "value_at_risk", "predicted_number_of_orders", "churn_probability"]
    assert told.select(same).equals(plain.select(same))
    assert (told["total_clv"] - told["historic_clv"] - told["predicted_clv"]).abs().max() < 0.011  # type: ignore[operator]
    first, second = (read_rows(path, read_run(path)) for path in list_files(Layout(tmp_path).ledger))
    for name in first.columns[1:]:
        np.testing.assert_allclose(second[name], first[name], atol=0.05, err_msg=name)


def scored(var: Path, monkeypatch: pytest.MonkeyPatch, *, rate: float) -> pl.DataFrame:
    """Return the rows of a run scored at a discount rate, sorted by customer."""
    (var / "settings.toml").write_text(f"[clv]\ndiscount_rate = {rate}\n")
    monkeypatch.setenv("REGULARS_CONFIG", str(var / "settings.toml"))
    meta = run_scoring(
        open_request(Environment(var=var), as_of=None, out=var / f"out-{rate}"), lambda _: None
    )
    assert meta.clv_discount_rate == rate
    assert ("predicted CLV is today's worth, at 25 % a year" in summary(meta, is_past=False)) == (
        rate == 0.25
    )
    return pl.read_parquet(var / f"out-{rate}/scores.parquet").sort("customer_id")
