"""Errors of the console as its readers see them: a page with the menu; programs get problem+json."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_runs import publish
from starlette.testclient import TestClient
from test_serving_api import open_client
from test_serving_console import read

from serving.console.pages import NAVIGATION
from serving.databases import open_state
from serving.environment import Environment
from serving.state.migrate import make

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
LONG = "x" * 5_000


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    var: Path = tmp_path_factory.mktemp("var")
    make(open_state(Environment(var=var)))
    publish(var, [f"c{number}" for number in range(40)])
    with open_client(var) as opened:
        yield opened


@pytest.mark.parametrize(
    ("address", "status", "english", "korean"),
    [
        ("/nope", 404, "There is nothing at this address", "이 주소에는 아무것도 없습니다"),
        ("/lists/", 404, "There is nothing at this address", "이 주소에는 아무것도 없습니다"),
        ("/setup/upload", 405, "There is nothing at this address", "이 주소에는 아무것도 없습니다"),
        ("/lists/nope", 404, "There is no such list", "그런 목록이 없습니다"),
        ("/lists/nope/plan", 404, "There is no such list", "그런 목록이 없습니다"),
        ("/segments/nope", 404, "There is no such segment", "그런 세그먼트가 없습니다"),
        (f"/segments?q={LONG}", 422, "This cannot be read", "읽을 수 없습니다"),
        (f"/lists/at-risk?where={LONG}", 422, "This cannot be read", "읽을 수 없습니다"),
        (f"/customers?id={LONG}", 422, "This cannot be read", "읽을 수 없습니다"),
        (f"/lists/at-risk/plan?offer_cost={LONG}", 422, "This cannot be read", "읽을 수 없습니다"),
        ("/recommendations?limit=51", 422, "This cannot be read", "읽을 수 없습니다"),
        ("/lists/at-risk?cursor=forged", 422, "This cannot be read", "읽을 수 없습니다"),
        ("/language/xx", 422, "This cannot be read", "읽을 수 없습니다"),
    ],
)
def test_an_error_is_a_page_with_the_menu(
    client: TestClient, address: str, status: int, english: str, korean: str
) -> None:
    answer = client.get(address, headers=BROWSER)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert f"<h1>{english}</h1>" in answer.text
    assert all(f'href="{path}"' in answer.text for path, _ in NAVIGATION)
    assert LONG not in answer.text
    assert "nope" not in answer.text
    assert f"<h1>{korean}</h1>" in client.get(address, headers=BROWSER | {"accept-language": "ko"}).text


@pytest.mark.parametrize("address", ["/v1/nope", "/v1", "/v1/audiences/nope", "/v1/customers/nobody/scores"])
def test_programs_get_problems_whatever_they_accept(client: TestClient, address: str) -> None:
    answer = client.get(address, headers=BROWSER)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("address", ["/nope", "/lists/nope", "/recommendations?limit=51"])
def test_who_does_not_ask_for_pages_gets_problems(client: TestClient, address: str) -> None:
    answer = client.get(address, headers={"accept": "application/json"})
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_form_of_another_site_is_refused_with_a_page(client: TestClient) -> None:
    answer = client.post("/segments", data={}, headers=BROWSER | {"sec-fetch-site": "cross-site"})
    assert (answer.status_code, "<h1>Not allowed</h1>" in answer.text) == (403, True)


def test_pages_after_a_condition_that_cannot_be_read_are_those_of_the_whole_list(client: TestClient) -> None:
    page = read(client, "/lists/at-risk?where=nope&sort=predicted_clv")
    following = re.search(r'rel="next" href="([^"]*)"', page)
    assert following is not None
    assert "26–40 of 40" in read(client, following[1])


def test_fields_of_offers_that_were_emptied_stand_for_their_defaults(client: TestClient) -> None:
    page = read(client, "/recommendations?id=+c1+&product=&filter=&limit=&objective=&diversity=+")
    assert 'name="limit" type="number" min="1" max="50" value="10"' in page
    assert 'name="id" maxlength="256" value="c1"' in page
    assert "There is no customer with this id" not in page


def test_after_a_refused_upload_a_language_leads_back_to_the_set_up(client: TestClient) -> None:
    page = client.post("/setup/upload", data={}, headers={"accept-language": "en"}).text
    assert 'href="/language/ko?next=/setup"' in page


def test_a_language_leads_back_to_a_long_condition(client: TestClient) -> None:
    page = read(client, "/segments?q=" + "%ED%95%9C" * 1_000)
    link = re.search(r'href="(/language/ko[^"]*)"', page)
    assert link is not None
    answer = client.get(link[1], follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/segments?q=%ED%95%9C")
    client.cookies.clear()
