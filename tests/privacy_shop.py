"""A shop in which one person is in every store, and a search for their bytes that decodes what is packed."""

import asyncio
import gzip
import io
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
from export_shop import run_jobs
from serving_runs import meta, publish, stored_row
from serving_shop import make_orders, write_history
from starlette.testclient import TestClient

from features.layout import Layout
from features.ledger import LedgerRun, write_run
from features.messages import Line, Order
from features.settings import Settings
from serving.api import create_app
from serving.audiences.kept_members import keep_members
from serving.changes.log import ChangeLog
from serving.databases import open_store
from serving.environment import Environment
from serving.jobs import Bench
from serving.people.runner import Office, run_next_request
from serving.privacy import open_office
from serving.schemas.export_request import ExportRequest
from serving.state.database import State
from serving.state.deliveries import Deliveries
from serving.state.inbox import Inbox, Incoming
from serving.state.jobs import Order as JobOrder
from serving.state.list_exports import LeavingList, ListExports
from serving.state.privacy import PrivacyRequest
from serving.state.webhooks import Webhooks

CANARY = "canary-17ß"
OTHER = "c1"
NEWER = datetime(2026, 11, 23, 0, 10, tzinfo=UTC)


def fill(var: Path) -> Office:
    """Put the canary, and others, into every store of a folder."""
    orders = make_orders(12)
    mine = [{**line, "customer_id": CANARY, "order_id": f"{CANARY}-{n}"} for n, line in enumerate(orders[:6])]
    write_history(var, [*orders, *mine], refused=(CANARY,))
    publish(var, ["c0", CANARY, OTHER, "c2"])
    _make_older(var)
    lines = [f"{customer},a line".encode() for customer in (CANARY, "c0", OTHER)]
    publish(var, [CANARY, "c0", OTHER], control_group_share=0.5, lines=lines)
    office = open_office(Environment(var=var))
    _fill_state(office)
    _fill_exports(office)
    _fill_files(var)
    _fill_outcomes(office)
    return office


def _fill_outcomes(office: Office) -> None:
    """Let the list leave, and keep who was on it until it is measured."""
    leaving = LeavingList(
        key_id="",
        job_id=None,
        audience="at-risk",
        score_run_id=office.store.live_run_id(),
        as_of="2026-11-22",
        request={"control": "exclude"},
        control_group_share=0.5,
        control_group_count=1,
        with_identity=False,
    )
    ListExports(office.state).begin(leaving)
    assert keep_members(office.layout, office.state, office.store) == 1


def _make_older(var: Path) -> None:
    """Turn the first run into what an earlier release left: its lists held neither ids nor lines."""
    store = live_store(var)
    if store.is_networked:
        with State.of(Layout(var), os.environ["REGULARS_DATABASE_URL"]).writing() as connection:
            for column in ("customer_id", "line"):
                connection.exec_driver_sql(
                    f"ALTER TABLE regulars_s_0001.audience_members DROP COLUMN {column}"
                )
    else:
        (path,) = (var / "scores/runs").glob("*.sqlite")
        path.chmod(0o640)
        with closing(sqlite3.connect(path)) as connection, connection:
            for column in ("customer_id", "line"):
                connection.execute(f"ALTER TABLE audience_members DROP COLUMN {column}")
        path.chmod(0o440)
    asyncio.run(store.aclose())


def _fill_state(office: Office) -> None:
    log = ChangeLog(office.state, Settings().changes)
    Webhooks(office.state).add("https://example.com/in", ["scores", "removed"])
    for number, at in enumerate((meta().scored_at, NEWER)):
        rows = [stored_row(c, churn_probability=0.4 + number / 4) for c in (CANARY, OTHER)]
        log.report_run(rows, meta(score_run_id=f"s_000{number + 1}", scored_at=at))
    Deliveries(office.state).enqueue()
    inbox = Inbox(office.state)
    inbox.put([Incoming(order(c), "events", f"m-{c}-{n}") for c in (CANARY, OTHER) for n in range(3)])


def order(customer_id: str, order_id: str = "A-1") -> Order:
    """Return a message about an order."""
    at = datetime(2026, 11, 22, 9, tzinfo=UTC)
    line = Line(product_id="p00", amount_minor=100_000, quantity_minor=1000)
    return Order(customer_id=customer_id, order_id=order_id, said_at=at, ordered_at=at, lines=(line,))


def bench_of(office: Office) -> Bench:
    """Return what runs export jobs in the same places."""
    return Bench(office.layout, office.state, office.store, Settings())


def leave_export(office: Office, **request: Any) -> str:
    """Leave an export job of the list at-risk."""
    asked = ExportRequest(audience="at-risk", **request)
    left = JobOrder("", asked.model_dump(), with_identity=True, destination=asked.destination)
    return bench_of(office).jobs.add(left).job_id


def _fill_exports(office: Office) -> None:
    wanted: tuple[dict[str, Any], ...] = (
        {"control": "include"},
        {"control": "include", "gzip": True},
        {"control": "include", "format": "parquet"},
        {"control": "include", "format": "ndjson", "gzip": True},
        {"control": "include", "profile": "klaviyo"},
    )
    for request in wanted:
        leave_export(office, **request)
    assert [job.status for job in run_jobs(bench_of(office))] == ["done"] * len(wanted)


def _fill_killed(layout: Layout) -> None:
    """Leave what a killed load and a killed scoring run leave."""
    left = pl.DataFrame({"customer_id": [CANARY]})
    run = layout.root / "scoring" / "run-killed"
    for folder in (layout.portions, run / "rows"):
        folder.mkdir(parents=True)
        left.write_parquet(folder / "b00000.parquet")
    run.with_suffix(".lock").touch()


def _fill_files(var: Path) -> None:
    layout = Layout(var)
    _fill_killed(layout)
    people = pl.DataFrame(
        {
            "customer_id": [CANARY, OTHER],
            "email": ["canary@example.com", "other@example.com"],
            "phone": ["+491701234567", None],
        }
    )
    layout.private.mkdir(exist_ok=True)
    people.write_parquet(layout.private / "identities.parquet")
    lines = [dict(zip(people.columns, row, strict=True)) for row in people.iter_rows()]
    (layout.private / "identities.jsonl").write_text("".join(json.dumps(p) + "\n" for p in lines))
    run = LedgerRun(
        score_run_id="s_0001",
        as_of=date(2026, 11, 22),
        scored_at=NEWER,
        time_zone="UTC",
        currency="EUR",
        clv_basis="net",
        churn_horizon_days=90,
        churn_horizons_days=(90,),
        clv_horizon_days=365,
        clv_horizons_days=(365,),
        method="ml",
        churn_model_version=1,
        clv_method="ml",
        clv_model_version=1,
        customer_count=2,
    )
    numbers = ["churn_probability_90", "predicted_clv_365", "predicted_clv_low", "predicted_clv_high"]
    said = people.select("customer_id", *(pl.lit(0.5).alias(n) for n in numbers))
    write_run(layout.ledger, run, [said])
    layout.reports.mkdir(exist_ok=True)
    (layout.reports / "usability.txt").write_text(f"cannot be read (row 2: {CANARY})\n", encoding="utf-8")
    layout.backtest.mkdir()
    people.select("customer_id", pl.lit(0.5).alias("p")).write_parquet(
        layout.backtest / "predictions.parquet"
    )
    (layout.history / "g000009" / "order_lines").mkdir(parents=True)
    people.write_parquet(layout.history / "g000009" / "order_lines" / "b000.parquet")


def run_all(office: Office) -> list[PrivacyRequest]:
    """Run every privacy request that is due."""
    done = []
    while request := run_next_request(office, again_seconds=0.0):
        done.append(request)
        assert len(done) < 50
    return done


def client_of(var: Path) -> TestClient:
    """Return a client of the API over a folder."""
    app = create_app(Environment(var=var, poll_seconds=0.05))
    return TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)


def files_with(root: Path, *texts: str) -> set[str]:
    """Return the names of files under a folder in which a text stands, packed or not."""
    needles = [text.encode() for text in texts]
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and any(needle in part for part in _readings(path) for needle in needles)
    }


def _readings(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes as they lie there, and what they are once they are decoded."""
    content = path.read_bytes()
    yield content
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    if content[:4] == b"PAR1":
        yield pl.read_parquet(io.BytesIO(content)).write_ndjson().encode()
    if content[:15] == b"SQLite format 3":
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
            for (table,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            ).fetchall():
                for row in connection.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - a name from the file
                    yield "\n".join(map(str, row)).encode()


def still_in_database(office: Office, var: Path) -> list[str]:
    """Return the tables of a PostgreSQL database that name the canary."""
    engine = office.state._place.engine
    found = []
    with engine.connect() as connection:
        tables = connection.exec_driver_sql(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema LIKE 'regulars%%'"
        ).fetchall()
        for schema, table in tables:
            query = f"SELECT count(*) FROM {schema}.{table} t WHERE t::text LIKE %s OR t::text LIKE %s"  # noqa: S608 - our own names
            # Bytes are shown in hex.
            if connection.exec_driver_sql(query, (f"%{CANARY}%", f"%{CANARY.encode().hex()}%")).scalar():
                found.append(f"{schema}.{table}")
    return found


def live_store(var: Path) -> Any:
    """Return the score store of a folder."""
    return open_store(Environment(var=var))
