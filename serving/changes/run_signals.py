"""What a scoring run hands to the log of changes beside its rows: last clicks, and items that are due."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Final

import pandas as pd
import polars as pl

from features.build import bucket_groups
from features.history import History
from features.orders import event_rows
from features.owned import unpack_owned
from features.snapshot import Snapshot, instant_of
from serving.changes.lifecycle import DueItem
from serving.instants import instant_text

# A shop that has sent nobody a click for so long has stopped sending clicks.
_CLICKS_STOPPED_DAYS: Final = 28


def read_clicks(history: History, snapshot: Snapshot) -> dict[str, str]:
    """Return each customer's last click in a message before a snapshot, as RFC 3339 text in UTC."""
    return clicks_of(read_last_clicks(history, snapshot))


def clicks_of(last: pl.DataFrame) -> dict[str, str]:
    """Return rows of `read_last_clicks` as texts by customer."""
    return {customer_id: instant_text(instant_of(at_days)) for customer_id, at_days in last.iter_rows()}


def read_last_clicks(history: History, snapshot: Snapshot) -> pl.DataFrame:
    """Return `customer_id` and `ordered_days` of each customer's last click before a snapshot, sorted.

    Nobody where the shop has recorded none for four weeks: its record ended then, not everybody's interest.
    """
    days, parts = pl.col("ordered_days"), list[pl.DataFrame]()
    for buckets in bucket_groups(history):
        rows = event_rows(history.scan("events", buckets=buckets)).to_native().lazy()
        clicks = rows.filter(pl.col("click_count") > 0, days < snapshot.end_days)
        parts.append(clicks.group_by("customer_id").agg(days.max()).collect())
    last = pl.concat(parts).sort("customer_id")
    if last.is_empty() or snapshot.end_days - float(last["ordered_days"].max()) > _CLICKS_STOPPED_DAYS:  # type: ignore[arg-type]
        return last.clear()
    return last


def due_items(
    lists: pd.DataFrame,
    owned: Iterable[tuple[str, bytes]],
    numbers: Mapping[str, int],
    *,
    as_of: date,
    within_days: int,
) -> dict[str, list[DueItem]]:
    """Return, by customer, the items of `buy_again` that are due within so many days of a date, either way.

    `lists` as the recommender makes them, `owned` the packed purchases of the same customers, `numbers` the
    item_no by product_id. The day of the last purchase tells one purchase from the next.
    """
    fits = (lists["kind"] == "buy_again") & (lists["reason"] == "due_again")
    chosen = lists[fits & (lists["value"].abs() <= within_days)]
    packed = dict(owned)
    found: dict[str, list[DueItem]] = {}
    for key, rows in chosen.groupby("customer_id", sort=False):
        customer_id = str(key)
        if customer_id not in packed:
            continue
        bought = unpack_owned(packed[customer_id])
        ages = dict(zip(bought.item_nos, bought.ages_days, strict=True))
        found[customer_id] = [
            DueItem(
                product_id,
                as_of - timedelta(days=ages[numbers[product_id]]),
                as_of + timedelta(days=round(due_in_days)),
            )
            for product_id, due_in_days in zip(rows["product_id"], rows["value"], strict=True)
            if numbers[product_id] in ages
        ]
    return found
