"""Last clicks and items that are due, read from a hand-made history and hand-made lists."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from features.generation import GenerationWriter
from features.history import STORED_SCHEMAS, History
from features.layout import Layout
from features.owned import Purchase, pack_owned
from features.snapshot import Snapshot, days_since_epoch
from serving.changes.lifecycle import DueItem
from serving.changes.run_signals import due_items, read_clicks

AS_OF = date(2026, 11, 22)
CLICKS = [
    ("a", "email_clicked", -40),
    ("a", "email_clicked", -3),
    ("a", "email_opened", -1),
    ("b", "campaign_click", -100),
    ("b", "product_viewed", -2),
    ("c", "message_sent", -1),
    ("d", "email_clicked", 1),
]


def history_of(root: Path, events: list[tuple[str, str, int]]) -> History:
    rows = []
    for customer_id, event_type, days in events:
        occurred_at = datetime(2026, 11, 22, 9, 30, tzinfo=UTC) + timedelta(days=days)
        rows.append(
            {
                **dict.fromkeys(STORED_SCHEMAS["events"]),
                "customer_id": customer_id,
                "event_type": event_type,
                "occurred_at": occurred_at,
                "occurred_days": days_since_epoch(occurred_at),
            }
        )
    with GenerationWriter(Layout(root).history, bucket_count=1, currency="EUR") as writer:
        writer.write("order_lines", pl.DataFrame(schema=STORED_SCHEMAS["order_lines"]), bucket=0)
        writer.write("events", pl.DataFrame(rows, schema=STORED_SCHEMAS["events"]), bucket=0)
        return writer.commit()


def test_the_last_click_before_the_snapshot_counts(tmp_path: Path) -> None:
    clicks = read_clicks(history_of(tmp_path, CLICKS), Snapshot(AS_OF))
    assert clicks == {"a": "2026-11-19T09:30:00Z", "b": "2026-08-14T09:30:00Z"}


@pytest.mark.parametrize("events", [[], CLICKS[3:6]])
def test_without_recent_clicks_nobody_has_stopped_clicking(
    tmp_path: Path, events: list[tuple[str, str, int]]
) -> None:
    assert read_clicks(history_of(tmp_path, events), Snapshot(AS_OF)) == {}


def test_items_are_due_about_the_date_with_the_day_they_were_bought() -> None:
    places = [
        ("a", "buy_again", "tea", "due_again", 2.4),
        ("a", "buy_again", "rice", "due_again", -3.0),
        ("a", "buy_again", "salt", "due_again", 4.0),
        ("a", "buy_again", "milk", "bought_before", 1.0),
        ("a", "for_you", "tea", "due_again", 2.4),
        ("b", "buy_again", "tea", "due_again", 0.0),
    ]
    lists = pd.DataFrame(places, columns=["customer_id", "kind", "product_id", "reason", "value"])
    numbers = {"tea": 7, "rice": 8, "salt": 9, "milk": 10}
    owned = [("a", pack_owned([Purchase(7, 20, True), Purchase(8, 33, True), Purchase(9, 5, True)]))]
    assert due_items(lists, owned, numbers, as_of=AS_OF, within_days=3) == {
        "a": [
            DueItem("tea", date(2026, 11, 2), date(2026, 11, 24)),
            DueItem("rice", date(2026, 10, 20), date(2026, 11, 19)),
        ]
    }
