"""The page of moves: what it says, where its lines lead, that no name in it can run, and its file."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from console_documents import DOCUMENTS, HOSTILE
from serving_runs import meta, publish
from starlette.testclient import TestClient
from test_serving_api import open_client
from test_serving_console import KOREAN, read

from serving.console.flows import Flow, sankey
from serving.segments.words import compile_segment


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    var: Path = tmp_path_factory.mktemp("var")
    timelines: dict[str, Any] = {"c1": {"orders": [], "scores": [], "stages": [["2026-11-01", HOSTILE]]}}
    publish(var, ["c1"], documents=DOCUMENTS, timelines=timelines, currency="KRW")
    with open_client(var) as opened:
        yield opened


def test_a_line_says_how_many_moved_and_what_they_spent(client: TestClient) -> None:
    page = read(client, "/moves")
    assert (
        "Since 24 Aug 2026 (90 days): 43 moved, 0 new, 3 stayed. Of 1 it is not known: the shop had" in page
    )
    line = page[page.index("Champions</bdi> → <bdi>At risk") :]
    assert re.search(r'data-label="Customers">41</td>.*?data-label="[^"]+">₩3,100,000</td>', line)
    assert page.index('id="stayed"') < page.index("<bdi>Loyal</bdi> → <bdi>Loyal</bdi>")
    assert "not known</bdi> → <bdi>New" in page


def test_every_line_leads_to_a_condition_that_can_be_read(client: TestClient) -> None:
    links = re.findall(r'href="/segments\?q=([^"]+)"', client.get("/moves").text)
    conditions = [unquote(link) for link in links]
    assert conditions[0] == 'rfm_segment_before == "CHAMPIONS" and rfm_segment == "AT_RISK"'
    assert conditions[2] == 'rfm_segment_before is null and rfm_segment == "NEW"'
    assert len([compile_segment(condition, meta()) for condition in conditions]) == 4
    for address in ("/moves", "/moves?by=stages"):
        for link in re.findall(r'href="(/segments\?q=[^"]+)"', client.get(address).text):
            assert client.get(link).status_code == 200, link


@pytest.mark.parametrize("address", ["/moves", "/moves?by=stages", "/customers/c1"])
def test_no_name_in_the_data_can_run(client: TestClient, address: str) -> None:
    page = client.get(address).text
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_stages_stand_over_time(client: TestClient) -> None:
    page = read(client, "/moves?by=stages")
    assert "<figcaption>slipping · 0</figcaption>" in page
    assert "<title>1 Nov 2026: 6</title>" in page
    assert re.search(r'22 Nov 2026</th><td class="number">19</td><td class="number">0</td>', page)
    assert "Everybody is where they were." in page


def test_the_page_speaks_korean(client: TestClient) -> None:
    page = read(client, "/moves", **KOREAN)
    assert "챔피언</bdi> → <bdi>이탈 위험" in page
    assert "2026. 8. 24. 이후(90일): 이동 43명, 신규 0명, 그대로 3명." in page


def test_a_spreadsheet_runs_nothing_of_the_file(client: TestClient) -> None:
    answer = client.get("/moves.csv")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0] == ["before_date", "as_of", "from", "to", "customer_count", "spend_365", "currency"]
    assert rows[1] == ["2026-08-24", "2026-11-22", "CHAMPIONS", "AT_RISK", "41", "3100000.0", "KRW"]
    assert rows[2][3] == "'=1+1"


def test_a_run_without_moves_says_what_to_do(tmp_path: Path) -> None:
    publish(tmp_path, ["c1"])
    with open_client(tmp_path) as client:
        page, table = client.get("/moves"), client.get("/moves.csv")
    assert (page.status_code, table.status_code) == (200, 200)
    assert "run `make score`" in page.text
    assert table.content.decode("utf-8-sig").count("\r\n") == 1


def test_a_history_that_begins_later_is_said_to(tmp_path: Path) -> None:
    row = {"from": "PROSPECTS", "to": "NEW", "customer_count": 1, "spend_365": 5.0}
    moves = {"before_date": "2026-08-24", "customer_count": 1, "groups": [row], "stages": []}
    publish(tmp_path, ["c1"], documents={"moves": moves})
    with open_client(tmp_path) as client:
        page = read(client, "/moves")
    assert "Nobody had ordered by then: the history begins later." in page
    assert "(90 days): 0 moved, 1 new, 0 stayed." in page


def test_bands_are_as_broad_as_their_customers_are_many() -> None:
    """Three of four stay in a, one moves to b: 180 and 60 of 240."""
    flows = [Flow("a", "a", 3, "stay"), Flow("a", "b", 1, "<move>")]
    picture = str(sankey(flows, names={"a": "A & co", "b": "B"}, order=["a", "b"], title='"who"'))
    assert picture.count("<path") == 2
    assert '<path class="stayed" d="M153,3.0 C202.0,3.0 202.0,3.0 251,3.0 V183.0' in picture
    assert '<path class="moved" d="M153,183.0 C202.0,183.0 202.0,186.0 251,186.0 V246.0' in picture
    assert "&lt;move&gt;" in picture
    assert "A &amp; co 4</text>" in picture
    assert 'aria-label="&#34;who&#34;"' in picture


def test_a_picture_of_nobody_is_empty() -> None:
    assert "<path" not in sankey([], names={}, order=[], title="nobody")
