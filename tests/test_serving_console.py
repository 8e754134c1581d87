"""The marketer's console: what its pages say, that nothing in them can run, that lists page."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from console_documents import DOCUMENTS, HOSTILE
from serving_runs import meta, publish
from starlette.testclient import TestClient
from test_serving_api import open_client

from serving.console.figures import Figures
from serving.console.pages import NAVIGATION
from serving.console.routes_lists import PAGE_ROWS
from serving.store.records import AudienceCounts, RunWarning

KOREAN = {"accept-language": "ko-KR,ko;q=0.9,en;q=0.5"}
TIMELINES: dict[str, Any] = {
    HOSTILE: {"orders": [["2026-07-02", 57.3, 3]], "scores": [["2026-10-22", 0.31, 140.0]]}
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    var: Path = tmp_path_factory.mktemp("var")
    ids = [HOSTILE, "a/b", *(f"c{number}" for number in range(PAGE_ROWS))]
    publish(var, ids, documents=DOCUMENTS, timelines=TIMELINES)
    with open_client(var) as opened:
        yield opened


def read(client: TestClient, address: str, **headers: str) -> str:
    """Return a page's text, its white space as a browser shows it."""
    answer = client.get(address, headers=headers)
    assert answer.status_code == 200, address
    return re.sub(r"\s+", " ", answer.text)


def test_the_overview_says_how_the_shop_is(client: TestClient) -> None:
    page = read(client, "/")
    assert "27 customers at risk" in page
    assert "Orders before 22 Nov 2026" in page
    assert "16 % usually let 90 days pass without an order" in page
    assert "In the last 7 days 41 customers slipped (€3,100,000 at stake); 6 came back, 1 is new." in page
    assert "Better than every simple rule" in page


def test_the_overview_says_what_is_expected_and_where_customers_stand(client: TestClient) -> None:
    page = read(client, "/")
    assert re.search(r"Expected within 90 days</dt><dd>€[\d,]+<span class=\"unit wrap\">€[\d,]+ – €", page)
    stage = '/segments?q=lifecycle_stage%20%3D%3D%20%22slipping%22">slipping</a> <span>27 '
    assert stage + '<span class="quiet">100 %</span>' in page


def test_a_list_says_what_a_marketer_needs(client: TestClient) -> None:
    page = read(client, "/lists/at-risk")
    assert "At risk: 27 customers" in page
    assert "Risk is high from 24 %" in page
    assert re.search(r"<strong>49 %</strong> <span class=\"nowrap\">3\.1 × usual", page)
    assert "143 days since the last order; the usual gap is 41" in page
    assert "2 who refused contact are left out" in page
    assert "→ remind of what they buy; no discount yet" in page
    assert 'href="/v1/audiences/at-risk/export.csv?language=en"' in page


def test_a_list_says_whom_its_files_leave_out(tmp_path: Path) -> None:
    counts = AudienceCounts(member_count=600, control_group_share=1.0, control_group_count=61)
    publish(tmp_path, ["c1"], audiences={"at-risk": counts})
    with open_client(tmp_path) as client:
        page = read(client, "/lists/at-risk")
    assert "The files leave 61 of them out on purpose, as a control group." in page
    assert "7 orders · control group" in page


def test_a_customer_is_told_with_reasons_value_orders_and_offers(client: TestClient) -> None:
    page = read(client, "/customers/%3Cscript%3Ealert%281%29%3C%2Fscript%3E")
    for words in (
        "Stage: slipping · RFM group: Previously loyal · 7 orders, €401",
        "no order within 90 days · 3.1 × usual",
        "+18.0</span> <bdi>143 days since the last order",
        "€0 – €301",
        "11 Dec 2026 – later than a year",
        '<td>2 Jul 2026</td><td class="number">€57.30</td>',
        '<td>22 Oct 2026</td><td class="number">31 %</td>',
        "<bdi>Mug</bdi>",
        "bought 3 times before",
    ):
        assert words in page, words


def test_who_orders_daily_is_said_to_order_one_a_day(tmp_path: Path) -> None:
    publish(tmp_path, ["c1"], average_days_between_orders=1.2)
    with open_client(tmp_path) as client:
        assert ", one a day ·" in read(client, "/customers/c1")


def test_a_customer_who_is_unknown_is_said_to_be(client: TestClient) -> None:
    answer = client.get("/customers/nobody")
    assert answer.status_code == 404
    assert "No customer has this id" in answer.text
    assert client.get("/customers?id=c1", follow_redirects=False).headers["location"] == "/customers/c1"
    assert "Find a customer" in client.get("/customers").text


def test_groups_show_sizes_money_and_the_grid(client: TestClient) -> None:
    page = read(client, "/rfm")
    assert "Previously loyal" in page
    assert "€10,827" in page
    cell = re.search(r"heat-4\">(<a href=\"[^\"]*\"><strong>27</strong></a><span[^>]*>[^<]*)", page)
    assert cell is not None
    assert "/segments?q=rfm_recency%20%3D%3D%202%20and%20rfm_frequency%20%3D%3D%203" in cell[1]
    assert cell[1].endswith("90 % · money 95 % · e-mail 100 % · 143 d")
    assert "/segments?q=rfm_segment%20%3D%3D%20%22PREVIOUSLY_LOYAL%22" in page
    assert "27 customers" in read(
        client, "/segments?q=rfm_recency%20%3D%3D%202%20and%20rfm_frequency%20%3D%3D%203"
    )
    assert "27 customers" in read(client, "/segments?q=rfm_segment%20%3D%3D%20%22PREVIOUSLY_LOYAL%22")


def test_the_grid_promises_no_consent_where_it_is_unknown(client: TestClient, tmp_path: Path) -> None:
    assert "may be e-mailed." in read(client, "/rfm")
    found: dict[str, Any] = DOCUMENTS["groups"]
    cells = [cell | {"consent_share": None} for cell in found["cells"]]
    publish(tmp_path, ["c1"], documents=DOCUMENTS | {"groups": found | {"cells": cells}})
    with open_client(tmp_path) as opened:
        page = read(opened, "/rfm")
    assert "Also their share of the money so far." in page
    assert "may be e-mailed." not in page


def test_ids_of_offers_are_trimmed_but_where_blanks_are_their_own(tmp_path: Path) -> None:
    publish(tmp_path, ["c1", "c2 "])
    with open_client(tmp_path) as client:
        assert 'value="c1"' in read(client, "/recommendations?id=+c1+")
        exact = read(client, "/recommendations?id=c2+")
    assert 'value="c2 "' in exact
    assert "There is no customer with this id" not in exact


def test_groups_say_how_their_scores_were_made(client: TestClient) -> None:
    page = read(client, "/rfm")
    assert "As many customers in each of 5 parts as ties allow." in page
    assert "≤ 145.5" in page
    assert "2 customers did nothing in the window and have the lowest scores." in page


def test_groups_can_be_of_an_event(client: TestClient) -> None:
    page = read(client, "/rfm?event=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "Groups by the event &lt;script&gt;alert(1)&lt;/script&gt; in place of orders" in page
    assert 'Never did it</th><td class="number" data-label="Customers">9</td>' in page
    assert '<strong>21</strong><span class="unit">70 % · 4 d' in page
    assert "Formula CLV of the groups" not in page
    assert "Previously loyal" in read(client, "/rfm?event=unknown")


def test_groups_show_the_formula_of_the_trade(client: TestClient) -> None:
    page = read(client, "/rfm")
    for words in ("€40.00", "€240", "€720", "a lifespan of 3 years, the usual figure"):
        assert words in page, words


def test_retention_shows_rates_cohorts_concentration_and_clocks(client: TestClient) -> None:
    page = read(client, "/retention")
    for words in (
        '22 % <span class="unit">15 % to 31 %, 95 % interval',
        '<td class="number">78 %</td>',
        "1 Jan 2026 – 1 Mar 2026",
        '<td class="number">45 %</td>',
        '57 % <span class="unit">of the money comes from the top 20 % of the customers',
        '9 months <span class="unit">the usual figure',
        "Aug 2026",
        'heat-3">65 %',
        "(6 %)",
        "60 – 140",
    ):
        assert words in page, words


def test_the_value_page_shows_channels_and_computes(client: TestClient) -> None:
    page = read(client, "/value?clv=100&cac=20&conversion_rate=0.1")
    assert '3.48 : 1 <span class="unit">✓ 3 : 1 or better' in page
    assert "known of 20" in page
    for words in ("5 : 1 ·", "€80.00", "<dd>2.4</dd>", "€10.00", "€3.33"):
        assert words in page, words
    wrong = read(client, "/value?clv=x&cac=-2&new_customer_count=3")
    assert "CLV is a number, no larger than 1,000,000,000,000." in wrong
    assert "The cost of a customer is a number from 0 to 1,000,000,000,000." in wrong
    assert 'value="x"' in wrong


def test_offers_are_previewed_under_a_filter(client: TestClient) -> None:
    assert "bought 3 times before" in read(client, "/recommendations?id=a/b")
    assert "<bdi>Mug</bdi></a>" not in read(client, "/recommendations?id=a/b&filter=price+%3C+9")
    nothing = read(client, "/recommendations?id=a/b&filter=price+%3C+0")
    assert "Nothing that would be offered here passes the filter." in nothing
    assert "passes the filter" not in read(client, "/recommendations?product=none&filter=price+%3C+0")
    assert 'value="a/b"' in read(client, "/recommendations?id=+a/b+")
    assert "this is what somebody unknown gets" in read(client, "/recommendations?id=nobody")
    assert "There is no product with this id." in read(client, "/recommendations?product=none")
    assert "This cannot be read as a condition. Write one such as: in_stock" in read(
        client, "/recommendations?filter=price+%3C"
    )
    assert client.get("/recommendations?limit=51").status_code == 422


def test_the_scorecard_stands_beside_the_simple_rules(client: TestClient, tmp_path: Path) -> None:
    page = read(client, "/scorecard")
    assert "the best simple rule: recency" in page
    assert "0.873" in page
    assert "0.818" in page
    scorecard = {
        "origins": ["2026-07-02", "2026-08-02"],
        "metrics": {"total_bias": -0.02},
        "baseline": {"candidate": "formula_alone", "metrics": {"total_bias": 0.03}},
    }
    card = meta().models["clv"].model_copy(update={"candidate": "hurdle", "scorecard": scorecard})
    publish(tmp_path, ["c1"], models={"clv": card})
    with open_client(tmp_path) as opened:
        english, korean = read(opened, "/scorecard"), read(opened, "/scorecard", **KOREAN)
    assert "Judged at 2 Jul 2026, 2 Aug 2026." in english
    assert "the best simple rule: CLV formula alone" in english
    assert '>−2 %</td><td class="number">+3 %<' in english
    assert "2026. 7. 2., 2026. 8. 2." in korean
    assert "CLV 공식 단독" in korean
    assert '>−2%</td><td class="number">+3%<' in korean


def test_numbers_and_dates_of_warnings_are_the_readers(tmp_path: Path) -> None:
    values = {"first_date": "2026-07-02", "last_date": "2029-08-02", "day_count": 1127}
    warning = RunWarning(code="no_orders_for_long", text="no orders", values=values)
    publish(tmp_path, ["c1"], warnings=[warning])
    with open_client(tmp_path) as client:
        assert "No order between 2 Jul 2026 and 2 Aug 2029 (1,127 days)" in read(client, "/scorecard")


@pytest.mark.parametrize("address", [*(path for path, _ in NAVIGATION), "/customers/c1", "/lists/at-risk"])
def test_nothing_in_a_page_can_run_and_every_page_speaks_korean(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200
    assert HOSTILE not in answer.text
    assert re.findall(r"<script[^>]*>", answer.text) in ([], ['<script src="/assets/console.js" defer>'])
    assert "style=" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert '<html lang="ko">' in client.get(address, headers=KOREAN).text


def test_hostile_names_are_shown_as_text(client: TestClient) -> None:
    for address in ("/lists/at-risk", "/value"):
        assert "&lt;script&gt;" in client.get(address).text


def test_names_that_turn_the_direction_of_text_stay_in_their_place(tmp_path: Path) -> None:
    publish(tmp_path, ["\u202eabc", "=1+1"])
    with open_client(tmp_path) as client:
        page = client.get("/lists/at-risk").text
    assert "<bdi>\u202eabc</bdi>" in page
    assert "<bdi>=1+1</bdi>" in page


def test_reasons_money_and_dates_are_korean_for_koreans(client: TestClient) -> None:
    page = read(client, "/lists/at-risk", **KOREAN)
    assert "마지막 주문 후 143일 경과, 평소 간격은 41일" in page
    assert "2026. 7. 2." in page
    assert "이탈 위험" in page


def test_a_language_that_was_picked_stays(client: TestClient) -> None:
    picked = client.get("/language/ko?next=/lists%3Fa%3Db", follow_redirects=False)
    assert picked.status_code == 303
    assert picked.headers["location"] == "/lists?a=b"
    assert "SameSite=lax" in picked.headers["set-cookie"]
    cookie = picked.headers["set-cookie"].partition(";")[0]
    assert '<html lang="ko">' in client.get("/", headers={"cookie": cookie}).text
    for elsewhere in ("//example.com", "https://example.com", "/\\example.com"):
        away = client.get("/language/en", params={"next": elsewhere}, follow_redirects=False)
        assert away.headers["location"] == "/"
    assert client.get("/language/xx").status_code == 422
    client.cookies.clear()


def test_links_lead_to_the_customer_byte_for_byte(client: TestClient) -> None:
    links = re.findall(r'href="(/customers/[^"]+)"', client.get("/lists/at-risk").text)
    assert [client.get(link.replace("&amp;", "&")).status_code for link in links[:2]] == [200, 200]
    assert "<bdi>a/b</bdi></h1>" in client.get(links[1]).text


def test_pages_follow_each_other(client: TestClient) -> None:
    first = client.get("/lists/at-risk")
    following = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert following
    second = client.get(following[1])
    assert f"{PAGE_ROWS + 1}–27 of 27" in second.text
    assert 'rel="next"' not in second.text
    assert "Back to the start" in second.text
    assert client.get("/lists/at-risk?cursor=forged").status_code == 422
    assert client.get("/lists/none").status_code == 404


def test_a_list_is_narrowed_by_a_condition_and_sorted(client: TestClient) -> None:
    nobody = read(client, "/lists/at-risk?where=predicted_clv+%3E+1000")
    assert "Nobody of the 27 customers on this list meets the condition." in nobody
    assert "Nobody is on this list" not in nobody
    page = read(client, "/lists/at-risk?where=predicted_clv+%3E+100&sort=predicted_clv")
    assert "27 customers. <span" in page
    following = re.search(r'rel="next" href="([^"]+)"', page)
    assert following
    assert "1–25 of 27" in page
    second = client.get(following[1].replace("&amp;", "&")).text
    assert "26–27 of 27" in second
    assert second.count('<th scope="row" class="id">') == 2
    assert 'rel="next"' not in second
    assert "There is no such attribute" in read(client, "/lists/at-risk?where=predicted_clw+%3E+1")
    assert client.get("/lists/at-risk?where=predicted_clv+%3E+1&cursor=forged").status_code == 422


def test_the_style_is_served_from_here(client: TestClient) -> None:
    answer = client.get("/assets/console.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert "http" not in answer.text


def test_nobody_at_risk_and_no_usual_risk_make_pages_too(tmp_path: Path) -> None:
    publish(tmp_path, [], usual_churn_probability=None, lapsed_after_days=None, models={})
    with open_client(tmp_path) as client:
        assert "Nobody is at risk" in client.get("/").text
        assert "Nobody is on this list" in client.get("/lists/at-risk").text
        assert "too small for groups" in client.get("/rfm").text
        assert "No model is in this run" in client.get("/scorecard").text


def test_without_a_run_the_page_says_what_to_do(tmp_path: Path) -> None:
    with open_client(tmp_path) as client:
        answers = [client.get(path) for path, _ in NAVIGATION if path != "/exports"]
    assert {answer.status_code for answer in answers} == {503}
    assert all("No scores yet" in answer.text for answer in answers)


def test_money_and_dates_are_written_as_people_do() -> None:
    english, korean = Figures("en_GB"), Figures("ko_KR")
    assert english.money(1234.56, "EUR") == "€1,235"
    assert english.money(57.3, "EUR") == "€57.30"
    assert english.money(0.0, "KRW") == "₩0"
    assert korean.money(12_345.0, "KRW") == "₩12,345"
    assert english.money(None, "EUR") == "–"
    assert english.day("2026-07-02T10:11:00Z") == "2 Jul 2026"
    assert korean.day("2026-07-02T10:11:00Z") == "2026. 7. 2."
    assert english.moment("2026-07-02T23:11:00Z", "Asia/Seoul") == "3 Jul 2026, 08:11"
    assert korean.moment("2026-07-02T23:11:00Z", "Asia/Seoul") == "2026. 7. 3. 08:11"
    assert english.percent(0.184) == "18 %"
    assert korean.percent(0.184) == "18%"
    assert english.count(12345) == "12,345"
    assert english.number(3.14159, 2) == "3.14"


@pytest.mark.parametrize(("grade", "is_warned"), [("F", True), ("C", False), (None, False)])
def test_a_useless_model_is_warned_of_above_its_list(
    tmp_path: Path, grade: str | None, is_warned: bool
) -> None:
    card = meta().models["churn"].model_copy(update={"grade": grade})
    publish(tmp_path, models={"churn": card})
    with open_client(tmp_path) as client:
        page = client.get("/lists/at-risk").text
        scorecard = client.get("/scorecard").text
    assert ("Do not act on this list" in page) == is_warned
    assert (f"Grade {grade}" in scorecard) == (grade is not None)
