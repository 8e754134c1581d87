"""Products that nobody has bought are in no list of a customer, whatever the method."""

from datetime import date
from pathlib import Path

import pytest
from recommender_shop import Line, Product, day, settings, write_shop

from features.interactions import build_interactions
from features.slots import CUSTOMER_KINDS
from models.recommender.candidates import recommender_candidates
from models.recommender.material import build_material

CHOSEN = settings(outcome_days=7, popularity_days=28, factor_count=4)
SOLD = {f"{category}{number}": category for category in "xyz" for number in range(4)}
UNSOLD = {"x fresh": "x", "y fresh": "y", "w fresh": "w"}


@pytest.mark.parametrize("name", sorted(recommender_candidates(CHOSEN)))
def test_what_was_never_sold_is_in_no_list_of_a_customer(tmp_path: Path, name: str) -> None:
    lines: list[Line] = [
        (f"c{buyer}", product, 7.0 * week + place, 1, 2.0 + place)
        for week in range(8)
        for place, product in enumerate(SOLD)
        for buyer in range(12)
        if (buyer + place) % 2 == week % 2 == 0 and SOLD[product] != "xyz"[buyer % 3]
    ]
    launch: dict[str, object] = {
        "launched_on": date(2026, 2, 20),
        "in_stock": True,
        "list_price_minor": 30_000,
    }
    products: list[Product] = [(product, category, None) for product, category in SOLD.items()]
    products += [(product, category, None, launch) for product, category in UNSOLD.items()]
    shop = write_shop(tmp_path, lines, products)
    recommender = recommender_candidates(CHOSEN)[name].fit(build_material(shop, day(70), settings=CHOSEN))
    assert set(UNSOLD) <= set(recommender.items()["product_id"])
    found = recommender.recommend(
        build_interactions(shop, day(70), settings=CHOSEN),
        customer_ids=[*(f"c{buyer}" for buyer in range(12)), "nobody"],
        snapshot=day(70),
        kinds=CUSTOMER_KINDS,
        depth=50,
    )
    assert set(found["kind"]) == set(CUSTOMER_KINDS)
    assert set(found["product_id"]) <= set(SOLD)
