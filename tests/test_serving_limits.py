"""Limits of calls: buckets by hand, leases that processes share, and what a caller is told."""

import asyncio
import math
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving_runs import publish
from starlette.testclient import TestClient

from serving.api import create_app
from serving.databases import open_state
from serving.environment import Environment
from serving.state.database import State, StateBusyError
from serving.state.keys import Key, Keys
from serving.state.leases import Lease, Leases
from serving.state.migrate import make
from serving.web.buckets import BURST_SECONDS, Bucket, Rate, full
from serving.web.limiter import Limiter


@pytest.fixture
def state(tmp_path: Path, database: str) -> Iterator[State]:
    made = open_state(Environment(var=tmp_path))
    make(made)
    yield made
    made.close()


def test_a_bucket_by_hand() -> None:
    """60 a minute: ten at once, then one a second."""
    rate = Rate(60)
    bucket, taken = full(rate, 100.0).take(12)
    assert (bucket, taken) == (Bucket(0.0, 100.0), 10)
    assert bucket.wait_seconds(rate) == 1.0
    assert bucket.filled(rate, 100.5).take(1) == (Bucket(0.5, 100.5), 0)
    assert bucket.filled(rate, 102.5).take(9) == (Bucket(0.5, 102.5), 2)
    assert bucket.filled(rate, 99.0) == bucket  # another process, a second behind: nothing counts twice
    assert bucket.filled(rate, 50.0) == Bucket(0.0, 50.0)  # the clock was set back
    assert full(Rate(1), 0.0).take(5)[1] == 1


@given(
    per_minute=st.integers(1, 100_000),
    steps=st.lists(st.tuples(st.floats(0, 30), st.integers(0, 5_000)), max_size=40),
)
def test_never_more_than_the_burst_and_the_rate(per_minute: int, steps: list[tuple[float, int]]) -> None:
    rate, now, passed = Rate(per_minute), 1_000.0, 0
    bucket = full(rate, now)
    for seconds, wanted in steps:
        now += seconds
        bucket, taken = bucket.filled(rate, now).take(wanted)
        passed += taken
        assert 0 <= bucket.calls <= rate.capacity
        assert passed <= rate.capacity + (now - 1_000.0) * rate.per_second + 1e-6


def test_processes_share_a_bucket(state: State, tmp_path: Path) -> None:
    """Six threads, each a process of its own to the database, get 100 calls between them and no more."""
    rate, found, at_once = Rate(600), [0] * 6, threading.Barrier(6)

    def work(number: int) -> None:
        leases = Leases(open_state(Environment(var=tmp_path)))
        at_once.wait(timeout=30)
        for _ in range(8):
            found[number] += leased(leases, rate)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(found) == 100
    assert Leases(state).take("k", rate, wanted=5, now=1_000.25) == Lease(2, Bucket(0.5, 1_000.25))
    assert Leases(state).take("other", rate, wanted=5, now=1_000.25).calls == 5


def leased(leases: Leases, rate: Rate) -> int:
    """Take five calls; again where others write for longer than a call would wait."""
    while True:
        with suppress(StateBusyError):
            return leases.take("k", rate, wanted=5, now=1_000.0).calls


class Clock:
    """Seconds that pass when told."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Broken(Leases):
    """Leases of a database that another process never lets go of."""

    def take(self, key_id: str, rate: Rate, *, wanted: int, now: float) -> Lease:
        raise StateBusyError("busy")


def calls_let_through(limiter: Limiter, key: Key, count: int) -> int:
    async def call() -> int:
        return sum([(await limiter.take(key)).is_allowed for _ in range(count)])

    return asyncio.run(call())


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_key_is_held_to_its_limit(state: State, *, is_broken: bool) -> None:
    """Two processes share the limit; where the database is busy each has it for itself, and none has more."""
    key, _ = Keys(state).add("small", ["admin"], calls_per_minute=120)
    clock = Clock()
    leases = Broken(state) if is_broken else Leases(state)
    limiters = [Limiter(leases, now=clock) for _ in range(2)]
    capacity = math.floor(Rate(120).capacity)
    assert capacity == 120 / 60 * BURST_SECONDS == 20
    passed = [calls_let_through(limiter, key, 50) for limiter in limiters]
    assert passed == ([20, 20] if is_broken else [20, 0])
    clock.now += 3.0
    passed = [calls_let_through(limiter, key, 50) for limiter in limiters]
    assert passed == ([6, 6] if is_broken else [6, 0])


def test_a_clock_that_was_set_back_does_not_lock_a_key_out(state: State) -> None:
    key, _ = Keys(state).add("small", ["admin"], calls_per_minute=120)
    clock = Clock()
    limiter = Limiter(Leases(state), now=clock)
    assert calls_let_through(limiter, key, 50) == 20
    clock.now -= 3_600.0
    assert calls_let_through(limiter, key, 50) == 0
    clock.now += 3.0
    assert calls_let_through(limiter, key, 50) == 6


def test_processes_with_clocks_apart_let_no_more_through(state: State) -> None:
    """120 a minute for 30 s: a full bucket of 20 and 60 more, though one clock is 3 s behind."""
    key, _ = Keys(state).add("small", ["admin"], calls_per_minute=120)
    clocks = [Clock(), Clock()]
    clocks[1].now -= 3.0
    limiters = [Limiter(Leases(state), process_count=2, now=clock) for clock in clocks]
    passed = 0
    for _ in range(60):
        passed += sum(calls_let_through(limiter, key, 4) for limiter in limiters)
        for clock in clocks:
            clock.now += 0.5
    assert 70 <= passed <= 20 + 60


def test_idle_leases_are_not_saved_up(state: State) -> None:
    """Sixteen processes hold a lease each; ten seconds later they let a twentieth more through at most."""
    key, _ = Keys(state).add("large", ["admin"], calls_per_minute=60_000)
    clock = Clock()
    limiters = [Limiter(Leases(state), process_count=16, now=clock) for _ in range(16)]
    assert [calls_let_through(limiter, key, 1) for limiter in limiters] == [1] * 16
    clock.now += 10.0
    passed = sum(calls_let_through(limiter, key, 1_000) for limiter in limiters)
    assert 9_500 <= passed <= 10_500


def test_a_database_that_is_being_written_costs_a_moment(state: State) -> None:
    """Another process holds the lock: a call waits for it once, not each time, and the key keeps its rate."""
    key, _ = Keys(state).add("small", ["admin"], calls_per_minute=600)
    clock = Clock()
    limiter = Limiter(Leases(state), now=clock)
    with state.writing():
        begun = time.monotonic()
        assert calls_let_through(limiter, key, 200) == 100
        clock.now += 1.0
        assert calls_let_through(limiter, key, 200) == 10
        assert time.monotonic() - begun < 4.0  # not the five seconds that a writer may wait
    clock.now += 10.0
    assert calls_let_through(limiter, key, 200) == 100


def test_calls_that_come_at_once_cost_one_look(state: State) -> None:
    """Real time passes while they wait for the same lease."""
    key, _ = Keys(state).add("large", ["admin"], calls_per_minute=600_000)
    looks: list[float] = []

    class Counted(Leases):
        def take(self, key_id: str, rate: Rate, *, wanted: int, now: float) -> Lease:
            looks.append(now)
            time.sleep(0.02)
            return super().take(key_id, rate, wanted=wanted, now=now)

    async def call() -> list[bool]:
        limiter = Limiter(Counted(state))
        found = []
        for _ in range(5):
            found += await asyncio.gather(*(limiter.take(key) for _ in range(50)))
        return [one.is_allowed for one in found]

    assert all(asyncio.run(call()))
    assert len(looks) == 1


@pytest.mark.parametrize(("calls", "policy"), [(1, b'"per-key";q=1;w=60'), (60, b'"per-key";q=10;w=10')])
def test_the_policy_is_what_holds(state: State, calls: int, policy: bytes) -> None:
    key, _ = Keys(state).add("any", ["admin"], calls_per_minute=calls)
    limiter = Limiter(Leases(state), now=Clock())
    found = asyncio.run(limiter.take(key))
    assert (b"ratelimit-policy", policy) in found.headers


def test_the_caller_is_told(tmp_path: Path, state: State) -> None:
    publish(tmp_path)
    _, secret = Keys(state).add("small", ["predictions:read"], calls_per_minute=12)
    app = create_app(Environment(var=tmp_path))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        given = {"authorization": f"Bearer {secret}"}
        first = client.get("/v1/customers/c1/predictions", headers=given)
        second = client.get("/v1/customers/nobody/predictions", headers=given)
        third = client.get("/v1/customers/c1/predictions", headers=given)
        refused = client.get("/v1/customers/c1/predictions")
    assert [answer.status_code for answer in (first, second, third, refused)] == [200, 404, 429, 401]
    assert first.headers["ratelimit-policy"] == '"per-key";q=2;w=10'
    assert first.headers["ratelimit"] == '"per-key";r=1;t=5'
    assert second.headers["ratelimit"] == '"per-key";r=0;t=10'
    assert third.headers["ratelimit"] == '"per-key";r=0;t=10'
    assert 1 <= int(third.headers["retry-after"]) <= 5
    assert third.json()["type"] == "urn:regulars:problem:too-many-calls"
    assert third.json()["detail"] == "The key may make 12 calls a minute."
    assert "ratelimit" not in refused.headers


KEY_6000 = Key("k_1", "test", "", frozenset({"admin"}), datetime.now(UTC), calls_per_minute=6_000)


class Counted(Leases):
    """Leases that count how often the database is looked at."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.looks = 0

    def take(self, key_id: str, rate: Rate, *, wanted: int, now: float) -> Lease:
        self.looks += 1
        return super().take(key_id, rate, wanted=wanted, now=now)


def test_calls_are_asked_for_before_they_run_out(state: State) -> None:
    """Whoever calls steadily waits for the database once, at the very first call."""
    now, held_up, leases = [1_000.0], [0], Counted(state)
    limiter = Limiter(leases, now=lambda: now[0])

    async def call() -> None:
        for _ in range(400):
            now[0] += 0.02
            account = limiter._account(KEY_6000)
            held_up[0] += account.is_spent(now[0])
            assert (await limiter.take(KEY_6000)).is_allowed
            if account.asked is not None:
                await asyncio.wait([account.asked])

    asyncio.run(call())
    assert held_up[0] == 1
    assert 4 < leases.looks < 40


def test_thousands_at_once_cost_few_looks(state: State) -> None:
    leases = Counted(state)
    limiter = Limiter(leases, process_count=4)

    async def call() -> int:
        answers = await asyncio.gather(*(limiter.take(KEY_6000) for _ in range(3_000)))
        return sum(answer.is_allowed for answer in answers)

    allowed = asyncio.run(call())
    assert 1_000 <= allowed <= 1_500
    assert leases.looks < 150
