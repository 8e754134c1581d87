"""The service while things happen: its size, an order that changes scores, a run published under load.

    python -m benchmarks.api_live [--customers 100000] [--members 1000000] [--orders 20]

Size: a server of one worker with a run of `customers`, from its start to its first answer, and its memory
after 20,000 calls. Orders: a made-up shop with champions of its own, a server and a worker; from the answer
that an order was accepted to other scores of its customer. Publishing: a run of `members` is published by a
process of its own while 500 calls a second are answered. Exit code 1 where a target is missed.
"""

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.api_client import asks, bombard
from benchmarks.api_server import PORT, make_key, publish_run, resident_mb, service
from benchmarks.published import gates_text

_RATE = 500
_BASE = f"http://127.0.0.1:{PORT}"
Lines = list[tuple[str, bool]]


def main(
    customers: Annotated[int, typer.Option(help="rows of the run whose server is weighed")] = 100_000,
    members: Annotated[int, typer.Option(help="rows of the run that is published under load")] = 1_000_000,
    orders: Annotated[int, typer.Option(help="orders that are sent, one after another")] = 20,
) -> None:
    """Print what was measured, and the gates."""
    lines = [*weigh(customers), *send_orders(orders), *publish_under_load(members)]
    sys.stdout.write(gates_text(lines))
    if not all(held for _, held in lines):
        raise SystemExit(1)


def weigh(customers: int) -> Lines:
    """Start a server on a run and weigh it after some calls."""
    with tempfile.TemporaryDirectory() as folder:
        var = Path(folder)
        publish_run(var, customers)
        secret = make_key(var)
        begun = time.perf_counter()
        with service(var) as process:
            _ask("/v1/customers/c1/predictions", secret)
            started = time.perf_counter() - begun
            calls = asks(
                [f"/v1/customers/c{random.randrange(customers)}/predictions" for _ in range(20_000)], secret
            )
            asyncio.run(bombard("calls", calls, process.pid, connections=32, seconds=5.0))
            memory = resident_mb(process.pid, children_only=True)
    return [
        (f"first answer {started:.1f} s after the start ≤ 2", started <= 2),
        (f"{memory:.0f} MB with {customers:,} customers ≤ 150", memory <= 150),
    ]


def send_orders(count: int) -> Lines:
    """Send orders to a shop with champions, and wait for other scores of their customers."""
    with tempfile.TemporaryDirectory() as folder:
        var = Path(folder)
        ids = _made_shop(var)
        with service(var), _worker(var):
            waits = sorted(_order(random.choice(ids)) for _ in range(count))
    middle, longest = waits[len(waits) // 2], waits[-1]
    sys.stdout.write(f"{count} orders: other scores after {middle:.2f} s, at most {longest:.2f} s\n")
    return [(f"accepted order to other scores {longest:.2f} s ≤ 2", longest <= 2)]


def publish_under_load(members: int) -> Lines:
    """Publish a run while calls are answered: none fails, none mixes two runs."""
    with tempfile.TemporaryDirectory() as folder:
        var = Path(folder)
        publish_run(var, members)
        secret = make_key(var)
        with service(var):
            publisher = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.api_publisher", str(var), str(members)]
            )
            seen = asyncio.run(_watch(secret, members, publisher))
            publisher.wait()
    runs = {run for run, _ in seen}
    failed = sum(run is None for run, _ in seen)
    mixed = sum(not is_whole for _, is_whole in seen)
    sys.stdout.write(
        f"{len(seen):,} answers for twenty customers each while {members:,} rows were published\n"
    )
    return [
        (f"{failed} failed = 0", failed == 0),
        (f"{mixed} mixed two runs = 0", mixed == 0),
        (f"{len(runs - {None})} runs were answered from = 2", len(runs - {None}) == 2),
    ]


async def _watch(
    secret: str, members: int, publisher: "subprocess.Popen[bytes]"
) -> list[tuple[str | None, bool]]:
    """Ask 500 times a second, until three seconds after the run was published."""
    seen: list[tuple[str | None, bool]] = []
    until = float("inf")
    while time.perf_counter() < until:
        if publisher.poll() is not None and until == float("inf"):
            until = time.perf_counter() + 3.0
        begun = time.perf_counter()
        seen += await asyncio.gather(*(_page(secret, members) for _ in range(_RATE // 20)))
        await asyncio.sleep(max(0.0, 1 / 20 - (time.perf_counter() - begun)))
    return seen


async def _page(secret: str, members: int) -> tuple[str | None, bool]:
    """Ask for twenty customers; return the run that answered, and whether every row is of it."""
    body = json.dumps({"customer_ids": [f"c{random.randrange(members)}" for _ in range(20)]}).encode()
    head = f"POST /v1/predictions/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n"
    form = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    writer.write((head + form).encode() + body)
    answer_head = await reader.readuntil(b"\r\n\r\n")
    length = int(answer_head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
    answer: dict[str, Any] = json.loads(await reader.readexactly(length))
    writer.close()
    if not answer_head.startswith(b"HTTP/1.1 200"):
        return None, True
    run = answer["score_run_id"]
    return run, {row["score_run_id"] for row in answer["results"]} == {run}


def _made_shop(var: Path) -> list[str]:
    """Make a shop with history, champions and a run; return its customers."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from serving_shop import AS_OF, fit_champions, make_orders, register, write_history  # type: ignore[import-not-found]  # noqa: PLC0415 - the tests' own

    from features.settings import ChurnSettings, Settings  # noqa: PLC0415 - large
    from serving.environment import Environment  # noqa: PLC0415
    from serving.score import run_scoring  # noqa: PLC0415 - large
    from serving.scoring.request import open_request  # noqa: PLC0415

    history = write_history(var, make_orders(2_000))
    choice = {"churn": "lightgbm", "clv": "hurdle", "recommender": "blend"}
    settings = Settings(churn=ChurnSettings(supported_outcomes_min=50))
    register(var, fit_champions(history, AS_OF, choice=choice, settings=settings), as_of=AS_OF)
    run_scoring(open_request(Environment(var=var), as_of=None, out=None), lambda _: None)
    return [f"c{number}" for number in range(1_900)]


@contextmanager
def _worker(var: Path) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "serving.worker", "--var", str(var)])
    try:
        time.sleep(10)  # it loads the champions first
        yield
    finally:
        process.terminate()
        process.wait(60)


def _order(customer_id: str) -> float:
    """Send an order of now; return the seconds from its acceptance to another number of orders."""
    before = _ask(f"/v1/customers/{customer_id}/predictions")["historic_number_of_orders"]
    call = {
        "messageId": str(uuid.uuid4()),
        "userId": customer_id,
        "event": "Order Completed",
        "timestamp": datetime.now(UTC).isoformat(),
        "properties": {"order_id": str(uuid.uuid4()), "products": [{"product_id": "p01", "price": 5}]},
    }
    _ask("/v1/events/batch", body={"batch": [call]})
    begun = time.perf_counter()
    while _ask(f"/v1/customers/{customer_id}/predictions")["historic_number_of_orders"] == before:
        if time.perf_counter() - begun > 60:
            raise RuntimeError("the scores did not change within a minute")
        time.sleep(0.02)
    return time.perf_counter() - begun


def _ask(path: str, secret: str = "", *, body: object = None) -> dict[str, Any]:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {secret}"} if secret else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(_BASE + path, data, headers)  # noqa: S310 - our own address
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
    return found


if __name__ == "__main__":
    typer.run(main)
