"""Item k-nearest-neighbours by hand: what an owned item says for itself and for its neighbours."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from recommender_shop import Line, Product, day, settings, write_shop

from features.interactions import build_interactions
from models.recommender.item_knn import ItemKnn
from models.recommender.material import build_material

CHOSEN = settings(outcome_days=14, popularity_days=28)
AT = day(10)


def for_you(
    folder: Path, lines: list[Line], customer: str, products: list[Product] | None = None
) -> pd.DataFrame:
    """Return the list of one customer, from a model that went through its files."""
    shop = write_shop(folder / "shop", lines, products or [])
    ItemKnn().fit(build_material(shop, AT, settings=CHOSEN)).save(folder)
    known = build_interactions(shop, AT, settings=CHOSEN)
    return ItemKnn.load(folder).recommend(
        known, customer_ids=[customer], snapshot=AT, kinds=["for_you"], depth=3
    )


def test_an_owned_item_speaks_for_itself_and_for_what_its_buyers_also_buy(tmp_path: Path) -> None:
    """Of tea's three buyers two also bought milk and one bought jam; ann owns tea alone, bob bought it twice.

    Cosines to tea: milk 2 / √2, jam 1 / √1, each without tea's own √3.
    """
    bought = [
        ("ann", "tea"),
        ("bob", "tea"),
        ("bob", "milk"),
        ("cat", "tea"),
        ("cat", "milk"),
        ("cat", "jam"),
    ]
    lines: list[Line] = [(who, what, 0.0, 1, 1.0) for who, what in bought]
    found = for_you(tmp_path, [*lines, ("bob", "tea", 5.0, 1, 1.0)], "ann")
    weight = np.log1p(0.5 ** (10 / 90))
    total = 2 / np.sqrt(2) + 1
    expected = [weight, weight * 0.3 * (2 / np.sqrt(2)) / total, weight * 0.3 * 1 / total]
    assert found["product_id"].tolist() == ["tea", "milk", "jam"]
    assert found["score"].tolist() == pytest.approx(expected, abs=1e-6)
    assert found["reason"].iloc[0] == "due_again"


def test_what_is_bought_again_and_again_comes_first(tmp_path: Path) -> None:
    lines: list[Line] = [("ann", "tea", float(number), 1, 1.0) for number in range(4)]
    lines += [("ann", "jam", 9.0, 1, 1.0), ("bob", "jam", 9.0, 1, 1.0), ("bob", "tea", 1.0, 1, 1.0)]
    assert for_you(tmp_path, lines, "ann")["product_id"].tolist() == ["tea", "jam"]


def test_a_durable_is_not_offered_to_its_owner_yet_speaks_for_its_neighbours(tmp_path: Path) -> None:
    """Sixty own a sofa and nobody bought it twice; most of them also buy tea, again and again."""
    lines: list[Line] = [(f"b{number}", "sofa", 1.0, 1, 900.0) for number in range(60)]
    lines += [(f"b{number}", "tea", when, 1, 2.0) for number in range(1, 60) for when in (1.0, 5.0)]
    products: list[Product] = [("sofa", "furniture", "seats"), ("tea", "food", "drinks")]
    found = for_you(tmp_path, lines, "b0", products)
    assert found["product_id"].tolist() == ["tea"]
    assert found["score"].tolist() == pytest.approx([0.3 * np.log1p(0.5 ** (9 / 90))], abs=1e-6)
