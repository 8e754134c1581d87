"""Pack whole frames of lists into the bytes of `features.slots`, one value a customer and kind."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.slots import (
    NO_EVIDENCE,
    NO_SPREAD,
    NO_VALUE,
    REASON_NUMBERS,
    REASONS,
    SLOT,
    SOURCES,
    VALUE_MAX,
)

_RECORD = np.dtype(
    [
        ("item_no", "<u4"),
        ("score", "<f4"),
        ("evidence_no", "<u4"),
        ("reason", "u1"),
        ("source", "u1"),
        ("value", "<i2"),
        ("spread", "<u2"),
    ]
)
_SCALES = np.array([reason.scale for reason in REASONS], dtype=np.float64)


def pack_lists(lists: pd.DataFrame, item_nos: Mapping[str, int]) -> Iterator[tuple[str, str, bytes]]:
    """Yield (owner, kind, slots) of a frame that a recommender returned, in its order.

    The owner stands in the first column: a customer, nobody, or a product (`ITEM_LIST_COLUMNS`). `item_nos`
    numbers the products of the score run; every product in the frame must have a number.
    """
    packed = _records(lists, item_nos).tobytes()
    begins = np.flatnonzero(lists["rank"].to_numpy() == 1)
    ends = np.append(begins, len(lists))[1:]
    owners = lists[lists.columns[0]].to_numpy()[begins]
    kinds = lists["kind"].to_numpy()[begins]
    for owner, kind, begin, end in zip(owners, kinds, begins, ends, strict=True):
        yield owner, kind, packed[begin * SLOT.size : end * SLOT.size]


def _records(lists: pd.DataFrame, item_nos: Mapping[str, int]) -> NDArray[np.void]:
    records = np.zeros(len(lists), dtype=_RECORD)
    numbers = pd.Series(item_nos, dtype="int64")
    numbers.index = numbers.index.astype("str")
    places = numbers.index.get_indexer(pd.Index(lists["product_id"]))
    if (places < 0).any():
        raise KeyError(f"no number for product {lists['product_id'].iloc[int((places < 0).argmax())]!r}")
    evidence = numbers.index.get_indexer(pd.Index(lists["evidence_product_id"]))
    reasons = lists["reason"].map(REASON_NUMBERS).to_numpy(dtype=np.uint8)
    scales = _SCALES[reasons]
    values, spreads = (
        np.rint(lists[name].to_numpy(dtype=np.float64) * scales) for name in ("value", "spread")
    )
    records["item_no"] = numbers.to_numpy()[places]
    records["score"] = lists["score"].to_numpy(dtype=np.float32)
    records["evidence_no"] = np.where(evidence < 0, NO_EVIDENCE, numbers.to_numpy()[evidence])
    records["reason"] = reasons
    records["source"] = lists["source"].map({name: number for number, name in enumerate(SOURCES)})
    records["value"] = np.where(np.isnan(values), NO_VALUE, np.clip(values, -VALUE_MAX, VALUE_MAX))
    records["spread"] = np.where(np.isnan(spreads), NO_SPREAD, np.clip(spreads, 0, NO_SPREAD - 1))
    return records
