"""How many calls a key may make: leased in chunks, so that a call costs no look at the database."""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from serving.state.database import StateError
from serving.state.keys import Key
from serving.state.leases import Lease, Leases
from serving.web.buckets import Bucket, Rate, full
from serving.web.problems import ProblemError

_LOG = logging.getLogger(__name__)
# All processes together hold up to a twentieth of a full bucket: what one holds, another one lacks.
_LEASED_SHARE: Final = 1 / 20
# A lease that is not used up by then is dropped; the bucket has filled again meanwhile.
_LEASE_SECONDS: Final = 2.0
# For so long a process counts by itself after the database could not be asked.
_ALONE_SECONDS: Final = 5.0


class Allowance(NamedTuple):
    """Whether a call may go through, and the headers that tell the caller how many more may."""

    is_allowed: bool
    headers: list[tuple[bytes, bytes]]


@dataclass(slots=True)
class _Account:
    """What this process may still let through of a key, and what it last saw of the shared bucket."""

    rate: Rate
    own: Bucket
    shared: Bucket
    calls: int = 0
    leased_at: float = 0.0
    alone_since: float = -math.inf
    asked: "asyncio.Future[Lease] | None" = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    policy: bytes = field(init=False)

    def __post_init__(self) -> None:
        quota, window = math.floor(self.rate.capacity), math.ceil(self.rate.capacity / self.rate.per_second)
        self.policy = b'"per-key";q=%d;w=%d' % (quota, window)

    def is_spent(self, now: float) -> bool:
        """Say whether there is no call left, or the lease is stale, be it that the clock was moved."""
        return self.calls < 1 or self.is_stale(now)

    def is_stale(self, now: float) -> bool:
        """Say whether the lease is so old that what is left of it is dropped."""
        return not 0 <= now - self.leased_at <= _LEASE_SECONDS

    def is_ageing(self, now: float, wanted: int) -> bool:
        """Say whether it is time to fill a lease up that once held `wanted` calls."""
        return self.calls < wanted // 2 or not 0 <= now - self.leased_at <= _LEASE_SECONDS / 2

    def is_alone(self, now: float) -> bool:
        """Say whether the database could not be asked a moment ago."""
        return 0 <= now - self.alone_since < _ALONE_SECONDS

    def allowance(self, now: float, *, is_allowed: bool) -> Allowance:
        """Say what a caller is told.

        The policy, what is left, and after how many seconds the bucket is full, as in
        draft-ietf-httpapi-ratelimit-headers; with a refusal also after how many a call is possible again.
        """
        rate, shared = self.rate, self.shared.filled(self.rate, now)
        left = min(self.calls + shared.calls, rate.capacity)
        reset = math.ceil((rate.capacity - left) / rate.per_second)
        told = [(b"ratelimit-policy", self.policy), (b"ratelimit", b'"per-key";r=%d;t=%d' % (left, reset))]
        if not is_allowed:
            told.append((b"retry-after", b"%d" % max(1, math.ceil(shared.wait_seconds(rate)))))
        return Allowance(is_allowed, told)


class Limiter:
    """Counts the calls of keys, in one of `process_count` processes that share the buckets.

    Together they let a twentieth more through than a bucket holds, at most. Where the database cannot be
    asked, every process holds a key to its limit by itself: reading goes on.
    """

    def __init__(
        self,
        leases: Leases,
        *,
        process_count: int = 1,
        executor: Executor | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._leases = leases
        self._share = _LEASED_SHARE / process_count
        self._executor = executor
        self._now = now
        self._accounts: dict[str, _Account] = {}

    async def take(self, key: Key) -> Allowance:
        """Count one call.

        Only who finds no call left waits for the database: it is asked while there still are some.
        """
        account = self._account(key)
        if account.is_spent(self._now()):
            # One after another: whoever comes when nothing can be left is refused without a look.
            async with account.turn:
                await self._fill(key, account)
        elif account.is_ageing(self._now(), self._wanted(account)):
            with suppress(RuntimeError):  # The process ends, and asks nobody any more.
                self._ask(key, account)
        is_allowed = account.calls >= 1
        account.calls -= is_allowed
        return account.allowance(self._now(), is_allowed=is_allowed)

    async def _fill(self, key: Key, account: _Account) -> None:
        """Wait until there is a call, or none can be left."""
        while account.is_spent(self._now()):
            asked = self._ask(key, account)
            if asked is None:
                return
            await asyncio.wait([asked])

    def _account(self, key: Key) -> _Account:
        account = self._accounts.get(key.key_id)
        if account is None:
            rate = Rate(key.calls_per_minute)
            unused = full(rate, self._now())
            account = self._accounts[key.key_id] = _Account(rate, unused, unused)
        return account

    def _wanted(self, account: _Account) -> int:
        return math.ceil(account.rate.capacity * self._share)

    def _ask(self, key: Key, account: _Account) -> "asyncio.Future[Lease] | None":
        """Ask for as many calls as were used; None where no more can be left, or nobody can be asked."""
        if account.asked is not None and not account.asked.done():
            return account.asked
        rate, now = account.rate, self._now()
        if account.is_stale(now):
            account.calls = 0
        seen_at = account.shared.filled_at
        account.shared = account.shared.filled(rate, now)
        if account.shared.calls < 1 and account.shared.filled_at >= seen_at:
            return None  # No more than this can be left for all: whoever is refused need not cost a look.
        wanted = self._wanted(account) - account.calls
        if account.is_alone(now):
            self._count_alone(account, wanted)
            return None
        take = partial(self._leases.take, key.key_id, rate, wanted=wanted, now=now)
        asked = asyncio.get_running_loop().run_in_executor(self._executor, take)
        # It comes first: whoever waits finds the account as it is then.
        asked.add_done_callback(partial(self._take_over, account, wanted))
        account.asked = asked
        return asked

    def _take_over(self, account: _Account, wanted: int, asked: "asyncio.Future[Lease]") -> None:
        if asked.cancelled():
            return
        error = asked.exception()
        if error is not None:
            if not isinstance(error, StateError):
                _LOG.error("calls cannot be counted: %s", type(error).__name__)
            account.alone_since = self._now()
            self._count_alone(account, wanted)
            return
        lease = asked.result()
        account.calls += lease.calls
        account.shared, account.leased_at = lease.left, self._now()

    def _count_alone(self, account: _Account, wanted: int) -> None:
        now = self._now()
        account.own, taken = account.own.filled(account.rate, now).take(wanted)
        account.calls += taken
        account.shared, account.leased_at = account.own, now


def too_many_calls(key: Key) -> ProblemError:
    """Return the 429 problem; the headers of the allowance say when to call again."""
    return ProblemError(
        429,
        "too-many-calls",
        f"The key may make {key.calls_per_minute} calls a minute.",
        title="Too many calls",
    )
