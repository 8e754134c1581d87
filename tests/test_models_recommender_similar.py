"""`similar`: substitutes by need, words, price, brand and customers; also for what was never sold."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as checks
from hypothesis import strategies as st
from recommender_shop import Line, Product, day, settings, write_shop

from features.history import History
from features.items import ITEM_SCHEMA
from models.recommender import similar
from models.recommender.baselines import Popular
from models.recommender.bundles import BundleTable
from models.recommender.catalogue import Catalogue
from models.recommender.material import build_material
from models.recommender.neighbours import ItemNeighbours
from models.recommender.similar import SimilarTable

CHOSEN = settings(popularity_days=90)
PRODUCTS: list[Product] = [
    ("red mug", "kitchen", "mugs", {"name": "Stone mug red"}),
    ("blue mug", "kitchen", "mugs", {"name": "Stone mug blue"}),
    ("fine mug", "kitchen", "mugs", {"name": "China cup"}),
    ("spoon", "kitchen", "spoons", {"name": "Stone spoon"}),
    ("spade", "garden", "tools", {"name": "Spade"}),
    (
        "new mug",
        "kitchen",
        "mugs",
        {"name": "Stone mug green", "launched_on": date(2026, 1, 20), "list_price_minor": 80_000},
    ),
    ("gift 20", None, None, {"name": "Gift card 20"}),
    ("gift 50", None, None, {"name": "Gift card 50"}),
]
PRICES = {"red mug": 8.0, "blue mug": 8.0, "fine mug": 20.0, "spoon": 4.0, "spade": 30.0}


def one_each(prices: dict[str, float]) -> list[Line]:
    return [(f"c-{product}", product, 5.0, 1, price) for product, price in prices.items()]


def likes(shop: History, product: str, at: int = 30) -> pd.DataFrame:
    recommender = Popular().fit(build_material(shop, day(at), settings=CHOSEN))
    found = recommender.item_lists([product], depth=20)
    return found[found["kind"] == "similar"].set_index("product_id")


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> History:
    lines = one_each({**PRICES, "gift 20": 20.0, "gift 50": 50.0})
    return write_shop(tmp_path_factory.mktemp("kitchen"), lines, PRODUCTS)


def test_the_same_need_comes_first_then_the_category(kitchen: History) -> None:
    found = likes(kitchen, "red mug")
    assert found.index.tolist() == ["blue mug", "new mug", "fine mug", "spoon"]
    assert (found["score"].iloc[:3] > 2 / 3).all()
    assert 1 / 3 < found["score"].iloc[3] < 2 / 3
    assert set(found["reason"]) == {"similar_to"}
    assert set(found["source"]) == {"item"}
    assert set(found["evidence_product_id"]) == {"red mug"}


def test_an_item_without_any_sale_has_a_list(kitchen: History) -> None:
    assert likes(kitchen, "new mug").index.tolist() == ["blue mug", "red mug", "fine mug", "spoon"]


def test_without_a_category_words_of_the_name_decide(kitchen: History) -> None:
    assert likes(kitchen, "gift 20").index.tolist() == ["gift 50"]
    assert likes(kitchen, "spade").empty


def test_what_is_not_offered_is_no_substitute_but_has_some(tmp_path: Path) -> None:
    gone: Product = ("red mug", "kitchen", "mugs", {"name": "Stone mug red", "in_stock": False})
    shop = write_shop(tmp_path, one_each(PRICES), [gone, *PRODUCTS[1:]])
    assert "red mug" not in likes(shop, "blue mug").index
    assert likes(shop, "red mug").index[0] == "blue mug"


def test_the_nearer_price_and_the_same_brand_are_more_alike(tmp_path: Path) -> None:
    brands = {"a": "x", "b": "y", "c": "y", "d": "x"}
    prices = {"a": 10.0, "b": 11.0, "c": 30.0, "d": 30.0}
    products: list[Product] = [(name, "k", "n", {"brand": brand}) for name, brand in brands.items()]
    shop = write_shop(tmp_path, one_each(prices), products)
    found = likes(shop, "a")
    assert found.index.tolist() == ["b", "d", "c"]
    wanted = [0.2 * 10 / 11, 0.2 * 10 / 30 + 0.1, 0.2 * 10 / 30]
    assert (3 * found["score"] - 2).tolist() == pytest.approx(wanted)


def test_what_the_same_customers_buy_of_a_need_is_more_alike(tmp_path: Path) -> None:
    """Everybody tries b after a; c is bought by others."""
    lines = [line for n in range(20) for line in (
        (f"x{n}", "a", 1.0, 1, 5.0), (f"x{n}", "b", 9.0, 1, 5.0), (f"y{n}", "c", 1.0, 1, 5.0)
    )]  # fmt: skip
    shop = write_shop(tmp_path, lines, [(name, "k", "n") for name in "abc"])
    found = likes(shop, "a")
    assert found.index.tolist() == ["b", "c"]
    assert (3 * found["score"] - 2).tolist() == pytest.approx([0.2 + 0.3, 0.2])


def test_what_is_bought_together_is_no_substitute(tmp_path: Path) -> None:
    """Without categories: b is bought after a, p with a in one basket, neither by anybody else."""
    lines: list[Line] = []
    for number in range(20):
        lines += [(f"x{number}", "a", 1.0, 1, 5.0), (f"x{number}", "p", 1.0, 1, 5.0)]
        lines += [(f"x{number}", "b", 9.0, 1, 5.0)]
        lines += [(f"z{number}{place}", "other", 3.0, 1, 1.0) for place in range(8)]
    shop = write_shop(tmp_path, lines)
    recommender = Popular().fit(build_material(shop, day(30), settings=CHOSEN))
    found = recommender.item_lists(["a"], depth=5)
    assert dict(found.groupby("kind")["product_id"].apply(list)) == {"bundle": ["p"], "similar": ["b"]}


def test_an_accessory_of_the_same_category_is_not_more_alike(tmp_path: Path) -> None:
    """Without subcategories: the kit goes into one basket with the shoe, the boot is bought after it."""
    lines: list[Line] = []
    for number in range(20):
        lines += [(f"x{number}", "shoe", 1.0, 1, 5.0), (f"x{number}", "kit", 1.0, 1, 5.0)]
        lines += [(f"x{number}", "boot", 9.0, 1, 5.0)]
        lines += [(f"z{number}{place}", "other", 3.0, 1, 1.0) for place in range(8)]
    products: list[Product] = [(name, "shoes", None) for name in ("shoe", "kit", "boot")]
    found = likes(write_shop(tmp_path, lines, products), "shoe")
    assert found.index.tolist()[0] == "boot"
    assert found.loc["boot", "score"] > found.loc["kit", "score"] + 0.05


@pytest.mark.parametrize("prices", [{"a": 1.0}, {"a": 1.0, "b": 1.0}])
def test_where_nothing_is_known_nothing_is_alike_and_said_so(
    tmp_path: Path, prices: dict[str, float]
) -> None:
    shop = write_shop(tmp_path, one_each(prices))
    recommender = Popular().fit(build_material(shop, day(30), settings=CHOSEN))
    assert recommender.unavailable("similar") == "nothing_alike"
    assert recommender.item_lists(["a"], depth=5).empty


def catalogue_of(rows: list[dict[str, object]]) -> Catalogue:
    """Return a catalogue of made-up items: each row overrides a sold, active item."""
    usual = dict.fromkeys(ITEM_SCHEMA, 0) | {"is_active": True, "in_stock": True, "customer_count": 1}
    texts = dict.fromkeys(("name", "category", "subcategory", "brand"))
    table = [
        usual | texts | {"item_no": number, "product_id": f"p{number}", "unit_price_minor": 1.0} | row
        for number, row in enumerate(rows)
    ]
    return Catalogue(pl.DataFrame(table, schema=ITEM_SCHEMA, strict=False))


def learnt(catalogue: Catalogue) -> SimilarTable:
    size = len(catalogue)
    none = np.full((size, 3), -1, np.int64)
    strangers = ItemNeighbours(none, np.zeros_like(none), np.ones(size, np.int64), 1)
    return SimilarTable.fit(catalogue, strangers, BundleTable.none(size))


def test_the_cut_of_a_huge_need_keeps_the_most_bought(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar, "_POOL_ITEMS_MAX", 30)
    monkeypatch.setattr(similar, "_BLOCK_ITEMS", 7)
    rows: list[dict[str, object]] = [
        {"category": "k", "subcategory": "n", "recent_customer_count": number} for number in range(100)
    ]
    found = learnt(catalogue_of(rows)).items
    assert found[found >= 0].min() == 70
    assert found[0].tolist() == [*range(99, 69, -1), *[-1] * 20]  # all alike: the more popular first
    assert found[99].tolist() == [*range(98, 69, -1), *[-1] * 21]


WORDS = st.none() | st.sampled_from(["", "tea", "green tea", "tea 20 g", "!!"])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "name": WORDS,
            "category": st.none() | st.sampled_from(["k", "l"]),
            "subcategory": st.none() | st.sampled_from(["n", "m"]),
            "brand": st.none() | st.just("x"),
            "unit_price_minor": st.sampled_from([None, 1.0, 2.0]),
            "is_active": st.booleans(),
            "customer_count": st.integers(0, 2),
        }
    ),
    min_size=1,
    max_size=40,
)


@checks(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS)
def test_any_catalogue_gets_lists_that_keep_their_promises(rows: list[dict[str, object]]) -> None:
    catalogue = catalogue_of(rows)
    table = learnt(catalogue)
    for item, (others, scores) in enumerate(zip(table.items, table.scores, strict=True)):
        listed = others[others >= 0]
        assert item not in listed
        assert len(set(listed)) == len(listed)
        assert catalogue.is_available[listed].all()
        assert (np.diff(scores[: len(listed)]) <= 1e-6).all()
        assert ((scores >= 0) & (scores <= 1)).all()
        same_need = (catalogue.need_nos[listed] == catalogue.need_nos[item]) & (catalogue.need_nos[item] >= 0)
        assert (np.diff(same_need.astype(int)) <= 0).all()
