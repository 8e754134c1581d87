"""How many are in saved segments from run to run, who came and who went, and what is left of the erased."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from preset_shop import add_orders, make_preset_shop, score_again
from segment_shop import publish_customers

from features.layout import Layout
from serving.databases import open_store
from serving.environment import Environment
from serving.segments.history import keep_sizes, live_run_before
from serving.state.database import State
from serving.state.migrate import make
from serving.state.segments import Segments
from serving.state.tables import SEGMENT_SIZES, SEGMENT_VERSIONS, SEGMENTS

# MLflow's own database layer uses what SQLAlchemy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


def saved(root: Path, **texts: str) -> Segments:
    state = State.of(Layout(root))
    make(state)
    segments = Segments(state)
    for slug, text in texts.items():
        segments.save(slug, slug, text, key_id="")
    return segments


def test_each_run_tells_who_came_and_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.registry.check_bundle", lambda *_: None)
    segments = saved(tmp_path, lately="last_order_at >= days_ago(90)", tea="bought('tea')")
    make_preset_shop(tmp_path)
    (first,) = segments.sizes("lately")
    assert first[:2] == ("s_0001", "2026-07-01")
    assert first[3:] == (10, 5, None, None)
    # Bob comes back and buys tea; the ninety days before 3 July begin after Dot's order of 2 April.
    line = "bob,B2,2026-07-02 10:00:00,tea,1,10.00,,EUR\n"
    add_orders(tmp_path, line, now=datetime(2026, 7, 3, 1, tzinfo=UTC))
    segments.save("tea", "tea", "bought('tea') and historic_number_of_orders >= 2", key_id="")
    score_again(tmp_path)
    second, first_again = segments.sizes("lately")
    assert second == ("s_0002", "2026-07-03", 1, 10, 5, 1, 1)
    assert first_again == first
    # By today's words the run before held Ann and Fay.
    assert segments.sizes("tea")[0] == ("s_0002", "2026-07-03", 2, 10, 3, 1, 0)


def test_counts_are_kept_on_either_database(database: str, tmp_path: Path) -> None:
    """The state is SQLite here, the runs lie in either."""
    segments = saved(tmp_path, rich="predicted_clv > 5", odd="no_attribute_of_this_release > 5")
    store = open_store(Environment(var=tmp_path))
    assert live_run_before(store) is None
    publish_customers(tmp_path, [{"customer_id": each, "predicted_clv": 6.0} for each in "abc"])
    before = live_run_before(store)
    meta = publish_customers(tmp_path, [{"customer_id": each, "predicted_clv": 7.0} for each in "bcde"])
    assert keep_sizes(store, State.of(Layout(tmp_path)), meta, before) is None
    assert segments.sizes("rich") == [("s_0002", "2026-11-22", 1, 4, 4, 2, 1)]
    assert segments.sizes("odd") == []


def test_a_state_that_cannot_be_read_is_told_in_a_line(tmp_path: Path) -> None:
    meta = publish_customers(tmp_path, [{"customer_id": "a"}])
    store, state = open_store(Environment(var=tmp_path)), State.of(Layout(tmp_path))
    assert keep_sizes(store, state, meta, None) is None
    (tmp_path / "state").mkdir(exist_ok=True)
    state.path.write_bytes(b"no database" * 200)
    told = keep_sizes(store, state, meta, None)
    assert told is not None
    assert told.startswith("warning: the sizes of the segments were not kept")
    assert "\n" not in told


def test_what_is_kept_names_no_customer() -> None:
    """Erasure goes through the tables that have a customer's id: these hold counts and words."""
    for table in (SEGMENTS, SEGMENT_VERSIONS, SEGMENT_SIZES):
        assert "customer_id" not in table.columns
