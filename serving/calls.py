"""A request that was answered, as metrics and log see it: nothing of it that names a customer."""

from typing import Final, NamedTuple, Protocol

UNMATCHED: Final = "unmatched"
"""The route of every path that is none of the service's."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Call(NamedTuple):
    """A request that was answered; `route` is the template of its path, and `key_id` None without a key."""

    request_id: str
    method: str
    route: str
    status: int
    seconds: float
    key_id: str | None


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
