"""The log of changes: everything once, whatever comes twice, late, shuffled or is killed half-way."""

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from change_runs import DAY, at, documents, log_of, made_state, row, run, told, with_baseline

from serving.changes import log as change_log
from serving.changes.batch import Counts
from serving.changes.lifecycle import DueItem
from serving.changes.signals import Signals
from serving.state.database import State
from serving.state.tables import CHANGES, OCCURRENCES, SAID


@pytest.fixture
def state(tmp_path: Path, database: str) -> State:
    return made_state(tmp_path)


def test_the_first_run_is_a_baseline(state: State) -> None:
    rows = [row("new", historic_number_of_orders=1), row("quiet", last_order_at=at(-200), lapsed=1)]
    assert log_of(state).report_run(rows, run(1)) == Counts(scores=2)
    assert told(state) == [("new", "scores"), ("quiet", "scores")]


def test_a_run_that_says_the_same_adds_nothing(state: State) -> None:
    log = with_baseline(state)
    assert log.report_run([row()], run(1)) == Counts()
    assert log.report_run([row(day=DAY + timedelta(days=1))], run(2)) == Counts()
    assert len(told(state)) == 1


def test_what_changed_is_said_and_what_happened_is_told(state: State) -> None:
    log = with_baseline(state, [row("a"), row("b", churn_probability=0.1, risk_band="low"), row("gone")])
    rows = [
        row("a", historic_number_of_orders=5, last_order_at=at(0)),
        row("b"),
        row("new", historic_number_of_orders=1),
    ]
    assert log.report_run(rows, run(2)) == Counts(scores=3, removed=1, events=3)
    assert told(state)[3:] == [
        ("a", "scores"),
        ("a", "nth_order"),
        ("b", "scores"),
        ("b", "band_changed"),
        ("new", "scores"),
        ("new", "first_order"),
        ("gone", "removed"),
    ]
    assert documents(state, "nth_order") == [{"number": 5, "ordered_at": at(0)}]


def test_small_steps_add_up_to_a_change(state: State) -> None:
    log = with_baseline(state, [row(churn_probability=0.40)])
    said = [
        log.report_run([row(churn_probability=0.40 + 0.02 * step)], run(1 + step)).scores
        for step in (1, 2, 3)
    ]
    assert said == [0, 0, 1]


def test_whoever_sees_an_order_first_tells_of_it_and_nobody_again(state: State) -> None:
    log = with_baseline(state)
    now = row(historic_number_of_orders=5, last_order_at=at(0))
    rescored = run(1, inbox=7, scored_at=datetime(2026, 11, 22, 15, tzinfo=UTC))
    assert log.report([now, now], rescored) == Counts(scores=1, events=1)
    assert log.report([now], rescored) == Counts()
    assert log.report_run([now], run(2, inbox=7)) == Counts()


def test_a_run_that_knows_less_of_the_inbox_says_nothing_of_whoever_was_scored_again(state: State) -> None:
    log = with_baseline(state, [row("a"), row("b")])
    log.report(
        [row("a", historic_number_of_orders=5), row("c", historic_number_of_orders=1)], run(1, inbox=9)
    )
    assert log.report_run([row("a"), row("b", historic_number_of_orders=4)], run(2, inbox=8)) == Counts(
        scores=1
    )
    assert ("c", "removed") not in told(state)
    assert log.report_run([row("a"), row("b", historic_number_of_orders=4)], run(3, inbox=9)) == Counts(1, 1)


def test_an_older_run_never_follows_a_newer_one(state: State) -> None:
    log = with_baseline(state)
    log.report_run([row(historic_number_of_orders=4)], run(3))
    before = told(state)
    assert log.report_run([row()], run(2)) == Counts()
    assert log.report_run([row()], run(1)) == Counts()
    assert told(state) == before


def test_runs_of_one_second_follow_each_other_by_number(state: State) -> None:
    log = with_baseline(state)
    at_once = run(2).scored_at
    late = run(2, score_run_id="s_10000", scored_at=at_once)
    log.report_run([row(historic_number_of_orders=4)], late)
    assert log.report_run([row()], run(2, score_run_id="s_9999", scored_at=at_once)) == Counts()


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("killed_at", range(1, 9))
def test_a_report_that_is_killed_goes_on_where_it_stood(
    state: State, killed_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write of the report in turn is the one that never comes to its end."""
    monkeypatch.setattr(change_log, "ROWS_AT_ONCE", 2)
    names = [f"c{number}" for number in range(6)]
    log = with_baseline(state, [row(name) for name in [*names, "gone"]])
    rows = [row(name, historic_number_of_orders=5, last_order_at=at(0)) for name in names]
    with monkeypatch.context() as patch:
        patch.setattr(state, "writing", _killing(state, killed_at))
        try:
            log.report_run(rows, run(2))
            was_killed = False
        except _KilledError:
            was_killed = True
    assert was_killed == (killed_at <= 6)
    log.report_run(rows, run(2))
    assert Counter(told(state)[7:]) == Counter(
        [(name, kind) for name in names for kind in ("scores", "nth_order")] + [("gone", "removed")]
    )
    assert log.report_run(rows, run(2)) == Counts()


def _killing(state: State, number: int) -> Any:
    from contextlib import contextmanager

    whole, begun = state.writing, 0

    @contextmanager
    def writing(**options: Any) -> Any:
        nonlocal begun
        begun += 1
        with whole(**options) as connection:
            yield connection
            if begun == number:
                raise _KilledError

    return writing


def test_a_baseline_that_is_killed_stays_a_baseline(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_log, "ROWS_AT_ONCE", 1)
    rows = [row(name, historic_number_of_orders=1) for name in "abc"]
    with monkeypatch.context() as patch:
        patch.setattr(state, "writing", _killing(state, 3))
        with pytest.raises(_KilledError):
            log_of(state).report_run(rows, run(1))
    assert told(state) == [("a", "scores")]
    assert log_of(state).report_run(rows, run(2)) == Counts(scores=2)


@pytest.mark.parametrize("seed", range(20))
def test_a_shuffled_duplicated_stream_tells_each_event_once(state: State, seed: int) -> None:
    """Facts of eight days arrive in any order, some twice, from a run and from somebody who scores again."""
    dice = random.Random(seed)
    log = with_baseline(
        state, [row("a"), row("b", historic_number_of_orders=1, last_order_at=at(-180), lapsed=1)]
    )
    stream = [(number, name) for number in range(2, 10) for name in ("a", "b", "new")]
    stream += dice.sample(stream, 10)
    dice.shuffle(stream)
    for number, name in stream:
        log.report([_grown(name, number)], run(number, inbox=number), _SIGNALS)
    log.report_run([_grown(name, 9) for name in ("a", "b", "new")], run(10, inbox=10), _SIGNALS)
    with state.reading() as connection:
        columns = (CHANGES.c.customer_id, CHANGES.c.event, CHANGES.c.document)
        happened = [
            tuple(each) for each in connection.execute(sa.select(*columns).where(CHANGES.c.kind == "event"))
        ]
    assert len(happened) == len(set(happened))
    assert Counter(event[:2] for event in happened) == {
        ("a", "nth_order"): 2,
        ("a", "replenishment_due"): 1,
        ("b", "nth_order"): 2,
        ("b", "won_back"): 1,
        ("new", "first_order"): 1,
        ("new", "nth_order"): 2,
    }


_SIGNALS = Signals(due={"a": (DueItem("p1", date(2026, 10, 1), DAY + timedelta(days=5)),)})


def _grown(name: str, number: int) -> Any:
    """Return a customer as of a day: everybody orders once a day."""
    count = {"a": 3, "b": 1, "new": 0}[name] + number - 1
    last = at(number - 2)
    return row(
        name,
        day=DAY + timedelta(days=number - 1),
        historic_number_of_orders=count,
        last_order_at=last,
        average_days_between_orders=1.0,
    )


def test_an_item_is_due_once_a_purchase(state: State) -> None:
    log = with_baseline(state)
    for number, bought in ((2, 1), (3, 1), (4, 2), (5, 2)):
        due = {"c1": (DueItem("p1", date(2026, 10, bought), DAY),)}
        log.report_run([row()], run(number), Signals(due=due))
    assert [document["bought_on"] for document in documents(state, "replenishment_due")] == [
        "2026-10-01",
        "2026-10-02",
    ]


def test_clicks_are_remembered_between_runs(state: State) -> None:
    log = log_of(state)
    log.report_run([row()], run(1), Signals(clicked_at={"c1": at(-90, hour=0)}))
    assert log.report([row(day=DAY + timedelta(days=1))], run(2)).events == 1
    assert log.report_run([row(day=DAY + timedelta(days=2))], run(3)).events == 0
    assert [document["since"] for document in documents(state, "inactive_3m_click")] == [at(-90, hour=0)]


def test_whoever_comes_back_after_being_removed_is_not_new_again(state: State) -> None:
    log = with_baseline(state, [row("a")])
    log.report_run([row("a"), row("new", historic_number_of_orders=1)], run(2))
    log.report_run([row("a")], run(3))
    log.report_run([row("a"), row("new", historic_number_of_orders=1)], run(4))
    assert [change for change in told(state) if change[0] == "new"] == [
        ("new", "scores"),
        ("new", "first_order"),
        ("new", "removed"),
        ("new", "scores"),
    ]


def test_old_changes_go_and_the_newest_of_everybody_stays(state: State) -> None:
    old = log_of(state, now=lambda: datetime(2026, 11, 22, tzinfo=UTC))
    old.report_run([row("a"), row("b")], run(1))
    for count in (4, 5):
        old.report_run([row("a", historic_number_of_orders=count), row("b")], run(count))
    new = log_of(state, now=lambda: datetime(2026, 12, 22, 0, 0, 1, tzinfo=UTC))
    new.report_run([row("a", historic_number_of_orders=6), row("b")], run(31))
    assert new.remove_old() == 4
    assert told(state) == [("b", "scores"), ("a", "scores")]
    assert new.remove_old() == 0


def test_a_person_is_erased_whole(state: State, tmp_path: Path) -> None:
    log = with_baseline(state, [row("canary-1"), row("b")])
    log.report_run([row("canary-1", historic_number_of_orders=5), row("b")], run(2))
    assert log.forget(["canary-1", "nobody"]) == 5
    with state.reading() as connection:
        for table in (CHANGES, SAID, OCCURRENCES):
            ids = set(connection.execute(sa.select(table.c.customer_id)).scalars())
            assert ids <= {"b"}
