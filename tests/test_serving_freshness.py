"""A run that is older than it may be says so: in every score, in readiness, in the metrics (F23)."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from serving_runs import publish
from starlette.testclient import TestClient

from serving.api import create_app
from serving.environment import Environment
from serving.web.freshness import Freshness

TODAY = datetime.now(UTC).date()
OLD = TODAY - timedelta(days=20)


def open_client(var: Path, **settings: object) -> TestClient:
    app = create_app(Environment(var=var, **settings))  # type: ignore[arg-type]
    return TestClient(app, base_url="http://127.0.0.1:8000")


def publish_of(var: Path, as_of: date, **changes: object) -> None:
    publish(var, ["c1", "c2"], as_of=as_of.isoformat(), **changes)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    var = tmp_path_factory.mktemp("var")
    publish_of(var, OLD)
    with open_client(var, stale_after_days=14) as opened:
        yield opened


@pytest.mark.parametrize(
    ("as_of", "is_stale"), [("2026-11-08", True), ("2026-11-09", False), ("2026-11-24", False), (None, False)]
)
def test_fourteen_days_are_whole_days(as_of: str | None, is_stale: bool) -> None:
    freshness = Freshness("UTC", after_days=14, now=lambda: datetime(2026, 11, 23, 23, 59, tzinfo=UTC))
    assert freshness.is_stale(as_of) is is_stale


def test_the_day_is_that_of_the_shop() -> None:
    """At 23:30 UTC it is the next day in Berlin."""
    late = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    for zone, is_stale in (("UTC", False), ("Europe/Berlin", True)):
        assert Freshness(zone, after_days=14, now=lambda: late).is_stale("2026-11-08") is is_stale


def test_with_zero_days_nothing_is_ever_stale() -> None:
    assert not Freshness("UTC", after_days=0).is_stale("1970-01-01")


def test_every_answer_says_that_it_is_stale(client: TestClient) -> None:
    one = client.get("/v1/customers/c1/predictions").json()
    many = client.post("/v1/predictions/batch", json={"customer_ids": ["c1", "nobody"]}).json()["results"]
    lists = client.get("/v1/customers/c1/recommendations").json()
    members = client.get("/v1/audiences/at-risk/members").json()["members"]
    assert one["status"] == lists["status"] == many[0]["status"] == members[1]["status"] == "stale"
    assert many[1]["status"] == "not_found"
    assert client.get("/v1/customers/x/predictions?on_missing=fallback").json()["status"] == "not_found"


def test_a_stale_service_is_ready_and_says_so(client: TestClient) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "stale")


def test_metrics_tell_age_and_staleness(client: TestClient) -> None:
    text = client.get("/metrics").text
    assert "\nregulars_run_stale 1.0\n" in text
    assert "\nregulars_run_customers 2.0\n" in text
    age = float(text.partition("\nregulars_run_as_of_age_seconds ")[2].partition("\n")[0])
    assert 20 * 86_400 <= age < 22 * 86_400


def test_a_row_scored_later_than_its_run_is_fresh(tmp_path: Path) -> None:
    publish_of(tmp_path, TODAY)
    with open_client(tmp_path, stale_after_days=14) as client:
        context = client.app.state.context  # type: ignore[attr-defined]
        run = context.runs.current()
        old = run.meta.model_copy(update={"as_of": OLD})
        run.meta = old
        assert context.view(run).is_stale
        assert client.get("/v1/customers/c1/predictions").json()["status"] == "ok"


def test_who_has_too_little_data_stays_so(tmp_path: Path) -> None:
    publish_of(tmp_path, OLD, status="insufficient_data")
    with open_client(tmp_path, stale_after_days=14) as client:
        assert client.get("/v1/customers/c1/predictions").json()["status"] == "insufficient_data"


def test_an_answer_that_got_stale_is_sent_again(tmp_path: Path) -> None:
    publish_of(tmp_path, OLD)
    with open_client(tmp_path, stale_after_days=0) as client:
        fresh = client.get("/v1/customers/c1/predictions").headers["etag"]
    with open_client(tmp_path, stale_after_days=14) as client:
        for path in ("predictions", "recommendations"):
            again = client.get(f"/v1/customers/c1/{path}", headers={"if-none-match": fresh})
            assert (again.status_code, again.json()["status"]) == (200, "stale")
