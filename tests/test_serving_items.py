"""Lists of products and baskets over a hand-made run in the real store."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from serving_runs import meta, stored_row
from starlette.testclient import TestClient

from features.slots import Slot, pack_slots
from serving.api import create_app
from serving.databases import open_store
from serving.environment import Environment
from serving.offers.baskets import merge_bundles
from serving.schemas.base import Problem
from serving.schemas.offers import Bundle, ItemList, Recommendations
from serving.store.records import Item, ItemLists

NASTY = ("a/b", "00123", "김철수", "x/similar", "%2f", "a b", "a+b")
BEANS, FILTER, CUP, MUG, SPARE, FIRST_NASTY = range(6)
ITEMS = [
    Item(item_no=BEANS, product_id="beans", name="Beans", price=9.5, need_no=0),
    Item(item_no=FILTER, product_id="filter", name="Filter", need_no=1),
    Item(item_no=CUP, product_id="cup", name="Cup", need_no=2),
    Item(item_no=MUG, product_id="mug", name="Mug", need_no=2),
    Item(item_no=SPARE, product_id="spare"),
    *(Item(item_no=FIRST_NASTY + number, product_id=product) for number, product in enumerate(NASTY)),
]


def together(item_no: int, low: float, evidence_no: int, share: float = 0.25) -> Slot:
    return Slot(item_no, low, "bought_together", "item", evidence_no, share)


LISTS: list[tuple[int, str, list[Slot]]] = [
    (BEANS, "similar", [Slot(SPARE, 0.75, "similar_to", "item", BEANS)]),
    (BEANS, "bundle", [together(FILTER, 4.0, BEANS), together(CUP, 2.0, BEANS), together(SPARE, 1.5, BEANS)]),
    (
        FILTER,
        "bundle",
        [together(BEANS, 4.0, FILTER), together(MUG, 3.0, FILTER), together(CUP, 2.5, FILTER)],
    ),
    (CUP, "bundle", [together(SPARE, 1.25, CUP)]),
    *((number, "similar", [Slot(BEANS, 0.5, "similar_to", "item", number)]) for number in range(5, 12)),
]
SHOP: dict[str, list[Slot]] = {
    "for_you": [Slot(CUP, 3.0, "popular", "fallback", value=3)],
    "popular": [Slot(CUP, 3.0, "popular", "popular", value=3)],
    "trending": [Slot(FILTER, 1.75, "trending", "popular", value=3.1)],
    "new": [Slot(SPARE, 0.5, "new", "popular", value=4)],
}


@pytest.fixture(scope="module")
def client(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    var = tmp_path_factory.mktemp("var")
    with open_store(Environment(var=var)).begin_run() as writer:
        writer.write_scores([stored_row("c1")])
        own = ("c1", "for_you", pack_slots([Slot(BEANS, 0.5, "bought_before", "personalised", value=2)]))
        shop = [("", kind, pack_slots(slots)) for kind, slots in SHOP.items()]
        writer.write_recommendations([own, *shop])
        writer.write_items(ITEMS)
        writer.write_item_lists([(number, kind, pack_slots(slots)) for number, kind, slots in LISTS])
        writer.publish(meta(popularity_days=14))
    app = create_app(Environment(var=var, poll_seconds=0.05))
    with TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as opened:
        yield opened


def test_a_product_has_substitutes(client: TestClient) -> None:
    answer = client.get("/v1/items/beans/similar?include=product")
    found = ItemList.model_validate(answer.json())
    (place,) = found.places
    assert (found.product_id, found.kind, place.product_id, place.score) == (
        "beans",
        "similar",
        "spare",
        0.75,
    )
    assert place.reason.evidence_product_id == "beans"
    assert place.reason.text == "similar to Beans"
    assert place.product is not None
    assert found.unavailable is None


def test_a_product_has_a_bundle_with_the_share_of_its_baskets(client: TestClient) -> None:
    found = ItemList.model_validate(client.get("/v1/items/beans/bundle?limit=2").json())
    assert [(place.rank, place.product_id) for place in found.places] == [(1, "filter"), (2, "cup")]
    assert found.places[0].reason.values == {"basket_share": 0.25}
    assert found.places[0].reason.text == "25 % of the baskets with Beans hold this too"


def test_an_empty_list_says_why(client: TestClient) -> None:
    for kind, why in (("similar", "nothing_alike"), ("bundle", "nothing_bought_together")):
        found = ItemList.model_validate(client.get(f"/v1/items/spare/{kind}").json())
        assert (found.places, found.unavailable) == ([], why)


@pytest.mark.parametrize("product", NASTY)
def test_ids_count_byte_for_byte(client: TestClient, product: str) -> None:
    found = client.get(f"/v1/items/{quote(product, safe='')}/similar").json()
    assert found["product_id"] == product
    assert found["places"][0]["reason"]["evidence_product_id"] == product
    basket = client.get(f"/v1/bundle?product_id={quote(product, safe='')}").json()
    assert basket["product_ids"] == [product]


def test_a_basket_gets_the_best_of_its_products_bundles(client: TestClient) -> None:
    """The cup is named twice: the filter speaks louder for it. The mug serves the same need as a cup."""
    found = Bundle.model_validate(client.get("/v1/bundle?product_id=filter&product_id=beans").json())
    assert [(place.product_id, place.score) for place in found.places] == [
        ("mug", 3.0),
        ("cup", 2.5),
        ("spare", 1.5),
    ]
    assert [place.reason.evidence_product_id for place in found.places] == ["filter", "filter", "beans"]
    with_cup = client.get("/v1/bundle?product_id=filter&product_id=beans&product_id=cup").json()
    assert [place["product_id"] for place in with_cup["places"]] == ["spare"]


def test_a_basket_names_what_the_run_does_not_hold(client: TestClient) -> None:
    found = client.get("/v1/bundle?product_id=nothing&product_id=cup&product_id=cup&limit=1").json()
    assert (found["product_ids"], found["unknown_product_ids"]) == (["cup"], ["nothing"])
    assert [place["product_id"] for place in found["places"]] == ["spare"]


def test_a_products_list_and_a_baskets_are_filtered_before_they_are_cut(client: TestClient) -> None:
    def asked(query: str) -> tuple[list[str], dict[str, object] | None]:
        answer = client.get(f"/v1/{query}").json()
        return [place["product_id"] for place in answer["places"]], answer["short_fill"]

    assert asked("items/beans/bundle?limit=1") == (["filter"], None)
    assert asked("items/beans/bundle?limit=1&exclude=filter") == (["cup"], None)
    short = {"wanted": 10, "got": 1, "reason": "filter_leaves_fewer"}
    only_cup, no_cup = quote("product_id == 'cup'"), quote("product_id != 'cup'")
    assert asked(f"items/beans/bundle?filter={only_cup}") == (["cup"], short)
    assert asked("items/beans/similar") == (["spare"], {**short, "reason": "no_more_items"})
    assert asked("items/beans/similar?exclude=spare") == ([], {**short, "got": 0})
    basket = "bundle?product_id=filter&product_id=beans"
    assert asked(f"{basket}&limit=2&filter={no_cup}") == (["mug", "spare"], None)


@pytest.mark.parametrize(
    "path", ["/v1/items/nothing/similar", "/v1/items/nothing/bundle", "/v1/bundle?product_id=nothing"]
)
def test_an_unknown_product_is_a_problem(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert Problem.model_validate(answer.json()).type == "urn:regulars:problem:unknown-product"
    assert "nothing" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/v1/items//similar",
        "/v1/items/%ff/bundle",
        "/v1/items/beans/similar?limit=21",
        "/v1/items/beans/similar?include=secrets",
        "/v1/items/beans/similar?filter=secrets",
        "/v1/bundle?product_id=beans&exclude=",
        "/v1/bundle",
        "/v1/bundle?product_id=",
        "/v1/bundle?product_id=beans&product_id=%00",
        "/v1/bundle?" + "&".join(f"product_id={number}" for number in range(101)),
    ],
)
def test_malformed_requests_get_422(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 422
    assert Problem.model_validate(answer.json()).errors


@pytest.mark.parametrize(
    "path", ["/v1/items/beans/similar", "/v1/items/beans/bundle", "/v1/bundle?product_id=beans"]
)
def test_a_known_answer_is_not_sent_again(client: TestClient, path: str) -> None:
    tag = client.get(path).headers["etag"]
    again = client.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_a_customer_gets_the_shops_lists_beside_their_own(client: TestClient) -> None:
    found = Recommendations.model_validate(client.get("/v1/customers/c1/recommendations").json())
    assert set(found.lists) == {"for_you", "popular", "trending", "new"}
    assert found.lists["for_you"][0].product_id == "beans"
    texts = {kind: places[0].reason.text for kind, places in found.lists.items()}
    assert texts["popular"] == "bought by 3 customers in the last 14 days"
    assert texts["trending"] == "3.1 x its usual in the last 14 days"
    assert texts["new"] == "launched 4 days ago"
    assert found.lists["trending"][0].reason.values == {"times_usual": 3.1, "window_days": 14}


@pytest.mark.parametrize("kind", ["popular", "trending", "new"])
def test_a_shop_kind_can_be_asked_for_alone(client: TestClient, kind: str) -> None:
    assert set(client.get(f"/v1/customers/c1/recommendations?kind={kind}").json()["lists"]) == {kind}


def test_somebody_unknown_gets_the_shops_lists_too(client: TestClient) -> None:
    found = client.get("/v1/customers/nobody/recommendations?on_missing=fallback").json()
    assert set(found["lists"]) == {"for_you", "popular", "trending", "new"}
    assert found["lists"]["for_you"][0]["source"] == "fallback"


def test_without_known_needs_the_category_tells_substitutes() -> None:
    held = ItemLists(Item(item_no=0, product_id="a", category="k"), {"bundle": [together(1, 2.0, 0)]})
    partners = {1: Item(item_no=1, product_id="b", category="k", need_no=4)}
    assert merge_bundles([held], partners) == []
    partners[1] = Item(item_no=1, product_id="b")
    assert [slot.item_no for slot in merge_bundles([held], partners)] == [1]
