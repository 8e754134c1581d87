"""Lists that left: who took which, and what came of them against the control group, counted by hand."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from export_shop import bearer, export, open_api, open_bench, publish_scores
from serving_shop import make_orders, write_history

from features.difference import share_difference, share_interval
from features.settings import Settings
from serving.audiences.kept_members import keep_members
from serving.audiences.outcomes import measure
from serving.environment import Environment
from serving.jobs import Bench
from serving.schemas.outcomes import ListExports as ListExportsShape
from serving.state.list_exports import ListExport, ListExports
from serving.worker import Worker

CSV = "/v1/audiences/at-risk/export.csv"
PEOPLE: dict[str, dict[str, Any]] = {f"c{n:03}": {} for n in range(200)}
DAY = timedelta(days=1)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    publish_scores(tmp_path, PEOPLE, share=0.4)
    return open_bench(tmp_path)


def lists_of(bench: Bench) -> list[ListExport]:
    return ListExports(bench.state).page(before=None, limit=10)


def order(customer_id: str, at: datetime, **changes: Any) -> dict[str, Any]:
    line = make_orders(1)[0]
    days = at.timestamp() / 86_400.0
    return {**line, "customer_id": customer_id, "ordered_at": at, "ordered_days": days, **changes}


def test_whoever_takes_a_list_is_written_down(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        key, other = bearer(bench, "audiences:read"), bearer(bench, "admin")
        client.app.state.context.guard.refresh()  # type: ignore[attr-defined]
        csv = client.get(f"{CSV}?min_clv=50", headers=key)
        client.get(f"{CSV}?control=include", headers=other)
    with open_api(bench.layout.root) as client:
        found = client.get("/v1/exports?limit=1", headers=other)
        ListExportsShape.model_validate_json(found.text)
        (newest,) = found.json()["exports"]
        older = client.get(f"/v1/exports?before={found.json()['next_before']}", headers=other).json()
        own = client.get("/v1/exports", headers=key).json()["exports"]
    (oldest,) = older["exports"]
    assert older["next_before"] is None
    assert own == [oldest]
    assert oldest["row_count"] == len(csv.text.splitlines()) - 1 < 200
    assert (oldest["is_whole"], oldest["members"], oldest["with_identity"]) == (True, "waiting", False)
    assert oldest["request"] == {
        "profile": "generic",
        "format": "plain",
        "control": "exclude",
        "min_clv": 50.0,
        "items": 0,
        "language": "en",
    }
    assert (oldest["audience"], oldest["score_run_id"], oldest["as_of"]) == (
        "at-risk",
        "s_0001",
        "2026-11-22",
    )
    # With its control group in it nobody was left alone for certain: nothing can be measured.
    assert (newest["row_count"], newest["members"], newest["control_group_share"]) == (200, "none", 0.4)
    assert newest["key_id"] != oldest["key_id"] != ""


def test_the_file_of_a_job_is_written_down_each_time_and_measured_once(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        job = export(client, bench)
        for _ in range(2):
            client.get(job["files"][0]["url"])
    second, first = lists_of(bench)
    assert (first.job_id, first.members, second.members) == (job["job_id"], "waiting", "none")
    assert (first.row_count, first.is_whole) == (job["row_count"], True)


def test_what_came_of_a_list_is_counted_against_its_control_group(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        client.get(CSV)
        held = client.get("/v1/audiences/at-risk/members?control=only&limit=500").json()["members"]
    control = sorted(member["customer_id"] for member in held)
    listed = sorted(set(PEOPLE) - set(control))
    *_, taken = lists_of(bench)  # beside it, the control group that was read by page
    at = datetime.fromisoformat(taken.taken_at)
    early = [order(c, at + 3 * DAY) for c in listed[:60]] + [order(c, at + 13 * DAY) for c in control[:5]]
    no_news = [
        order(listed[70], at - DAY),
        order(listed[71], at + DAY, is_return=True),
        order(listed[72], at + 20 * DAY),
        order("somebody else", at + DAY),
    ]
    write_history(bench.layout.root, [*early, *no_news])
    assert keep_members(bench.layout, bench.state, bench.store) == 1
    (path,) = bench.layout.outcomes.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert measure(bench.layout, bench.state) == 1
    *_, measured = lists_of(bench)
    assert measured.outcome is not None
    two_weeks, month, _ = measured.outcome["horizons"]
    counts = (60, len(listed), 5, len(control))
    assert (
        two_weeks["listed_ordered_count"],
        two_weeks["listed_count"],
        two_weeks["control_group_ordered_count"],
        two_weeks["control_group_count"],
    ) == counts
    assert two_weeks["difference_low"] == pytest.approx(share_difference(*counts).low, abs=1e-6)
    assert (two_weeks["is_over"], two_weeks["verdict"]) == (True, "more_ordered")
    # The newest order is 20 days after: a month is not over, however clear it looks.
    assert (month["listed_ordered_count"], month["verdict"]) == (61, "cannot_tell_yet")
    assert measured.members == "kept"


def test_once_all_is_known_who_was_on_the_list_goes(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        client.get(CSV)
    keep_members(bench.layout, bench.state, bench.store)
    at = datetime.now(UTC)
    write_history(bench.layout.root, [order("somebody else", at + 91 * DAY)])
    measure(bench.layout, bench.state)
    (done,) = lists_of(bench)
    assert done.outcome is not None
    assert [each["verdict"] for each in done.outcome["horizons"]] == ["cannot_tell_yet"] * 3
    assert (done.members, list(bench.layout.outcomes.iterdir())) == ("done", [])
    assert measure(bench.layout, bench.state) == 0


def test_a_list_whose_run_is_gone_is_said_to_be(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        client.get(CSV)
    for _ in range(4):
        publish_scores(bench.layout.root, PEOPLE, share=0.4)
    assert keep_members(bench.layout, bench.state, bench.store) == 0
    assert [each.members for each in lists_of(bench)] == ["gone"]


def test_the_interval_of_a_difference_is_the_published_one() -> None:
    # Newcombe 1998, table II, method 10: 56 of 70 against 48 of 80, and 10 of 10 against 0 of 10.
    assert [round(each, 4) for each in share_difference(56, 70, 48, 80)] == [0.2, 0.0524, 0.3339]
    assert [round(each, 4) for each in share_difference(10, 10, 0, 10)] == [1.0, 0.6075, 1.0]
    assert share_interval(0, 10)[0] == 0.0
    assert not share_difference(5, 10, 5, 10).is_clear


def test_the_worker_keeps_and_measures_by_itself(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        client.get(CSV)
    write_history(bench.layout.root, [order("c001", datetime.now(UTC) + DAY)])
    Worker(Environment(var=bench.layout.root), Settings()).measure_exports()
    (found,) = lists_of(bench)
    assert found.outcome is not None
    assert [each["verdict"] for each in found.outcome["horizons"]] == ["cannot_tell_yet"] * 3
