"""Shares of trees: equal to LightGBM's own, whatever the splits, missing values and repetitions."""

from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.tree_shares import TreeShares

FEATURE_COUNT = 6


def rows(count: int, *, seed: int, missing: bool = True) -> NDArray[np.float32]:
    """Return counts, shares and money, a fifth of one column missing."""
    generator = np.random.default_rng(seed)
    table = np.column_stack(
        [
            generator.integers(0, 5, count),
            generator.random(count),
            generator.lognormal(3, 2, count),
            generator.normal(size=(count, FEATURE_COUNT - 3)),
        ]
    ).astype(np.float32)
    if missing:
        table[generator.random(count) < 0.2, 1] = np.nan
    return table


def fitted(matrix: NDArray[np.float32], *, seed: int = 0, **parameters: Any) -> lightgbm.Booster:
    generator = np.random.default_rng(seed)
    filled = np.nan_to_num(matrix, nan=2.0)
    margin = filled[:, 0] * filled[:, 1] - 0.3 * np.log1p(filled[:, 2]) + filled[:, 3]
    target = (margin + generator.logistic(size=len(matrix)) > 0).astype(float)
    return lightgbm.train(
        {"objective": "binary", "num_leaves": 15, "verbosity": -1, "num_threads": 1, **parameters},
        lightgbm.Dataset(matrix, target, params={"verbosity": -1}),
        num_boost_round=20,
    )


def own(booster: lightgbm.Booster, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(booster.predict(matrix, pred_contrib=True))[:, :-1]


def ours(booster: lightgbm.Booster, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    trees = TreeShares.of(booster)
    assert trees is not None
    return trees.of_rows(matrix)


def test_one_split_shares_out_by_hand() -> None:
    """200 rows, 50 of them left: being left moves the margin by (value left - value right) * 150 / 200."""
    matrix = np.repeat([[1.0], [9.0]], [50, 150], axis=0).astype(np.float32)
    booster = lightgbm.train(
        {"objective": "regression", "num_leaves": 2, "learning_rate": 1.0, "verbosity": -1, "lambda_l2": 0.0},
        lightgbm.Dataset(matrix, np.repeat([4.0, 8.0], [50, 150]), params={"verbosity": -1}),
        num_boost_round=1,
    )
    assert ours(booster, np.array([[0.0], [5.1], [9.0]], dtype=np.float32))[:, 0] == pytest.approx([-3, 1, 1])


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"num_leaves": 17},
        {"num_leaves": 2},
        {"max_bin": 7, "feature_fraction": 0.5},
        {"bagging_fraction": 0.5, "bagging_freq": 1},
        {"use_missing": False},
        {"monotone_constraints": [-1, 0, 0, 1, 0, 0]},
    ],
    ids=lambda parameters: "-".join(parameters) or "plain",
)
def test_shares_are_lightgbms_own(parameters: dict[str, Any]) -> None:
    booster = fitted(rows(3000, seed=1), **parameters)
    asked = rows(500, seed=2)
    asked[:20] = np.nan
    asked[20:40] = np.inf
    asked[40:60] = -np.inf
    assert np.abs(ours(booster, asked) - own(booster, asked)).max() < 1e-12


def test_a_value_missing_where_training_saw_none_is_zero_as_for_lightgbm() -> None:
    booster = fitted(rows(3000, seed=1, missing=False))
    asked = rows(200, seed=2)
    assert np.isnan(asked).any()
    assert np.abs(ours(booster, asked) - own(booster, asked)).max() < 1e-12


def test_values_a_hair_beside_a_threshold_fall_on_the_right_side() -> None:
    """A threshold lies between two 32-bit floats; rounded up it would take in the wrong one."""
    matrix = rows(3000, seed=1)
    booster = fitted(matrix)
    trees = TreeShares.of(booster)
    assert trees is not None
    thresholds = [split.threshold for tree in trees.trees for split in tree.splits if split.feature == 3]
    beside = [np.nextafter(value, to) for value in thresholds for to in (np.float32(-9e9), np.float32(9e9))]
    asked = np.repeat(matrix[:1], len(thresholds) + len(beside), axis=0)
    asked[:, 3] = [*thresholds, *beside]
    assert np.abs(ours(booster, asked) - own(booster, asked)).max() < 1e-12


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 17), st.integers(1, 60))
def test_shares_add_up_to_the_margin(seed: int, leaf_count: int, rows_per_leaf: int) -> None:
    matrix = rows(400, seed=seed)
    booster = fitted(matrix, seed=seed, num_leaves=leaf_count, min_data_in_leaf=rows_per_leaf)
    margins = np.asarray(booster.predict(matrix, raw_score=True))
    base = np.asarray(booster.predict(matrix[:1], pred_contrib=True))[0, -1]
    assert np.abs(base + ours(booster, matrix).sum(axis=1) - margins).max() < 1e-9


def test_a_customer_alone_has_the_same_bytes_as_among_others() -> None:
    matrix = rows(300, seed=3)
    booster = fitted(matrix)
    together = ours(booster, matrix)
    assert np.array_equal(together[17:18], ours(booster, matrix[17:18]))
    assert np.array_equal(together[::-1], ours(booster, matrix[::-1]))
    assert ours(booster, matrix[:0]).shape == (0, FEATURE_COUNT)


def test_a_model_without_splits_has_no_shares() -> None:
    matrix = np.ones((100, FEATURE_COUNT), dtype=np.float32)
    assert (ours(fitted(matrix), matrix) == 0).all()


@pytest.mark.parametrize("parameters", [{"num_leaves": 18}, {"zero_as_missing": True}])
def test_trees_that_only_lightgbm_knows_are_left_to_it(parameters: dict[str, Any]) -> None:
    assert TreeShares.of(fitted(rows(3000, seed=1), min_data_in_leaf=1, **parameters)) is None
