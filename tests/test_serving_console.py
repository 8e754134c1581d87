"""The marketer's page: what it says, that nothing in it can run, that it pages."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_runs import meta, publish
from starlette.testclient import TestClient
from test_serving_api import open_client

from serving import console
from serving.routes_console import PAGE_ROWS
from serving.store import AudienceCounts

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    var: Path = tmp_path_factory.mktemp("var")
    publish(var, [HOSTILE, "a/b", *(f"c{number}" for number in range(PAGE_ROWS))])
    with open_client(var) as opened:
        yield opened


def test_the_page_says_what_a_marketer_needs(client: TestClient) -> None:
    page = re.sub(r"\s+", " ", client.get("/").text)
    assert "27 customers at risk" in page
    assert "Orders before <time" in page
    assert "22 Nov 2026" in page
    assert "<strong>16 %</strong> usually let 90 days pass without an order" in page
    assert "from 24 %" in page
    assert "<strong>49 %</strong>, 3.1 × usual" in page
    assert "143 days since the last order; the usual gap is 41" in page
    assert "2 who refused contact are left out" in page
    assert "the best simple rule: recency" in page
    assert "0.873" in page
    assert "0.818" in page
    assert 'href="/v1/audiences/at-risk/export.csv"' in page


def test_the_page_says_whom_the_files_leave_out(tmp_path: Path) -> None:
    counts = AudienceCounts(member_count=600, control_group_share=0.1, control_group_count=61)
    publish(tmp_path, ["c1"], audiences={"at-risk": counts})
    with open_client(tmp_path) as client:
        assert "The files leave 61 of them out on purpose, as a control group." in client.get("/").text


def test_nothing_in_the_page_can_run(client: TestClient) -> None:
    answer = client.get("/")
    assert HOSTILE not in answer.text
    assert "&lt;script&gt;" in answer.text
    assert "<script" not in answer.text
    assert "style=" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_links_lead_to_the_customer_byte_for_byte(client: TestClient) -> None:
    links = re.findall(r'href="(/v1/customers/[^"]+)"', client.get("/").text)
    found = [client.get(link.replace("&amp;", "&")).json()["customer_id"] for link in links[:2]]
    assert found == [HOSTILE, "a/b"]


def test_pages_follow_each_other(client: TestClient) -> None:
    first = client.get("/")
    following = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert following
    second = client.get(following[1])
    assert f"{PAGE_ROWS + 1}–27 of 27" in second.text
    assert 'rel="next"' not in second.text
    assert "Back to the start" in second.text
    assert client.get("/?cursor=forged").status_code == 422


def test_the_style_is_served_from_here(client: TestClient) -> None:
    answer = client.get("/assets/console.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert "http" not in answer.text


def test_nobody_at_risk_and_no_usual_risk_make_a_page_too(tmp_path: Path) -> None:
    publish(tmp_path, [], usual_churn_probability=None, lapsed_after_days=None, models={})
    with open_client(tmp_path) as client:
        assert "Nobody is at risk" in client.get("/").text


def test_money_and_dates_are_written_as_people_do() -> None:
    assert console.money(1234.56, "EUR") == "€1,235"
    assert console.money(57.3, "EUR") == "€57.30"
    assert console.money(0.0, "KRW") == "₩0"
    assert console.money(None, "EUR") == "–"
    assert console.day("2026-07-02T10:11:00Z") == "2 Jul 2026"
    assert console.percent(0.184) == "18 %"
    assert console.count(12345) == "12,345"


@pytest.mark.parametrize(("grade", "is_warned"), [("F", True), ("C", False), (None, False)])
def test_a_useless_model_is_warned_of_above_its_list(
    tmp_path: Path, grade: str | None, is_warned: bool
) -> None:
    card = meta().models["churn"].model_copy(update={"grade": grade})
    publish(tmp_path, models={"churn": card})
    with open_client(tmp_path) as client:
        page = client.get("/").text
    assert ("Do not act on this list" in page) == is_warned
    assert (f"Grade {grade}" in page) == (grade is not None)
