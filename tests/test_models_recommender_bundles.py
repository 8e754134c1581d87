"""`bundle`: lift and its bound by hand, what is left out, and planted pairs that are found."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from recommender_shop import Line, Product, day, settings, write_shop
from scipy.stats import chi2

from features.baskets import build_baskets
from features.history import History
from features.ingest import load
from features.interactions import build_interactions
from features.items import build_items
from features.layout import Layout
from features.snapshot import Snapshot, instant_of
from features.sources import Request
from features.synthetic.shop import SyntheticShop
from features.synthetic.shop import write_shop as write_made_up
from features.synthetic.spec import ShopSpec
from models.recommender.baselines import Popular
from models.recommender.bundles import BundleTable, may_be_substitutes
from models.recommender.candidates import LOADERS
from models.recommender.catalogue import Catalogue
from models.recommender.contract import ITEM_LIST_COLUMNS
from models.recommender.material import build_material

CHOSEN = settings(popularity_days=90)
SHELVES: list[Product] = [
    ("beans", "coffee", "beans"),
    ("dark beans", "coffee", "beans"),
    ("filter", "kitchen", "filters"),
    ("cup", "kitchen", "cups"),
    ("bag", "till", "bags"),
    ("stamp", None, None),
]


def baskets(*contents: tuple[int, tuple[str, ...]]) -> list[Line]:
    """Return so many orders of each content, each by a customer of its own."""
    lines: list[Line] = []
    for number, (count, products) in enumerate(contents):
        lines += [
            (f"{number}-{buyer}", product, 1.0 + buyer % 20, 1, 2.0)
            for buyer in range(count)
            for product in products
        ]
    return lines


KITCHEN = baskets(
    (12, ("beans", "filter")),
    (8, ("beans",)),
    (4, ("filter",)),
    (5, ("beans", "cup")),
    (20, ("cup",)),
    (4, ("filter", "cup")),
    (10, ("beans", "dark beans")),
    (6, ("filter", "stamp")),
    (60, ("bag",)),
    (40, ("bread",)),
    (40, ("milk",)),
)


def fitted(shop: History, at: int = 30) -> Popular:
    return Popular().fit(build_material(shop, day(at), settings=CHOSEN))


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Popular:
    shelves = [*SHELVES, ("bread", "food", "bread"), ("milk", "food", "milk")]
    return fitted(write_shop(tmp_path_factory.mktemp("kitchen"), KITCHEN, shelves))


def test_lift_and_its_bounds_by_hand(kitchen: Popular) -> None:
    pairs = kitchen.item_pairs().set_index(["product_id", "partner_product_id"])
    found = pairs.loc[("beans", "filter")]
    total, beans, filters = 209, 35, 26
    expected = beans * filters / total
    assert found["joint_count"] == 12
    assert found["support_share"] == pytest.approx(12 / total)
    assert found["basket_share"] == pytest.approx(12 / beans)
    assert found["lift"] == pytest.approx(12 / expected)
    assert found["lift_low"] == pytest.approx(chi2.ppf(0.025, 24) / 2 / expected)
    assert found["lift_high"] == pytest.approx(chi2.ppf(0.975, 26) / 2 / expected)


def test_a_bundle_says_which_item_speaks_and_how_often_they_meet(kitchen: Popular) -> None:
    found = kitchen.item_lists(["beans", "filter", "cup"], depth=5)
    assert tuple(found.columns) == ITEM_LIST_COLUMNS
    bundle = found[found["kind"] == "bundle"]
    pairs = kitchen.item_pairs().set_index(["product_id", "partner_product_id"])
    assert bundle["of_product_id"].tolist() == ["beans", "filter"]
    assert bundle["product_id"].tolist() == ["filter", "beans"]
    assert bundle["evidence_product_id"].tolist() == ["beans", "filter"]
    assert bundle["value"].tolist() == pytest.approx([12 / 35, 12 / 26])
    assert bundle["score"].tolist() == pytest.approx([pairs.loc[("beans", "filter"), "lift_low"]] * 2)
    assert set(bundle["reason"]) == {"bought_together"}


def test_chance_substitutes_rare_pairs_and_what_is_everywhere_are_left_out(kitchen: Popular) -> None:
    pairs = set(kitchen.item_pairs()[["product_id", "partner_product_id"]].itertuples(index=False, name=None))
    # beans + cup: 5 joint baskets, as by chance; dark beans: the same need; filter + cup: 4 joint baskets;
    # stamp: of no category; bag: in 29 % of the baskets.
    assert pairs == {("beans", "filter"), ("filter", "beans")}


@pytest.mark.parametrize(("customers", "found"), [(4, False), (5, True)])
def test_the_habit_of_a_few_customers_is_no_pair(tmp_path: Path, customers: int, *, found: bool) -> None:
    habit: list[Line] = [
        (f"h{number % customers}", product, 1.0 + number, 1, 2.0)
        for number in range(20)
        for product in ("beans", "cup")
    ]
    shop = write_shop(tmp_path, [*habit, *baskets((100, ("bag",)))], SHELVES)
    assert fitted(shop).item_pairs().empty is not found


def test_without_categories_everything_may_go_together(tmp_path: Path) -> None:
    found = fitted(write_shop(tmp_path, KITCHEN)).item_pairs()
    pairs = set(found[["product_id", "partner_product_id"]].itertuples(index=False, name=None))
    assert {("beans", "dark beans"), ("stamp", "filter")} <= pairs


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("beans", "dark beans", True),
        ("filter", "cup", False),
        ("beans", "loose", True),  # its need is unknown, its category is the same
        ("filter", "loose", False),
        ("beans", "stamp", True),  # nothing is known
    ],
)
def test_what_may_be_a_substitute(tmp_path: Path, first: str, second: str, *, expected: bool) -> None:
    shelves = [*SHELVES, ("loose", "coffee", None)]
    shop = write_shop(tmp_path, baskets((1, tuple(product[0] for product in shelves))), shelves)
    catalogue = Catalogue(build_items(shop, day(9), settings=CHOSEN))
    pair = catalogue.item_nos([first, second])
    assert may_be_substitutes(catalogue, pair[:1], pair[1:]).tolist() == [expected]
    assert may_be_substitutes(catalogue, pair[1:], pair[:1]).tolist() == [expected]


def test_only_what_is_offered_is_a_partner(tmp_path: Path) -> None:
    out_of_stock: list[Product] = [("filter", "kitchen", "filters", {"in_stock": False}), SHELVES[0]]
    shop = write_shop(tmp_path, KITCHEN, out_of_stock)
    found = fitted(shop).item_pairs()
    assert "filter" not in set(found["partner_product_id"])
    assert ("filter", "beans") in set(zip(found["product_id"], found["partner_product_id"], strict=True))


def test_no_pair_is_said(tmp_path: Path) -> None:
    found = fitted(write_shop(tmp_path, baskets((30, ("a",)), (30, ("b",)))))
    assert found.unavailable("bundle") == "nothing_bought_together"
    assert found.item_pairs().empty
    assert "bundle" not in set(found.item_lists(["a", "b"], depth=5)["kind"])


def test_a_past_round_of_a_back_test_reads_no_baskets(tmp_path: Path) -> None:
    from features.once import Once

    shop = write_shop(tmp_path, KITCHEN, SHELVES)
    material = build_material(shop, day(30), settings=CHOSEN, past=Once())
    assert material.shelf is None
    assert Popular().fit(material).unavailable("bundle") == "nothing_bought_together"


def test_save_and_load_change_nothing(kitchen: Popular, tmp_path: Path) -> None:
    kitchen.save(tmp_path)
    loaded = LOADERS["popular"](tmp_path)
    ids = kitchen.items()["product_id"].tolist()
    assert loaded.item_lists(ids, depth=20).equals(kitchen.item_lists(ids, depth=20))
    assert loaded.item_pairs().equals(kitchen.item_pairs())


SPEC = ShopSpec(customer_count=12_000, day_count=600)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[SyntheticShop, History, Snapshot]:
    """The generated shop, loaded as a user would, and the day after its newest order."""
    folder = tmp_path_factory.mktemp("made-up")
    shop = SyntheticShop(SPEC)
    write_made_up(shop, folder / "shop")
    files = Request(
        files=(folder / "shop/order_lines.parquet",),
        companions={"products": folder / "shop/products.parquet"},
    )
    load(files, layout=Layout(folder), time_zone="UTC")
    history = History.open(Layout(folder).history)
    assert history.manifest.last_order_days is not None
    return shop, history, Snapshot(instant_of(history.manifest.last_order_days + 1).date())


@pytest.fixture(scope="module")
def made_up(
    loaded: tuple[SyntheticShop, History, Snapshot],
) -> tuple[SyntheticShop, Catalogue, BundleTable, pl.DataFrame]:
    """What the baskets of the generated shop teach."""
    shop, history, at = loaded
    catalogue = Catalogue(build_items(history, at, settings=settings()))
    counted = build_baskets(history, at, items=catalogue.items)
    return shop, catalogue, BundleTable.fit(counted, catalogue), counted


def test_planted_pairs_are_found(
    made_up: tuple[SyntheticShop, Catalogue, BundleTable, pl.DataFrame],
) -> None:
    """Of the pairs that chance would show often enough to be told from it, nine in ten are in the lists."""
    shop, catalogue, bundles, _ = made_up
    wanted, found = 0, 0
    for first, second in shop.assortment.pairs():
        one, other = catalogue.item_nos([first, second])
        if bundles.basket_counts[[one, other]].min() < 100 or not catalogue.is_offered[other]:
            continue
        wanted += 1
        found += int(other in bundles.items[one])
    assert wanted >= 20
    assert found >= 0.9 * wanted


def test_no_bundle_holds_an_item_of_the_same_need(
    made_up: tuple[SyntheticShop, Catalogue, BundleTable, pl.DataFrame],
) -> None:
    shop, catalogue, bundles, _ = made_up
    needs = dict(zip(shop.assortment.products()["product_id"], shop.assortment.needs, strict=True))
    rows, places = np.nonzero(bundles.items >= 0)
    assert len(rows) > 20
    for row, place in zip(rows, places, strict=True):
        assert (
            needs[catalogue.product_ids[int(row)]]
            != needs[catalogue.product_ids[int(bundles.items[row, place])]]
        )


def test_no_cross_sell_is_a_substitute_of_what_the_customer_has(
    loaded: tuple[SyntheticShop, History, Snapshot],
) -> None:
    shop, history, at = loaded
    recommender = Popular().fit(build_material(history, at, settings=settings()))
    known = build_interactions(history, at, settings=settings())
    ids = known["customer_id"].unique().sort().to_list()[:1_000]
    lists = recommender.recommend(known, customer_ids=ids, snapshot=at, kinds=["cross_sell"], depth=20)
    needs = pl.DataFrame(
        {"product_id": shop.assortment.products()["product_id"], "need": shop.assortment.needs}
    )
    offered = pl.from_pandas(lists[["customer_id", "product_id"]]).join(needs, on="product_id")
    owned = known.join(needs, on="product_id").select("customer_id", "need").unique()
    assert len(offered) > 10_000
    assert offered.join(owned, on=["customer_id", "need"], how="semi").is_empty()


def test_joint_baskets_are_counted_exactly(
    made_up: tuple[SyntheticShop, Catalogue, BundleTable, pl.DataFrame],
) -> None:
    _, _, bundles, counted = made_up
    assert bundles.basket_total == counted["basket_no"].n_unique()
    for row in np.flatnonzero(bundles.items[:, 0] >= 0)[:5]:
        partner, joint = int(bundles.items[row, 0]), int(bundles.joint[row, 0])
        one, other = (
            set(counted.filter(pl.col("item_no") == number)["basket_no"]) for number in (int(row), partner)
        )
        assert (len(one), len(one & other)) == (bundles.basket_counts[row], joint)
