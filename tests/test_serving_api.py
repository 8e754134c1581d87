"""The API over hand-made runs: answers, errors, headers, ids."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from serving_runs import NASTY_IDS, explained, publish
from starlette.testclient import TestClient

from serving.api import create_app
from serving.environment import Environment
from serving.rows import NAMES
from serving.schemas.base import Problem
from serving.schemas.customers import Prediction
from serving.schemas.lists import AudienceSummary, Members
from serving.schemas.offers import Recommendations
from serving.schemas.system import CurrentModels, Health


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    var = tmp_path_factory.mktemp("var")
    publish(var)
    with open_client(var) as opened:
        yield opened


def open_client(var: Path) -> TestClient:
    app = create_app(Environment(var=var, poll_seconds=0.05))
    return TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)


def test_one_prediction_has_every_flat_name_in_order(client: TestClient) -> None:
    answer = client.get("/v1/customers/c1/predictions")
    assert answer.status_code == 200
    score = answer.json()
    assert tuple(score) == NAMES
    assert score["customer_id"] == "c1"
    assert score["churn_probability"] == 0.49
    assert score["lapsed"] is False
    assert score["email_consent"] is True
    assert score["churn_model_version"] == 7
    assert score["scored_at"] == "2026-11-22T00:10:00Z"
    assert score["reasons"][0]["text"] == "143 days since the last order; the usual gap is 41"
    assert explained(score)
    Prediction.model_validate(score)


@pytest.mark.parametrize("customer_id", NASTY_IDS)
def test_ids_come_back_byte_for_byte(client: TestClient, customer_id: str) -> None:
    by_path = client.get(f"/v1/customers/{quote(customer_id, safe='')}/predictions")
    by_query = client.get(f"/v1/predictions?customer_id={quote(customer_id, safe='')}")
    assert by_path.status_code == by_query.status_code == 200
    assert by_path.json()["customer_id"] == by_query.json()["customer_id"] == customer_id


def test_a_slash_in_an_id_need_not_be_encoded(client: TestClient) -> None:
    assert client.get("/v1/customers/a/b/predictions").json()["customer_id"] == "a/b"


def test_unicode_twins_are_two_customers(client: TestClient) -> None:
    composed = client.get(f"/v1/customers/{quote(chr(0xE9))}/predictions").json()["customer_id"]
    decomposed = client.get("/v1/customers/" + quote("e\u0301") + "/predictions").json()["customer_id"]
    assert (composed, decomposed) == ("\u00e9", "e\u0301")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/customers//predictions",
        "/v1/customers/%ff/predictions",
        "/v1/customers/%00/predictions",
        "/v1/customers/a%0Ab/predictions",
        "/v1/customers/%ED%A0%80/predictions",
        f"/v1/customers/{'x' * 257}/predictions",
        "/v1/predictions",
        "/v1/predictions?customer_id=",
        "/v1/predictions?customer_id=%ff",
        "/v1/predictions?customer_id=a%1Bb",
        "/v1/customers/c1/predictions?include=secrets",
        "/v1/customers/c1/predictions?on_missing=500",
        "/v1/customers/c1/recommendations?limit=0",
        "/v1/customers/c1/recommendations?kind=for_yuo",
        "/v1/customers/c1/recommendations?kind=",
        "/v1/customers/c1/recommendations?limit=abc<script>",
        "/v1/audiences/at-risk/members?limit=1001",
        "/v1/audiences/at-risk/members?min_clv=NaN",
        "/v1/audiences/at-risk/members?cursor=forged",
        "/v1/audiences/at-risk/export.csv?format=pdf",
    ],
)
def test_malformed_requests_get_422_without_an_echo(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate(answer.json())
    assert problem.errors
    assert problem.instance == answer.headers["x-request-id"]
    assert "script" not in answer.text
    assert "forged" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/customers/nobody/predictions", 404),
        ("GET", "/v1/customers/nobody/recommendations", 404),
        ("GET", "/v1/customers/c1/predictions/", 404),
        ("GET", "/nothing", 404),
        ("GET", "/assets/nothing.css", 404),
        ("GET", "/v1/audiences/nothing/members", 404),
        ("GET", "/v1/audiences/nothing/export.csv", 404),
        ("POST", "/v1/customers/c1/predictions", 405),
    ],
)
def test_other_errors_are_problems_too(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert Problem.model_validate(answer.json()).status == status


def test_an_unknown_customer_can_have_a_fallback(client: TestClient) -> None:
    answer = client.get("/v1/customers/nobody/predictions?on_missing=fallback")
    assert answer.status_code == 200
    score = answer.json()
    assert score["status"] == "not_found"
    assert score["customer_id"] == "nobody"
    assert score["churn_probability"] is None
    assert explained(score)
    assert score["recommendations"]["for_you"][0]["product_id"] == "p/0"
    Prediction.model_validate(score)


@pytest.mark.parametrize(
    "path", ["customers/c1/predictions", "customers/c1/recommendations", "models/current"]
)
def test_every_answer_writes_an_instant_alike(client: TestClient, path: str) -> None:
    assert client.get(f"/v1/{path}").json()["scored_at"] == "2026-11-22T00:10:00Z"


def test_recommendations_are_ranked_and_reasoned(client: TestClient) -> None:
    answer = client.get("/v1/customers/c1/recommendations?kind=for_you&limit=2&include=product").json()
    Recommendations.model_validate(answer)
    first, second = answer["lists"]["for_you"]
    assert (first["rank"], first["product_id"], first["score"]) == (1, "00007", 0.75)
    assert first["reason"]["values"] == {"order_count": 3}
    assert first["reason"]["text"] == "bought 3 times before"
    assert second["reason"]["evidence_product_id"] == "00007"
    assert second["reason"]["text"] == "goes with Mug"
    assert second["product"]["price"] == 4.5
    assert client.get("/v1/customers/c1/recommendations?kind=upsell").json()["lists"] == {}
    assert "product" not in client.get("/v1/customers/c1/recommendations").json()["lists"]["for_you"][0]


def test_include_adds_recommendations_to_a_prediction(client: TestClient) -> None:
    score = client.get("/v1/customers/c1/predictions?include=recommendations,reasons").json()
    assert [place["rank"] for place in score["recommendations"]["for_you"]] == [1, 2]
    Prediction.model_validate(score)


def test_a_known_answer_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/v1/customers/c1/predictions")
    assert first.headers["cache-control"].startswith("private")
    again = client.get("/v1/customers/c1/predictions", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_models_lists_and_health_answer_as_declared(client: TestClient) -> None:
    models = CurrentModels.model_validate(client.get("/v1/models/current").json())
    assert models.models["churn"].scorecard["baseline"]["candidate"] == "recency"
    (audience,) = client.get("/v1/audiences").json()["audiences"]
    assert AudienceSummary.model_validate(audience).member_count == 2 + len(NASTY_IDS)
    assert client.get("/healthz").json() == {"status": "ok"}
    assert Health.model_validate(client.get("/readyz").json()).score_run_id == "s_0001"


def test_pages_walk_the_whole_list_in_its_order(client: TestClient) -> None:
    seen: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"/v1/audiences/at-risk/members?limit=7{cursor}").json()
        Members.model_validate(page)
        seen += [member["customer_id"] for member in page["members"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ["c1", "c2", *NASTY_IDS]


def test_a_filter_goes_with_the_cursor(client: TestClient) -> None:
    assert client.get("/v1/audiences/at-risk/members?min_clv=122.01").json()["members"] == []
    assert len(client.get("/v1/audiences/at-risk/members?min_clv=122&limit=3").json()["members"]) == 3


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil:8000"])
def test_another_name_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/v1/customers/c1/predictions", headers={"Host": host})
    assert answer.status_code == 421
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9999", "[::1]:8000", "LOCALHOST:80"])
def test_loopback_names_are_served(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_a_surprise_tells_nothing(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.present.RunView.flat", lambda *_: 1 / 0)
    answer = client.get("/v1/customers/c1/predictions")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "zero" not in answer.text


def test_without_a_run_the_service_says_so(tmp_path: Path) -> None:
    with open_client(tmp_path) as client:
        assert client.get("/healthz").status_code == 200
        for path in (
            "/readyz",
            "/v1/customers/c1/predictions",
            "/v1/audiences",
            "/v1/audiences/at-risk/members",
        ):
            answer = client.get(path)
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "5"
        page = client.get("/")
        assert page.status_code == 503
        assert "make score" in page.text or "score" in page.text


def test_a_cursor_and_another_filter_contradict_each_other(client: TestClient) -> None:
    page = client.get("/v1/audiences/at-risk/members?limit=1&min_clv=1").json()
    again = f"/v1/audiences/at-risk/members?limit=1&cursor={page['next_cursor']}"
    assert client.get(again).status_code == client.get(f"{again}&min_clv=1").status_code == 200
    refused = client.get(f"{again}&min_clv=1000")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/query/min_clv"
