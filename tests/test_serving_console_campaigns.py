"""Pages that lead to acting: segments, whom it pays to contact, what came of lists that left."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_runs import publish
from starlette.testclient import TestClient
from test_serving_api import open_client
from test_serving_console import read

from serving.databases import open_state
from serving.environment import Environment
from serving.state.migrate import make


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    var: Path = tmp_path_factory.mktemp("var")
    make(open_state(Environment(var=var)))
    publish(var, [f"c{number}" for number in range(40)])
    with open_client(var) as opened:
        yield opened


def test_a_condition_is_counted_and_its_members_are_shown(client: TestClient) -> None:
    page = read(client, "/segments?q=predicted_clv+%3E+100+and+churn_probability_90+%3C+0.6")
    assert "40 customers (100 %)" in page
    assert page.count('class="id"><a href="/customers/c') == 25
    assert "0 customers (0 %)" in read(client, "/segments?q=predicted_clv+%3E+1000")


def test_a_mistake_is_shown_at_its_place_and_as_text(client: TestClient) -> None:
    page = read(client, "/segments?q=lapsed+or+churn_probabilty+%3E+0.3")
    assert "There is no such attribute. Did you mean churn_probability" in page
    assert "<bdi>lapsed or <mark>churn_probabilty</mark> &gt; 0.3</bdi>" in page
    korean = {"accept-language": "ko"}
    assert "그런 속성은 없습니다." in read(client, "/segments?q=churn_probabilty+%3E+0.3", **korean)
    assert "그런 속성은 없습니다." in read(client, "/lists/at-risk?where=churn_probabilty+%3E+0.3", **korean)
    assert "그런 속성은 없습니다." in read(client, "/recommendations?filter=prise+%3E+3", **korean)
    hostile = read(client, "/segments?q=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in hostile
    assert "<mark>&lt;" in hostile


def test_a_text_that_is_begun_is_completed_and_counted(client: TestClient) -> None:
    text = "predicted_clv > 100 and histor"
    begun = client.post("/segments/look", json={"text": text, "cursor": len(text)}).json()
    assert begun["count"] is None
    assert {"historic_clv", "historic_number_of_orders"} <= {each["text"] for each in begun["completions"]}
    whole = client.post("/segments/look", json={"text": "predicted_clv > 100", "cursor": 0}).json()
    assert (whole["count"], whole["total"]) == (40, 40)


def test_presets_stand_there_to_be_taken(client: TestClient) -> None:
    page = read(client, "/segments")
    assert page.count("/segments?q=") >= 17  # and those that another test saved
    assert "Bought in the last three months" in page
    assert "최근 3개월 안에 구매" in read(client, "/segments", **{"accept-language": "ko"})


def test_a_segment_is_saved_in_versions(client: TestClient) -> None:
    words = {"title": "Worth <b>keeping</b>", "slug": "worth-keeping", "text": "predicted_clv > 100"}
    first = client.post("/segments", data=words)
    assert "Worth &lt;b&gt;keeping&lt;/b&gt;" in first.text
    assert "Nothing yet: the next scoring run counts it." in first.text
    second = client.post("/segments", data=words | {"text": "predicted_clv > 200"})
    assert "<code>predicted_clv &gt; 100</code>" in second.text
    assert "<code>predicted_clv &gt; 200</code>" in second.text
    assert 'action="/v1/segments/worth-keeping/export.csv"' in second.text
    assert 'name="version" value="2"' in second.text
    assert "Of a segment of 500 or more, 10 % are left alone by chance" in second.text
    foreign = client.post("/segments", data=words, headers={"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403


@pytest.mark.parametrize(
    ("typed", "english", "korean"),
    [
        (
            {"slug": "high-value"},
            "A segment that comes with the program has this short name",
            "기본 제공 세그먼트가 이미 쓰는 짧은 이름입니다",
        ),
        ({"slug": "No<!"}, "The short name takes small letters", "짧은 이름에는 영문 소문자"),
        ({"title": ""}, "The name takes 1 to 100 characters.", "이름은 1~100자로 적으세요."),
        ({"text": "lapsed or"}, "The condition cannot be saved as it stands.", "이 조건은 이대로 저장할 수"),
        ({"text": "x" * 5_000}, "The condition cannot be saved as it stands.", "이 조건은 이대로 저장할 수"),
    ],
)
def test_what_cannot_be_saved_is_told_and_kept(
    client: TestClient, typed: dict[str, str], english: str, korean: str
) -> None:
    words = {"title": "My <b>best</b>", "slug": "my-best", "text": "predicted_clv > 100"} | typed
    page = client.post("/segments", data=words).text
    assert english in page
    assert f'name="title" maxlength="100" value="{html.escape(words["title"])}"' in page
    assert f'value="{html.escape(words["slug"])}" placeholder="likely-to-leave"' in page
    assert f'name="text" value="{html.escape(words["text"][:2_000])}"' in page
    assert korean in client.post("/segments", data=words, headers={"accept-language": "ko"}).text


def test_a_reason_that_does_not_exist_is_not_shown(client: TestClient) -> None:
    assert "Not saved." not in read(client, "/segments?q=lapsed&unsaved=%3Cb%3E")


def test_the_plan_says_how_many_and_what_fewer_would_bring(client: TestClient) -> None:
    page = read(client, "/lists/at-risk/plan?offer_cost=1&contact_cost=0.1&margin_share=0.5")
    heading = re.search(r"<h1>(.*?)</h1>", page)
    assert heading
    assert re.match(r"It pays to contact 40 customers", heading[1])
    assert 'value="0.5" placeholder="0.5"' in page
    assert "The margin is an assumption" not in page
    rows = page[page.index("data-curve") : page.index("</table>", page.index("data-curve"))]
    assert rows.count("<tr") > 3
    assert "The margin is an assumption" in read(client, "/lists/at-risk/plan")


def test_where_a_contact_never_pays_nobody_is_the_answer(client: TestClient) -> None:
    page = read(client, "/lists/at-risk/plan?contact_cost=10000")
    assert "It pays to contact nobody" in page
    assert "The first of them" not in page
    assert "Download these customers" not in page


def test_the_button_of_a_plan_takes_away_whom_it_contacts(client: TestClient) -> None:
    page = read(client, "/lists/at-risk/plan?offer_cost=1&contact_cost=0.1&margin_share=0.5&budget=40")
    found = re.search(r'href="(/v1/audiences/at-risk/export.csv[^"]*)" download>Download these', page)
    assert found
    # Of 40 like customers at 0.1 + 0.51 + 0.049 each, whatever p is, the budget pays for the number shown.
    shown = re.search(r"It pays to contact (\d+) customers", page)
    assert shown
    answer = client.get(html.unescape(found[1]))
    assert answer.status_code == 200, answer.text
    assert len(answer.text.splitlines()) - 1 == int(shown[1])


def test_what_is_no_number_is_told_and_left_out(client: TestClient) -> None:
    page = read(client, "/lists/at-risk/plan?margin_share=7&offer_cost=x")
    assert "Not taken, because it is no number within its range: margin_share, offer_cost." in page
    assert client.get("/lists/none/plan").status_code == 404


def test_lists_that_left_stand_there_with_who_took_them(client: TestClient) -> None:
    client.get("/v1/audiences/at-risk/export.csv")
    page = read(client, "/exports")
    assert "without a key" in page
    assert ">40<" in page
    assert "Nothing to compare with: it has no control group." in page
    assert '<a href="/lists/at-risk">At risk</a>' in page
    assert re.search(r"<td[^>]*>\d+ [A-Z][a-z]{2} \d{4}, \d\d:\d\d<span", page)
    assert "Times are those of the shop (UTC)." in page


def test_segments_that_left_have_their_titles(client: TestClient) -> None:
    words = {"title": "Dear <b>ones</b>", "slug": "dear-ones", "text": "predicted_clv > 100"}
    client.post("/segments", data=words)
    for slug in ("dear-ones", "bought-lately", "high-value"):
        assert client.get(f"/v1/segments/{slug}/export.csv").status_code == 200
    page = read(client, "/exports")
    assert '<a href="/segments/dear-ones"><bdi>Dear &lt;b&gt;ones&lt;/b&gt;</bdi></a>' in page
    assert '<a href="/segments/bought-lately">Bought in the last three months</a>' in page
    assert '<a href="/segments/high-value">High value</a>' in page


def test_the_file_of_a_control_group_alone_is_not_said_to_have_none(client: TestClient) -> None:
    assert client.get("/v1/audiences/at-risk/export.csv?control=only").status_code == 200
    assert client.get("/v1/audiences/at-risk/export.csv?control=include").status_code == 200
    page = read(client, "/exports")
    assert "The control group alone: lists that left it out are compared with it." in page
    assert "The control group is in the file too: there is nobody to compare with." in page
