"""Brings webhooks to their receivers: one task an endpoint, so that a slow one holds up nobody else.

deliver_due(state, layout, settings)    once, until nothing is due
Courier.follow(stop)                    on and on, for a process that lives
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple, TypeVar

from features.delivery_settings import ChangeSettings
from features.layout import Layout
from serving.outbound.webhook_address import Rules
from serving.outbound.webhook_sender import GONE, Outcome, Resolve, Sender, resolver
from serving.state.database import State, StateError
from serving.state.deliveries import Deliveries, Delivery
from serving.state.webhooks import ENDPOINTS_MAX, Endpoint
from serving.web.cursor import load_secret

MASTER_FILE: Final = "webhooks.key"
_TURN_SECONDS: Final = 30.0
_MESSAGES_AT_ONCE: Final = 20
_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_Attempt = Callable[[Delivery], Awaitable[Outcome]]


class Tally(NamedTuple):
    """How many messages were taken, how many attempts failed, and which endpoints were disabled, and why."""

    sent: int = 0
    failed: int = 0
    disabled: tuple[tuple[str, str], ...] = ()


class Courier:
    """Delivers what is due; several may work on one state, each endpoint is one's at a time.

    At least once: a courier that is killed between sending and noting it sends again, with the same id.
    """

    def __init__(
        self,
        state: State,
        layout: Layout,
        rules: ChangeSettings,
        *,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._deliveries = Deliveries(state, now=now)
        self._names = ThreadPoolExecutor(ENDPOINTS_MAX, "names")
        self._database = ThreadPoolExecutor(1, "webhooks")
        self._sender = Sender(
            load_secret(layout.private, name=MASTER_FILE),
            Rules(rules.webhook_ports, rules.webhook_private_addresses),
            timeout_seconds=rules.webhook_timeout_seconds,
            resolve=resolve or resolver(self._names),
            tls=tls,
            now=now,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_ending = False
        self.tally = Tally()

    async def drain(self) -> Tally:
        """Deliver until nothing is due at this moment; raises `StateError`."""
        while True:
            await self._start()
            if not self._tasks:
                return self.tally
            await self._reap(await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED))

    async def follow(self, stop: asyncio.Event, *, poll_seconds: float = 1.0) -> None:
        """Deliver what is due, and what falls due, until `stop` is set; then end the messages under way."""
        while not stop.is_set():
            try:
                await self._start()
                if self._tasks:
                    await self._reap(await asyncio.wait(self._tasks, timeout=0))
            except StateError as error:
                _LOG.warning("webhooks wait: %s", error)
            except Exception:
                # Whatever went wrong with one message, the others are delivered.
                _LOG.exception("a delivery failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), poll_seconds)
        self._is_ending = True
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """Let go of the threads."""
        for executor in (self._names, self._database):
            executor.shutdown(wait=False, cancel_futures=True)

    async def _start(self) -> None:
        await self._call(self._deliveries.enqueue)
        for endpoint in await self._call(self._deliveries.lease_due):
            self._tasks.add(asyncio.create_task(self._serve(endpoint)))

    async def _reap(self, waited: tuple[set[asyncio.Task[None]], set[asyncio.Task[None]]]) -> None:
        self._tasks -= waited[0]
        for task in waited[0]:
            task.result()

    async def _serve(self, endpoint: Endpoint) -> None:
        """Send what is due at an endpoint in the order of the log, until one fails or its turn is over."""
        over_at = time.monotonic() + _TURN_SECONDS
        is_working = True
        due_now = partial(self._deliveries.due, endpoint.endpoint_id, limit=_MESSAGES_AT_ONCE)
        async with self._sender.line() as line:
            while is_working and not self._is_over(over_at):
                due = await self._call(due_now)
                if not due:
                    break
                attempt = partial(self._sender.attempt, endpoint, line=line)
                is_working = await self._send(endpoint.endpoint_id, due, attempt, over_at=over_at)
        await self._call(partial(self._deliveries.release, endpoint.endpoint_id))

    async def _send(
        self, endpoint_id: str, due: Sequence[Delivery], attempt: _Attempt, *, over_at: float
    ) -> bool:
        """Send messages one after the other; say whether the receiver took all that were tried."""
        taken: list[int] = []
        failed: tuple[Delivery, Outcome] | None = None
        for delivery in due:
            outcome = await attempt(delivery)
            if not outcome.is_taken:
                failed = (delivery, outcome)
                break
            taken.append(delivery.sequence)
            if self._is_over(over_at):
                break
        if taken:
            await self._call(partial(self._deliveries.note_sent, endpoint_id, taken))
            self.tally = self.tally._replace(sent=self.tally.sent + len(taken))
        if failed is not None:
            await self._note_failure(endpoint_id, *failed)
        return failed is None

    def _is_over(self, over_at: float) -> bool:
        return self._is_ending or time.monotonic() >= over_at

    async def _note_failure(self, endpoint_id: str, delivery: Delivery, outcome: Outcome) -> None:
        said = f"it answered {outcome.status}" if outcome.status is not None else outcome.reason
        _LOG.info("webhook %s failed: %s", endpoint_id, said)
        if outcome.status == GONE:
            note: Callable[[], str | None] = partial(
                self._deliveries.disable, endpoint_id, "it answered 410, gone"
            )
        else:
            note = partial(
                self._deliveries.note_failed, endpoint_id, delivery, said, retry_after=outcome.retry_after
            )
        reason = await self._call(note)
        disabled = self.tally.disabled
        if reason is not None:
            _LOG.warning("webhook %s is disabled: %s", endpoint_id, reason)
            disabled = (*disabled, (endpoint_id, reason))
        self.tally = self.tally._replace(failed=self.tally.failed + 1, disabled=disabled)

    async def _call(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._database, work)


def deliver_due(state: State, layout: Layout, rules: ChangeSettings) -> Tally:
    """Deliver until nothing is due at this moment; raises `StateError`."""
    courier = Courier(state, layout, rules)
    try:
        return asyncio.run(courier.drain())
    finally:
        courier.close()
