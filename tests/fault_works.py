"""The commands that `fault_rounds.py` runs on a failing disk, and what is there before and after."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from serving_runs import publish

from features import ingest
from features.errors import UserError
from features.history import History
from features.identity import read_identities
from features.ingest import Request
from features.layout import Layout
from features.messages import Line, Order
from features.suppression import NOBODY
from serving.environment import Environment
from serving.fold import fold_inbox, take_journal
from serving.inbound.people import People, Person
from serving.state.database import State
from serving.state.inbox import Inbox, Incoming
from serving.state.keys import Keys
from serving.state.migrate import make, migrate
from serving.store.sqlite_store import SqliteStore

AT = datetime(2026, 6, 30, 10, tzinfo=UTC)


class Work(NamedTuple):
    """A command: what stands before it, what it does, and what it left, told shortly."""

    prepare: Callable[[Path], None]
    run: Callable[[Path], None]
    seen: Callable[[Path], Any]


def load(var: Path, customers: int) -> None:
    """Load a file of two orders a customer."""
    text = "".join(f"c{n},2026-0{month}-1{n % 9},{n + month}\n" for n in range(customers) for month in (1, 2))
    file = var / f"orders-{customers}.csv"
    file.write_text("customer_id,ordered_at,amount\n" + text, encoding="utf-8")
    ingest.load(Request(files=(file,)), layout=Layout(var))


def history(var: Path) -> Any:
    """Return the hash and the length of a history, read whole; None without one."""
    try:
        found = History.open(Layout(var).history)
    except UserError:
        return None
    return [found.manifest.data_hash, found.read("order_lines").height]


def receive(var: Path) -> None:
    """Take thirty orders of ten customers into the inbox, and who these are."""
    People(Layout(var).private).keep([Person(f"c{n}", f"c{n}@example.com", None) for n in range(10)])
    state = State.of(Layout(var))
    make(state)
    Inbox(state).put(
        [
            Incoming(
                Order(
                    customer_id=f"c{n % 10}",
                    order_id=f"o{n}",
                    said_at=AT,
                    ordered_at=AT - timedelta(days=n),
                    lines=(Line(product_id=f"p{n % 4}", amount_minor=10_000),),
                    currency="EUR",
                ),
                "events",
                f"m{n}",
            )
            for n in range(30)
        ]
    )


def received(var: Path) -> Any:
    """Return how many messages are kept, and whether everybody is known who sent one."""
    private = Layout(var).private
    take_journal(private, NOBODY)
    count = Inbox(State.of(Layout(var))).newest()
    return [count, read_identities(private).height == 10 or not count]


def live_run(var: Path) -> Any:
    """Return how many customers the live run says it has and its list holds, and whether it is sound."""
    store = SqliteStore.of(Layout(var))
    run = store.open_run(store.live_run_id())
    with sa.create_engine(
        f"sqlite:///{var / 'scores/runs' / run.meta.score_run_id}.sqlite"
    ).connect() as opened:
        members = opened.execute(sa.text("SELECT count(*) FROM audience_members")).scalar()
        sound = opened.execute(sa.text("PRAGMA integrity_check")).scalar()
    return [run.meta.customer_count, members, sound]


def old_state(var: Path) -> None:
    """Make a database of the first release with a key."""
    state = State.of(Layout(var))
    state.make()
    migrate(state, to="0001")
    with state.writing() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO api_keys (key_id, name, digest, scopes, created_at) "
                "VALUES ('k_1', 'old', 'd', 'admin', '2026-11-22T00:00:00+00:00')"
            )
        )


def tables(var: Path) -> Any:
    """Return the revision of a state, its tables and its keys."""
    with State.of(Layout(var)).reading() as connection:
        revision = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        keys = connection.execute(sa.text("SELECT name FROM api_keys")).scalars().all()
        return [revision, sorted(sa.inspect(connection).get_table_names()), list(keys)]


def key_names(var: Path) -> Any:
    """Return the names of all keys, each once."""
    return sorted({key.name for key in Keys(State.of(Layout(var))).list_all()})


def first_key(var: Path) -> None:
    """Make a database with one key."""
    state = State.of(Layout(var))
    make(state)
    Keys(state).add("first", ["admin"])


def drop(_: object) -> None:
    """Want nothing of an answer."""


def fold_now(var: Path) -> None:
    """Fold the inbox on a fixed day."""
    fold_inbox(Environment(var=var), time_zone="UTC", now=AT + timedelta(days=2))


WORKS = {
    "ingest": Work(lambda var: load(var, 20), lambda var: load(var, 60), history),
    "intake": Work(lambda var: make(State.of(Layout(var))), receive, received),
    "fold": Work(receive, fold_now, history),
    "publish": Work(
        lambda var: drop(publish(var, [f"c{n}" for n in range(20)])),
        lambda var: drop(publish(var, [f"c{n}" for n in range(300)])),
        live_run,
    ),
    "key": Work(first_key, lambda var: drop(Keys(State.of(Layout(var))).add("second", ["admin"])), key_names),
    "migration": Work(old_state, lambda var: migrate(State.of(Layout(var))), tables),
}
