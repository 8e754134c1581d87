"""Metrics of lists by hand: repeat and explore, novelty, exposure, discovery; where they have no value."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.list_results import LISTS, add_exposure, discovery_gain, segments_of
from training.metrics_discovery import discovery_hits
from training.metrics_exposure import Exposure, coverage, exposure_draws, exposure_gini, exposure_metrics
from training.metrics_recommender import customer_metrics, list_figures
from training.recommender_rounds import LIST_METRICS
from training.resampling import Resample
from training.summaries import measure

DAY = date(2026, 3, 1)


def shown(*places: tuple[str, int, str], source: str = "personalised") -> pd.DataFrame:
    """Return lists: customer, rank, product."""
    return pd.DataFrame(places, columns=["customer_id", "rank", "product_id"]).assign(source=source)


# --- repeat and explore


def test_what_was_bought_before_and_what_is_new_are_found_apart() -> None:
    """ann bought x again, and y and z for the first time; bob only new things; cat only an old one."""
    truth = pd.DataFrame(
        [
            ("ann", "x", True),
            ("ann", "y", False),
            ("ann", "z", False),
            ("bob", "y", False),
            ("cat", "x", True),
        ],
        columns=["customer_id", "product_id", "is_repeat"],
    )
    lists = shown(("ann", 1, "x"), ("ann", 2, "y"), ("bob", 1, "x"), ("bob", 2, "q"), ("cat", 3, "x"))
    found = customer_metrics(lists, truth, k=2)
    np.testing.assert_allclose(found["repeat_recall"], [1.0, np.nan, 0.0])
    np.testing.assert_allclose(found["explore_recall"], [0.5, 0.0, np.nan])
    assert found["precision"].tolist() == [1.0, 0.0, 0.0]
    assert found["recall"].tolist() == pytest.approx([2 / 3, 0.0, 0.0])


@pytest.mark.parametrize("is_repeat", [True, False])
def test_where_nobody_bought_of_a_part_it_has_no_value(is_repeat: bool) -> None:
    truth = pd.DataFrame({"customer_id": ["ann"], "product_id": ["x"], "is_repeat": [is_repeat]})
    found = customer_metrics(shown(("ann", 1, "x")), truth)
    assert found["repeat_recall"].notna().tolist() == [is_repeat]
    assert found["explore_recall"].notna().tolist() == [not is_repeat]


# --- novelty and fallback


def test_novelty_is_bits_and_what_nobody_bought_counts_as_the_rarest() -> None:
    lists = pd.concat([shown(("ann", 1, "x"), ("ann", 2, "y")), shown(("bob", 1, "new"), source="fallback")])
    lists = pd.concat([lists, shown(("bob", 11, "x"))])
    found = list_figures(lists, {"x": 0.5, "y": 1 / 8}, rarest=1 / 16)
    assert found["novelty"].to_dict() == {"ann": 2.0, "bob": 4.0}
    assert found["fallback_share"].to_dict() == {"ann": 0.0, "bob": 1.0}


# --- exposure


def test_coverage_and_gini_of_a_hand_worked_shop() -> None:
    """Of five items on offer x holds three places, y one: sorted 0, 0, 0, 1, 3.

    Gini = (2·4 - 6) · 1 + (2·5 - 6) · 3 = 14, over 5 · 4.
    """
    lists = shown(("ann", 1, "x"), ("ann", 2, "y"), ("bob", 1, "x"), ("cat", 1, "x"), ("cat", 11, "z"))
    exposure = Exposure.of(lists, ["ann", "bob", "cat", "dan"], offered_count=5)
    assert exposure_metrics(exposure) == pytest.approx({"coverage_at_10": 0.4, "exposure_gini_at_10": 0.7})
    assert (exposure.items[3] == -1).all()


def test_where_nothing_is_shown_there_is_no_coverage() -> None:
    exposure = Exposure.of(shown(), ["ann", "bob"], offered_count=0)
    assert np.isnan(list(exposure_metrics(exposure).values())).all()
    draws = exposure_draws(exposure, Resample(["ann", "bob"], draw_count=3, seed=1))
    assert np.isnan(draws["coverage_at_10"]).all()


def test_one_product_for_everybody_covers_all_and_is_even() -> None:
    exposure = Exposure.of(shown(("ann", 1, "x"), ("bob", 1, "x")), ["ann", "bob"], offered_count=1)
    assert exposure_metrics(exposure) == {"coverage_at_10": 1.0, "exposure_gini_at_10": 0.0}


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(0, 20))
def test_gini_is_the_mean_distance_of_two_items_over_twice_the_mean(places: list[int], hidden: int) -> None:
    counts, offered = np.array(places, dtype=float), len(places) + hidden
    all_items = np.concatenate([counts, np.zeros(hidden)])
    if not all_items.sum():
        assert np.isnan(exposure_gini(counts, offered))
        return
    distance = np.abs(all_items[:, None] - all_items[None, :]).mean()
    assert float(exposure_gini(counts, offered)) == pytest.approx(distance / (2 * all_items.mean()))
    assert float(coverage(counts, offered)) == pytest.approx((all_items > 0).mean())


def test_a_draw_counts_the_lists_of_its_customers_only() -> None:
    """With weights 2 and 0 only ann's list is shown: one item of two."""
    resample = Resample(["ann", "bob"], draw_count=40, seed=3)
    exposure = Exposure.of(shown(("ann", 1, "x"), ("bob", 1, "y")), ["ann", "bob"], offered_count=2)
    draws = exposure_draws(exposure, resample)
    both = (resample.weights > 0).all(axis=1)
    assert 0 < both.sum() < 40
    np.testing.assert_allclose(draws["coverage_at_10"], np.where(both, 1.0, 0.5))
    np.testing.assert_allclose(draws["exposure_gini_at_10"], np.where(both, 0.0, 0.5))


# --- discovery


def test_a_list_is_read_as_its_first_distinct_categories() -> None:
    """Of k = 2 categories ann's list names jam and tea; cake comes third, though it stands in her list."""
    categories = {"j1": "jam", "j2": "jam", "t": "tea", "c": "cake"}
    lists = shown(("ann", 1, "j1"), ("ann", 2, "j2"), ("ann", 3, "t"), ("ann", 4, "c"), ("bob", 1, "c"))
    new = pd.DataFrame(
        [("ann", "cake", 1.0), ("bob", "cake", 3.0), ("bob", "tea", 2.0), ("cat", "rare", np.nan)],
        columns=["customer_id", "category", "popular_place"],
    )
    found = discovery_hits(lists, new, categories, k=2)
    assert found["discovery"].to_dict() == {"ann": 0.0, "bob": 1.0, "cat": 0.0}
    assert found["popular_discovery"].to_dict() == {"ann": 1.0, "bob": 1.0, "cat": 0.0}


# --- what is told of them


def rows_of(**columns: list[float]) -> pd.DataFrame:
    """Return judged rows of a recipe `own` and of `rule`, whose figures are half as large."""
    count = len(next(iter(columns.values())))
    base = pd.DataFrame(dict.fromkeys(LIST_METRICS, 0.5), index=range(count)).assign(order_count=1)
    base = base.assign(customer_id=[f"c{number}" for number in range(count)], origin=DAY, **columns)
    halved = base.assign(**{name: base[name] / 2 for name in LIST_METRICS})
    return pd.concat([base.assign(candidate="own"), halved.assign(candidate="rule")], ignore_index=True)


def test_a_mean_is_over_those_for_whom_a_metric_is_defined() -> None:
    rows = rows_of(explore_recall=[0.0, np.nan, 0.6, np.nan] * 10, repeat_recall=[np.nan] * 40)
    resample = Resample(rows["customer_id"], draw_count=200, seed=1)
    found = measure(rows.assign(horizon_days=14), LISTS, resample=resample, judged_days=14)
    explore = found.summaries["own"][14]["explore_recall_at_10"]
    assert explore.mean == pytest.approx(0.3)
    assert explore.low is not None
    assert explore.high is not None
    assert explore.low < 0.3 < explore.high
    nothing = found.summaries["own"][14]["repeat_recall_at_10"]
    assert (nothing.mean, nothing.low, nothing.by_origin) == (None, None, {DAY: None})


def test_exposure_is_summed_up_like_every_other_metric() -> None:
    rows = rows_of(recall=[0.5] * 20)
    resample = Resample(rows["customer_id"], draw_count=200, seed=1)
    found = measure(rows.assign(horizon_days=14), LISTS, resample=resample, judged_days=14)
    lists = shown(*((f"c{number}", 1, f"p{number % 5}") for number in range(20)))
    exposures = {("own", DAY): Exposure.of(lists, [f"c{n}" for n in range(20)], offered_count=10)}
    add_exposure(found, exposures, rows, resample=resample, judged_days=14)
    told = found.summaries["own"][14]["coverage_at_10"]
    assert told.mean == 0.5
    assert told.by_origin == {DAY: 0.5}
    assert told.low is not None
    assert told.low <= 0.5
    assert "coverage_at_10" not in found.summaries["rule"][14]


def test_segments_are_cut_by_orders_before_the_origin() -> None:
    rows = rows_of(order_count=[1, 2, 4, 5, 9, 10, 300], ndcg=[0.2, 0.4, 0.6, 0.8, 1.0, 0.5, 0.7])
    found = segments_of(rows, "own", "rule", resample=Resample(rows["customer_id"], draw_count=200, seed=1))
    assert [(part.name, part.customer_count) for part in found] == [
        ("1", 1), ("2 to 4", 2), ("5 to 9", 2), ("10 or more", 2),
    ]  # fmt: skip
    assert [part.metrics["own"]["ndcg_at_10"] for part in found] == pytest.approx([0.2, 0.5, 0.9, 0.6])
    assert [part.metrics["rule"]["ndcg_at_10"] for part in found] == pytest.approx([0.1, 0.25, 0.45, 0.3])
    against = found[1].against
    assert against is not None
    assert against.mean == pytest.approx(0.25)
    assert against.low <= 0.25 <= against.high


def test_discovery_is_compared_customer_by_customer() -> None:
    """Of 40 who bought from a new category cross_sell was right for 30, the popular ones for the other 10."""
    right = [1.0, 1.0, 1.0, 0.0] * 10
    rows = rows_of(discovery=[*right, np.nan], popular_discovery=[1 - value for value in right] + [np.nan])
    resample = Resample(rows["customer_id"], draw_count=200, seed=1)
    gain = discovery_gain(rows[rows["candidate"] == "own"], resample=resample)
    assert gain is not None
    assert (gain.rival, gain.mean) == ("popular", 0.5)
    assert 0.2 < gain.low < 0.5 < gain.high < 0.8
    assert discovery_gain(rows.assign(discovery=np.nan), resample=resample) is None


def test_a_segment_without_customers_and_a_recipe_without_rival_say_nothing() -> None:
    rows = rows_of(order_count=[3, 3])
    rows = rows[rows["candidate"] == "own"]
    resample = Resample(rows["customer_id"], draw_count=100, seed=1)
    (only,) = segments_of(rows, "own", None, resample=resample)
    assert (only.name, only.customer_count, only.against) == ("2 to 4", 2, None)
