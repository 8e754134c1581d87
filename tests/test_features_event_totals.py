"""RFM over events: totals, types and groups worked by hand."""

from datetime import date
from pathlib import Path

import pytest
from features_shop import event, line, write_shop

from features.event_totals import (
    EventType,
    EventTypeError,
    find_event_type,
    read_event_totals,
    read_event_types,
)
from features.history import History
from features.settings import RfmSettings, Settings
from features.shop_rfm import read_event_rfm
from features.snapshot import Snapshot
from serving.scoring.score_pages import event_documents

AT = Snapshot(date(2026, 3, 1))
SETTINGS = Settings(rfm=RfmSettings(window_days=30))
LINES = [
    line("a", "1", "2026-01-10", 20.0),
    line("b", "2", "2026-02-01", 5.0),
    line("c", "3", "2026-03-05", 9.0),
]
EVENTS = [
    event("a", "rated", "2026-01-01", 4.0),
    event("a", "rated", "2026-02-27", 5.0),
    event("a", "rated", "2026-02-28 12:00:00"),
    # On the day of the snapshot: not known yet.
    event("b", "rated", "2026-03-01", 1.0),
    event("d", "viewed", "2026-02-28"),
    event("a", "viewed", "2026-02-28"),
]


@pytest.fixture
def history(tmp_path: Path) -> History:
    return write_shop(tmp_path, LINES, events=EVENTS)


def test_types_are_told_with_their_customers(history: History) -> None:
    assert read_event_types(history, AT) == [
        EventType("viewed", customer_count=2, event_count=2, has_value=False),
        EventType("rated", customer_count=1, event_count=3, has_value=True),
    ]


def test_totals_are_of_everybody_who_ordered_or_did_anything(history: History) -> None:
    totals = read_event_totals(history, AT, "rated", settings=SETTINGS)
    assert totals.rows() == [
        ("a", 0.5, 3.0, 9.0, 2.0, 5.0),
        ("b", None, 0.0, 0.0, 0.0, 0.0),
        ("d", None, 0.0, 0.0, 0.0, 0.0),
    ]


def test_an_unknown_type_is_refused_with_those_there_are(history: History, tmp_path: Path) -> None:
    types = read_event_types(history, AT)
    assert find_event_type(types, "rated").event_count == 3
    with pytest.raises(EventTypeError, match="'bought'; the history has 'viewed', 'rated'"):
        find_event_type(types, "bought")
    bare = write_shop(tmp_path / "bare", LINES)
    assert read_event_types(bare, AT) == []
    with pytest.raises(EventTypeError, match="load events first"):
        find_event_type([], "bought")


def test_groups_are_made_of_events(history: History) -> None:
    found = read_event_rfm(history, AT, EventType("viewed", 2, 2, has_value=False), settings=SETTINGS)
    # Both viewed once on one day: nobody is worse, so both have the lowest scores of those who did.
    assert found.customers.select("customer_id", "rfm_cell", "rfm_segment").rows() == [
        ("a", "111", "DORMANT"),
        ("b", "111", "PROSPECTS"),
        ("d", "111", "DORMANT"),
    ]
    assert found.table.silent_count == 1


def test_the_console_gets_every_type_with_its_grid(history: History) -> None:
    viewed, rated = event_documents(history, AT, SETTINGS)
    assert (viewed["event_type"], viewed["has_value"]) == ("viewed", False)
    assert viewed["cells"] == [
        {
            "rfm_recency": 1,
            "rfm_frequency": 1,
            "customer_count": 2,
            "mean_silent_days": 1.0,
            "customer_share": 0.666667,
        }
    ]
    assert [group["name"] for group in rated["groups"]] == ["DORMANT", "PROSPECTS"]
    assert rated["scales"]["scales"][2]["value"] == "value_total"
