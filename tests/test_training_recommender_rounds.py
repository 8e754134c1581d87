"""One round of the recommenders' back-test on real histories: the truth, the candidates, and the edges."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from judged_shop import context_at
from recommender_shop import Line, Product, day, settings, write_shop

from models.recommender.candidates import recommender_candidates
from models.recommender.material import build_material
from training import verdicts
from training.list_tables import list_lines, list_tables
from training.list_truth import OF_WHAT_IS_SHOWN, Truth, read_purchases, truth_of
from training.recommender_rounds import LIST_METRICS, RecommenderRound, recommender_round

CHOSEN = settings(outcome_days=10, popularity_days=30, factor_count=2, regularization=0.1)
ORIGIN = day(20)
FOOD: list[Product] = [
    ("tea", "drinks", None), ("milk", "dairy", None), ("jam", "sweets", None), ("ham", "meat", None),
    ("pan", None, None),
]  # fmt: skip


def truth_at(folder: Path, lines: Sequence[Line], products: Sequence[Product] = ()) -> Truth:
    shop = write_shop(folder, lines, products)
    material = build_material(shop, ORIGIN, settings=CHOSEN)
    return truth_of(material, read_purchases(shop, ORIGIN, outcome_days=10))


def round_at(folder: Path, lines: Sequence[Line], products: Sequence[Product] = ()) -> RecommenderRound:
    shop = write_shop(folder, lines, products)
    material = build_material(shop, ORIGIN, settings=CHOSEN)
    purchases = read_purchases(shop, ORIGIN, outcome_days=10)
    return recommender_round(recommender_candidates(CHOSEN), material, purchases)


def test_the_truth_is_what_known_customers_bought_in_the_window(tmp_path: Path) -> None:
    """The newcomer and the purchase of day 30 are no part of it; what is bought twice counts once."""
    lines: list[Line] = [
        ("ann", "tea", 1.0, 1, 1.0), ("ann", "tea", 5.0, 1, 1.0), ("bob", "milk", 2.0, 1, 1.0),
        ("cat", "jam", 3.0, 1, 1.0), ("ann", "tea", 20.0, 1, 1.0), ("ann", "tea", 21.0, 1, 1.0),
        ("ann", "milk", 29.0, 1, 1.0), ("bob", "jam", 30.0, 1, 1.0), ("new", "tea", 25.0, 1, 1.0),
    ]  # fmt: skip
    truth = truth_at(tmp_path, lines, FOOD)
    assert truth.purchases.to_dict("split")["data"] == [["ann", "milk", False], ["ann", "tea", True]]
    assert truth.order_counts.to_dict() == {"ann": 2}
    assert truth.buyer_shares == pytest.approx({"tea": 1 / 3, "milk": 1 / 3, "jam": 1 / 3})
    assert truth.rarest == pytest.approx(1 / 3)
    assert truth.offered_count == 3
    assert truth.undefined == {}


def test_a_discovery_stands_where_the_categories_before_it_are_new_too(tmp_path: Path) -> None:
    """By buyers: drinks (3), dairy (2), sweets (1). ann knows drinks: dairy comes first for her, then sweets.

    Nobody bought meat before, so no list by popularity names it; the pan has no category.
    """
    lines: list[Line] = [(who, "tea", 1.0, 1, 1.0) for who in ("ann", "bob", "cat")]
    lines += [(who, "milk", 2.0, 1, 1.0) for who in ("bob", "cat")] + [("cat", "jam", 3.0, 1, 1.0)]
    lines += [("ann", what, 22.0, 1, 1.0) for what in ("tea", "jam", "ham", "pan")]
    lines += [("bob", "jam", 22.0, 1, 1.0), ("cat", "milk", 22.0, 1, 1.0)]
    found = truth_at(tmp_path, lines, FOOD).discoveries
    assert found[["customer_id", "category"]].to_dict("split")["data"] == [
        ["ann", "meat"], ["ann", "sweets"], ["bob", "sweets"],
    ]  # fmt: skip
    np.testing.assert_allclose(found["popular_place"], [np.nan, 2.0, 1.0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("products", "reason"),
    [
        ([], "no product has a category"),
        ([("tea", "drinks", None), ("milk", "drinks", None)], "all products are of one category"),
        ([("tea", "drinks", None), ("milk", "dairy", None)], "nobody bought from a category new to them"),
    ],
)
def test_discovery_that_cannot_be_told_says_why(tmp_path: Path, products: list[Product], reason: str) -> None:
    lines: list[Line] = [
        (who, what, when, 1, 1.0) for who in "ab" for what in ("tea", "milk") for when in (1.0, 8.0, 22.0)
    ]
    found = round_at(tmp_path, lines, products)
    assert found.undefined["discovery_at_10"] == reason
    assert found.undefined["popular_discovery_at_10"] == reason
    assert found.undefined["explore_recall_at_10"] == "nobody bought anything that was new to them"
    assert found.metrics["discovery"].isna().all()
    assert (found.metrics["repeat_recall"] == 1.0).all()
    assert set(found.metrics["candidate"]) == set(recommender_candidates(CHOSEN))


def test_one_product_is_judged_and_told(tmp_path: Path) -> None:
    lines: list[Line] = [(f"c{n}", "tea", when, 1, 1.0) for n in range(6) for when in (1.0, 8.0, 22.0)]
    found = round_at(tmp_path, lines)
    assert (found.metrics["precision"] == 0.1).all()
    assert (found.metrics["novelty"] == 0.0).all()
    context = context_at(tmp_path / "context")
    told = verdicts.recommender_result(
        context, found.metrics, {}, exposures=found.exposures, undefined=found.undefined
    )
    metrics = told.candidates[str(told.winner)].metrics[told.horizon_days]
    assert metrics["coverage_at_10"].mean == 1.0
    assert metrics["discovery_at_10"].mean is None
    assert told.undefined["discovery_at_10"] == "no product has a category"
    words = "\n".join(list_lines(told))
    assert "discovery hit@10 is not defined: no product has a category" in words
    assert "explore" in words
    assert [table.caption for table in list_tables(told) if "Discovery" in table.caption] == []


def test_nothing_on_offer_is_said(tmp_path: Path) -> None:
    products: list[Product] = [("tea", "drinks", None, {"in_stock": False})]
    lines: list[Line] = [("ann", "tea", when, 1, 1.0) for when in (1.0, 8.0, 22.0)]
    found = round_at(tmp_path, lines, products)
    assert (found.metrics["recall"] == 0.0).all()
    assert found.metrics[["novelty", "fallback_share"]].isna().all(axis=None)
    assert {found.undefined[name] for name in OF_WHAT_IS_SHOWN} == {"nothing is on offer"}


def test_where_nobody_bought_the_round_says_so(tmp_path: Path) -> None:
    found = round_at(tmp_path, [("ann", "tea", 1.0, 1, 1.0), ("new", "tea", 25.0, 1, 1.0)])
    assert found.metrics.empty
    assert found.left_out == {
        f"all, {ORIGIN.date}": "nobody who was known then bought a product in the window after it"
    }


def test_without_products_every_candidate_is_left_out(tmp_path: Path) -> None:
    found = round_at(tmp_path, [("ann", None, 1.0, 1, 1.0), ("ann", None, 22.0, 1, 1.0)])
    assert set(recommender_candidates(CHOSEN)) <= set(found.left_out)
    assert found.metrics.empty


def test_every_metric_of_a_round_is_in_its_table(tmp_path: Path) -> None:
    lines: list[Line] = [
        (f"c{n:02}", f"p{(n + step) % 8}", 2.0 * step, 1, 1.0 + step) for n in range(24) for step in range(15)
    ]
    products: list[Product] = [(f"p{n}", f"category {n // 2}", None) for n in range(8)]
    found = round_at(tmp_path, lines, products)
    assert {"candidate", "origin", "customer_id", "order_count", *LIST_METRICS} == set(found.metrics.columns)
    assert set(found.exposures) == {(name, ORIGIN.date) for name in recommender_candidates(CHOSEN)}
    popular = found.metrics[found.metrics["candidate"] == "popular"]
    assert (popular["fallback_share"] == 1.0).all()
    own = found.metrics[found.metrics["candidate"] == "item_knn"]
    assert (own["fallback_share"] < 1.0).all()
