"""What the console says of its own figures is true: sums add up, references lead somewhere, names differ."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from console_documents import DOCUMENTS
from serving_runs import meta, publish
from starlette.testclient import TestClient
from test_serving_api import open_client
from test_serving_console import KOREAN, read


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    var: Path = tmp_path_factory.mktemp("var")
    publish(var, ["c1"], documents=DOCUMENTS)
    with open_client(var) as opened:
        yield opened


def test_reasons_and_all_that_is_not_kept_add_up_to_the_risk(tmp_path: Path) -> None:
    publish(tmp_path, ["c1"], churn_reference=0.36, churn_probability=0.5)
    with open_client(tmp_path) as client:
        page, korean = read(client, "/customers/c1"), read(client, "/customers/c1", **KOREAN)
    # 36.0 + 18.0 - 4.0 = 50.0
    assert '<span class="effect down">-4.0</span> everything else' in page
    assert "the reference of 36 %" in page
    assert "make the risk of 50 %" in page
    assert "그 밖의 모든 것" in korean


def test_reasons_that_make_the_risk_leave_nothing_else(client: TestClient) -> None:
    assert "everything else</li>" not in read(client, "/customers/c1")


def test_what_a_page_refers_to_is_there(client: TestClient) -> None:
    assert "how many did in the past stands in the full scorecard" in read(client, "/customers/c1")
    assert "The control group is drawn by lot" in read(client, "/lists")
    assert "Came back: ordered after a silence longer than" in read(client, "/")
    assert "comes in evenly over 365 days" in read(client, "/value?clv=100&cac=20")


def test_the_scorecard_says_what_a_grade_asks_for(tmp_path: Path) -> None:
    graded = {"churn": meta().models["churn"].model_copy(update={"grade": "B"})}
    publish(tmp_path, ["c1"], models=graded)
    with open_client(tmp_path) as client:
        page = read(client, "/scorecard")
    assert "A: from 0.2, with an error of at most 0.03; B: from 0.12, with an error of at most 0.06;" in page
    assert "D: from 0.01, whatever the error; F: below." in page
