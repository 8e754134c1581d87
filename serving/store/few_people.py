"""What a run's documents about the shop still say once somebody was erased from it.

A document sums people up, and stands until the next run. Where a sum is of a few, whoever was one of them
could be told from it: its figures are taken out, the count stays.
"""

from typing import Any, Final

import orjson

PEOPLE_MIN: Final = 5
_COUNTS: Final = ("customer_count", "buyer_count")
_OF_THE_SHOP: Final = ("customer_share",)


def without_few(body: str) -> str:
    """Return a document (JSON) without the figures of fewer than five customers.

    >>> without_few('[{"customer_count":1,"spend":9.5},{"customer_count":5,"spend":9.5}]')
    '[{"customer_count":1,"spend":null},{"customer_count":5,"spend":9.5}]'
    """
    return orjson.dumps(_cleared(orjson.loads(body))).decode()


def _cleared(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, list):
        return [_cleared(each) for each in value]
    if not isinstance(value, dict):
        return value
    counts = [value[name] for name in _COUNTS if isinstance(value.get(name), int)]
    is_few = bool(counts) and min(counts) < PEOPLE_MIN
    return {
        name: None if is_few and isinstance(each, float) and name not in _OF_THE_SHOP else _cleared(each)
        for name, each in value.items()
    }
