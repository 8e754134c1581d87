"""What the console says of its own figures is true: sums add up, references lead somewhere, names differ."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from console_documents import DOCUMENTS
from serving_runs import meta, publish
from starlette.testclient import TestClient
from test_serving_api import open_client
from test_serving_console import KOREAN, read

from features.lift import Trait
from serving.console.pages import _templates
from serving.console.plain_words import Speaker
from serving.console.tongues import tongue


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


def test_stage_list_and_group_of_one_name_are_told_apart(client: TestClient) -> None:
    assert "Stage: slipping · RFM group: Previously loyal" in read(client, "/customers/c1")
    assert "단계: 멀어지는 중 · RFM 그룹:" in read(client, "/customers/c1", **KOREAN)
    overview = read(client, "/")
    assert "Where customers stand: stages" in overview
    assert "the stage at risk and the list At risk differ" in overview
    assert "neither the stage nor the list of that name" in read(client, "/rfm")


def test_a_ratio_under_its_mark_does_not_look_to_be_at_it(client: TestClient) -> None:
    page = read(client, "/value?clv=299.94&cac=100")
    assert "2.99 : 1 · ▼ under 3 : 1" in page
    assert "3 : 1 · ✓ 3 : 1 or better" in read(client, "/value?clv=300&cac=100")


def test_a_number_that_is_too_large_is_told_so(client: TestClient) -> None:
    assert "CLV is a number, no larger than 1,000,000,000,000." in read(client, "/value?clv=9999999999999")


@pytest.mark.parametrize(
    ("other_share", "high", "shown"),
    [
        (0.0, 59_384.9, "<strong>more than 5</strong>"),
        (0.1, 501.0, "<strong>more than 5</strong>"),
        (0.1, 7.5, '<strong>6.1</strong><span class="unit">5 – 7.5</span>'),
    ],
)
def test_a_trait_that_nobody_else_has_is_told_by_its_lower_end(
    other_share: float, high: float, shown: str
) -> None:
    trait = Trait("lifecycle_stage", "slipping", 30, 0.3, other_share, lift=6.1, low=5.0, high=high)

    parts = _templates("en").get_template("parts.html").make_module({})
    assert shown in str(parts.profile_rows({"traits": [trait]}, Speaker(tongue("en"), meta())))  # type: ignore[attr-defined]
