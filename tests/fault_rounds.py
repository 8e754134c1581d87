"""Run a command of ours again and again while its disk fails or it is killed: `python fault_rounds.py …`.

A program of its own, without pytest: it forks before anything has begun a thread. `every` makes the n-th
change of the disk fail, for each n (`fault_shim.c` is preloaded); `killed` kills -9 at random moments. After
each round what is on the disk must be the old state or the new one, and the command run again must reach the
new. It prints one line of JSON: how many rounds, and what was wrong.
"""

import ctypes
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from asgi_calls import calling
from inbound_words import track
from serving_runs import publish

from features import ingest
from features.errors import UserError
from features.history import History
from features.identity import read_identities
from features.ingest import Request
from features.messages import Line, Order
from features.settings import Layout
from serving.environment import Environment
from serving.fold import fold_inbox, take_journal
from serving.inbound.people import People, Person
from serving.sqlite_store import SqliteStore
from serving.state.database import State
from serving.state.inbox import Inbox, Incoming
from serving.state.keys import Keys
from serving.state.migrate import make, migrate

AT = datetime(2026, 6, 30, 10, tzinfo=UTC)
RAISED = 3
BATCH = 5
ORDER = {"currency": "EUR", "products": [{"product_id": "p1", "price": 10, "quantity": 1}]}
KINDS = {"fails once": 1, "is full": 2, "is killed": 3}


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
    take_journal(private)
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


def forked(call: Callable[[], Any], *, kill_after_seconds: float | None = None) -> tuple[int, Any]:
    """Call in a child; return how it ended (a signal is negative), and its answer or its error."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        code, answer = 0, None
        try:
            answer = call()
        except BaseException as error:
            code, answer = RAISED, f"{type(error).__name__}: {error}"
            if isinstance(error, (UserError, OSError)):
                answer = None
        os.write(writing, json.dumps(answer).encode())
        os._exit(code)
    os.close(writing)
    if kill_after_seconds is not None:
        time.sleep(kill_after_seconds)
        os.kill(pid, signal.SIGKILL)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, json.loads(said) if said else None


class Rounds:
    """The rounds of one command, in a folder of their own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.work = WORKS[name]
        self._base, self.var = folder / "base", folder / "round"
        self._base.mkdir()
        self._sure(lambda: self.work.prepare(self._base))
        self.fresh()
        self.old = self.seen()
        started = time.monotonic()
        self._sure(lambda: self.work.run(self.var))
        self.seconds = time.monotonic() - started
        self.new = self.seen()
        self.wrong: list[Any] = []

    def _sure(self, call: Callable[[], Any]) -> Any:
        code, answer = forked(call)
        if code:
            raise SystemExit(f"it does not work unharmed: {answer}")
        return answer

    def fresh(self) -> None:
        """Begin a round with what stands before the command."""
        shutil.rmtree(self.var, ignore_errors=True)
        shutil.copytree(self._base, self.var)

    def seen(self) -> Any:
        """Return what the command left."""
        return self._sure(lambda: self.work.seen(self.var))

    def judge(self, what: str) -> None:
        """Hold what is there against old and new, then run the command again."""
        code, seen = forked(lambda: self.work.seen(self.var))
        if code or seen not in (self.old, self.new):
            self.wrong.append([what, "between", seen])
            return
        code, answer = forked(lambda: self.work.run(self.var))
        if code or forked(lambda: self.work.seen(self.var)) != (0, self.new):
            self.wrong.append([what, "not reached again", answer])
        left = [path.name for path in self.var.rglob("*.partial*")]
        if left:
            self.wrong.append([what, "left over", left])


def every(rounds: Rounds, kind: str) -> int:
    """Fail at every change of the disk in turn; return how many there were."""
    shim = ctypes.CDLL(None)

    def call() -> int:
        shim.fault_arm(str(rounds.var).encode(), at, KINDS[kind])
        try:
            rounds.work.run(rounds.var)
        finally:
            count = shim.fault_count()
        return int(count)

    for at in range(1, 10_000):
        rounds.fresh()
        code, answer = forked(call)
        if code == 0 and answer < at:
            return at - 1
        if code == RAISED and answer is not None:
            rounds.wrong.append([at, "no clear line", answer])
        rounds.judge(f"{kind} at {at}")
    return 0


def killed(rounds: Rounds, count: int) -> int:
    """Kill at random moments; return how often."""
    dice = random.Random(20261122)
    for number in range(count):
        rounds.fresh()
        forked(lambda: rounds.work.run(rounds.var), kill_after_seconds=dice.random() * rounds.seconds)
        rounds.judge(f"kill {number}")
    return count


def call_until_killed(var: Path, number: int, told: int) -> None:
    """Send orders, five a call, and tell every call that was acknowledged."""
    with calling(var) as caller:
        for place in range(10_000):
            batch = [
                track(
                    messageId=f"{number}-{place}-{n}",
                    userId=f"c{n}",
                    properties={**ORDER, "order_id": f"{number}-{place}"},
                )
                for n in range(BATCH)
            ]
            body = json.dumps({"batch": batch}).encode()
            answer = caller.call("POST", "/v1/events/batch", [("content-type", "application/json")], body)
            if answer.status == 202:
                os.write(told, f"{number}-{place}\n".encode())


def kill_intake(var: Path, count: int) -> tuple[list[str], list[Any]]:
    """Kill the application again and again while it takes orders in; fold now and then, killed as well.

    Returns the calls that were acknowledged, and what was wrong.
    """
    dice = random.Random(7)
    acknowledged: list[str] = []
    for number in range(count):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            call_until_killed(var, number, writing)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            acknowledged.append(pipe.readline().decode().strip())
            time.sleep(dice.random() * 0.3)
            os.kill(pid, signal.SIGKILL)
            acknowledged += pipe.read().decode().split()
        os.waitpid(pid, 0)
        if number % 10 == 5:
            forked(lambda: fold_now(var), kill_after_seconds=dice.random() * 0.5)
    _, wrong = forked(lambda: lost_or_half(var, acknowledged))
    return acknowledged, wrong


def lost_or_half(var: Path, acknowledged: list[str]) -> list[Any]:
    """Return calls that were acknowledged and are not there, or that are there in part or twice."""
    stored = [each.message for each in Inbox(State.of(Layout(var))).list_after(0, limit=1_000_000)]
    per_call = Counter(message.order_id for message in stored if isinstance(message, Order))
    fold_now(var)
    lines = History.open(Layout(var).history).read("order_lines")
    in_history = Counter(lines["order_id"].to_list())
    lost = [call for call in acknowledged if per_call[call] != BATCH]
    return [*lost, *(call for call, found in per_call.items() if found != BATCH or in_history[call] != BATCH)]


def main(names: str, folder: str, how: str) -> None:
    """Run `fault_rounds.py NAME[,NAME…] FOLDER KIND-or-COUNT`; print a line for each name."""
    for name in names.split(","):
        own = Path(folder) / name
        own.mkdir()
        found = (
            found_by_killing_the_service(own, int(how))
            if name == "service"
            else found_by_rounds(name, own, how)
        )
        sys.stdout.write(json.dumps(found) + "\n")


def found_by_killing_the_service(folder: Path, count: int) -> dict[str, Any]:
    """Return what came of killing the application while it takes orders in."""
    forked(lambda: drop((publish(folder, ["c1"]), make(State.of(Layout(folder))))))
    acknowledged, wrong = kill_intake(folder, count)
    return {"rounds": count, "calls": len(acknowledged), "wrong": wrong}


def found_by_rounds(name: str, folder: Path, how: str) -> dict[str, Any]:
    """Return what came of the rounds of a command."""
    rounds = Rounds(name, folder)
    done = killed(rounds, int(how)) if how.isdecimal() else every(rounds, how)
    return {"rounds": done, "wrong": rounds.wrong}


if __name__ == "__main__":
    main(*sys.argv[1:])
