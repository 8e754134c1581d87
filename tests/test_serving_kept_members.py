"""Who was on a list is kept before its run is dropped, also of files that are fetched later, and erased."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from export_shop import export, fetched, follow, open_api, open_bench, publish_scores
from serving_runs import stored_row
from serving_shop import write_history
from test_serving_outcomes import CSV, PEOPLE, order
from test_serving_plan_exports import MANY, ids, taken
from test_serving_plans import CAMPAIGN

from features.loading import only_one
from serving.audiences.kept_members import keep_before_publishing, keep_members, members_path
from serving.audiences.outcomes import measure
from serving.jobs import Bench
from serving.people.erasure import Places, erase_files
from serving.state.list_exports import ListExport, ListExports
from serving.state.overlays import Overlays, Rescored
from serving.state.tables import JOBS
from serving.store.contract import ScoreRun
from serving.store.errors import OldRunError


@pytest.fixture
def bench(database: str, tmp_path: Path) -> Bench:
    publish_scores(tmp_path, PEOPLE, share=0.4)
    return open_bench(tmp_path)


def keep(bench: Bench, **changes: Any) -> str | None:
    return keep_before_publishing(bench.layout, bench.state, bench.store, **changes)


def drop_runs(bench: Bench) -> None:
    """Publish so often that the run before is gone."""
    for _ in range(4):
        publish_scores(bench.layout.root, {"somebody else": {}}, share=0.4)


def kept_ids(bench: Bench) -> dict[str, set[str]]:
    """Return who is kept, by the file's name."""
    return {path.stem: set(pl.read_parquet(path)["customer_id"]) for path in bench.layout.outcomes.iterdir()}


def newest(bench: Bench) -> ListExport:
    return ListExports(bench.state).page(before=None, limit=1)[0]


def test_before_a_run_is_dropped_who_was_on_its_lists_is_kept(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        client.get(CSV)
        client.get(f"{CSV}?min_clv=100")
    assert keep(bench) is None
    drop_runs(bench)
    assert keep_members(bench.layout, bench.state, bench.store) == 0
    assert [each.members for each in ListExports(bench.state).page(before=None, limit=9)] == ["kept"] * 2
    assert list(kept_ids(bench).values()) == [set(PEOPLE)] * 2
    write_history(bench.layout.root, [order("c001", datetime.now(UTC) + timedelta(days=20))])
    assert measure(bench.layout, bench.state) == 2
    outcome = newest(bench).outcome
    assert outcome is not None
    assert (
        outcome["horizons"][1]["listed_ordered_count"] + outcome["horizons"][1]["control_group_ordered_count"]
        == 1
    )


def test_a_file_that_is_fetched_after_its_run_went_is_measured(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        job = export(client, bench)
        assert keep(bench) is None
        assert kept_ids(bench) == {job["job_id"]: set(PEOPLE)}
        drop_runs(bench)
        # Nothing is measured yet, and nothing of it is tidied away.
        assert measure(bench.layout, bench.state) == 0
        client.get(job["files"][0]["url"])
    assert keep_members(bench.layout, bench.state, bench.store) == 1
    assert newest(bench).members == "kept"
    assert kept_ids(bench) == {newest(bench).export_id: set(PEOPLE)}
    # It is kept once, however often runs are published.
    assert keep(bench) is None
    assert len(kept_ids(bench)) == 1


def test_a_list_of_a_run_of_an_earlier_release_holds_up_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists may have left just before an upgrade."""
    with open_api(bench.layout.root) as client:
        client.get(CSV)
        export(client, bench)
        publish_scores(bench.layout.root, PEOPLE, share=0.4)
        follow(client)
        client.get(CSV)
    old, opened = "s_0001", bench.store.open_run

    def open_run(score_run_id: str) -> ScoreRun:
        if score_run_id == old:
            raise OldRunError("made by another release")
        return opened(score_run_id)

    monkeypatch.setattr(bench.store, "open_run", open_run)
    assert keep(bench) is None
    lists = ListExports(bench.state).page(before=None, limit=9)
    assert [(each.score_run_id == old, each.members) for each in lists] == [(False, "kept"), (True, "gone")]
    assert kept_ids(bench) == {lists[0].export_id: set(PEOPLE)}


def test_a_file_that_is_missing_holds_up_no_other(bench: Bench) -> None:
    """A back-up of another day may have been restored."""
    write_history(bench.layout.root, [order("c001", datetime.now(UTC) + timedelta(days=20))])
    with open_api(bench.layout.root) as client:
        client.get(CSV)
        client.get(f"{CSV}?min_clv=100")
    keep(bench)
    second, first = ListExports(bench.state).page(before=None, limit=9)
    members_path(bench.layout, first.export_id).unlink()
    assert measure(bench.layout, bench.state) == 1
    after = {each.export_id: each for each in ListExports(bench.state).page(before=None, limit=9)}
    assert (after[first.export_id].members, after[first.export_id].outcome) == ("gone", None)
    assert after[second.export_id].outcome is not None


def test_what_is_kept_while_others_are_tidied_away_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker tidies, and a run that is about to be published keeps who is on a list that just left."""
    standing = ListExports.standing

    def standing_a_moment_ago(self: ListExports, members: Any) -> Any:
        found = standing(self, members)
        monkeypatch.setattr(ListExports, "standing", standing)
        with open_api(bench.layout.root) as client:
            client.get(CSV)
        keep(bench)
        return found

    monkeypatch.setattr(ListExports, "standing", standing_a_moment_ago)
    measure(bench.layout, bench.state)
    assert kept_ids(bench) == {newest(bench).export_id: set(PEOPLE)}


def test_of_a_file_that_nobody_fetched_in_time_nobody_is_kept(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        job = export(client, bench)
        marked = export(client, bench, control="include")
    keep(bench)
    # A file with its control group in it is not measured.
    assert set(kept_ids(bench)) == {job["job_id"]} != {marked["job_id"]}
    with bench.state.writing() as connection:
        connection.execute(sa.update(JOBS).values(status="expired"))
    measure(bench.layout, bench.state)
    assert kept_ids(bench) == {}


def test_a_plan_is_kept_as_it_was_cut(database: str, tmp_path: Path) -> None:
    publish_scores(tmp_path, MANY, share=0.3)
    bench = open_bench(tmp_path)
    with open_api(tmp_path) as client:
        export(client, bench, plan=CAMPAIGN)
    keep(bench)
    (ids,) = kept_ids(bench).values()
    assert ids == {customer for customer, row in MANY.items() if row["value_at_risk"] > 40.0}


def test_of_a_plan_those_are_kept_whom_the_scores_of_then_cut(database: str, tmp_path: Path) -> None:
    """Of the best, some were scored again before the file was taken, and others afterwards."""
    publish_scores(tmp_path, MANY, share=0.3)
    bench = open_bench(tmp_path)
    best = [customer for customer, row in MANY.items() if row["value_at_risk"] > 1_500.0]
    rescore(bench, best[:40])
    with open_api(tmp_path) as client:
        while client.app.state.context.runs.current().through < 40:  # type: ignore[attr-defined]
            time.sleep(0.01)
        contacted = ids(taken(client, budget=120.0))
    rescore(bench, best[40:])
    assert not set(contacted) & set(best[:40])
    assert set(contacted) & set(best[40:])
    assert keep(bench) is None
    (path,) = bench.layout.outcomes.iterdir()
    kept = pl.read_parquet(path)
    assert kept.filter(~pl.col("is_control"))["customer_id"].to_list() == contacted
    assert newest(bench).control_group_count == kept["is_control"].sum()


def test_a_file_of_a_job_has_whom_the_call_gives_and_is_measured_by_them(
    database: str, tmp_path: Path
) -> None:
    """Whoever ordered or refused a moment ago is in neither, though the run still has them on the list."""
    publish_scores(tmp_path, MANY, share=0.3)
    bench = open_bench(tmp_path)
    best = [customer for customer, row in MANY.items() if row["value_at_risk"] > 1_500.0]
    rescore(bench, best[:40], audiences=())
    with open_api(tmp_path) as client:
        while client.app.state.context.runs.current().through < 40:  # type: ignore[attr-defined]
            time.sleep(0.01)
        whole, planned = ids(client.get(CSV).text), ids(taken(client))
        assert not set(best[:40]) & set(whole)
        assert ids(fetched(client, export(client, bench)).decode()) == whole
        assert ids(fetched(client, export(client, bench, plan=CAMPAIGN)).decode()) == planned
    keep(bench)
    kept = pl.read_parquet(members_path(bench.layout, newest(bench).export_id))
    assert kept.filter(~pl.col("is_control"))["customer_id"].to_list() == planned


def rescore(bench: Bench, customer_ids: Sequence[str], audiences: tuple[str, ...] = ("at-risk",)) -> None:
    """Lay newer scores over the live run: nothing is at stake by them."""
    quiet = [
        Rescored(each, stored_row(each, churn_probability=0.01, value_at_risk=0.1), {}, b"", audiences)
        for each in customer_ids
    ]
    with bench.state.writing() as connection:
        overlays = Overlays(bench.state)
        overlays.put_in(connection, bench.store.live_run_id(), quiet, inbox_sequence=1)


def test_while_somebody_loads_data_it_is_said_and_tried_again(bench: Bench) -> None:
    with open_api(bench.layout.root) as client:
        client.get(CSV)
    with only_one(bench.layout):
        warning = keep(bench, wait_seconds=0.0)
    assert warning == ("warning: who was on lists that left was not kept (1): somebody loads data just now")
    assert newest(bench).members == "waiting"
    assert keep(bench) is None
    assert newest(bench).members == "kept"


def test_an_erasure_reaches_what_is_kept_of_a_file_not_fetched_yet(bench: Bench) -> None:
    write_history(bench.layout.root, [order("c001", datetime.now(UTC))])
    with open_api(bench.layout.root) as client:
        export(client, bench)
    keep(bench)
    erase_files(Places(bench.layout, bench.state, bench.store), ["c001"])
    (ids,) = kept_ids(bench).values()
    assert ids == PEOPLE.keys() - {"c001"}


def test_where_nothing_left_nothing_is_kept(tmp_path: Path, bench: Bench) -> None:
    assert keep(bench) is None
    assert not bench.layout.outcomes.exists()
    with open_api(bench.layout.root) as client:
        follow(client)
        client.get("/v1/audiences/at-risk/members")
    assert keep(bench) is None
    assert not bench.layout.outcomes.exists()
