"""From an acknowledged event to other scores: the worker, overlays, the feed; streams in any sequence."""

import asyncio
import random
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from inbound_words import track
from serving_shop import AS_OF, NASTY, fit_champions, make_orders, register, write_history

from features.settings import ChurnSettings, Settings
from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.explain import explain
from serving.fold import fold_inbox
from serving.inbound.people import People
from serving.inbound.segment import SOURCE, read_track
from serving.registry import RegistryError
from serving.rows import STORED_NAMES
from serving.score import run_scoring
from serving.scoring.request import open_request
from serving.scoring.rescore_queue import RescoreQueue
from serving.state.inbox import Inbox, Incoming
from serving.state.overlays import Overlays
from serving.state.tables import CHANGES
from serving.store.overlay_run import OverlaidRun
from serving.store.records import RunMeta

# MLflow's own database layer uses what SQLAlchemy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
NOW = datetime(2026, 6, 30, 18, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
CHOICE: dict[Any, str] = {"churn": "lightgbm", "clv": "hurdle", "recommender": "top_freq"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with champions, a history and a published run."""
    root = tmp_path_factory.mktemp("shop")
    history = write_history(root, make_orders(60))
    settings = Settings(churn=ChurnSettings(supported_outcomes_min=5))
    register(root, fit_champions(history, AS_OF, choice=CHOICE, settings=settings), as_of=AS_OF)
    score(root)
    return root


@pytest.fixture
def shop(trained: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    var = tmp_path / "var"
    shutil.copytree(trained, var)
    _move_artifacts(trained, var)
    return var


def _move_artifacts(source: Path, target: Path) -> None:
    """Let MLflow of a copied shop find its files in the copy."""
    import sqlite3

    with sqlite3.connect(target / "mlflow" / "mlflow.db") as connection:
        for table, column in (
            ("experiments", "artifact_location"),
            ("runs", "artifact_uri"),
            ("model_versions", "source"),
            ("model_versions", "storage_location"),
        ):
            change = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"  # noqa: S608 - our own names
            connection.execute(change, (str(source), str(target)))


def score(var: Path) -> RunMeta:
    request = open_request(Environment(var=var), as_of=None, out=None)
    return run_scoring(request, lambda _: None)


def order(number: int, customer: str, *products: str, hours: int = 1, name: str = "Order Completed") -> Any:
    at = NOW - timedelta(hours=hours)
    goods = [{"product_id": product, "price": 20.0, "quantity": 1} for product in products]
    return track(
        name,
        messageId=f"m{number}",
        userId=customer,
        timestamp=at.isoformat(),
        properties={"order_id": f"new-{number}", "currency": "EUR", "products": goods},
    )


def word(name: str, message_id: str, customer: str, order_id: str) -> Any:
    return track(
        name,
        messageId=message_id,
        userId=customer,
        timestamp=NOW.isoformat(),
        properties={"order_id": order_id},
    )


def receive(var: Path, *calls: Any) -> None:
    people = People(var / "private")
    incoming = []
    for call in calls:
        message, _, message_id = read_track(call, people, zone=UTC_ZONE)
        incoming.append(Incoming(message, SOURCE, message_id))
    Inbox(open_state(Environment(var=var))).put(incoming)


def rescore(var: Path, *, now: datetime = NOW) -> int:
    environment = Environment(var=var)
    return queue_of(environment).drain(now=now)


def queue_of(environment: Environment) -> RescoreQueue:
    store = open_store(environment)
    run = store.open_run(store.live_run_id())
    return RescoreQueue(open_state(environment), environment.layout, Settings(), run.meta)


def read(var: Path, ask: Callable[[OverlaidRun], Any]) -> Any:
    async def answer() -> Any:
        environment = Environment(var=var)
        store = open_store(environment)
        run = OverlaidRun(store.open_run(store.live_run_id()), Overlays(open_state(environment)))
        await run.follow()
        found = await ask(run)
        run.close()
        return found

    return asyncio.run(answer())


def score_of(var: Path, customer: str) -> dict[str, Any] | None:
    row = read(var, lambda run: run.get_score(customer))
    return None if row is None else dict(zip(STORED_NAMES, row, strict=True))


def scores_of(var: Path, customers: Sequence[str]) -> dict[str, Any]:
    return {customer: score_of(var, customer) for customer in customers}


def test_an_order_changes_the_scores_of_its_customer_alone(shop: Path) -> None:
    before = scores_of(shop, ["c1", "c2"])
    receive(shop, order(1, "c1", "p01", "p02"))
    assert rescore(shop) == 1
    after = scores_of(shop, ["c1", "c2"])
    assert after["c2"] == before["c2"]
    assert after["c1"]["historic_number_of_orders"] == before["c1"]["historic_number_of_orders"] + 1
    assert after["c1"]["historic_clv"] == round(before["c1"]["historic_clv"] + 40.0, 2)
    assert after["c1"]["last_order_at"] == "2026-06-30T17:00:00Z"
    assert after["c1"]["as_of"] == AS_OF.isoformat()
    assert after["c1"]["churn_probability"] != before["c1"]["churn_probability"]
    assert rescore(shop) == 0


def test_scores_are_those_of_a_run_after_the_messages_were_folded(shop: Path) -> None:
    calls = [order(1, "c1", "p01"), order(2, "c3", "p02", "p03"), order(3, "brand new", "p04")]
    receive(shop, *calls, track("Product Viewed", messageId="v", userId="c4", timestamp=NOW.isoformat()))
    rescore(shop)
    customers = ["c1", "c3", "c4", "brand new"]
    overlaid = scores_of(shop, customers)
    fold_inbox(Environment(var=shop), time_zone="UTC", now=NOW)
    meta = score(shop)
    assert meta.inbox_sequence == 4
    whole = scores_of(shop, customers)
    # What a customer is among the others is measured anew by every run; all else is the same.
    placed = {"churn_percentile", "risk_band", "rfm_recency", "rfm_frequency", "rfm_monetary", "rfm_segment",
              "is_in_top_share", "makes_most_revenue", "lifecycle_stage"}  # fmt: skip
    # The shop's record of views begins with the first one: only then do models hear of them.
    for customer in ("c1", "c3", "brand new"):
        own = {name: value for name, value in overlaid[customer].items() if name not in placed}
        other = {name: value for name, value in whole[customer].items() if name not in placed}
        exact = {"customer_id", "historic_number_of_orders", "historic_clv", "last_order_at", "as_of"}
        assert {name: own[name] for name in exact} == {name: other[name] for name in exact}
        for name in ("churn_probability", "predicted_clv"):
            assert own[name] == pytest.approx(other[name], rel=0.05)


@pytest.mark.slow
def test_streams_that_are_shuffled_doubled_and_in_parts_give_the_clean_scores(
    shop: Path, tmp_path: Path
) -> None:
    import shutil

    calls = [
        order(1, "c1", "p01", hours=9),
        order(2, "c1", "p02", hours=5),
        word("Order Refunded", "r", "c1", "new-2"),
        order(3, "c3", "p03", hours=2),
        word("Order Cancelled", "x", "c3", "new-3"),
        order(4, "someone new", "p05", hours=30),
    ]  # fmt: skip
    customers = ["c1", "c3", "someone new"]
    copies = [tmp_path / f"copy{number}" for number in range(2)]
    for copy in copies:
        shutil.copytree(shop, copy)
        _move_artifacts(shop, copy)
    receive(shop, *calls)
    rescore(shop)
    clean = scores_of(shop, customers)
    assert clean["c3"] == score_of(copies[0], "c3") | {"reasons": clean["c3"]["reasons"]}  # type: ignore[operator]
    for seed, copy in enumerate(copies):
        dice = random.Random(seed)
        stream = [*calls, *dice.sample(calls, 2)]
        dice.shuffle(stream)
        while stream:
            size = dice.randrange(1, 4)
            part, stream = stream[:size], stream[size:]
            receive(copy, *part)
            rescore(copy, now=NOW + timedelta(minutes=len(stream)))
        assert scores_of(copy, customers) == clean


def test_scores_follow_the_data_and_not_the_clock_on_the_wall(shop: Path) -> None:
    """A shop whose orders are years old, as the demo's: what comes a day later is scored as of that day."""
    years_later = NOW + timedelta(days=3_000)
    receive(shop, order(1, "c1", "p01", hours=-20))
    foreign = order(2, "c3", "p01", hours=-24 * 2_000)
    foreign["properties"]["currency"] = "USD"
    receive(shop, foreign)
    rescore(shop, now=years_later)
    first, third = score_of(shop, "c1"), score_of(shop, "c3")
    assert first is not None
    assert third is not None
    assert (first["as_of"], first["last_order_at"]) == ("2026-07-02", "2026-07-01T14:00:00Z")
    assert third["as_of"] == "2026-07-01"


def test_what_was_bought_leaves_the_lists_and_members_follow(shop: Path) -> None:
    async def members(run: OverlaidRun) -> list[str]:
        rows = [row for slug in ("win-back", "dormant") for row in await run.list_members(slug, limit=1000)]
        return [member.row[0] for member in rows]

    listed = read(shop, members)
    assert len(listed) >= 2
    receive(shop, order(1, listed[0], "p01"))
    rescore(shop)
    # Whoever ordered is lapsed no more.
    assert read(shop, members) == listed[1:]

    async def owned(run: OverlaidRun) -> Any:
        return await run.get_owned(listed[0]), await run.item_numbers(["p01"])

    bought, (number,) = read(shop, owned)
    assert dict(zip(bought.item_nos, bought.ages_days, strict=True))[number] == 1


def test_a_customer_whose_only_order_is_cancelled_is_none(shop: Path) -> None:
    receive(shop, order(1, "guest", "p01"))
    rescore(shop)
    assert score_of(shop, "guest") is not None
    assert "  … and 1 received since, which `make data` brings" in explain(Environment(var=shop), "guest")
    receive(shop, word("Order Cancelled", "x", "guest", "new-1"))
    rescore(shop)
    assert score_of(shop, "guest") is None
    kinds = [row.kind for row in changes(shop) if row.customer_id == "guest"]
    assert kinds[0] == "scores"
    assert kinds[-1] == "removed"


def changes(var: Path) -> Sequence[Any]:
    with open_state(Environment(var=var)).reading() as connection:
        return connection.execute(sa.select(CHANGES).order_by(CHANGES.c.sequence)).all()


def test_events_are_told_once_by_worker_and_run_together(shop: Path) -> None:
    receive(shop, order(1, "first timer", "p01"), order(1, "first timer", "p01"))
    rescore(shop)
    fold_inbox(Environment(var=shop), time_zone="UTC", now=NOW)
    score(shop)
    rescore(shop)
    told = [row.event for row in changes(shop) if row.customer_id == "first timer" and row.kind == "event"]
    assert told.count("first_order") == 1


def test_a_run_is_published_with_what_was_heard_while_it_was_made(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving import score as scoring

    made = scoring.score_shop

    def heard_meanwhile(*words: Any, **options: Any) -> Any:
        found = made(*words, **options)
        receive(shop, order(7, "c1", "p01"))
        return found

    monkeypatch.setattr(scoring, "score_shop", heard_meanwhile)
    before = score_of(shop, "c1")
    assert before is not None
    meta = score(shop)
    assert meta.inbox_sequence == 0
    found = score_of(shop, "c1")
    assert found is not None
    assert found["historic_number_of_orders"] == before["historic_number_of_orders"] + 1


def test_one_customer_who_cannot_be_scored_does_not_hold_up_the_others(
    shop: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from serving.scoring.rescoring import Rescorer

    scored = Rescorer.score

    def fail_for_one(self: Rescorer, customer_ids: Sequence[str], *words: Any, **options: Any) -> Any:
        if "c2" in customer_ids:
            raise RuntimeError("c2")
        return scored(self, customer_ids, *words, **options)

    monkeypatch.setattr(Rescorer, "score", fail_for_one)
    before = scores_of(shop, ["c1", "c2", "c3"])
    receive(shop, *(order(number, f"c{number}", "p01") for number in (1, 2, 3)))
    rescore(shop)
    after = scores_of(shop, ["c1", "c2", "c3"])
    assert [after[customer] == before[customer] for customer in after] == [False, True, False]
    assert "c2" not in caplog.text
    assert rescore(shop) == 0


def test_while_mlflow_cannot_be_read_customers_wait_and_none_is_passed_over(shop: Path) -> None:
    """F9: the same customers are scored as soon as it is back; what is served does not change until then."""
    before = score_of(shop, "c1")
    receive(shop, order(1, "c1", "p01"))
    database, away = shop / "mlflow/mlflow.db", shop / "mlflow/away.db"
    database.rename(away)
    for _ in range(2):
        with pytest.raises(RegistryError, match="no models in"):
            rescore(shop)
    assert score_of(shop, "c1") == before
    away.rename(database)
    assert rescore(shop) == 1
    assert score_of(shop, "c1") != before


def test_where_the_disk_fails_customers_wait_and_none_is_passed_over(shop: Path) -> None:
    """F3: a file stands where the worker's folder should be made."""
    receive(shop, *(order(number, f"c{number}", "p01") for number in (1, 2)))
    shutil.rmtree(shop / "worker", ignore_errors=True)
    (shop / "worker").write_bytes(b"")
    with pytest.raises(OSError, match="File exists"):
        rescore(shop)
    (shop / "worker").unlink()
    assert rescore(shop) == 2


def test_nasty_ids_are_scored_again_as_they_are(shop: Path) -> None:
    receive(shop, *(order(number, customer, "p01") for number, customer in enumerate(NASTY)))
    assert rescore(shop) == len(NASTY)
    for customer in NASTY:
        found = score_of(shop, customer)
        assert found is not None
        assert found["last_order_at"] == "2026-06-30T17:00:00Z"
    assert not list((shop / "worker").glob("scoring-*"))
