"""Segments over HTTP: presets, saving, counting, members by page, mistakes with their place, scopes."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from export_shop import follow
from segment_shop import publish_customers
from serving_runs import meta, stored_row
from starlette.testclient import TestClient
from test_serving_api import open_client

from features.layout import Layout
from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.state.database import State
from serving.state.keys import Keys
from serving.state.migrate import make
from serving.state.segments import SEGMENTS_MAX, Segments, TooManySegmentsError
from serving.store import turns
from serving.store.records import AudienceCounts

SHOP = [
    {
        "customer_id": f"c{number}",
        "predicted_clv": float(number % 4),
        "country": "KR",
        "bought": {"tea": number},
    }
    for number in range(1, 8)
]


@pytest.fixture
def client(database: str, tmp_path: Path) -> Iterator[TestClient]:
    publish_customers(tmp_path, SHOP, products={"tea": "Drinks"})
    make(open_state(Environment(var=tmp_path)))
    with open_client(tmp_path) as opened:
        yield opened


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.json()
    return [member["customer_id"] for member in answer.json()["members"]]


def test_a_condition_is_counted(client: TestClient) -> None:
    answer = client.post("/v1/segments/count", json={"text": "predicted_clv >= 2 AND bought('tea', 6d)"})
    assert answer.json() == {
        "member_count": 3,
        "customer_count": 7,
        "share": 0.4286,
        "as_of": "2026-11-22",
        "score_run_id": "s_0001",
    }


def test_a_caller_with_too_many_readings_is_told_to_wait(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "WAITING_MAX", 0)
    answer = client.post("/v1/segments/count", json={"text": "predicted_clv >= 2"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert answer.json()["type"] == "urn:regulars:problem:too-many-waiting"


def test_readings_are_counted_by_key(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    begin = turns.Turns.begin

    def noted(self: turns.Turns, *values: Any) -> Any:
        asked.append(turns.ASKER.get())
        return begin(self, *values)

    monkeypatch.setattr(turns.Turns, "begin", noted)
    client.post("/v1/segments/count", json={"text": "predicted_clv >= 2"})
    key, secret = Keys(open_state(Environment(var=tmp_path))).add("m", ["audiences:read"])
    with open_client(tmp_path) as locked:
        headers = {"authorization": f"Bearer {secret}"}
        locked.post("/v1/segments/count", json={"text": "predicted_clv >= 1"}, headers=headers)
    assert asked == ["", key.key_id]


def test_a_mistake_is_told_with_its_place(client: TestClient) -> None:
    text = "lapsed and churn_probabilty > 0.5"
    for path, body in (("/count", {}), ("", {"slug": "one", "title": "One"})):
        answer = client.post(f"/v1/segments{path}", json={"text": text, **body})
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert (error["pointer"], error["code"]) == ("/body/text", "attribute")
        assert text[error["offset"] :][: error["length"]] == "churn_probabilty"
        assert "did you mean churn_probability" in error["message"]
        assert "churn_probabilty" not in answer.text
    assert [each["kind"] for each in client.get("/v1/segments").json()["segments"]] == ["preset"] * 17


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("lapsed and churn_percent", [(11, 13, "churn_percentile", "attribute")]),
        ("country == '", [(11, 1, '"KR"', "value")]),
        ("bought_category('Dr", [(16, 3, '"Drinks"', "value")]),
        ("acquisition_channel == '", []),
    ],
)
def test_what_is_begun_is_completed(client: TestClient, text: str, offered: list[Any]) -> None:
    answer = client.post("/v1/segments/complete", json={"text": text, "cursor": len(text)})
    found = answer.json()["completions"]
    assert [(each["offset"], each["length"], each["text"], each["kind"]) for each in found] == offered
    assert client.post("/v1/segments/complete", json={"text": text, "cursor": -1}).status_code == 422


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"slug": "One", "title": "One", "text": "lapsed"}, "/body/slug"),
        ({"slug": "one", "title": "", "text": "lapsed"}, "/body/title"),
        ({"slug": "one", "title": "One"}, "/body/text"),
        ({"slug": "one", "title": "One", "text": "x" * 1001}, "/body/text"),
        ({"slug": "one", "title": "One", "text": "lapsed", "secret": 1}, "/body"),
        ({"slug": "used-a-coupon", "title": "One", "text": "lapsed"}, "/body/slug"),
        ({"slug": "one", "title": "One", "text": "customer_id == 'c1'"}, "/body/text"),
    ],
)
def test_what_cannot_be_saved(client: TestClient, body: dict[str, Any], pointer: str) -> None:
    answer = client.post("/v1/segments", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert "secret" not in answer.text


def test_a_saved_segment_keeps_its_versions(client: TestClient) -> None:
    first = client.post("/v1/segments", json={"slug": "one", "title": "One", "text": "predicted_clv > 2"})
    assert (first.status_code, first.json()["version"], first.json()["kind"]) == (200, 1, "saved")
    same = client.post("/v1/segments", json={"slug": "one", "title": "One", "text": "predicted_clv > 2"})
    assert same.json() == first.json()
    client.post("/v1/segments", json={"slug": "one", "title": "One", "text": "predicted_clv > 1"})
    shown = client.get("/v1/segments/one").json()
    assert (shown["version"], shown["text"]) == (2, "predicted_clv > 1")
    assert [(each["version"], each["text"]) for each in shown["versions"]] == [
        (2, "predicted_clv > 1"),
        (1, "predicted_clv > 2"),
    ]
    assert shown["sizes"] == []
    assert client.get("/v1/segments").json()["segments"][-1]["slug"] == "one"
    assert client.get("/v1/segments/two").status_code == 404
    assert client.get("/v1/segments/two/members").status_code == 404


def test_a_preset_is_filled_in_from_the_shop(client: TestClient) -> None:
    shown = client.get("/v1/segments/lives-in").json()
    assert (shown["text"], shown["kind"], shown["version"]) == ('country == "KR"', "preset", 0)
    assert len(ids(client.get("/v1/segments/lives-in/members"))) == 7


@pytest.mark.parametrize(
    ("sort", "wanted"),
    [
        (None, "c1 c2 c3 c5 c6 c7"),
        ("predicted_clv", "c3 c7 c2 c6 c1 c5"),
        ("-predicted_clv", "c1 c5 c2 c6 c3 c7"),
    ],
)
def test_pages_keep_words_and_order(client: TestClient, sort: str | None, wanted: str) -> None:
    client.post("/v1/segments", json={"slug": "one", "title": "One", "text": "predicted_clv > 0"})
    query = f"?limit=2&sort={sort}" if sort else "?limit=2"
    page = client.get(f"/v1/segments/one/members{query}")
    seen = ids(page)
    client.post("/v1/segments", json={"slug": "one", "title": "One", "text": "predicted_clv > 2"})
    while cursor := page.json()["next_cursor"]:
        page = client.get("/v1/segments/one/members", params={"limit": 2, "cursor": cursor})
        assert page.json()["version"] == 1
        seen += ids(page)
    assert " ".join(seen) == wanted
    assert ids(client.get("/v1/segments/one/members")) == ["c3", "c7"]


def test_further_pages_come_from_the_first_ones_run(client: TestClient, tmp_path: Path) -> None:
    client.post("/v1/segments", json={"slug": "one", "title": "One", "text": "predicted_clv > 0"})
    cursor = client.get("/v1/segments/one/members?limit=4").json()["next_cursor"]
    publish_customers(tmp_path, [{"customer_id": "new", "predicted_clv": 5.0}])
    while client.get("/v1/segments/one/members").json()["score_run_id"] == "s_0001":
        time.sleep(0.02)
    assert ids(client.get("/v1/segments/one/members")) == ["new"]
    page = client.get("/v1/segments/one/members", params={"cursor": cursor})
    assert (page.json()["score_run_id"], ids(page)) == ("s_0001", ["c6", "c7"])


def test_a_cursor_of_a_list_with_a_segments_name_is_none_of_the_segment(
    client: TestClient, tmp_path: Path
) -> None:
    """`dormant` is a list, and a suggestion."""
    with open_store(Environment(var=tmp_path)).begin_run() as writer:
        writer.write_scores([stored_row("a"), stored_row("b")])
        writer.write_audience("dormant", ["a", "b"])
        writer.publish(meta(audiences={"dormant": AudienceCounts(title="Dormant", member_count=2)}))
    follow(client)
    cursor = client.get("/v1/audiences/dormant/members?limit=1").json()["next_cursor"]
    assert client.get(f"/v1/audiences/dormant/members?cursor={cursor}").status_code == 200
    assert client.get(f"/v1/segments/dormant/members?cursor={cursor}").status_code == 422


def test_a_segment_that_was_saved_before_there_were_suggestions_stays_its_owners(
    client: TestClient, tmp_path: Path
) -> None:
    Segments(open_state(Environment(var=tmp_path))).save("dormant", "Mine", "recency_days > 90", key_id="")
    words = {"slug": "dormant", "title": "Mine", "text": "recency_days > 120"}
    answer = client.post("/v1/segments", json=words)
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert client.post("/v1/segments", json=words | {"slug": "long-shots"}).status_code == 422


@pytest.mark.parametrize("slug", ["lives-in", "high-value"])
def test_what_comes_with_the_program_has_no_later_version(client: TestClient, slug: str) -> None:
    assert client.get(f"/v1/segments/{slug}/export.csv?version=0").status_code == 200
    assert client.get(f"/v1/segments/{slug}/export.csv?version=7").status_code == 404
    assert client.post("/v1/exports", json={"segment": slug, "version": 7}).status_code == 404


def test_a_cursor_is_held_to_its_segment_and_order(client: TestClient) -> None:
    cursor = client.get("/v1/segments/lives-in/members?limit=2").json()["next_cursor"]
    for path in (
        f"/v1/segments/used-a-coupon/members?cursor={cursor}",
        f"/v1/segments/lives-in/members?cursor={cursor}&sort=predicted_clv",
        "/v1/segments/lives-in/members?cursor=forged",
        "/v1/segments/lives-in/members?sort=row_number",
        f"/v1/audiences/at-risk/members?cursor={cursor}",
    ):
        assert client.get(path).status_code == 422, path


def test_saving_asks_for_its_scope(tmp_path: Path) -> None:
    publish_customers(tmp_path, SHOP, products={"tea": "Drinks"})
    state = State.of(Layout(tmp_path))
    make(state)
    _, reader = Keys(state).add("reader", ["audiences:read"])
    _, writer = Keys(state).add("writer", ["segments:write"])
    new = {"slug": "one", "title": "One", "text": "lapsed"}
    with open_client(tmp_path) as client:
        reading, writing = ({"authorization": f"Bearer {key}"} for key in (reader, writer))
        assert client.post("/v1/segments", json=new).status_code == 401
        assert client.post("/v1/segments", json=new, headers=reading).status_code == 403
        assert client.post("/v1/segments", json=new, headers=writing).status_code == 200
        assert client.get("/v1/segments/one/members", headers=writing).status_code == 403
        assert client.get("/v1/segments/one/members", headers=reading).status_code == 200


def test_there_is_an_end_to_how_many_are_saved(tmp_path: Path) -> None:
    state = State.of(Layout(tmp_path))
    make(state)
    segments = Segments(state)
    for number in range(SEGMENTS_MAX):
        segments.save(f"s-{number}", "S", "lapsed", key_id="")
    with pytest.raises(TooManySegmentsError):
        segments.save("one-more", "S", "lapsed", key_id="")
    assert segments.save("s-0", "Again", "lapsed", key_id="").version == 2


def test_whoever_is_suppressed_is_shown_no_more(tmp_path: Path) -> None:
    publish_customers(tmp_path, SHOP, products={"tea": "Drinks"})
    make(State.of(Layout(tmp_path)))
    with open_client(tmp_path) as client:
        asked = client.post("/v1/privacy/requests", json={"type": "suppress", "customer_id": "c3"})
        assert asked.status_code == 202
        page = client.get("/v1/segments/lives-in/members?limit=3")
        assert ids(page) == ["c1", "c2"]
        assert page.json()["next_cursor"] is not None
