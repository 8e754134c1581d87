"""The stages of the blend by hand: item neighbours, their evidence, the order chance, lessons."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from recommender_shop import day, settings, write_shop
from scipy import sparse
from scipy.special import expit, logit

from features.interactions import ORDER_WEIGHTS, build_interactions
from features.items import build_items
from models.recommender.catalogue import Catalogue
from models.recommender.ease import ease_weights
from models.recommender.factors import AlsSettings, ItemFactors, als_bytes, one_blas_thread
from models.recommender.lessons import Lessons, join_lessons, level_shift, thin_lessons
from models.recommender.neighbours import ItemNeighbours
from models.recommender.order_chance import CHANCE_FEATURES, OrderChance
from models.recommender.shoppers import Shoppers, read_shoppers

# Six customers: a and b go together, c is everybody's.
BOUGHT = np.array([[2, 1, 1], [1, 1, 1], [3, 1, 1], [0, 0, 1], [0, 0, 4], [1, 0, 1]], dtype=np.float32)


@pytest.fixture
def neighbours() -> ItemNeighbours:
    return ItemNeighbours.fit(sparse.csr_matrix(BOUGHT))


def test_neighbours_count_the_customers_who_bought_both(neighbours: ItemNeighbours) -> None:
    assert_array_equal(neighbours.customer_counts, [4, 3, 6])
    assert neighbours.customer_total == 6
    # a: 4 joint with c and 3 with b; 4 / √(24·26) > 3 / √(24·23)
    assert_array_equal(neighbours.items[0, :3], [2, 1, -1])
    assert_array_equal(neighbours.joint[0, :3], [4, 3, 0])


def test_neighbour_scores_are_weights_times_likeness(neighbours: ItemNeighbours) -> None:
    found = neighbours.scores(_shoppers([(0, 0, 2.0), (1, 1, 1.0), (1, 2, 0.5)], count=3)).toarray()
    likeness = np.array(
        [
            [0, 3 / np.sqrt(24 * 23), 4 / np.sqrt(24 * 26)],
            [3 / np.sqrt(24 * 23), 0, 3 / np.sqrt(23 * 26)],
            [4 / np.sqrt(24 * 26), 3 / np.sqrt(23 * 26), 0],
        ]
    )
    profiles = np.log1p(np.array([[2.0, 0, 0], [0, 1.0, 0.5], [0, 0, 0]]))
    assert_allclose(found, profiles @ likeness)


def test_evidence_is_owned_and_says_more_than_that_everybody_buys_it() -> None:
    twice = ItemNeighbours.fit(sparse.csr_matrix(np.vstack([BOUGHT, BOUGHT])))
    shoppers = _shoppers([(0, 0, 1.0), (1, 2, 1.0)], count=2)
    rows, asked = np.array([0, 0, 1]), np.array([1, 2, 0])
    owned, shares = twice.evidence(asked, rows, shoppers)
    # b for an owner of a: 3 of 4 buyers, of all 3 of 6; all buy c; a for an owner of c: 4 of 6, as all do
    assert_array_equal(owned, [0, -1, -1])
    assert_allclose(shares, [0.75, np.nan, np.nan])


def test_evidence_of_fewer_than_five_customers_is_none(neighbours: ItemNeighbours) -> None:
    owned, shares = neighbours.evidence(np.array([1]), np.array([0]), _shoppers([(0, 0, 1.0)], count=1))
    assert_array_equal(owned, [-1])
    assert_array_equal(shares, [np.nan])


def test_ease_weights_rebuild_what_two_things_share() -> None:
    # (XᵀX + I)⁻¹ of counts 4 and 4 with 2 joint is [[5, -2], [-2, 5]] ÷ 21
    assert_allclose(ease_weights(np.array([[4.0, 2], [2, 4]]), penalty=1.0), [[0, 0.4], [0.4, 0]])


def test_neighbours_come_back_from_their_arrays(neighbours: ItemNeighbours) -> None:
    again = ItemNeighbours.restore(neighbours.arrays())
    shoppers = _shoppers([(0, 0, 2.0)], count=1)
    assert_array_equal(again.scores(shoppers).toarray(), neighbours.scores(shoppers).toarray())
    assert again.customer_total == neighbours.customer_total


def test_the_order_chance_follows_the_silence() -> None:
    generator = np.random.default_rng(1)
    silent = generator.uniform(0, 100, 4_000)
    features = np.zeros((4_000, len(CHANCE_FEATURES)), dtype=np.float32)
    features[:, CHANCE_FEATURES.index("silent_days")] = silent
    ordered = generator.random(4_000) < np.where(silent < 50, 0.6, 0.1)
    chance = OrderChance.fit(features, ordered, seed=0)
    recent, lost = chance.predict(_shoppers([(0, 0, 0.0), (1, 0, 0.0)], count=2, silent_days=[20.0, 80.0]))
    assert recent == pytest.approx(0.6, abs=0.1)
    assert lost == pytest.approx(0.1, abs=0.1)


def test_with_few_outcomes_the_order_chance_is_everybodys() -> None:
    features = np.zeros((30, len(CHANCE_FEATURES)), dtype=np.float32)
    chance = OrderChance.fit(features, np.arange(30) < 7, seed=0)
    assert_allclose(chance.predict(_shoppers([(0, 0, 1.0)], count=3)), 8 / 32)


def test_the_level_shift_makes_expected_purchases_equal_those_made() -> None:
    margins = np.linspace(-3, 1, 400)
    hit = np.arange(400) % 4 == 0
    lesson = Lessons(np.zeros((400, 1), np.float32), hit, np.ones(400), np.full(400, 1.0))
    shifted = expit(margins + level_shift(lambda _: margins, lesson))
    assert shifted.sum() == pytest.approx(100)
    told = np.full(400, logit(0.25))
    assert level_shift(lambda _: told, lesson) == pytest.approx(0.0, abs=1e-9)


def test_thinned_misses_stand_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.recommender.lessons._ROWS_MAX", 150)
    hit = np.arange(1_000) < 50
    lesson = Lessons(np.arange(1_000, dtype=np.float32)[:, None], hit, np.full(1_000, 0.5), np.ones(1_000))
    thin = thin_lessons(lesson, seed=3)
    assert (len(thin.hit), thin.hit.sum()) == (150, 50)
    assert thin.counts.sum() == pytest.approx(1_000)
    assert thin.weights.sum() == pytest.approx(500)
    assert thin_lessons(thin, seed=3) is thin
    assert len(join_lessons([thin, thin]).hit) == 300


def test_an_order_counts_half_for_every_half_life(tmp_path_factory: pytest.TempPathFactory) -> None:
    shop = write_shop(
        tmp_path_factory.mktemp("shop"), [("ann", "tea", 10.0, 1, 2.0), ("bob", "tea", 40.0, 1, 2.0)]
    )
    chosen = settings()
    interactions = build_interactions(shop, day(70), settings=chosen)
    items = build_items(shop, day(70), settings=chosen)
    shoppers = read_shoppers(interactions, ["ann", "bob"], catalogue=Catalogue(items), snapshot=day(70))
    month = list(ORDER_WEIGHTS).index("order_weight_30")
    assert_allclose(shoppers.order_weights[:, month], [0.25, 0.5])
    assert_allclose(shoppers.order_weight_sums()[:, month], [0.25, 0.5])
    assert items["order_weight_30"].to_list() == [0.75]


def _shoppers(
    pairs: list[tuple[int, int, float]], *, count: int, silent_days: list[float] | None = None
) -> Shoppers:
    """Return shoppers who own (row, item, order weight) pairs, ordered as given."""
    rows, items = (np.array([pair[place] for pair in pairs], dtype=np.int64) for place in (0, 1))
    weights = np.array([pair[2] for pair in pairs])
    size = len(pairs)
    nothing = np.zeros(0, np.int64)
    return Shoppers(
        count=count,
        rows=rows,
        items=items,
        order_counts=np.ones(size),
        recent_counts=np.ones(size),
        order_weights=np.column_stack([weights] * len(ORDER_WEIGHTS)),
        ages_days=np.ones(size),
        spans_days=np.zeros(size),
        ranked=np.arange(size),
        repeats=np.ones(size, dtype=bool),
        category_rows=nothing,
        category_nos=nothing,
        order_counts_all=np.ones(count),
        silent_days=np.ones(count) if silent_days is None else np.array(silent_days),
        tenures_days=np.ones(count),
    )


def test_als_learns_from_every_so_manieth_customer_where_all_do_not_fit() -> None:
    # (6 customers + 3 items) x 2 factors and 4 numbers for each of the 13 pairs, 4 bytes each
    owned, als = sparse.csr_matrix(BOUGHT), AlsSettings(factor_count=2, iteration_count=2)
    assert owned.nnz == 13
    assert als_bytes(6, 3, 13, factor_count=2) == 280
    with one_blas_thread():
        fits, half, same = (
            ItemFactors.fit(owned, als, bytes_max=280),
            ItemFactors.fit(owned, als, bytes_max=279),
            ItemFactors.fit(owned[[0, 2, 4]], als),
        )
    assert (fits.customer_share, half.customer_share) == (1.0, 0.5)
    assert_array_equal(half.vectors, same.vectors)
    assert half.vectors.shape == (3, 2)
