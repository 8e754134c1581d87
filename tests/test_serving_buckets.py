"""A run is the same however many buckets a history has and however few customers are written at a time."""

import random
import sqlite3
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from serving_shop import AS_OF, fit_champions, make_orders, register

from features.generation import GenerationWriter
from features.history import STORED_SCHEMAS, History, bucket_of
from features.layout import Layout
from features.snapshot import Snapshot
from serving.environment import Environment
from serving.score import run_scoring
from serving.scoring.bucket_files import bucket_paths
from serving.scoring.request import open_request
from serving.scoring.sorted_files import merge_sorted, range_edges, write_whole
from serving.scoring.working_folder import remove_leftovers, working_folder

# MLflow's own database layer uses what SQLAlchemy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
CHOICE: dict[Any, str] = {"churn": "recency", "clv": "formula", "recommender": "popular"}
SCHEMA = {"customer_id": pl.String, "place": pl.Int64}


def write_buckets(root: Path, bucket_count: int) -> History:
    """Write a shop of 60 customers with orders, clicks and consent, in so many buckets."""
    tables: dict[str, list[dict[str, Any]]] = {
        "order_lines": make_orders(60),
        "events": [
            {
                "customer_id": line["customer_id"],
                "event_type": "email_click",
                "occurred_at": line["ordered_at"],
                "occurred_days": line["ordered_days"],
            }
            for line in make_orders(60)[::3]
        ],
    }
    with GenerationWriter(Layout(root).history, bucket_count=bucket_count, currency="EUR") as writer:
        for table, lines in tables.items():
            schema = STORED_SCHEMAS[table]
            rows = pl.DataFrame([{**dict.fromkeys(schema), **line} for line in lines], schema=schema)
            places = pl.Series([bucket_of(each, bucket_count) for each in rows["customer_id"]])
            for bucket in range(bucket_count):
                writer.write(table, rows.filter(places == bucket), bucket=bucket)
        schema = STORED_SCHEMAS["customers"]
        known = [{**dict.fromkeys(schema), "customer_id": f"c{n}", "email_consent": n > 3} for n in range(40)]
        writer.write("customers", pl.DataFrame(known, schema=schema))
        return writer.commit()


def published(root: Path) -> dict[str, list[Any]]:
    """Return every table of the live run but its meta, which says when it was made."""
    (path,) = (root / "scores/runs").glob("*.sqlite")
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}  # noqa: S608
    del found["meta"]
    return found


@pytest.fixture
def _checked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.registry.check_bundle", lambda *_: None)


@pytest.mark.slow
@pytest.mark.usefixtures("_checked_before")
def test_one_four_and_sixty_four_buckets_give_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    champions = fit_champions(write_buckets(tmp_path / "learnt", 1), AS_OF, choice=CHOICE)
    runs, files = list[dict[str, list[Any]]](), list[dict[str, Any]]()
    # Of 64 buckets some are empty, and a range of 7 ends within all of them.
    for bucket_count, rows_at_once in ((1, 50_000), (4, 7), (64, 7)):
        root = tmp_path / str(bucket_count)
        write_buckets(root, bucket_count)
        register(root, champions, as_of=AS_OF)
        monkeypatch.setattr("serving.scoring.shop.RANGE_ROWS", rows_at_once)
        said = list[str]()
        run_scoring(open_request(Environment(var=root), as_of=None, out=root / "out"), said.append)
        runs.append(published(root))
        scores = pl.read_parquet(root / "out/scores.parquet").drop("scored_at")
        lists = pl.read_parquet(root / "out/recommendations.parquet")
        mails = (root / "out/recommendations.csv").read_bytes()
        (ledger,) = Layout(root).ledger.glob("*.parquet")
        files.append({"scores": scores.rows(), "lists": lists.rows(), "mails": mails})
        files[-1]["ledger"] = pl.read_parquet(ledger).rows()
        assert f"bucket {bucket_count} of {bucket_count}" in said
        assert list((root / "scoring").iterdir()) == []
    assert len(runs[0]["scores"]) == 60
    assert all(runs[0][name] for name in ("recommendations", "owned", "audience_members", "traits"))
    for name, rows in runs[0].items():
        assert runs[1][name] == rows, name
        assert runs[2][name] == rows, name
    assert files[1] == files[0]
    assert files[2] == files[0]


@pytest.mark.usefixtures("_checked_before")
def test_a_run_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = write_buckets(tmp_path, 2)
    register(
        tmp_path, fit_champions(history, AS_OF, choice={"churn": "recency", "clv": "formula"}), as_of=AS_OF
    )

    def fail(*_words: Any, **_options: Any) -> None:
        assert any((tmp_path / "scoring").rglob("*.parquet"))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("serving.scoring.shop.range_edges", fail)
    with pytest.raises(OSError, match="No space left"):
        run_scoring(open_request(Environment(var=tmp_path), as_of=None, out=None), lambda _: None)
    assert list((tmp_path / "scoring").iterdir()) == []
    assert list((tmp_path / "scores/runs").glob("*")) == []


def test_a_folder_at_work_is_no_leftover(tmp_path: Path) -> None:
    with working_folder(tmp_path) as first:
        (first / "rows").mkdir()
        with working_folder(tmp_path) as second:
            assert first.exists()
            assert first != second
            assert first.stat().st_mode & 0o777 == 0o700
        assert (first / "rows").exists()
        assert not second.exists()
    assert list((tmp_path / "scoring").iterdir()) == []


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "scoring/run-killed"
    left.mkdir(parents=True)
    (left / "b00000.parquet").write_bytes(b"rows of customers")
    (tmp_path / "scoring/run-killed.lock").write_bytes(b"")
    (tmp_path / "scoring/run-written_late/rows").mkdir(parents=True)
    remove_leftovers(tmp_path)
    assert list((tmp_path / "scoring").iterdir()) == []


def test_files_are_merged_in_the_order_of_ids(tmp_path: Path) -> None:
    """Ids sort as bytes do: capitals, small letters, letters beyond ASCII, Hangul; "a" before "a1"."""
    write_whole(
        pl.DataFrame([("B", 1), ("a1", 2), ("a1", 3), ("é", 4)], SCHEMA, orient="row"), tmp_path / "1.parquet"
    )
    write_whole(pl.DataFrame([("A", 5), ("a", 6), ("김", 7)], SCHEMA, orient="row"), tmp_path / "2.parquet")
    paths = sorted(tmp_path.glob("*.parquet"))
    assert range_edges(paths, rows=3) == ["a1", "김"]
    parts = list(merge_sorted(paths, ["a", "é"]))
    assert [part.rows() for part in parts] == [
        [("A", 5), ("B", 1)],
        [("a", 6), ("a1", 2), ("a1", 3)],
        [("é", 4), ("김", 7)],
    ]
    assert [part.rows() for part in merge_sorted(paths[:1], ["A", "B", "z"])] == [
        [],
        [],
        [("B", 1), ("a1", 2), ("a1", 3)],
        [("é", 4)],
    ]
    assert [part.width for part in merge_sorted([], ["a"])] == [0, 0]


def test_a_merge_goes_on_over_the_groups_of_its_files(tmp_path: Path) -> None:
    """Nine thousand rows are three groups of a file; a range may begin in one group and end in another."""
    ids = [f"{number:06d}" for number in range(18_000)]
    random.Random(1).shuffle(ids)
    for number, some in enumerate((sorted(ids[:9_000]), sorted(ids[9_000:]))):
        write_whole(pl.DataFrame({"customer_id": some}), tmp_path / f"{number}.parquet")
    paths = sorted(tmp_path.glob("*.parquet"))
    edges = range_edges(paths, rows=5_000)
    parts = list(merge_sorted(paths, edges))
    assert [part.height for part in parts] == [5_000, 5_000, 5_000, 3_000]
    assert pl.concat(parts)["customer_id"].to_list() == sorted(ids)


def test_a_bucket_is_written_by_whoever_is_given_its_arguments(tmp_path: Path) -> None:
    """What another process needs: a history's folder, plain settings, loaded champions."""
    from features.build import build_shop_facts
    from features.settings import Settings
    from serving.scoring.bucket_files import read_customers, write_bucket
    from serving.scoring.bucket_scores import Predictors

    history = write_buckets(tmp_path, 64)
    fitted = fit_champions(history, AS_OF, choice={"churn": "recency", "clv": "formula"})
    predictors = Predictors(fitted["churn"], fitted["clv"], 30, 365)
    shop = build_shop_facts(history, Snapshot(AS_OF))
    counts = [
        write_bucket(
            History.open(history.root),
            Snapshot(AS_OF),
            predictors,
            bucket=bucket,
            settings=Settings(),
            shop=shop,
            folder=tmp_path / "work",
        )
        for bucket in (7, 5, 6)
    ]
    wanted = {line["customer_id"] for line in make_orders(60)}
    ids = [sorted(each for each in wanted if bucket_of(each, 64) == bucket) for bucket in (7, 5, 6)]
    assert counts == [len(each) for each in ids]
    assert 0 in counts
    assert [read_customers(tmp_path / "work", bucket) for bucket in (7, 5, 6)] == ids
    assert len(bucket_paths(tmp_path / "work", "rows")) == sum(count > 0 for count in counts)
