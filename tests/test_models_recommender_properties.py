"""Random small shops: whatever the orders, every list keeps its promise and nothing fails."""

from collections.abc import Sequence
from datetime import date

import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as checks
from hypothesis import strategies as st
from recommender_shop import Line, Product, day, settings, write_shop

from features.interactions import build_interactions
from features.items import build_items
from features.slots import CUSTOMER_KINDS, KINDS
from models.contract import NotEnoughDataError
from models.recommender.blend import Blend
from models.recommender.material import build_material

CHOSEN = settings(outcome_days=7, popularity_days=14)
CUSTOMERS = ["ann", "bob", "00123", "김철수", "=1+1"]
ITEMS = ["a", "b", "c", "d", "nan", "NA"]
AMOUNTS = st.sampled_from([-3.0, 0.0, 1.0, 1.1, 1.5, 2.0, 9.99, 1e9])
LINES = st.lists(
    st.tuples(
        st.sampled_from(CUSTOMERS),
        st.none() | st.sampled_from(ITEMS),
        st.floats(0, 60).map(lambda days: round(days, 2)),
        st.sampled_from([0.0, 0.5, 1.0, 3.0]),
        AMOUNTS,
    ),
    min_size=1,
    max_size=40,
)
NAMES = st.none() | st.sampled_from(["x", "y"])
PRODUCTS = st.lists(
    st.tuples(
        st.sampled_from(ITEMS),
        NAMES,
        NAMES,
        st.fixed_dictionaries(
            {
                "in_stock": st.sampled_from([None, True, False]),
                "name": st.sampled_from([None, "tea", "green tea"]),
                "launched_on": st.none() | st.dates(date(2025, 12, 1), date(2026, 4, 1)),
                "list_price_minor": st.sampled_from([None, 0, 20_000]),
            }
        ),
    ),
    unique_by=lambda product: product[0],
)


@checks(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=LINES, products=PRODUCTS, depth=st.integers(1, 8))
def test_any_shop_gets_lists_that_keep_their_promises(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Line], products: Sequence[Product], depth: int
) -> None:
    shop = write_shop(tmp_path_factory.mktemp("any"), lines, products)
    blend = Blend(factor_count=2, iteration_count=2)
    try:
        blend.fit(build_material(shop, day(61), settings=CHOSEN))
    except NotEnoughDataError:
        assert not any(product and amount >= 0 for _, product, _, _, amount in lines)
        return
    known = build_interactions(shop, day(61), settings=CHOSEN)
    lists = blend.recommend(
        known, customer_ids=[*CUSTOMERS, "nobody"], snapshot=day(61), kinds=CUSTOMER_KINDS, depth=depth
    )
    items = build_items(shop, day(61), settings=CHOSEN).to_pandas().set_index("product_id")
    owned = set(known.select("customer_id", "product_id").rows())
    categories = set(known.select("customer_id", "category").rows())
    _check_every_slot(lists, items)
    for row in lists.itertuples():
        key = (row.customer_id, row.product_id)
        item = items.loc[row.product_id]
        if row.kind == "buy_again":
            assert key in owned
        if row.kind == "cross_sell":
            assert key not in owned
            assert (row.customer_id, item["category"]) not in categories
        if row.kind == "upsell":
            assert key not in owned
            base = items.loc[row.evidence_product_id]
            assert (row.customer_id, row.evidence_product_id) in owned
            assert 1.1 - 1e-6 <= item["unit_price_minor"] / base["unit_price_minor"] <= 2.0 + 1e-6
            assert item[["category", "subcategory"]].equals(base[["category", "subcategory"]])
    of_shop = blend.shop_lists(snapshot=day(61), depth=depth)
    of_items = blend.item_lists(items.index.tolist(), depth=depth)
    _check_shop_lists(of_shop, items)
    _check_item_lists(of_items, items)
    kinds = set(lists["kind"]) | set(of_shop["kind"]) | set(of_items["kind"])
    for kind in KINDS:
        assert blend.unavailable(kind) is None or kind not in kinds


def _check_shop_lists(lists: pd.DataFrame, items: pd.DataFrame) -> None:
    _check_every_slot(lists, items)
    assert set(lists["customer_id"]) <= {""}
    sold = items.loc[lists.loc[lists["kind"] != "new", "product_id"], "customer_count"]
    assert (sold > 0).all()


def _check_item_lists(lists: pd.DataFrame, items: pd.DataFrame) -> None:
    _check_every_slot(lists.rename(columns={"of_product_id": "customer_id"}), items)
    assert (lists["of_product_id"] != lists["product_id"]).all()
    assert (lists["evidence_product_id"] == lists["of_product_id"]).all()
    for row in lists[lists["kind"] == "bundle"].itertuples():
        assert items.loc[row.product_id, "customer_count"] > 0
        need, other = (
            items.loc[product, ["category", "subcategory"]] for product in (row.of_product_id, row.product_id)
        )
        assert need.isna().any() or not need.equals(other)


def _check_every_slot(lists: pd.DataFrame, items: pd.DataFrame) -> None:
    shown = items.loc[lists["product_id"]]
    assert shown["is_active"].all()
    assert not (shown["in_stock"] == False).any()  # noqa: E712 - null is neither
    assert not lists.duplicated(["customer_id", "kind", "rank"]).any()
    assert not lists.duplicated(["customer_id", "kind", "product_id"]).any()
