"""Recommendations over HTTP with rules and in another order: what is refused, and what an answer tells."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from nasty_filters import NASTY_FILTERS
from slot_shop import SlotShop, make_slot_shop
from starlette.testclient import TestClient
from test_serving_api import open_client

from serving.schemas.base import Problem
from serving.schemas.offers import Recommendations


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> SlotShop:
    return make_slot_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def client(shop: SlotShop) -> Iterator[TestClient]:
    with open_client(shop.var) as opened:
        yield opened


@pytest.mark.parametrize(("text", "code"), NASTY_FILTERS)
def test_a_refused_filter_is_a_problem_without_an_echo(client: TestClient, text: str, code: str) -> None:
    answer = client.get(f"/v1/customers/c1/recommendations?filter={quote(text)}")
    assert answer.status_code == 422
    (error,) = Problem.model_validate(answer.json()).errors
    assert error.pointer == "/query/filter"
    assert error.code == {"too_long": "string_too_long"}.get(code, code)
    assert error.message
    assert len(text) < 12 or text not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "exclude=",
        "exclude=%ff",
        "exclude=a%00b",
        "exclude=" + "x" * 257,
        "&".join(["exclude=a"] * 101),
        "bought_within_days=0",
        "bought_within_days=3651",
        "bought_within_days=1e5",
        "bought_within_days=NaN",
        "bought_within_days=" + "9" * 5000,
    ],
)
def test_other_rules_that_are_none_are_problems_too(client: TestClient, query: str) -> None:
    answer = client.get(f"/v1/customers/c1/recommendations?{query}")
    assert answer.status_code == 422
    name = query.partition("=")[0]
    assert Problem.model_validate(answer.json()).errors[0].pointer.startswith(f"/query/{name}")


def test_a_filtered_answer_keeps_its_shape_and_tells_what_is_short(
    client: TestClient, shop: SlotShop
) -> None:
    plain = client.get("/v1/customers/c1/recommendations?limit=50").json()
    Recommendations.model_validate(plain)
    assert plain["short_fill"]["for_you"]["reason"] == "no_more_items"
    asked = quote('category in ["Tea", "Mugs"] and in_stock')
    answer = client.get(f"/v1/customers/c1/recommendations?limit=12&include=product&filter={asked}").json()
    Recommendations.model_validate(answer)
    places = answer["lists"]["for_you"]
    assert {place["product"]["category"] for place in places} <= {"Tea", "Mugs"}
    assert [place["rank"] for place in places] == list(range(1, len(places) + 1))
    assert answer["short_fill"]["for_you"] == {
        "wanted": 12,
        "got": len(places),
        "reason": "filter_leaves_fewer",
    }
    for place in places:
        if place["reason"]["code"] == "popular":
            buyers = dict(shop.popular)[place["product_id"]]
            assert place["reason"]["values"] == {"recent_customer_count": buyers}
    scores = [place["score"] for place in places]
    assert scores == sorted(scores, reverse=True)


def test_an_excluded_product_is_left_out_byte_for_byte(client: TestClient) -> None:
    url = "/v1/customers/c1/recommendations?kind=for_you&limit=3"
    first, second, third = (p["product_id"] for p in client.get(url).json()["lists"]["for_you"])
    kept = client.get(f"{url}&exclude={first}&exclude={third}&exclude={second}%20").json()
    assert kept["lists"]["for_you"][0]["product_id"] == second
    assert not {first, third} & {place["product_id"] for place in kept["lists"]["for_you"]}
    assert len(kept["lists"]["for_you"]) == 3
    assert kept["short_fill"] == {}
    encoded = client.get(f"{url}&%65xclude={first}&exclude=%70{third[1:]}").json()
    assert encoded["lists"] == kept["lists"]


def test_an_unknown_customer_is_filtered_and_filled_alike(client: TestClient, shop: SlotShop) -> None:
    asked = quote("price >= 20")
    url = f"/v1/customers/nobody/recommendations?on_missing=fallback&limit=4&filter={asked}"
    answer = client.get(url).json()
    Recommendations.model_validate(answer)
    dear = [product for product, _ in shop.popular if float(str(shop.products[product]["price"])) >= 20]
    assert [place["product_id"] for place in answer["lists"]["for_you"]] == dear[:4]
    assert [place["product_id"] for place in answer["lists"]["popular"]] == dear[:4]
    assert {place["source"] for place in answer["lists"]["for_you"]} == {"fallback"}
    assert answer["short_fill"]["upsell"] == {"wanted": 4, "got": 0, "reason": "unknown_customer"}


def test_a_filter_that_nothing_passes_leaves_every_list_short(client: TestClient) -> None:
    answer = client.get("/v1/customers/c1/recommendations?limit=4&filter=price+%3C+-1").json()
    assert answer["lists"] == {}
    assert answer["short_fill"]["for_you"] == {"wanted": 4, "got": 0, "reason": "filter_leaves_fewer"}


def test_revenue_ranks_what_is_left_by_score_times_price(client: TestClient, shop: SlotShop) -> None:
    url = "/v1/customers/c1/recommendations?kind=for_you&include=product&filter=price+is+not+null"
    stored = client.get(f"{url}&limit=50").json()["lists"]["for_you"]
    answer = client.get(f"{url}&limit=4&objective=revenue").json()
    worths = {
        place["product_id"]: (place["source"] == "popular", -place["score"] * place["product"]["price"])
        for place in stored
    }
    assert {is_fill for is_fill, _ in worths.values()} == {True, False}
    best = sorted(worths, key=worths.__getitem__)[:4]
    assert [place["product_id"] for place in answer["lists"]["for_you"]] == best
    assert [place["rank"] for place in answer["lists"]["for_you"]] == [1, 2, 3, 4]
    assert answer["objective"] == "revenue"
    assert answer["short_fill"] == {}
    Recommendations.model_validate(answer)


def test_an_objective_that_nothing_has_a_figure_for_is_not_applied(client: TestClient) -> None:
    url = "/v1/customers/c1/recommendations?limit=5"
    plain, asked = (client.get(f"{url}{more}").json() for more in ("", "&objective=margin"))
    assert (plain["objective"], asked["objective"]) == ("purchase", "purchase")
    assert asked["lists"] == plain["lists"]
    assert asked["short_fill"] == plain["short_fill"]


def test_variety_keeps_the_first_place_and_shows_more_categories(client: TestClient) -> None:
    url = "/v1/customers/c1/recommendations?kind=for_you&include=product&limit=6"
    plain, varied = (
        client.get(f"{url}&diversity={weight}").json()["lists"]["for_you"] for weight in ("0", "1")
    )
    assert varied[0]["product_id"] == plain[0]["product_id"]
    categories = [{place["product"]["category"] for place in places} for places in (plain, varied)]
    assert len(categories[1]) > len(categories[0])


@pytest.mark.parametrize("query", ["objective=fame", "diversity=1.1", "diversity=-1", "diversity=NaN"])
def test_an_order_that_is_none_is_a_problem(client: TestClient, query: str) -> None:
    answer = client.get(f"/v1/customers/c1/recommendations?{query}")
    assert answer.status_code == 422
    (error,) = Problem.model_validate(answer.json()).errors
    assert error.pointer == f"/query/{query.partition('=')[0]}"
