"""Results that several callers derive from the same material alike: derived once, by whoever asks first."""

from collections import defaultdict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar, cast

Derived = TypeVar("Derived")


class Once:
    """Results by key; several threads may ask, and those who ask for the same one wait for the first.

    >>> once = Once()
    >>> once("answer", lambda: 42), once("answer", lambda: 43)
    (42, 42)
    """

    def __init__(self) -> None:
        self._results: dict[Hashable, Any] = {}
        self._locks: defaultdict[Hashable, Lock] = defaultdict(Lock)

    def __call__(self, key: Hashable, derive: Callable[[], Derived]) -> Derived:
        """Return what `derive()` returned to the first caller with this key; it must not be changed."""
        with self._locks[key]:
            if key not in self._results:
                self._results[key] = derive()
            return cast("Derived", self._results[key])
