"""F13, F14: late, doubled and impossible messages, and odd money, from the API to the scores."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from asgi_calls import Caller, calling
from inbound_words import track
from serving_runs import publish
from serving_shop import fit_champions, make_orders, register, write_history

from features.build import build_features
from features.history import History
from features.layout import Layout
from features.messages import Order
from features.settings import Settings
from features.snapshot import Snapshot
from serving.environment import Environment
from serving.fold import fold_inbox
from serving.score import run_scoring
from serving.scoring.request import open_request
from serving.state.database import State
from serving.state.inbox import ASIDE, Inbox
from serving.state.migrate import make

# MLflow's own database layer uses what SQLAlchemy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def sent(caller: Caller, *calls: dict[str, Any]) -> Any:
    body = orjson.dumps({"batch": calls})
    answer = caller.call("POST", "/v1/events/batch", [("content-type", "application/json")], body)
    assert answer.status == 202
    return orjson.loads(answer.body)


def bought(
    name: str, at: str, order_id: str, *goods: tuple[float, float], user: str = "c1", **more: Any
) -> Any:
    lines = [
        {"product_id": f"p{n}", "price": price, "quantity": count} for n, (price, count) in enumerate(goods)
    ]
    properties = {"order_id": order_id, "currency": "EUR", "products": lines, **more}
    return track(messageId=name, userId=user, timestamp=at, properties=properties)


CLEAN = (
    bought("1", "2024-02-29T23:59:59Z", "leap day", (5, 1)),
    bought("2", "2026-05-31T12:00:00Z", "a month ago", (7, 1)),
    bought("3", "2026-06-29T12:00:00", "without an offset", (7, 2)),
    bought("4", "2026-06-29T14:00:00+02:00", "with another one", (7, 2), user="c2"),
    bought("5", "2026-06-30T10:00:00Z", "before the clock was set back", (1, 1)),
    bought("6", "2026-06-30T09:00:00Z", "after it", (1, 1)),
    track(
        "Order Refunded", messageId="7", timestamp="2026-06-30T11:00:00Z", properties={"order_id": "after it"}
    ),
    track("Product Viewed", messageId="8", timestamp="2026-06-30T12:00:00Z", properties={"product_id": "p1"}),
)
IMPOSSIBLE = (
    bought("9", "2026-02-29T10:00:00Z", "no such day", (1, 1)),
    bought("10", "2026-06-30T24:30:00Z", "no such hour", (1, 1)),
)
AHEAD = bought("11", "2126-06-30T10:00:00Z", "in a hundred years", (9, 9))


def told(var: Path, parts: list[list[dict[str, Any]]]) -> tuple[str, pl.DataFrame]:
    """Send what a shop says in parts, fold after each; return the history's hash and the features."""
    publish(var)
    make(State.of(Layout(var)))
    with calling(var) as caller:
        for part in parts:
            sent(caller, *part)
            fold_inbox(Environment(var=var), time_zone="UTC", now=NOW)
    history = History.open(Layout(var).history)
    snapshot = Snapshot(NOW.date() + timedelta(days=1))
    return history.manifest.data_hash, build_features(history, snapshot, settings=Settings())


@pytest.mark.parametrize("seed", range(4))
def test_a_stream_out_of_joint_gives_the_features_of_the_clean_one(tmp_path: Path, seed: int) -> None:
    """F13: shuffled, doubled, a month late, without an offset, on a leap day; what cannot be is refused."""
    clean, features = told(tmp_path / "clean", [list(CLEAN)])
    dice = random.Random(seed)
    stream = [*CLEAN, *dice.sample(CLEAN, 5), *IMPOSSIBLE, AHEAD]
    dice.shuffle(stream)
    cut = dice.randrange(1, len(stream))
    late, late_features = told(tmp_path / "late", [stream[:cut], stream[cut:], list(CLEAN)])
    assert late == clean
    assert late_features.equals(features)


def test_the_far_future_waits_aside(tmp_path: Path) -> None:
    told(tmp_path, [[*CLEAN, AHEAD]])
    (aside,) = (each for each in Inbox(State.of(Layout(tmp_path))).list_unfolded() if each.standing == ASIDE)
    assert isinstance(aside.message, Order)
    assert aside.message.order_id == "in a hundred years"


ODD = (
    bought("a", "2026-06-20T10:00:00Z", "a", (10, 1)),
    track(
        "Order Refunded",
        messageId="b",
        timestamp="2026-06-21T10:00:00Z",
        properties={"order_id": "a", "currency": "EUR", "total": 9_999},
    ),
    bought("c", "2026-06-22T10:00:00Z", "c", (0, 1)),
    bought("d", "2026-06-23T10:00:00Z", "d", (-5, 1), (8, 1)),
    bought("e", "2026-06-24T10:00:00Z", "e", (5, 0)),
    track("Order Cancelled", messageId="f", timestamp="2026-06-25T10:00:00Z", properties={"order_id": "f"}),
    bought("g", "2026-06-24T10:00:00Z", "f", (5, 1)),
    bought("h", "2026-06-26T10:00:00Z", "h", (900_000_000, 1), user="whale"),
)
REFUSED = bought("z", "2026-06-26T10:00:00Z", "z", (1e12, 1))
FOREIGN = bought("y", "2026-06-26T10:00:00Z", "y", (5, 1), currency="USD")


@pytest.mark.slow
def test_odd_money_is_kept_as_it_is_and_scores_stay_numbers(
    tmp_path: Path,
) -> None:
    """F14: a refund takes no more than was paid, a cancelled order is none, another currency waits."""
    write_history(tmp_path, make_orders())
    publish(tmp_path)
    make(State.of(Layout(tmp_path)))
    with calling(tmp_path) as caller:
        receipt = sent(caller, *ODD, REFUSED, FOREIGN)
    place = {"index": len(ODD), "pointer": "/properties/products/0/price", "code": "out_of_range"}
    assert receipt == {"accepted": len(ODD) + 1, "duplicates": 0, "suppressed": 0, "rejected": [place]}
    folded = fold_inbox(Environment(var=tmp_path), time_zone="UTC", now=NOW)
    assert folded is not None
    assert list(folded.aside.values()) == ["other_currency"]
    history = History.open(Layout(tmp_path).history)
    lines = history.read("order_lines").filter(pl.col("order_id").is_in(list("acdefhyz")))
    money = lines.group_by("order_id").agg(pl.col("amount_minor").sum() / 10_000).sort("order_id")
    assert dict(money.iter_rows()) == {"a": 0.0, "c": 0.0, "d": 3.0, "e": 0.0, "h": 900_000_000.0}
    as_of = NOW.date()
    register(
        tmp_path, fit_champions(history, as_of, choice={"churn": "recency", "clv": "formula"}), as_of=as_of
    )
    assert run_scoring(open_request(Environment(var=tmp_path), as_of=None, out=None), lambda _: None)
