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
from pathlib import Path
from typing import Any

from asgi_calls import calling
from fault_works import WORKS, drop, fold_now
from inbound_words import track
from serving_runs import publish

from features.errors import UserError
from features.history import History
from features.layout import Layout
from features.messages import Order
from serving.state.database import State
from serving.state.inbox import Inbox
from serving.state.migrate import make

RAISED = 3
BATCH = 5
ORDER = {"currency": "EUR", "products": [{"product_id": "p1", "price": 10, "quantity": 1}]}
KINDS = {"fails once": 1, "is full": 2, "is killed": 3}


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
