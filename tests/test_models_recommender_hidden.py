"""Hidden products: the lists are those of a recommender that knew at its training that they are sold out."""

from pathlib import Path

import pandas as pd
import pytest
from recommender_shop import Line, Product, day, settings, write_shop

from features.history import History
from features.interactions import build_interactions
from features.slots import CUSTOMER_KINDS, ITEM_KINDS, KINDS
from models.recommender.candidates import recommender_candidates
from models.recommender.contract import Recommender
from models.recommender.material import build_material

CHOSEN = settings(outcome_days=7, popularity_days=28, factor_count=4)
AT = day(70)
DEPTH = 8
NEW = ["w new", "x new"]
PRODUCTS = [f"{category}{number}" for category in "wxyz" for number in range(6)]
CUSTOMERS = [f"c{buyer}" for buyer in range(24)]
HIDDEN = ("w0", "w1", "x0", "x3", "y5", "z2", "w new", "not a product")
METHODS = sorted(recommender_candidates(CHOSEN))


def shop(folder: Path, *, sold_out: tuple[str, ...]) -> History:
    """Write pairs that meet in one basket, categories that not all buy, and two products just launched."""
    lines: list[Line] = [
        (customer, product, 7.0 * week, 1, 2.0 + place % 6)
        for week in range(10)
        for place, product in enumerate(PRODUCTS)
        for buyer, customer in enumerate(CUSTOMERS)
        if (buyer + place // 2) % 5 < 2 and week % (1 + place % 3) == 0 and product[0] != "wxyz"[buyer % 4]
    ]
    launched = {"launched_on": day(60).date}
    products: list[Product] = [
        (name, name[0], None, {"in_stock": name not in sold_out} | (launched if name in NEW else {}))
        for name in [*NEW, *PRODUCTS]
    ]
    return write_shop(folder, lines, products)


def fitted(name: str, history: History) -> Recommender:
    return recommender_candidates(CHOSEN)[name].fit(build_material(history, AT, settings=CHOSEN))


def all_lists(recommender: Recommender, history: History) -> pd.DataFrame:
    """Return every list as one frame."""
    customers = recommender.recommend(
        build_interactions(history, AT, settings=CHOSEN),
        customer_ids=[*CUSTOMERS, "nobody"],
        snapshot=AT,
        kinds=CUSTOMER_KINDS,
        depth=DEPTH,
    )
    items = recommender.item_lists(recommender.items()["product_id"].to_list(), depth=DEPTH)
    items = items.set_axis(customers.columns, axis="columns")
    return pd.concat([customers, recommender.shop_lists(snapshot=AT, depth=DEPTH), items], ignore_index=True)


@pytest.mark.parametrize("name", METHODS)
def test_other_products_take_the_places(tmp_path: Path, name: str) -> None:
    stocked = shop(tmp_path / "stocked", sold_out=())
    recommender = fitted(name, stocked)
    before = all_lists(recommender, stocked)
    recommender.hide(HIDDEN)
    hidden = all_lists(recommender, stocked)
    assert set(before["product_id"]) & set(HIDDEN)
    assert not set(hidden["product_id"]) & set(HIDDEN)
    assert set(before["kind"]) == set(hidden["kind"]) == {*CUSTOMER_KINDS, "popular", "new", *ITEM_KINDS}
    lengths = hidden[hidden["kind"] == "for_you"].groupby("customer_id").size()
    assert lengths.to_list() == [DEPTH] * (len(CUSTOMERS) + 1)


@pytest.mark.parametrize("name", ["als", "item_knn", "popular", "top_freq"])
def test_lists_are_those_of_a_training_that_knew(tmp_path: Path, name: str) -> None:
    """But for `similar`, which leaves out what goes with an item, be it sold out or not."""
    stocked = shop(tmp_path / "stocked", sold_out=())
    recommender, knew = fitted(name, stocked), fitted(name, shop(tmp_path / "out", sold_out=HIDDEN))
    recommender.hide(HIDDEN)
    found, expected = (all_lists(one, stocked) for one in (recommender, knew))
    pd.testing.assert_frame_equal(found[found["kind"] != "similar"], expected[expected["kind"] != "similar"])
    ranks = (recommender.items()["popular_rank"], knew.items()["popular_rank"])
    pd.testing.assert_series_equal(*ranks)


def test_similar_lists_and_pairs_close_up(tmp_path: Path) -> None:
    stocked = shop(tmp_path / "stocked", sold_out=())
    recommender = fitted("item_knn", stocked)
    products = recommender.items()["product_id"].to_list()
    deep, pairs = recommender.item_lists(products, depth=50), recommender.item_pairs()
    recommender.hide(HIDDEN)
    found, kept = recommender.item_lists(products, depth=3), deep[~deep["product_id"].isin(HIDDEN)]
    ranks = kept.groupby(["of_product_id", "kind"], sort=False).cumcount() + 1
    expected = kept.assign(rank=ranks)[ranks <= 3]
    assert len(expected) < len(deep)
    pd.testing.assert_frame_equal(found, expected.reset_index(drop=True))
    left = pairs[~pairs["partner_product_id"].isin(HIDDEN)]
    assert len(left) < len(pairs)
    pd.testing.assert_frame_equal(recommender.item_pairs(), left.reset_index(drop=True))


@pytest.mark.parametrize("name", METHODS)
def test_what_is_hidden_no_more_comes_back(tmp_path: Path, name: str) -> None:
    stocked = shop(tmp_path / "stocked", sold_out=())
    recommender = fitted(name, stocked)
    before = all_lists(recommender, stocked)
    recommender.hide(HIDDEN)
    recommender.hide(())
    pd.testing.assert_frame_equal(all_lists(recommender, stocked), before)


def test_where_everything_is_hidden_no_kind_has_a_list(tmp_path: Path) -> None:
    stocked = shop(tmp_path / "stocked", sold_out=())
    recommender = fitted("top_freq", stocked)
    assert recommender.unavailable("bundle") is None
    recommender.hide([*PRODUCTS, *NEW])
    assert [recommender.unavailable(kind) for kind in KINDS] == ["no_product"] * len(KINDS)
    assert all_lists(recommender, stocked).empty
    recommender.hide([*NEW, *(name for name in PRODUCTS if name != "w0")])
    assert recommender.unavailable("popular") is None
    assert recommender.unavailable("trending") == "nothing_rises"
    assert recommender.item_lists(["w0"], depth=DEPTH).empty
