"""A request that was answered, as metrics and log see it: nothing of it that names a customer."""

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

UNMATCHED: Final = "unmatched"
"""The route of every path that is none of the service's."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class Taken:
    """A list of people that somebody takes out of the service: which, and how many so far.

    `is_whole` says whether all of it went out; None of a file that lay ready.
    """

    name: str
    form: str
    row_count: int = 0
    with_identity: bool = False
    is_whole: bool | None = None


class Call(NamedTuple):
    """A request that was answered; `route` is the template of its path, and `key_id` None without a key.

    `taken` is the list that went out with the answer.
    """

    request_id: str
    method: str
    route: str
    status: int
    seconds: float
    key_id: str | None
    taken: Taken | None = None


class Observer(Protocol):
    """Who is told of every call."""

    def note(self, call: Call) -> None:
        """Take notice of one call."""
        ...


class Calls:
    """Tells the observers of calls."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def note(self, call: Call) -> None:
        """Tell them of one."""
        for observer in self._observers:
            observer.note(call)


def method_label(method: str) -> str:
    """Return a method as it is counted and logged: there are few of them.

    >>> method_label("GET"), method_label("BREW")
    ('GET', 'other')
    """
    return method if method in _METHODS else "other"
