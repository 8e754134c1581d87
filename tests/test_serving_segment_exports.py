"""Segments that leave: consent kept, a control group of their own, one version, written down, measured."""

import csv
import hmac
import io
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from export_shop import bearer, export, fetched, open_api, open_bench, run_jobs
from segment_shop import publish_customers
from serving_runs import meta, stored_row
from serving_shop import write_history
from starlette.testclient import TestClient
from test_serving_outcomes import order

from serving.audiences.kept_members import keep_members
from serving.audiences.outcomes import measure
from serving.databases import open_store
from serving.environment import Environment
from serving.jobs import Bench
from serving.segments.traits import ATTRIBUTE_NAMES
from serving.state.list_exports import ListExports
from serving.state.segments import Segments

CSV = "/v1/segments/worth/export.csv"
# Of 1,200 those with an even number are worth 100; every tenth of these refused, of others nobody knows.
SHOP = [
    {
        "customer_id": f"c{n:04}",
        "predicted_clv": 100.0 if n % 2 == 0 else 1.0,
        "email_consent": False if n % 20 == 0 else None if n % 4 == 0 else True,
        "bought": {"tea": 3} if n % 4 == 0 else {},
        "acquisition_channel": "email" if n % 4 == 0 else None,
    }
    for n in range(1200)
]
WORTH = [f"c{n:04}" for n in range(0, 1200, 2) if n % 20]


@pytest.fixture
def bench(database: str, tmp_path: Path) -> Bench:
    publish_customers(tmp_path, SHOP, products={"tea": "Drinks"})
    bench = open_bench(tmp_path)
    Segments(bench.state).save("worth", "Worth it", "predicted_clv > 50", key_id="")
    return bench


def drawn(bench: Bench, name: str, ids: list[str], share: float) -> set[str]:
    """Return the control group as docs/api.md describes it."""
    secret = (bench.layout.private / "control.key").read_bytes()
    draws = {c: hmac.digest(secret, f"{name}\0{c}".encode(), "sha256")[:8] for c in ids}
    return {c for c, draw in draws.items() if int.from_bytes(draw, "big") / 2**64 < share}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def ids(text: str) -> list[str]:
    return [row["customer_id"] for row in rows(text)]


def test_a_segment_leaves_as_a_list_does(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        text = client.get(CSV).text
        both, only = client.get(f"{CSV}?control=include").text, client.get(f"{CSV}?control=only").text
        (job, file) = exported(client, bench)
    held = drawn(bench, "segment:worth", WORTH, 0.1)
    assert len(WORTH) == 540
    assert 20 < len(held) < 100
    assert ids(text) == ids(file) == [customer for customer in WORTH if customer not in held]
    assert text == file
    assert ids(both) == WORTH
    assert ids(only) == [row["customer_id"] for row in rows(both) if row["control_group"] == "true"]
    assert set(ids(only)) == held
    assert {row["control_group_share"] for row in rows(both)} == {"0.1"}
    assert job["request"]["segment"] == "worth"
    assert (job["request"]["version"], job["request"]["text"]) == (1, "predicted_clv > 50")
    assert job["files"][0]["name"] == "worth-2026-11-22.csv"
    by_job, *_, by_csv = ListExports(bench.state).page(before=None, limit=10)
    for left in (by_job, by_csv):
        assert (left.audience, left.members) == ("segment:worth", "waiting")
        assert (left.row_count, left.control_group_count) == (len(WORTH) - len(held), len(held))
        assert (left.request["version"], left.request["text"]) == (1, "predicted_clv > 50")


def exported(client: TestClient, bench: Bench) -> tuple[dict[str, object], str]:
    asked = client.post("/v1/exports", json={"segment": "worth"})
    assert asked.status_code == 202, asked.text
    run_jobs(bench)
    job = client.get(asked.headers["location"]).json()
    return job, fetched(client, job).decode()


def test_a_small_segment_has_no_control_group(bench: Bench) -> None:
    Segments(bench.state).save("worth", "Worth it", "predicted_clv > 50 and bought('tea', 5d)", key_id="")
    with open_api(bench.layout.root) as client:
        found = rows(client.get(CSV).text)
        first = ids(client.get(f"{CSV}?version=1&control=include").text)
        assert client.get(f"{CSV}?version=9").status_code == 404
        assert client.get("/v1/segments/none/export.csv").status_code == 404
    # Every fourth, but for every twentieth: 300 less 60.
    assert len(found) == 240
    assert {row["control_group_share"] for row in found} == {"0.0"}
    assert first == WORTH


def test_a_job_keeps_the_words_that_it_was_asked_with(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        asked = client.post("/v1/exports", json={"segment": "worth", "control": "include"})
        Segments(bench.state).save("worth", "Worth it", "predicted_clv < 50", key_id="")
        run_jobs(bench)
        job = client.get(asked.headers["location"]).json()
        assert ids(fetched(client, job).decode()) == WORTH


def test_what_came_of_a_segment_is_counted_by_its_words_of_then(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        listed = ids(client.get(CSV).text)
    held = sorted(set(WORTH) - set(listed))
    Segments(bench.state).save("worth", "Worth it", "predicted_clv < 50", key_id="")
    assert keep_members(bench.layout, bench.state, bench.store) == 1
    (path,) = bench.layout.outcomes.iterdir()
    kept = pl.read_parquet(path)
    assert kept.filter(~pl.col("is_control"))["customer_id"].to_list() == listed
    assert kept.filter(pl.col("is_control"))["customer_id"].to_list() == held
    (taken,) = ListExports(bench.state).page(before=None, limit=10)
    at = datetime.fromisoformat(taken.taken_at)
    day = timedelta(days=1)
    orders = [order(c, at + day) for c in [*listed[:200], *held[:2]]]
    write_history(bench.layout.root, [*orders, order("somebody else", at + 20 * day)])
    assert measure(bench.layout, bench.state) == 1
    (measured,) = ListExports(bench.state).page(before=None, limit=10)
    assert measured.outcome is not None
    two_weeks = measured.outcome["horizons"][0]
    assert (two_weeks["listed_ordered_count"], two_weeks["listed_count"]) == (200, len(listed))
    assert (two_weeks["control_group_ordered_count"], two_weeks["control_group_count"]) == (2, len(held))
    assert two_weeks["verdict"] == "more_ordered"


def test_a_preset_and_a_platform(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        answer = client.get("/v1/segments/won-by-email/export.csv?control=include")
        job = export(client, bench, audience=None, segment="worth", profile="braze")
        sent = fetched(client, job).decode()
    assert ids(answer.text) == [f"c{n:04}" for n in range(0, 1200, 4) if n % 20]
    assert job["row_count"] == sent.count('"regulars_segment_worth":true') > 0
    left = ListExports(bench.state).page(before=None, limit=10)[-1]
    assert (left.audience, left.request["version"]) == ("segment:won-by-email", 0)
    assert str(left.request["text"]).startswith("acquisition_channel in [")


def test_whoever_refused_since_the_run_is_left_out(tmp_path: Path) -> None:
    # The traits are those of the run, the rows those of now.
    traits = dict.fromkeys(ATTRIBUTE_NAMES) | {"status": "ok"}
    with open_store(Environment(var=tmp_path)).begin_run() as writer:
        writer.write_scores([stored_row("stays"), stored_row("refused", email_consent=0)])
        writer.write_traits(
            (number, *(traits | {"customer_id": each, "predicted_clv": 100.0}).values())
            for number, each in enumerate(("stays", "refused"), 1)
        )
        writer.publish(meta())
    bench = open_bench(tmp_path)
    Segments(bench.state).save("worth", "Worth it", "predicted_clv > 50", key_id="")
    with open_api(tmp_path) as client:
        assert ids(client.get(CSV).text) == ["stays"]


def test_a_segment_needs_the_scope_of_lists(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        wrong, right = bearer(bench, "predictions:read"), bearer(bench, "audiences:read")
        client.app.state.context.guard.refresh()  # type: ignore[attr-defined]
        assert client.get(CSV).status_code == 401
        assert client.get(CSV, headers=wrong).status_code == 403
        assert client.post("/v1/exports", json={"segment": "worth"}, headers=wrong).status_code == 403
        assert client.get(CSV, headers=right).status_code == 200
