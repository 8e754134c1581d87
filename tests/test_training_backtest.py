"""The back-test on made-up shops at its edges: growing shops, other engines, observation windows."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from judged_shop import HEADLINE_DAYS, context_at, predictions

from features.ingest import load
from features.layout import Layout
from features.settings import (
    BacktestSettings,
    BoostingSettings,
    ChurnSettings,
    ClvSettings,
    FeatureSettings,
    RecommenderSettings,
    Settings,
)
from features.sources import Request
from features.synthetic.shop import SyntheticShop, write_shop
from features.synthetic.spec import ShopSpec
from training import verdicts
from training.backtest import build_scorecard, run_backtest
from training.context import Context, open_context
from training.extras import extra_sections
from training.incumbents import INCUMBENT

QUICK = BoostingSettings(tree_count=20, learning_rate=0.3, rows_per_leaf_min=20)
AS_OF = "2025-11-17"


def settings_with(*, outcomes_min: int = 30, origin_count: int = 4, **features: object) -> Settings:
    return Settings(
        features=FeatureSettings.model_validate(features),
        churn=ChurnSettings(boosting=QUICK, snapshots_max=5, supported_outcomes_min=outcomes_min),
        clv=ClvSettings(boosting=QUICK),
        recommender=RecommenderSettings(factor_count=4, iteration_count=2),
        backtest=BacktestSettings(bootstrap_count=100, origin_count=origin_count),
    )


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A shop of a year, most of whose customers come in the course of it."""
    folder = tmp_path_factory.mktemp("shop")
    spec = ShopSpec(customer_count=500, day_count=360, founding_share=0.05, mean_gap_days=25.0)
    write_shop(SyntheticShop(spec), folder)
    request = Request(
        files=(folder / "order_lines.parquet",), companions={"products": folder / "products.parquet"}
    )
    load(request, layout=Layout(folder / "var"), time_zone="UTC")
    return Layout(folder / "var")


def context_of(layout: Layout, settings: Settings) -> Context:
    return open_context(layout, settings, as_of=AS_OF, headline_days=30)


@pytest.mark.slow
def test_a_growing_shop_is_judged_where_all_its_recipes_could_be_fitted(history: Layout) -> None:
    """At the oldest origin the shop was too small for the main recipe; that origin compares nothing."""
    counts = {}
    for outcomes_min in (20, 160):
        context = context_of(history, settings_with(outcomes_min=outcomes_min))
        result = run_backtest(context, lambda _: None, with_lists=False)
        counts[outcomes_min] = result.churn["origin"].nunique()
        assert "lightgbm" in set(result.churn["candidate"])
        assert result.clv["origin"].nunique() == counts[outcomes_min]
        card = build_scorecard(context, result)
        for name, loss in (("churn", "log_loss"), ("clv", "deviance")):
            task = card.tasks[name]  # type: ignore[index]
            found = {candidate: row.metrics[30][loss] for candidate, row in task.candidates.items()}
            means = {candidate: summary.mean for candidate, summary in found.items()}
            assert means == pytest.approx(task.mean_losses)
            assert len(task.origins) == counts[outcomes_min]
    assert counts == {20: 4, 160: 3}
    assert "lightgbm" in result.left_out["churn"]


@pytest.mark.slow
def test_engines_find_the_same_with_two_fits_at_once(history: Layout) -> None:
    tables = []
    for engine in ("polars", "duckdb"):
        context = context_of(history, settings_with(engine=engine, origin_count=2))
        result = run_backtest(context, lambda _: None, with_lists=False)
        tables.append(result.churn)
    pd.testing.assert_frame_equal(*tables)


def test_an_observation_window_leaves_every_outcome_known(history: Layout) -> None:
    context = context_of(history, settings_with(observation_days=120, origin_count=2))
    result = run_backtest(context, lambda _: None, with_lists=False)
    assert result.churn["outcome"].isin([0.0, 1.0]).all()
    assert np.isfinite(result.clv["prediction"]).all()


@pytest.mark.slow
def test_recommendations_are_judged_on_whole_windows_before_the_date(history: Layout) -> None:
    result = run_backtest(context_of(history, settings_with(origin_count=1)), lambda _: None)
    newest = max(result.recommender["origin"])
    assert (date.fromisoformat(AS_OF) - newest).days == Settings().recommender.outcome_days


def test_only_what_all_recipes_have_in_common_is_compared() -> None:
    old, new = date(2026, 1, 1), date(2026, 2, 1)
    rows = pd.DataFrame(
        [("model", new), ("rule", old), ("rule", new), ("gone", old)], columns=["candidate", "origin"]
    )
    kept = verdicts.judged(rows)
    assert list(kept.itertuples(index=False, name=None)) == [("model", new), ("rule", new)]


@pytest.mark.parametrize("fitted_at", [["old", "new"], ["new"], ["old"]])
def test_a_standing_champion_takes_no_origin_from_the_others(fitted_at: list[str]) -> None:
    days = {"old": date(2026, 1, 1), "new": date(2026, 2, 1)}
    own = [(name, day) for name in ("model", "rule") for day in days.values()]
    standing = [(INCUMBENT, days[name]) for name in fitted_at]
    kept = verdicts.judged(pd.DataFrame(own + standing, columns=["candidate", "origin"]))
    expected = own + (standing if len(standing) == len(days) else [])
    assert sorted(kept.itertuples(index=False, name=None)) == sorted(expected)


def test_biases_of_different_origins_do_not_make_up_for_each_other(history: Layout) -> None:
    """50 % too high at one origin and as much too low at the next is not right on average."""
    context = context_of(history, settings_with(origin_count=2))
    result = run_backtest(context, lambda _: None, with_lists=False)
    days = sorted(set(result.clv["origin"]))
    factors = result.clv["origin"].map({days[0]: 1.5, days[1]: 0.5})
    result.clv["prediction"] = result.clv["outcome"] * factors
    card = build_scorecard(context, result)
    value = card.tasks["clv"]
    metrics = value.candidates["hurdle"].metrics[30]
    assert abs(metrics["total_bias"].mean or 0.0) < 0.01
    assert metrics["normalised_gini"].mean == pytest.approx(1.0)
    assert value.candidates["hurdle"].grade == "D"


def test_an_origin_whose_outcome_lies_in_a_hole_is_left_out(history: Layout, tmp_path: Path) -> None:
    """Fifteen days without orders, 35 to 20 days before the date, lie after the newest origin."""
    lines = pl.read_parquet(history.root.parent / "order_lines.parquet")
    end = date.fromisoformat(AS_OF)
    day = pl.col("ordered_at").dt.date()
    hidden = day.is_between(end - timedelta(days=35), end - timedelta(days=20))
    lines.filter(~hidden).write_parquet(tmp_path / "lines.parquet")
    load(Request(files=(tmp_path / "lines.parquet",)), layout=Layout(tmp_path / "var"), time_zone="UTC")
    context = context_of(Layout(tmp_path / "var"), settings_with(outcomes_min=20))
    result = run_backtest(context, lambda _: None, with_lists=False)
    known = set(result.churn["origin"])
    assert 0 < len(known) < len(result.origins)
    assert max(result.origins) not in known
    assert set(result.clv["origin"]) == known
    assert (result.churn.groupby("origin")["horizon_days"].max() >= 30).all()


def test_tenths_that_are_off_cost_the_grade_though_the_total_is_right(tmp_path: Path) -> None:
    """Everybody is told 60 % of what they spend and 40 % of the mean: ranks and total are perfect."""
    context, result = context_at(tmp_path), predictions(customer_count=1500)
    mean = result.clv.groupby(["candidate", "origin"])["outcome"].transform("mean")
    result.clv["prediction"] = 0.6 * result.clv["outcome"] + 0.4 * mean
    value = verdicts.clv_result(context, result.clv, {}).candidates["hurdle"]
    metrics = value.metrics[HEADLINE_DAYS]
    assert metrics["normalised_gini"].mean == pytest.approx(1.0)
    assert abs(metrics["total_bias"].mean or 0.0) < 1e-9
    assert 0.35 < (metrics["decile_error"].low or 0.0) < 0.6
    assert value.grade == "D"


def test_the_scorecard_says_whether_reasons_matter_and_stay(history: Layout) -> None:
    context = context_of(history, settings_with(origin_count=2, outcomes_min=20))
    result = run_backtest(context, lambda _: None, with_lists=False)
    assert result.newest is not None
    assert result.previous is not None
    assert result.previous.origin.date < result.newest.origin.date
    card = build_scorecard(context, result)
    chosen = card.tasks["churn"].model_copy(update={"winner": "lightgbm"})
    card = card.model_copy(update={"tasks": card.tasks | {"churn": chosen}})
    texts = {section.title: section.text for section in extra_sections(context, result, card)}
    assert "without the features behind a customer's reasons" in texts["Do the reasons matter"]
    assert "two fits share" in texts["Do the reasons matter"]
    assert str(result.previous.origin.date) in texts["Do the reasons matter"]
