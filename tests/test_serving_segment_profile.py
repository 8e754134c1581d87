"""Sizes and profiles of segments on both stores, and suggestions: by hand, and where a shop is too small."""

import asyncio
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
from segment_shop import publish_customers
from serving_runs import meta
from starlette.testclient import TestClient
from test_serving_api import open_client

from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.segments import profile as profiles
from serving.segments.profile import level_error, read_cards, read_profile, read_size
from serving.segments.profile_traits import looked_at
from serving.segments.suggested import ALL_ALIKE, NO_REPEAT_ORDERS, NO_VALUES, SUGGESTED
from serving.segments.words import compile_segment
from serving.state.migrate import make
from serving.store.contract import ScoreRun
from serving.store.records import ChampionCard, RunMeta

HOSTILE = "<script>alert(1)</script>\u202e"
RISING = [float(step) for step in range(1, 20)]
CUTS = {
    name: RISING
    for name in (
        "churn_probability_30",
        "churn_probability_90",
        "historic_clv",
        "predicted_clv",
        "second_order_probability_60",
        "reactivation_probability",
        "recency_days",
    )
}


def customer(number: int) -> dict[str, Any]:
    """Every second of 200 is in Korea; of these 60 like tea, of the others 15; five of each say nothing."""
    is_korean = number % 2 == 0
    place = number // 2
    likes = HOSTILE if place < (60 if is_korean else 15) else "Mugs"
    return {
        "customer_id": f"c{number:03}",
        "country": "KR" if is_korean else "GB",
        "favourite_category": None if place >= 95 else likes,
        "recency_days": 3.0 if is_korean else 12.0,
        "email_consent": 1,
        "predicted_clv": 40.0,
        "predicted_clv_90": 10.0,
        "churn_probability_90": 0.75,
        "churn_probability_365": 0.5,
        "spend_if_order_low": 20.0,
        "spend_if_order_high": 225.048,
        "is_in_top_share": int(number < 40),
        "lapsed": 0,
    }


SHOP = [customer(number) for number in range(200)]


@pytest.fixture
def shop(database: str, tmp_path: Path) -> Path:
    publish_customers(tmp_path, SHOP, cuts=CUTS, customer_count=200, clv_horizon_days=365)
    make(open_state(Environment(var=tmp_path)))
    return tmp_path


@pytest.fixture
def client(shop: Path) -> Iterator[TestClient]:
    with open_client(shop) as opened:
        yield opened


def ask(root: Path, question: Any) -> Any:
    async def asked() -> Any:
        store = open_store(Environment(var=root))
        run = store.open_run(store.live_run_id())
        try:
            return await question(run)
        finally:
            run.close()
            await store.aclose()

    return asyncio.run(asked())


def test_a_profile_counts_members_and_others(shop: Path) -> None:
    async def korean(run: ScoreRun) -> Any:
        return await read_profile(run, "country == 'KR'", member_count=100)

    found = ask(shop, korean)
    assert (found.member_seen, found.other_seen) == (100, 100)
    # Two favourites, two of four quartiles of recency, consent; the country is the condition's own.
    assert found.compared_count == 5
    near, likes = found.traits
    assert (near.name, near.value, near.above, near.up_to) == ("recency_days", None, None, 5.0)
    assert (near.member_share, near.other_share) == (1.0, 0.0)
    assert near.lift == pytest.approx((100.5 / 100.5) / (0.5 / 100.5))
    assert (likes.name, likes.value) == ("favourite_category", HOSTILE)
    assert (likes.member_share, likes.other_share) == (60 / 95, 15 / 95)
    assert likes.lift == pytest.approx(4.0)
    # z of 1 − 0.05 ÷ 10 is 2.5758; √(1/60 − 1/95 + 1/15 − 1/95) = 0.24967
    assert (likes.low, likes.high) == pytest.approx((2.1026, 7.6097), rel=1e-3)


def test_large_sides_are_looked_at_in_part(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def few(run: ScoreRun) -> Any:
        return await read_profile(run, "recency_days < 5 and favourite_category is not null", member_count=95)

    monkeypatch.setattr(profiles, "SAMPLE", 50)
    found = ask(shop, few)
    # One member in two, one of the 105 others in three, though all members stand on every second place.
    assert 44 <= found.member_seen <= 51
    assert 33 <= found.other_seen <= 37


def test_expected_revenue_has_a_range_of_chance_and_level(shop: Path) -> None:
    async def sized(run: ScoreRun) -> Any:
        return await read_size(run, compile_segment("country == 'KR'", run.meta))

    found = ask(shop, sized)
    assert (found.member_count, found.expected_revenue, found.order_share) == (100, 1000.0, 0.25)
    assert found.level_error is None
    # Given an order: a mean of 40 ÷ 0.5 = 80, a deviation of 205.048 ÷ 2.5631 = 80, so a v² of 1; of one
    # customer 10² ÷ 0.25 · (0.75 + 1) = 700, of a hundred 70,000.
    assert found.expected_revenue_high == pytest.approx(1000 + 1.281552 * sqrt(70_000), abs=0.1)
    assert found.expected_revenue_low == pytest.approx(1000 - 1.281552 * sqrt(70_000), abs=0.1)


def test_what_a_condition_says_in_other_words_is_no_trait() -> None:
    names = {each.name for each in looked_at({}, besides=["clock_stage"])}
    assert "rfm_segment" in names
    assert "lifecycle_stage" not in names


def with_totals(*totals: list[float]) -> RunMeta:
    card = ChampionCard(name="clv", version=1, method="ml", candidate="hurdle", scorecard={"totals": totals})
    return meta(models={"clv": card})


def test_the_level_is_off_by_as_much_as_the_totals_were() -> None:
    # actual ÷ predicted − 1: +0.3 and −0.1, so √((0.09 + 0.01) ÷ 2)
    assert level_error(with_totals([100.0, 130.0], [200.0, 180.0])) == pytest.approx(sqrt(0.05))
    assert level_error(with_totals([0.0, 130.0])) is None
    assert level_error(meta(models={})) is None


def test_nobody_has_no_size_and_no_profile(shop: Path) -> None:
    async def nobody(run: ScoreRun) -> Any:
        size = await read_size(run, compile_segment("country == 'FR'", run.meta))
        return size, await read_profile(run, "country == 'FR'", member_count=0)

    size, profile = ask(shop, nobody)
    assert size == (0, None, None, None, None, None)
    assert (profile.traits, profile.member_seen) == ([], 0)


def test_suggestions_say_why_a_shop_cannot_bear_them() -> None:
    def reasons(**changes: Any) -> set[str | None]:
        return {each.missing(meta(**changes)) for each in SUGGESTED}

    assert reasons(lapsed_after_days=21.0, cuts=CUTS) == {None}
    # One customer, or everybody told the same.
    assert reasons(lapsed_after_days=21.0, cuts={name: [0.5] * 19 for name in CUTS}) == {ALL_ALIKE, None}
    assert reasons(lapsed_after_days=None, cuts=CUTS) == {NO_REPEAT_ORDERS, None}
    assert reasons(lapsed_after_days=21.0, cuts={}) == {NO_VALUES, None}
    # More than half the shop has the lowest value: no fifth can be told from it.
    low = CUTS | {"churn_probability_30": [0.1] * 10 + [0.2] * 9}
    ready = next(each for each in SUGGESTED if each.slug == "ready-to-buy")
    assert ready.missing(meta(cuts=low)) == ALL_ALIKE


def test_cards_have_sizes_and_short_profiles(shop: Path) -> None:
    cards = {card.suggestion.slug: card for card in ask(shop, read_cards)}
    assert list(cards) == [each.slug for each in SUGGESTED]
    high = cards["high-value"]
    assert high.size is not None
    assert high.profile is not None
    assert (high.size.member_count, high.size.expected_revenue) == (40, 400.0)
    assert (high.profile.member_seen, high.profile.other_seen) == (40, 160)
    (likes,) = high.profile.traits
    # All 40 like tea: of the others 75 − 35 of 150.
    assert (likes.name, likes.value, likes.member_share) == ("favourite_category", HOSTILE, 35 / 40)


def test_a_profile_is_told_over_http(client: TestClient) -> None:
    answer = client.get("/v1/segments/high-value/profile").json()
    assert answer["explanation"] == "Customers: among the fifth with the highest expected spend."
    assert answer["size"]["member_count"] == 40
    assert answer["profile"]["traits"][0]["words"] == f"category ordered most often: “{HOSTILE}”"
    korean = client.get("/v1/segments/high-value/profile", headers={"accept-language": "ko"}).json()
    assert korean["explanation"] == "고객 조건: 예상 지출 상위 20%에 속함."
    assert client.get("/v1/segments/nobodys/profile").status_code == 404
    suggested = client.get("/v1/segments/suggested").json()["suggestions"]
    assert [each["slug"] for each in suggested] == [each.slug for each in SUGGESTED]
    assert suggested[2]["size"] == answer["size"]


def test_a_suggestion_is_a_segment_whose_name_is_taken(client: TestClient) -> None:
    members = client.get("/v1/segments/high-value/members?limit=1000").json()["members"]
    assert len(members) == 40
    for slug in ("high-value", "suggested"):
        answer = client.post("/v1/segments", json={"slug": slug, "title": "Mine", "text": "lapsed"})
        assert answer.status_code == 422


def test_pages_show_profiles_and_nothing_in_them_runs(client: TestClient) -> None:
    for address in ("/segments", "/segments/high-value"):
        page = client.get(address).text
        assert "<script>alert" not in page
        assert "category ordered most often: “&lt;script&gt;alert(1)&lt;/script&gt;\u202e”" in page
        assert "€400" in page
    saved = {"slug": "in-korea", "title": "In Korea", "text": "country == 'KR'"}
    assert client.post("/v1/segments", json=saved).status_code == 200
    page = client.get("/segments/in-korea").text
    assert "Customers: country: “KR”." in page
    assert "days since the last order: 5 or less" in page
    assert "Customers: country: “KR”." in client.get("/segments?q=country+%3D%3D+'KR'").text


def test_a_shop_of_one_customer_says_why_not(tmp_path: Path) -> None:
    cuts = {name: [0.5] * 19 for name in CUTS}
    publish_customers(tmp_path, SHOP[:1], cuts=cuts, customer_count=1, lapsed_after_days=None)
    make(open_state(Environment(var=tmp_path)))
    with open_client(tmp_path) as client:
        page = client.get("/segments").text
        assert page.count("Not here: nobody has ordered twice yet") == 4
        assert page.count("Not here: the prediction is the same for too many customers") == 4
        assert "Too few customers, here or elsewhere" in client.get("/segments/long-shots").text
