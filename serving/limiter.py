"""How many calls a key may make: leased in chunks, so that a call costs no look at the database."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from serving.buckets import BURST_SECONDS, Bucket, Rate, full
from serving.problems import ProblemError
from serving.state.database import StateError
from serving.state.keys import Key
from serving.state.leases import Lease, Leases

# A lease is a twentieth of a full bucket: what one process holds, another one lacks.
_LEASES_PER_BUCKET: Final = 20


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
    renewing: asyncio.Lock = field(default_factory=asyncio.Lock)
    policy: bytes = field(init=False)

    def __post_init__(self) -> None:
        quota, window = math.floor(self.rate.capacity), math.ceil(BURST_SECONDS)
        self.policy = b'"per-key";q=%d;w=%d' % (quota, window)

    def allowance(self, now: float, *, is_allowed: bool) -> Allowance:
        """Say what a caller is told.

        The policy, what is left, and after how many seconds the bucket is full, as in
        draft-ietf-httpapi-ratelimit-headers; with a refusal also after how many a call is possible again.
        """
        rate, shared = self.rate, self.shared.filled(self.rate, now)
        left = self.calls + shared.calls
        reset = math.ceil(max(0.0, rate.capacity - left) / rate.per_second)
        told = [(b"ratelimit-policy", self.policy), (b"ratelimit", b'"per-key";r=%d;t=%d' % (left, reset))]
        if not is_allowed:
            told.append((b"retry-after", b"%d" % max(1, math.ceil(shared.wait_seconds(rate)))))
        return Allowance(is_allowed, told)


class Limiter:
    """Counts the calls of keys.

    Where the database cannot be asked, every process holds a key to its limit by itself: reading goes on.
    """

    def __init__(self, leases: Leases, *, now: Callable[[], float] = time.time) -> None:
        self._leases = leases
        self._now = now
        self._accounts: dict[str, _Account] = {}

    async def take(self, key: Key) -> Allowance:
        """Count one call."""
        account = self._account(key)
        if account.calls < 1:
            async with account.renewing:
                if account.calls < 1:
                    await self._renew(key, account)
        is_allowed = account.calls >= 1
        account.calls -= is_allowed
        return account.allowance(self._now(), is_allowed=is_allowed)

    def _account(self, key: Key) -> _Account:
        account = self._accounts.get(key.key_id)
        if account is None:
            rate = Rate(key.calls_per_minute)
            unused = full(rate, self._now())
            account = self._accounts[key.key_id] = _Account(rate, unused, unused)
        return account

    async def _renew(self, key: Key, account: _Account) -> None:
        wanted, now = math.ceil(account.rate.capacity / _LEASES_PER_BUCKET), self._now()
        if account.shared.filled(account.rate, now).calls < 1:
            return  # No more than this can be left for all: whoever is refused need not cost a look.
        try:
            lease = await asyncio.to_thread(
                self._leases.take, key.key_id, account.rate, wanted=wanted, now=now
            )
        except StateError:
            account.own, taken = account.own.filled(account.rate, now).take(wanted)
            lease = Lease(taken, account.own)
        account.calls, account.shared = lease


def too_many_calls(key: Key) -> ProblemError:
    """Return the 429 problem; the headers of the allowance say when to call again."""
    return ProblemError(
        429,
        "too-many-calls",
        f"The key may make {key.calls_per_minute} calls a minute.",
        title="Too many calls",
    )
