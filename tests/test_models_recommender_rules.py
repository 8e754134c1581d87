"""Buy again, cross-sell and upsell on hand-made shops, and the packing of lists."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from recommender_shop import Line, Product, day, settings, write_shop

from features.history import History
from features.interactions import build_interactions
from features.settings import Settings
from features.slots import REASONS, unpack_slots
from models.recommender.baselines import Popular
from models.recommender.contract import CustomerKind
from models.recommender.material import build_material
from models.recommender.packing import pack_lists

CHOSEN = settings(outcome_days=14, popularity_days=28)


def served(
    shop: History,
    at: int,
    *,
    kind: CustomerKind,
    customer: str = "ann",
    depth: int = 10,
    chosen: Settings = CHOSEN,
) -> pd.DataFrame:
    """Return one list of one customer; the popular recommender shares every rule with the others."""
    recommender = Popular().fit(build_material(shop, day(at), settings=chosen))
    known = build_interactions(shop, day(at), settings=chosen)
    return recommender.recommend(
        known, customer_ids=[customer], snapshot=day(at), kinds=[kind], depth=depth
    ).set_index("product_id")


def every(days: int, product: str, *, customer: str = "ann", count: int = 5) -> list[Line]:
    return [(customer, product, float(days * number), 1, 2.0) for number in range(count)]


def once_each(product: str, *, count: int = 400) -> list[Line]:
    return [(f"b{number}", product, number % 80 + 0.5, 1, 900.0) for number in range(count)]


# --- buy again


@pytest.fixture(scope="module")
def rhythm(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Everybody buys soap every 20 days until day 80; ann eats an egg a day; sofas are bought once."""
    lines = [line for n in range(20) for line in every(20, "soap", customer=f"s{n}")]
    lines += every(20, "soap") + every(1, "egg", count=81) + [("ann", "sofa", 3.5, 1, 900.0)]
    products: list[Product] = [("soap", "care", None), ("egg", "food", None), ("sofa", "furniture", None)]
    return write_shop(tmp_path_factory.mktemp("rhythm"), lines + once_each("sofa"), products)


@pytest.mark.parametrize(
    ("at", "due_in_days"),
    [
        (85, None),  # a quarter of the usual gap
        (92, 8),  # more than half of it, and due within the window of 14 days
        (100, 0),
        (106, -6),  # overdue
    ],
)
def test_soap_falls_due_by_its_own_rhythm(rhythm: History, at: int, due_in_days: int | None) -> None:
    found = served(rhythm, at, kind="buy_again")
    if due_in_days is None:
        assert "soap" not in found.index
    else:
        assert found.loc["soap", "value"] == due_in_days
        assert found.loc["soap", "reason"] == "due_again"


def test_what_falls_due_says_how_far_off_it_may_be(tmp_path: Path) -> None:
    # everybody's usual gap is 10 days, and the last one took 15: half off
    lines = [(f"s{n}", "soap", day_, 1, 2.0) for n in range(20) for day_ in (0.0, 10.0, 25.0)]
    found = served(write_shop(tmp_path, lines), 35, kind="buy_again", customer="s0")
    # usual from now on: 12.5 days, the customer's own and the item's
    assert found.loc["soap", ["value", "spread"]].tolist() == [2.0, 6.0]
    few = served(write_shop(tmp_path / "few", lines[:9]), 35, kind="buy_again", customer="s0")
    assert np.isnan(few.loc["soap", "spread"])


def test_nothing_is_due_on_the_day_after(rhythm: History) -> None:
    assert "egg" not in served(rhythm, 81, kind="buy_again").index
    assert "egg" in served(rhythm, 82, kind="buy_again").index


def test_a_durable_that_nobody_buys_twice_is_not_repeated(rhythm: History) -> None:
    assert "sofa" not in served(rhythm, 82, kind="buy_again").index


def test_a_durable_is_repeated_to_the_one_who_does_buy_it_again(tmp_path: Path) -> None:
    shop = write_shop(tmp_path, once_each("lamp") + every(30, "lamp", count=3))
    assert "lamp" in served(shop, 82, kind="buy_again").index
    assert "lamp" not in served(shop, 82, kind="buy_again", customer="b1").index


def test_what_was_sent_back_is_not_offered_again(tmp_path: Path) -> None:
    lines = [*every(10, "shoes"), ("ann", "shoes", 41.0, 4, -8.0)]
    assert served(write_shop(tmp_path, lines), 50, kind="buy_again").empty


def test_what_a_customer_owns_says_how_old_it_is_and_whether_it_may_repeat(rhythm: History) -> None:
    recommender = Popular().fit(build_material(rhythm, day(90), settings=CHOSEN))
    known = build_interactions(rhythm, day(90), settings=CHOSEN)
    owned = recommender.owned(known, customer_ids=["nobody", "b3", "ann"], snapshot=day(90))
    names = recommender.items()["product_id"]
    rows = [(row.row, names[row.item_no], row.age_days, row.may_repeat) for row in owned.itertuples()]
    # The last egg and soap were bought on day 80, both sofas at noon of day 3: 86.5 days before.
    assert rows == [
        (1, "sofa", 87, False),
        (2, "egg", 10, True),
        (2, "soap", 10, True),
        (2, "sofa", 87, False),
    ]


def test_every_offered_item_has_a_place_among_the_popular(rhythm: History) -> None:
    items = Popular().fit(build_material(rhythm, day(90), settings=CHOSEN)).items().set_index("product_id")
    # Within 28 days: soap 21 buyers (day 80), sofas of day 62 to 79, one buyer of eggs.
    assert items["popular_rank"].to_dict() == {"sofa": 1, "soap": 2, "egg": 3}
    assert items["recent_customer_count"].to_dict() == {"sofa": 90, "soap": 21, "egg": 1}


def test_the_more_often_an_item_is_bought_the_higher_it_stands(tmp_path: Path) -> None:
    shop = write_shop(tmp_path, every(7, "weekly", count=8) + every(25, "monthly", count=3))
    found = served(shop, 62, kind="buy_again")
    assert found.index.tolist() == ["weekly", "monthly"]


# --- cross-sell

PRODUCTS: list[Product] = [
    ("coffee", "drinks", "coffee"),
    ("tea", "drinks", "tea"),
    ("filter", "kitchen", "filters"),
    ("fine filter", "kitchen", "filters"),
    ("spade", "garden", "tools"),
    ("stamp", None, None),
]


def drinkers_and_gardeners() -> list[Line]:
    """Coffee goes with filters; spades are as common, but bought by others."""
    lines: list[Line] = []
    for number in range(30):
        lines += [(f"d{number}", "coffee", 1.0, 1, 5.0), (f"d{number}", "filter", 1.0, 1, 3.0)]
        lines += [(f"g{number}", "spade", 1.0, 1, 30.0)]
    lines += [(f"d{number}", "fine filter", 2.0, 1, 9.0) for number in range(10)]
    return [*lines, *(("ann", "coffee", day_, 1, 5.0) for day_ in (2.0, 9.0)), ("ann", "stamp", 2.0, 1, 1.0)]


def test_the_category_that_goes_with_what_was_bought_comes_first(tmp_path: Path) -> None:
    found = served(write_shop(tmp_path, drinkers_and_gardeners(), PRODUCTS), 10, kind="cross_sell")
    assert found.index[0] == "filter"
    assert found.iloc[0]["reason"] == "categories_bought_together"
    assert found.iloc[0]["evidence_product_id"] == "coffee"
    assert found.iloc[0]["value"] == pytest.approx(30 / 31)
    assert "spade" in found.index


def test_a_category_without_a_companion_is_offered_without_evidence(tmp_path: Path) -> None:
    found = served(write_shop(tmp_path, drinkers_and_gardeners(), PRODUCTS), 10, kind="cross_sell")
    assert found.loc[["spade"], ["evidence_product_id", "value"]].isna().all(axis=None)


def test_cross_sell_is_never_from_a_category_bought_nor_without_one(tmp_path: Path) -> None:
    found = served(write_shop(tmp_path, drinkers_and_gardeners(), PRODUCTS), 10, kind="cross_sell")
    assert not {"coffee", "tea", "stamp"} & set(found.index)


def test_a_category_bought_long_ago_is_not_new_even_if_its_item_is_cut(tmp_path: Path) -> None:
    lines = [*drinkers_and_gardeners(), ("ann", "old spade", 0.5, 1, 20.0)]
    for count in range(12):
        lines += [(f"x{number}", f"filler{count}", 9.0, 1, 1.0) for number in range(3)]
    shop = write_shop(tmp_path, lines, [*PRODUCTS, ("old spade", "garden", "tools")])
    chosen = settings(outcome_days=14, popularity_days=28, item_count_max=16)
    found = served(shop, 10, kind="cross_sell", chosen=chosen)
    assert "filter" in found.index
    assert "spade" not in found.index


def test_the_item_is_at_the_customers_price_tier(tmp_path: Path) -> None:
    lines = drinkers_and_gardeners()
    lines += [("rich", "gold tea", number, 1, 50.0) for number in (2.0, 3.0)]
    lines += [("eve", "tea", 2.0, 1, 2.0), ("eve", "coffee", 2.0, 1, 5.0)]
    lines += [(f"d{number}", "fine filter", 3.0, 1, 9.0) for number in range(10, 22)]
    products: list[Product] = [*PRODUCTS, ("gold tea", "drinks", "tea")]
    shop = write_shop(tmp_path, lines, products)
    assert served(shop, 10, kind="cross_sell", customer="rich").index[0] == "fine filter"
    assert served(shop, 10, kind="cross_sell", customer="ann").index[0] == "filter"


def test_cross_sell_says_why_it_cannot_be(tmp_path: Path) -> None:
    lines = drinkers_and_gardeners()
    one = [(found[0], "all", "all") for found in PRODUCTS]
    for products, reason in (([], "no_category"), (one, "one_category"), (PRODUCTS, None)):
        shop = write_shop(tmp_path / str(reason), lines, products)  # type: ignore[arg-type]
        recommender = Popular().fit(build_material(shop, day(10), settings=CHOSEN))
        assert recommender.unavailable("cross_sell") == reason


# --- upsell

PRICES = {"base": 10.0, "below": 9.0, "near": 10.9, "edge": 11.0, "up": 15.0, "double": 20.0, "far": 20.5}


def priced_shop(folder: Path, *, subcategory: str | None = "pans") -> History:
    lines: list[Line] = [
        (f"b{number}", name, 1.0, 1, price) for name, price in PRICES.items() for number in range(3)
    ]
    lines += [("b9", "kit", 1.0, 1, 12.0), ("ann", "base", 2.0, 1, 10.0)]
    products: list[Product] = [(name, "kitchen", subcategory) for name in PRICES]
    products.append(("kit", "kitchen", subcategory and "care"))
    return write_shop(folder, lines, products)


def test_upsell_is_the_same_need_10_to_100_percent_dearer(tmp_path: Path) -> None:
    found = served(priced_shop(tmp_path), 10, kind="upsell")
    assert set(found.index) == {"edge", "up", "double"}
    assert set(found["evidence_product_id"]) == {"base"}
    assert found["value"].to_dict() == pytest.approx({"edge": 0.1, "up": 0.5, "double": 1.0})
    assert found.index[0] == "double"  # equally popular: the larger rise is worth more


@pytest.mark.parametrize(
    ("price", "subcategory", "is_upsell"),
    [
        (10.9, "shoes", False),
        (11.0, "shoes", True),
        (20.0, "shoes", True),
        (20.1, "shoes", False),
        (9.0, "shoes", False),
        (15.0, "shoe care", False),
        (15.0, None, False),
    ],
)
def test_the_band_and_the_need_have_sharp_edges(
    tmp_path: Path, price: float, subcategory: str | None, is_upsell: bool
) -> None:
    lines: list[Line] = [("ann", "shoe", 1.0, 1, 10.0), ("bob", "other", 1.0, 1, price)]
    shop = write_shop(tmp_path, lines, [("shoe", "wear", "shoes"), ("other", "wear", subcategory)])
    assert ("other" in served(shop, 10, kind="upsell").index) == is_upsell


def shoe_shop(folder: Path, *, subcategories: bool) -> History:
    """Shoes at 20 and 30, and a care kit at 25 that goes into the basket with a shoe; all are `shoes`."""
    lines: list[Line] = []
    for number in range(12):
        lines += [(f"k{number}", "shoe", number + 0.5, 1, 20.0), (f"k{number}", "kit", number + 0.5, 1, 25.0)]
        lines += [(f"b{number}", "boot", number + 0.5, 1, 30.0), (f"s{number}", "shoe", 3.5, 1, 20.0)]
        lines += [(f"l{number}", "lace", number + 0.5, 1, 2.0)]
    kinds = {"shoe": "footwear", "boot": "footwear", "kit": "care", "lace": "care"}
    products: list[Product] = [
        (name, "shoes", kind if subcategories else None) for name, kind in kinds.items()
    ]
    return write_shop(folder, lines, products)


@pytest.mark.parametrize("subcategories", [True, False])
def test_a_shoe_care_kit_is_never_an_upsell_of_a_shoe(tmp_path: Path, *, subcategories: bool) -> None:
    shop = shoe_shop(tmp_path, subcategories=subcategories)
    recommender = Popular().fit(build_material(shop, day(15), settings=CHOSEN))
    (tmp_path / "bundle").mkdir()
    recommender.save(tmp_path / "bundle")
    known = build_interactions(shop, day(15), settings=CHOSEN)
    for each in (recommender, Popular.load(tmp_path / "bundle")):
        found = each.recommend(known, customer_ids=["s0", "k0"], snapshot=day(15), kinds=["upsell"], depth=9)
        shown = found.groupby("customer_id")["product_id"].apply(list).to_dict()
        assert shown == {"s0": ["boot"], "k0": ["boot"]}


def test_an_owned_item_is_never_an_upsell(tmp_path: Path) -> None:
    shop = priced_shop(tmp_path)
    assert "up" not in served(shop, 10, kind="upsell", customer="b1").index


def test_without_subcategories_the_category_is_the_need(tmp_path: Path) -> None:
    assert "up" in served(priced_shop(tmp_path, subcategory=None), 10, kind="upsell").index


@pytest.mark.parametrize(
    ("lines", "products", "reason"),
    [
        ([("ann", "a", 1.0, 1, 2.0)], [], "no_category"),
        ([("ann", "a", 1.0, 1, 0.0)], [("a", "x", "y")], "no_price"),
        (
            [("ann", "a", 1.0, 1, 2.0), ("ann", "b", 1.0, 1, 2.0)],
            [("a", "x", "y"), ("b", "x", "y")],
            "no_dearer_item",
        ),
    ],
)
def test_upsell_says_why_it_cannot_be(
    tmp_path: Path, lines: list[Line], products: list[Product], reason: str
) -> None:
    shop = write_shop(tmp_path, lines, products)
    recommender = Popular().fit(build_material(shop, day(10), settings=CHOSEN))
    assert recommender.unavailable("upsell") == reason
    assert served(shop, 10, kind="upsell").empty


# --- packing


def test_packed_lists_say_what_the_frame_says(tmp_path: Path) -> None:
    shop = priced_shop(tmp_path)
    recommender = Popular().fit(build_material(shop, day(10), settings=CHOSEN))
    known = build_interactions(shop, day(10), settings=CHOSEN)
    frame = recommender.recommend(
        known, customer_ids=["ann", "b1", "nobody"], snapshot=day(10), kinds=["upsell", "for_you"], depth=5
    )
    ids = recommender.items()["product_id"]
    packed = list(pack_lists(frame, dict(zip(ids, ids.index, strict=True))))
    assert [(customer, kind) for customer, kind, _ in packed] == [
        ("ann", "upsell"),
        ("ann", "for_you"),
        ("b1", "for_you"),  # owns every pan
        ("nobody", "for_you"),
    ]
    slots = [slot for _, _, blob in packed for slot in unpack_slots(blob)]
    assert [ids[slot.item_no] for slot in slots] == frame["product_id"].tolist()
    assert [slot.reason for slot in slots] == frame["reason"].tolist()
    assert [slot.source for slot in slots] == frame["source"].tolist()
    evidence = [None if slot.evidence_no is None else ids[slot.evidence_no] for slot in slots]
    assert evidence == [None if pd.isna(found) else found for found in frame["evidence_product_id"]]
    assert [slot.score for slot in slots] == pytest.approx(frame["score"].tolist(), rel=1e-6)
    assert [slot.value for slot in slots] == pytest.approx(frame["value"].tolist(), abs=1e-4)


def test_packing_refuses_a_product_without_a_number(tmp_path: Path) -> None:
    frame = served(priced_shop(tmp_path), 10, kind="for_you").reset_index()
    with pytest.raises(KeyError, match="no number for product"):
        list(pack_lists(frame, {}))
    assert list(pack_lists(frame.iloc[:0], {})) == []


def test_every_reason_in_the_code_is_declared() -> None:
    assert len({reason.code for reason in REASONS}) == len(REASONS)
