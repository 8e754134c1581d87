"""What every recommender does, whatever its method: one contract suite, and data whose answer is known."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from recommender_shop import Line, Product, day, settings, write_shop

from features.history import History
from features.interactions import build_interactions
from features.once import Once
from features.settings import Settings
from features.slots import CUSTOMER_KINDS, KINDS, REASON_NUMBERS, SOURCES
from features.snapshot import Snapshot
from models.contract import NotEnoughDataError
from models.recommender.als import Als
from models.recommender.blend import RANKER_FILE, Blend
from models.recommender.candidates import LOADERS, recommender_candidates
from models.recommender.contract import LIST_COLUMNS, Kind, Recommender
from models.recommender.lessons import rehearse
from models.recommender.material import build_material

CUSTOMERS = 60
CHOSEN = settings(outcome_days=14, popularity_days=28, factor_count=4, regularization=0.1)
NAMES = sorted(recommender_candidates(Settings()))
ALL_KINDS: tuple[Kind, ...] = KINDS


def busy_shop(folder: Path) -> History:
    """Two tastes, two categories each, a rhythm of 7 days, a durable bought once, an item out of stock."""
    lines: list[Line] = []
    for number in range(CUSTOMERS):
        taste = "xy"[number % 2]
        for week in range(10):
            price = 2.0 + week % 3
            lines.append((f"c{number:02}", f"{taste}{(number + week) % 6}", week * 7.0 + 1, 1, price))
            lines.append((f"c{number:02}", f"{taste}{number % 6}", week * 7.0 + 1, 1, 3.0 + number % 6))
        if number % 3 == 0:
            lines.append((f"c{number:02}", "sofa", 8.0, 1, 900.0))
    lines.append(("c00", "gone", 60.0, 1, 5.0))
    products: list[Product] = [
        (f"{taste}{n}", f"category {taste}{n // 3}", f"need {taste}{n // 3}")
        for taste in "xy"
        for n in range(6)
    ]
    products += [("sofa", "furniture", "seats"), ("gone", "category x0", "need x0", {"in_stock": False})]
    return write_shop(folder, lines, products)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> History:
    return busy_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def fitted(shop: History) -> dict[str, Recommender]:
    material = build_material(shop, day(70), settings=CHOSEN)
    return {name: found.fit(material) for name, found in recommender_candidates(CHOSEN).items()}


@cache
def interactions(root: Path, snapshot: Snapshot) -> pl.DataFrame:
    return build_interactions(History.open(root), snapshot, settings=CHOSEN)


def lists(
    recommender: Recommender,
    shop: History,
    *,
    snapshot: Snapshot | None = None,
    customer_ids: list[str] | None = None,
    depth: int = 8,
) -> pd.DataFrame:
    known = interactions(shop.root, snapshot or day(70))
    ids = customer_ids if customer_ids is not None else known["customer_id"].unique().sort().to_list()
    return recommender.recommend(
        known, customer_ids=ids, snapshot=snapshot or day(70), kinds=CUSTOMER_KINDS, depth=depth
    )


@pytest.mark.parametrize("name", NAMES)
def test_lists_are_well_formed(fitted: dict[str, Recommender], shop: History, name: str) -> None:
    found = lists(fitted[name], shop)
    assert tuple(found.columns) == LIST_COLUMNS
    grouped = found.groupby(["customer_id", "kind"], sort=False)
    assert (grouped.cumcount() + 1 == found["rank"]).all()
    assert not found.duplicated(["customer_id", "kind", "product_id"]).any()
    assert (grouped["score"].diff().fillna(0) <= 0).all()
    assert found["score"].notna().all()
    assert set(found["reason"]) <= set(REASON_NUMBERS)
    assert set(found["source"]) <= set(SOURCES)
    lengths = found[found["kind"] == "for_you"].groupby("customer_id").size()
    assert len(lengths) == CUSTOMERS
    assert (lengths == 8).all()


@pytest.mark.parametrize("name", NAMES)
def test_an_item_out_of_stock_is_never_offered(
    fitted: dict[str, Recommender], shop: History, name: str
) -> None:
    assert "gone" not in set(lists(fitted[name], shop, depth=50)["product_id"])


@pytest.mark.parametrize("name", NAMES)
def test_a_durable_is_not_offered_to_those_who_have_it(
    fitted: dict[str, Recommender], shop: History, name: str
) -> None:
    found = lists(fitted[name], shop, depth=50)
    owners = {f"c{number:02}" for number in range(0, CUSTOMERS, 3)}
    offered = found[(found["product_id"] == "sofa") & found["kind"].isin(["for_you", "buy_again"])]
    assert not owners & set(offered["customer_id"])


@pytest.mark.parametrize("name", NAMES)
def test_save_and_load_change_nothing(
    fitted: dict[str, Recommender], shop: History, name: str, tmp_path: Path
) -> None:
    fitted[name].save(tmp_path)
    loaded = LOADERS[name](tmp_path)
    assert_frame_equal(lists(loaded, shop), lists(fitted[name], shop), check_exact=True)
    assert loaded.params() == fitted[name].params()
    assert_frame_equal(loaded.items(), fitted[name].items())
    assert [loaded.unavailable(kind) for kind in ALL_KINDS] == [
        fitted[name].unavailable(kind) for kind in ALL_KINDS
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_is_plain_and_names_no_customer(
    fitted: dict[str, Recommender], name: str, tmp_path: Path
) -> None:
    fitted[name].save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".npz", ".txt"}
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        assert not any(f"c{number:02}".encode() in content for number in range(CUSTOMERS))


@pytest.mark.parametrize("name", NAMES)
def test_a_second_fit_refits(shop: History, name: str) -> None:
    early, late = (build_material(shop, day(number), settings=CHOSEN) for number in (35, 70))
    once = recommender_candidates(CHOSEN)[name].fit(late)
    again = recommender_candidates(CHOSEN)[name].fit(early).fit(late)
    assert_frame_equal(lists(once, shop), lists(again, shop), check_exact=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_equals_one_by_one(fitted: dict[str, Recommender], shop: History, name: str) -> None:
    together = lists(fitted[name], shop)
    ids = list(dict.fromkeys(together["customer_id"]))[:12]
    together = together[together["customer_id"].isin(ids)]
    apart = [lists(fitted[name], shop, customer_ids=[customer]) for customer in ids]
    assert_frame_equal(pd.concat(apart, ignore_index=True), together, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_customer_gets_the_popular_items(
    fitted: dict[str, Recommender], shop: History, name: str
) -> None:
    found = lists(fitted[name], shop, customer_ids=["nobody"])
    assert set(found["kind"]) == {"for_you"}
    assert set(found["source"]) == {"fallback"}
    assert set(found["reason"]) == {"popular"}
    shop_lists = fitted[name].shop_lists(snapshot=day(70), depth=8)
    popular = shop_lists.loc[shop_lists["kind"] == "popular", "product_id"]
    assert found["product_id"].tolist() == popular.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_customers_come_back_in_the_order_asked_for(
    fitted: dict[str, Recommender], shop: History, name: str
) -> None:
    asked = ["c07", "nobody", "c01", "c30"]
    assert list(dict.fromkeys(lists(fitted[name], shop, customer_ids=asked)["customer_id"])) == asked
    assert lists(fitted[name], shop, customer_ids=[]).empty


@pytest.mark.parametrize("name", NAMES)
def test_a_customer_who_came_after_the_fit_is_served(
    fitted: dict[str, Recommender], tmp_path: Path, name: str
) -> None:
    newcomer: list[Line] = [("new", product, 69.0, 1, 3.0) for product in ("x0", "x1", "x2", "never seen")]
    later = write_shop(tmp_path, newcomer, [])
    found = lists(fitted[name], later, customer_ids=["new"])
    assert len(found[found["kind"] == "for_you"]) == 8
    if name in {"als", "blend"}:
        shown = found.loc[found["kind"] == "for_you", "product_id"]
        assert all(product.startswith("x") for product in shown.head(6))


@pytest.mark.parametrize("name", NAMES)
def test_one_customer_one_item(tmp_path: Path, name: str) -> None:
    shop = write_shop(tmp_path, [("ann", "tea", 1.0, 1, 2.0)])
    recommender = recommender_candidates(CHOSEN)[name].fit(build_material(shop, day(9), settings=CHOSEN))
    found = recommender.shop_lists(snapshot=day(9), depth=8)
    assert set(found.loc[found["kind"] == "popular", "product_id"]) == {"tea"}
    assert recommender.unavailable("for_you") is None
    assert recommender.unavailable("buy_again") == "no_repurchase"
    assert recommender.unavailable("cross_sell") == "no_category"
    assert recommender.unavailable("upsell") == "no_category"


@pytest.mark.parametrize("name", NAMES)
def test_without_products_there_is_one_clear_error(tmp_path: Path, name: str) -> None:
    shop = write_shop(tmp_path, [("ann", None, 1.0, 1, 2.0)])
    with pytest.raises(NotEnoughDataError, match="no_product"):
        recommender_candidates(CHOSEN)[name].fit(build_material(shop, day(9), settings=CHOSEN))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_stock_is_said_and_breaks_nothing(tmp_path: Path, name: str) -> None:
    shop = write_shop(
        tmp_path, [("ann", "tea", 1.0, 1, 2.0)], [("tea", "drinks", "hot", {"in_stock": False})]
    )
    recommender = recommender_candidates(CHOSEN)[name].fit(build_material(shop, day(9), settings=CHOSEN))
    assert [recommender.unavailable(kind) for kind in ALL_KINDS] == ["no_product"] * len(ALL_KINDS)
    assert lists(recommender, shop, snapshot=day(9)).empty


def test_every_candidate_can_be_loaded_under_its_name() -> None:
    candidates = recommender_candidates(Settings())
    assert set(candidates) == set(LOADERS) == {"blend", "als", "item_knn", "top_freq", "popular"}
    assert {name: found.method for name, found in candidates.items()} == {
        "blend": "ml",
        "als": "ml",
        "item_knn": "baseline",
        "top_freq": "baseline",
        "popular": "baseline",
    }


def test_constructors_only_store() -> None:
    blend = Blend(factor_count=7, regularization=2.5, alpha=0.5, iteration_count=3, seed=9, tree_count=11)
    assert Blend(**blend.params()).params() == blend.params()  # type: ignore[arg-type]
    assert blend.params()["tree_count"] == 11


# --- answers that are known


def checkerboard(folder: Path, size: int = 40) -> History:
    """Customer i owns every item of its own colour but item i: that one is what it would like."""
    lines: list[Line] = [
        (f"c{row:02}", f"p{column:02}", 1.0, 1, 1.0)
        for row in range(size)
        for column in range(size)
        if row % 2 == column % 2 and row != column
    ]
    return write_shop(folder, lines)


@pytest.mark.parametrize("recipe", [Als, Blend])
def test_the_checkerboard_is_solved_exactly(tmp_path: Path, recipe: Callable[..., Recommender]) -> None:
    shop = checkerboard(tmp_path)
    recommender = recipe(factor_count=3, regularization=0.01, seed=1)
    recommender.fit(build_material(shop, day(9), settings=CHOSEN))
    found = lists(recommender, shop, snapshot=day(9), depth=40)
    unseen = found[(found["kind"] == "for_you") & (found["reason"] != "bought_before")]
    first = unseen.drop_duplicates("customer_id").set_index("customer_id")["product_id"]
    assert first.to_dict() == {f"c{row:02}": f"p{row:02}" for row in range(40)}


def test_taste_names_an_owned_item_of_the_same_colour_as_evidence(tmp_path: Path) -> None:
    shop = checkerboard(tmp_path)
    recommender = Als(factor_count=3, regularization=0.01, seed=1)
    recommender.fit(build_material(shop, day(9), settings=CHOSEN))
    found = lists(recommender, shop, snapshot=day(9), depth=1)
    liked = found[found["reason"] == "like_what_you_buy"]
    assert len(liked) > 0
    for row in liked.itertuples():
        assert int(str(row.evidence_product_id)[1:]) % 2 == int(str(row.product_id)[1:]) % 2
        assert row.evidence_product_id != row.product_id


def test_top_freq_is_own_items_by_orders_then_popular_ones(tmp_path: Path) -> None:
    lines: list[Line] = [("ann", "often", number * 3.0, 1, 1.0) for number in range(3)]
    lines += [("ann", "twice", number * 3.0, 1, 1.0) for number in range(2)]
    lines += [(f"b{number}", "hit", 5.0, 1, 1.0) for number in range(5)]
    lines += [(f"b{number}", "also", 5.0, 1, 1.0) for number in range(2)]
    shop = write_shop(tmp_path, lines)
    material = build_material(shop, day(10), settings=CHOSEN)
    top = recommender_candidates(CHOSEN)["top_freq"].fit(material)
    found = lists(top, shop, snapshot=day(10), customer_ids=["ann"])
    for_you = found[found["kind"] == "for_you"]
    assert for_you["product_id"].tolist() == ["often", "twice", "hit", "also"]
    assert for_you["source"].tolist() == ["personalised"] * 2 + ["popular"] * 2


def test_ties_go_to_the_first_id(tmp_path: Path) -> None:
    lines: list[Line] = [(customer, product, 1.0, 1, 1.0) for customer in "ab" for product in "zyx"]
    shop = write_shop(tmp_path, lines)
    popular = recommender_candidates(CHOSEN)["popular"].fit(build_material(shop, day(5), settings=CHOSEN))
    found = popular.shop_lists(snapshot=day(5), depth=8)
    assert found.loc[found["kind"] == "popular", "product_id"].tolist() == ["x", "y", "z"]


# --- the blend learns


def test_the_blend_learns_a_ranker_and_keeps_it_as_text(shop: History, tmp_path: Path) -> None:
    blend = Blend(factor_count=4, regularization=0.1).fit(build_material(shop, day(70), settings=CHOSEN))
    blend.save(tmp_path)
    assert (tmp_path / RANKER_FILE).read_text().startswith("tree")


def test_a_ranker_that_is_no_more_leaves_no_file_behind(shop: History, tmp_path: Path) -> None:
    late, early = (build_material(shop, day(number), settings=CHOSEN) for number in (70, 5))
    blend = Blend(factor_count=4, regularization=0.1)
    blend.fit(late).save(tmp_path)
    blend.fit(early).save(tmp_path)
    assert not (tmp_path / RANKER_FILE).exists()


def test_rehearsals_end_at_the_origin_and_follow_each_other_backwards(shop: History) -> None:
    material = build_material(shop, day(50), settings=CHOSEN)
    assert [found.snapshot.date for found in material.rehearsals] == [day(n).date for n in (36, 22, 8)]
    known = material.interactions
    assert known["last_days"].max() < day(50).end_days  # type: ignore[operator]
    for rehearsal in material.rehearsals:
        start, then = rehearsal.snapshot.end_days, rehearsal.read()
        assert then.interactions["last_days"].max() < start  # type: ignore[operator]
        assert then.items["last_days"].max() < start  # type: ignore[operator]
        assert rehearsal.purchases.join(known, on=["customer_id", "product_id"], how="anti").is_empty()


def test_no_rehearsal_sees_what_was_bought_from_the_origin_on(tmp_path: Path) -> None:
    lines: list[Line] = [("ann", f"p{number}", number + 0.5, 1, 1.0) for number in range(60)]
    material = build_material(write_shop(tmp_path, lines), day(50), settings=CHOSEN)
    newest = material.rehearsals[0]
    assert newest.purchases["product_id"].to_list() == sorted(f"p{number}" for number in range(36, 50))
    assert "p36" not in set(newest.read().interactions["product_id"])
    assert "p36" not in set(newest.read().items["product_id"])
    assert "p50" not in set(material.interactions["product_id"]) | set(material.items["product_id"])


def test_origins_that_share_their_past_learn_it_once(shop: History) -> None:
    past = Once()
    early, late = (build_material(shop, day(number), settings=CHOSEN, past=past) for number in (56, 70))
    alone = build_material(shop, day(70), settings=CHOSEN)
    settings_of_als = Blend(factor_count=4, regularization=0.1).als_settings()
    assert late.rehearsals[0].once is early.once
    shared = rehearse(late.rehearsals[0], settings_of_als)
    assert rehearse(late.rehearsals[0], settings_of_als) is shared
    apart = rehearse(alone.rehearsals[0], settings_of_als)
    assert shared is not None
    assert apart is not None
    assert_array_equal(shared[0].features, apart[0].features)


def test_a_window_without_orders_teaches_nothing(tmp_path: Path) -> None:
    lines: list[Line] = [("ann", "p", 1.0, 1, 1.0), ("bob", "p", 2.0, 1, 1.0)]
    material = build_material(write_shop(tmp_path, lines), day(50), settings=CHOSEN)
    als = Blend(factor_count=4).als_settings()
    assert [rehearse(found, als) for found in material.rehearsals] == [None, None, None]


def test_there_is_no_rehearsal_before_the_first_order(shop: History) -> None:
    assert [found.snapshot.date for found in build_material(shop, day(20), settings=CHOSEN).rehearsals] == [
        day(6).date
    ]


def test_material_of_some_buckets_knows_the_whole_shops_items(shop: History) -> None:
    part = build_material(shop, day(70), settings=CHOSEN, buckets=[0])
    whole = build_material(shop, day(70), settings=CHOSEN)
    assert part.items.equals(whole.items)
    assert 0 < part.interactions["customer_id"].n_unique() < CUSTOMERS
    ids = set(part.interactions["customer_id"])
    assert set(part.rehearsals[0].purchases["customer_id"]) <= ids


def test_a_huge_history_is_learnt_from_a_sample_of_buckets(
    shop: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = shop.manifest.row_counts["order_lines"]
    monkeypatch.setattr("models.recommender.material.LINES_MAX", lines // 2)
    sample = build_material(shop, day(70), settings=CHOSEN)
    assert sample.interactions.equals(build_interactions(shop, day(70), settings=CHOSEN, buckets=[0]))
