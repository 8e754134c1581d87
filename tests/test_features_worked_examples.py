"""The trade's own worked examples, from order lines to the figure."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from features.customer_totals import read_customer_totals
from features.history import History
from features.ingest import load
from features.layout import Layout
from features.settings import Settings
from features.snapshot import Snapshot
from features.sources import Request


def test_one_sale_of_150_is_worth_less_than_30_and_ten_more(tmp_path: Path) -> None:
    """Jetpack CRM: a sale of 150 looks better than one of 30, until ten more make it 330."""
    days = [date(2026, 1, 5) + timedelta(days=30 * number) for number in range(11)]
    lines = ["customer_id,ordered_at,amount", "once,2026-01-05,150"]
    lines += [f"again,{day},30" for day in days]
    path = tmp_path / "orders.csv"
    path.write_text("\n".join(lines) + "\n")
    layout = Layout(tmp_path / "var")
    load(Request(files=(path,)), layout=layout, now=datetime(2027, 1, 1, tzinfo=UTC))
    totals = read_customer_totals(
        History.open(layout.history), Snapshot(date(2026, 12, 31)), settings=Settings()
    ).customers
    found = {row["customer_id"]: (row["order_count"], row["spend_total"]) for row in totals.to_dicts()}
    assert found == {"once": (1, 150.0), "again": (11, 330.0)}
