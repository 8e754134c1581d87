"""The learning curve: its plan, how many suffice, what it says, and the whole command on a made-up shop."""

from pathlib import Path

import numpy as np
import pytest
from made_up_shop import run, write_orders

from training.learning_curve import (
    Curve,
    curve_text,
    figure_of,
    plan_of,
    sections_of,
    sentence_of,
    sufficient_size,
)
from training.learning_fit import Learnt

ALL_RECIPES = ("churn/lightgbm_btyd", "churn/btyd", "clv/hurdle", "clv/btyd")


def learnt(
    size: int, draw: int, log_loss: float, deviance: float, *, recipes: tuple[str, ...] = ALL_RECIPES
) -> Learnt:
    churn = {"log_loss": log_loss, "auc": 0.8, "ece": 0.01}
    clv = {"deviance": deviance, "normalised_gini": 0.7, "total_bias": -0.02}
    metrics = {name: churn if name.startswith("churn") else clv for name in recipes}
    return Learnt(size, draw, 10 * size, size / 10, 0.5, metrics)


def curve_of(*points: Learnt, shop: int = 400) -> Curve:
    return Curve("2026-08-24", 90, shop, 400, points)


CURVE = curve_of(
    learnt(100, 0, 0.520, 11.0),
    learnt(100, 1, 0.540, 12.0),
    learnt(200, 0, 0.5015, 10.03),
    learnt(200, 1, 0.5025, 10.05),
    learnt(400, 0, 0.500, 10.0),
)


def test_all_customers_are_learnt_from_once_and_parts_of_them_several_times() -> None:
    assert plan_of(1600, repeats=2) == [
        *[(100, 0), (100, 1), (200, 0), (200, 1), (400, 0), (400, 1), (800, 0), (800, 1)],
        (1600, 0),
    ]
    assert plan_of(3, repeats=2) == [(1, 0), (1, 1), (3, 0)]
    assert plan_of(1, repeats=5) == [(1, 0)]


def test_so_many_suffice_as_lose_less_than_half_a_per_cent() -> None:
    # 0.502 is 0.4 % above 0.500, and 10.04 is 0.4 % above 10; 0.53 is 6 % above.
    assert sufficient_size(CURVE) == 200
    assert sentence_of(CURVE) == (
        "From 200 customers on the losses change by less than 0.5%: with all 400 customers log-loss is 0.5 "
        "for 0.502 and deviance is 10 for 10.04; so many suffice."
    )


def test_where_the_last_doubling_still_helps_more_customers_are_wanted() -> None:
    growing = curve_of(learnt(200, 0, 0.55, 10.4), learnt(400, 0, 0.5, 10.0), shop=5_000)
    assert sufficient_size(growing) == 400
    assert sentence_of(growing) == (
        "More customers still help: log-loss is 10.0% lower and deviance is 4.0% lower with 400 of 5,000 "
        "customers than with 200."
    )


def test_a_size_on_which_boosting_cannot_be_fitted_is_too_small() -> None:
    rules = ("churn/btyd", "clv/btyd")
    curve = curve_of(learnt(200, 0, 0.5, 10.0, recipes=rules), learnt(400, 0, 0.5, 10.0))
    assert sufficient_size(curve) == 400
    boosting = next(section.table for section in sections_of(curve) if section.title == "Boosting")
    assert boosting is not None
    assert list(boosting.rows[0]) == ["200", "1", "-", "-", "-", "-", "-", "-", "20", "0.5"]
    only_rules = curve_of(learnt(200, 0, 0.5, 10.0, recipes=rules), learnt(400, 0, 0.5, 10.0, recipes=rules))
    assert sufficient_size(only_rules) == 200


def test_the_table_tells_the_mean_and_the_ends_of_the_samples() -> None:
    table = sections_of(CURVE)[1].table
    assert table is not None
    assert list(table.rows[0][:3]) == ["100", "2", "0.5300 ± 0.0100"]
    assert list(table.rows[2]) == [
        *("400", "1", "0.5000", "0.8000", "0.0100", "10.0000", "0.7000", "-0.0200"),
        *("40", "0.5"),
    ]
    assert "judged on 400 customers by the 90 days after it" in curve_text(CURVE)


def test_the_picture_shows_means_between_the_samples() -> None:
    boosting = figure_of(CURVE, "churn").data[0]
    np.testing.assert_allclose(boosting.y, [0.53, 0.502, 0.5])
    np.testing.assert_allclose(boosting.error_y.array, [0.01, 0.0005, 0.0])
    assert list(boosting.x) == [100, 200, 400]


@pytest.mark.slow
def test_the_command_learns_from_parts_of_a_shop(tmp_path: Path) -> None:
    settings = (
        "[churn]\nsnapshots_max = 3\nsupported_outcomes_min = 10\n[churn.boosting]\ntree_count = 10\n"
        "[clv.boosting]\ntree_count = 10\n"
    )
    orders = write_orders(tmp_path / "orders.csv", customer_count=260)
    assert run("features.ingest", "--file", str(orders), var=tmp_path / "var").returncode == 0
    arguments = ("--horizon", "30", "--repeats", "1", "--customers", "200")
    done = run("training.learning_curve", *arguments, var=tmp_path / "var", settings=settings)
    assert done.returncode == 0, done.stderr
    assert "customers" in done.stdout.splitlines()[1]
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  1")][:2] == [
        "12",
        "100",
    ]
    assert (tmp_path / "var" / "reports" / "learning_curve.html").exists()
    early = run("training.learning_curve", "--as-of", "2024-12-01", "--horizon", "700", var=tmp_path / "var")
    assert early.returncode == 2
    assert len(early.stderr.splitlines()) == 1
