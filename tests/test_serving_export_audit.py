"""Every way out is written down: lists and segments read by page, and the recommendations of everybody."""

from pathlib import Path
from typing import Any

import pytest
from export_shop import bearer, open_api, open_bench
from serving_runs import publish
from starlette.testclient import TestClient

from serving.audiences.kept_members import keep_members
from serving.jobs import Bench
from serving.schemas.outcomes import ListExports as ListExportsShape
from serving.state.list_exports import Ending, ListExport, ListExports
from serving.state.segments import Segments

IDS = [f"c{number:03}" for number in range(250)]
MEMBERS = "/v1/audiences/at-risk/members"


@pytest.fixture
def bench(database: str, tmp_path: Path) -> Bench:
    publish(tmp_path, IDS, control_group_share=0.2)
    bench = open_bench(tmp_path)
    Segments(bench.state).save("worth", "Worth it", "predicted_clv > 50", key_id="")
    return bench


def walk(client: TestClient, url: str, **asked: Any) -> list[list[str]]:
    """Return the ids of all pages."""
    headers, pages = asked.pop("headers", {}), []
    while True:
        answer = client.get(url, params=asked, headers=headers)
        assert answer.status_code == 200, answer.text
        pages.append([member["customer_id"] for member in answer.json()["members"]])
        if answer.json()["next_cursor"] is None:
            return pages
        asked["cursor"] = answer.json()["next_cursor"]


def left(bench: Bench) -> list[ListExport]:
    return ListExports(bench.state).page(before=None, limit=20)


def test_the_pages_of_a_list_are_one_entry(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        key = bearer(bench, "audiences:read")
        client.app.state.context.guard.refresh()  # type: ignore[attr-defined]
        pages = walk(client, MEMBERS, limit=60, min_clv=100, headers=key)
    rows = sum(map(len, pages))
    assert len(pages) > 2
    (entry,) = left(bench)
    assert (entry.audience, entry.score_run_id, entry.row_count, entry.is_whole) == (
        "at-risk",
        "s_0001",
        rows,
        True,
    )
    assert entry.request == {"profile": "generic", "format": "pages", "control": "exclude", "min_clv": 100.0}
    assert (entry.control_group_share, entry.members, entry.key_id != "") == (0.2, "paged", True)
    # It is counted, and not measured: who reads pages may read them every minute.
    assert keep_members(bench.layout, bench.state, bench.store) == 0


def test_how_far_somebody_read_is_known_and_a_page_again_counts_once(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        first = client.get(MEMBERS, params={"limit": 30}).json()
        second = {"limit": 30, "cursor": first["next_cursor"]}
        for _ in range(3):
            client.get(MEMBERS, params=second)
    (entry,) = left(bench)
    assert (entry.row_count, entry.is_whole) == (60, False)


def test_who_begins_again_at_once_is_the_same_reader(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        for limit in (30, 100, 60):
            client.get(MEMBERS, params={"limit": limit})
        client.get(MEMBERS, params={"limit": 30, "control": "include"})
    other, entry = left(bench)
    assert (entry.request["control"], entry.row_count) == ("exclude", 100)
    assert (other.request["control"], other.row_count) == ("include", 30)


def test_a_page_that_is_the_only_one_is_whole_at_once(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        (page,) = walk(client, MEMBERS, limit=1000, control="only")
        (entry,) = client.get("/v1/exports").json()["exports"]
    assert (entry["row_count"], entry["is_whole"]) == (len(page), True)
    assert entry["request"]["control"] == "only"


def test_whoever_goes_on_with_anothers_cursor_is_an_entry_of_their_own(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        one, other = bearer(bench, "audiences:read"), bearer(bench, "audiences:read")
        client.app.state.context.guard.refresh()  # type: ignore[attr-defined]
        first = client.get(MEMBERS, params={"limit": 30}, headers=one).json()
        client.get(MEMBERS, params={"limit": 30, "cursor": first["next_cursor"]}, headers=other)
    newest, oldest = left(bench)
    assert newest.key_id != oldest.key_id
    assert (newest.row_count, oldest.row_count) == (30, 30)


def test_the_pages_of_a_segment_are_one_entry(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        pages = walk(client, "/v1/segments/worth/members", limit=100, sort="predicted_clv")
    assert [len(page) for page in pages] == [100, 100, 50]
    (entry,) = left(bench)
    assert (entry.audience, entry.row_count, entry.is_whole, entry.members) == (
        "segment:worth",
        250,
        True,
        "paged",
    )
    assert entry.request == {
        "profile": "generic",
        "format": "pages",
        "control": "include",
        "segment": "worth",
        "version": 1,
        "text": "predicted_clv > 50",
        "sort": "predicted_clv",
    }
    assert entry.control_group_share == 0.0


def test_recommendations_of_everybody_are_written_down(bench: Bench) -> None:
    asked = {"kind": "for_you", "items": 2, "filter": "price > 1", "exclude": "p/0"}
    with open_api(bench.layout.root) as client:
        text = client.get("/v1/recommendations/export.csv", params=asked).text
        found = client.get("/v1/exports")
        ListExportsShape.model_validate_json(found.text)
    assert len(text.splitlines()) == 251
    (entry,) = left(bench)
    assert (entry.audience, entry.row_count, entry.is_whole, entry.members) == (
        "recommendations:for_you",
        250,
        True,
        "none",
    )
    assert entry.request == {
        "profile": "generic",
        "format": "plain",
        "control": "include",
        "items": 2,
        "filter": "price > 1",
        "bought_within_days": 0,
        "exclude": ["p/0"],
    }


def test_a_cursor_of_an_earlier_release_begins_an_entry(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        signer = client.app.state.context.cursors  # type: ignore[attr-defined]
        old = {"limit": 30, "cursor": signer.sign(["at-risk", "s_0001", 10, None, "exclude", 0])}
        assert client.get(MEMBERS, params=old).status_code == 200
        older = signer.sign(["worth", 1, "s_0001", 0, "", 10, None])
        answer = client.get("/v1/segments/worth/members", params={"limit": 30, "cursor": older})
        assert answer.status_code == 200
    assert [(entry.audience, entry.row_count) for entry in left(bench)] == [
        ("segment:worth", 30),
        ("at-risk", 30),
    ]


def test_what_is_further_counts(bench: Bench) -> None:
    lists = ListExports(bench.state)
    with open_api(bench.layout.root) as client:
        client.get(MEMBERS, params={"limit": 30})
    (entry,) = left(bench)
    lists.grow({entry.export_id: Ending(90, False)})
    lists.grow({entry.export_id: Ending(60, False), "x_unknown": Ending(1, True)})
    assert [(each.row_count, each.is_whole) for each in left(bench)] == [(90, False)]
    lists.grow({entry.export_id: Ending(90, True)})
    assert [(each.row_count, each.is_whole) for each in left(bench)] == [(90, True)]


def test_where_nothing_can_be_written_no_file_leaves_and_pages_stand_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(tmp_path, IDS)
    bench = open_bench(tmp_path)
    with open_api(tmp_path) as client:
        cursor = client.get(MEMBERS, params={"limit": 30}).json()["next_cursor"]
        with bench.state.writing() as connection:
            connection.exec_driver_sql("DROP TABLE list_exports")
        assert client.get(MEMBERS, params={"control": "only"}).status_code == 200
        assert client.get("/v1/recommendations/export.csv").status_code == 503
        assert client.get(MEMBERS, params={"cursor": cursor}).status_code == 200
    assert any("(open door) read pages of at-risk, which was not written down" in m for m in caplog.messages)


def test_results_leave_out_what_was_read_by_page(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        walk(client, MEMBERS, limit=100)
        client.get("/v1/recommendations/export.csv")
        client.get("/v1/segments/worth/export.csv?control=include")
        page = client.get("/exports", headers={"accept-language": "en"}).text
    assert page.count('<th scope="row">') == 2
    assert '<a href="/segments/worth"><bdi>Worth it</bdi></a>' in page
    assert '<th scope="row">Offers<' in page
