"""Odd shops: every recommender answers with lists, or says by name why a kind has none."""

import random
from pathlib import Path

import pandas as pd
import pytest
from recommender_shop import Line, Product, day, settings, write_shop

from features.interactions import build_interactions
from features.slots import CUSTOMER_KINDS, ITEM_KINDS, KINDS, SHOP_KINDS
from models.contract import NotEnoughDataError
from models.recommender.candidates import recommender_candidates
from models.recommender.contract import Recommender
from models.recommender.material import build_material

CHOSEN = settings(outcome_days=14, popularity_days=28, factor_count=4)
NAMES = tuple(recommender_candidates(CHOSEN))
CUSTOMERS = [f"c{number}" for number in range(25)]
COUNT = 12


def lines(*, product_count: int = COUNT, price: float | None = None) -> list[Line]:
    """Return 60 days of orders of two different products each, the same for the same arguments."""
    dice = random.Random(5)
    found: list[Line] = []
    for customer in CUSTOMERS:
        for moment in range(0, 60, 7):
            for number in dice.sample(range(product_count), min(2, product_count)):
                found.append(
                    (customer, f"p{number:02}", moment + 0.5, 1, number + 1.0 if price is None else price)
                )
    return found


def catalogue(*, categories: int, needs: int) -> list[Product]:
    return [
        (f"p{n:02}", f"k{n % categories}", f"s{n % needs}" if needs else None, {"name": f"thing {n % 5}"})
        for n in range(COUNT)
    ]


SHOPS: dict[str, tuple[list[Line], list[Product], dict[str, str]]] = {
    "one category": (lines(), catalogue(categories=1, needs=0), {"cross_sell": "one_category"}),
    "one product": (
        lines(product_count=1),
        [("p00", "k", "s")],
        {
            "cross_sell": "one_category",
            "upsell": "no_dearer_item",
            "similar": "nothing_alike",
            "bundle": "nothing_bought_together",
        },
    ),
    "equal prices": (lines(price=5.0), catalogue(categories=3, needs=6), {"upsell": "no_dearer_item"}),
    "no categories": (lines(), [], {"cross_sell": "no_category", "upsell": "no_category"}),
    "no prices": (lines(price=0.0), catalogue(categories=3, needs=6), {"upsell": "no_price"}),
}


def all_lists(
    recommender: Recommender, shop: Path, orders: list[Line], products: list[Product]
) -> pd.DataFrame:
    history = write_shop(shop, orders, products)
    recommender.fit(build_material(history, day(60), settings=CHOSEN))
    known = build_interactions(history, day(60), settings=CHOSEN)
    own = recommender.recommend(
        known, customer_ids=[*CUSTOMERS, "nobody"], snapshot=day(60), kinds=CUSTOMER_KINDS, depth=10
    )
    shops = recommender.shop_lists(snapshot=day(60), depth=10)
    items = recommender.item_lists(recommender.items()["product_id"].to_list(), depth=10)
    return pd.concat([own, shops, items], ignore_index=True)


@pytest.mark.parametrize("shop", SHOPS)
@pytest.mark.parametrize("name", NAMES)
def test_an_odd_shop_gets_lists_or_the_reason(tmp_path: Path, name: str, shop: str) -> None:
    orders, products, reasons = SHOPS[shop]
    recommender = recommender_candidates(CHOSEN)[name]
    found = all_lists(recommender, tmp_path, orders, products)
    missing = {kind: why for kind in KINDS if (why := recommender.unavailable(kind)) is not None}
    assert reasons.items() <= missing.items()
    assert not set(missing) & set(found["kind"])
    for_you = found[found["kind"] == "for_you"].groupby("customer_id").size()
    assert set(for_you) == {min(10, len(recommender.items()))}
    assert set(for_you.index) == {*CUSTOMERS, "nobody"}
    assert found["score"].notna().all()
    of_one_list = found["customer_id"].fillna("").astype(str) + found.get(
        "of_product_id", pd.Series("", found.index)
    ).fillna("").astype(str)
    assert not found.assign(owner=of_one_list).duplicated(["owner", "kind", "product_id"]).any()


@pytest.mark.parametrize("name", NAMES)
def test_returns_alone_are_no_purchases(tmp_path: Path, name: str) -> None:
    returned: list[Line] = [
        (customer, product, moment, 1, -price) for customer, product, moment, _, price in lines()
    ]
    history = write_shop(tmp_path, returned, catalogue(categories=3, needs=6))
    with pytest.raises(NotEnoughDataError, match="no_product"):
        recommender_candidates(CHOSEN)[name].fit(build_material(history, day(60), settings=CHOSEN))


def test_kinds_are_complete() -> None:
    assert {*CUSTOMER_KINDS, *SHOP_KINDS, *ITEM_KINDS} == {*KINDS}
