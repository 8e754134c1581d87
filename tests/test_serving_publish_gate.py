"""F8: scores that are no numbers, the same for everybody, or far from the last run's do not go live."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from serving_runs import meta, stored_row
from serving_shop import AS_OF, HEADLINE_DAYS, fit_champions, make_orders, register, write_history

from models.baselines import RecencyChurn
from serving.databases import open_store
from serving.environment import Environment
from serving.score import run_scoring
from serving.scoring.bucket_scores import NoNumberError
from serving.scoring.publish_gate import GateError, check_like_the_last, check_numbers
from serving.scoring.request import open_request
from serving.store.sqlite_store import SqliteStore

# MLflow's own database layer uses what SQLAlchemy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
IDS = [f"c{number}" for number in range(60)]
RISING = [number / 100 for number in range(60)]


def frame(churn: list[float], clv: list[float] | None = None) -> pl.DataFrame:
    spend = clv or [100.0 + number for number in range(len(churn))]
    return pl.DataFrame(
        {"customer_id": IDS[: len(churn)], "churn_probability": churn, "predicted_clv": spend}
    )


def publish_scores(var: Path, ids: list[str], churn: list[float], **facts: Any) -> None:
    """Publish a run of these probabilities, and 100, 101, … of predicted CLV."""
    with open_store(Environment(var=var)).begin_run() as writer:
        writer.write_scores(
            stored_row(each, churn_probability=p, predicted_clv=100.0 + n)
            for n, (each, p) in enumerate(zip(ids, churn, strict=True))
        )
        writer.publish(meta(**facts))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("churn_probability", float("nan")),
        ("churn_probability", float("inf")),
        ("churn_probability", -0.001),
        ("churn_probability", 1.001),
        ("predicted_clv", float("nan")),
        ("predicted_clv", float("-inf")),
    ],
)
def test_what_is_no_possible_number_is_named(column: str, value: float) -> None:
    check_numbers([frame([0.0, 1.0, 0.5], [-1.0, 0.0, 1e12])])
    wrong = frame([0.1, 0.2, 0.3]).with_columns(
        pl.when(pl.col("customer_id") == "c1").then(value).otherwise(pl.col(column)).alias(column)
    )
    with pytest.raises(GateError, match=f"{column} is no possible number for 1 of 3 customers"):
        check_numbers([wrong.head(1), wrong.tail(2)])


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("churn", "clv", "message"),
    [
        (RISING, None, None),
        ([p + 0.19 for p in RISING], None, None),
        ([p + 0.21 for p in RISING], None, "churn_probability moved by 0.21 on average since s_0001"),
        ([1 - p for p in RISING], None, "churn_probability moved by 0.44"),
        ([0.3] * 60, None, "churn_probability is the same for every customer"),
        (RISING, [5.0] * 60, "predicted_clv is the same for every customer"),
        (RISING, [4.0 * (100 + n) for n in range(60)], None),
        (
            RISING,
            [4.1 * (100 + n) for n in range(60)],
            "predicted_clv of 60 customers went from 7,770 to 31,857",
        ),
        (RISING, [0.2 * (100 + n) for n in range(60)], "from 7,770 to 1,554"),
        ([1 - p for p in RISING[:49]], None, None),
    ],
)
def test_a_run_far_from_the_last_one_is_blocked(
    tmp_path: Path, churn: list[float], clv: list[float] | None, message: str | None
) -> None:
    publish_scores(tmp_path, IDS, RISING)
    rows, store = frame(churn, clv), open_store(Environment(var=tmp_path))
    if message is None:
        check_like_the_last(rows, meta(), store)
        return
    with pytest.raises(GateError, match=message) as blocked:
        check_like_the_last(rows, meta(), store)
    assert "ANYWAY=1" in str(blocked.value)


def test_only_like_is_compared_with_like(tmp_path: Path) -> None:
    """Another horizon, another currency, no last run, one that cannot be read: nothing to compare with."""
    store = open_store(Environment(var=tmp_path))
    far = frame([1 - p for p in RISING], [1.0 + n for n in range(60)])
    check_like_the_last(far, meta(), store)
    publish_scores(tmp_path, IDS, RISING)
    check_like_the_last(far, meta(churn_horizon_days=30, currency="USD"), store)
    with pytest.raises(GateError, match="churn_probability"):
        check_like_the_last(far, meta(currency="USD"), store)
    with pytest.raises(GateError, match="predicted_clv"):
        check_like_the_last(far, meta(churn_horizon_days=30), store)
    path = tmp_path / "scores/runs/s_0001.sqlite"
    path.chmod(0o600)
    path.write_bytes(b"damaged")
    check_like_the_last(far, meta(), store)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A shop of sixty with champions, and a last run that said very different things of them."""
    orders = make_orders(60)
    history = write_history(tmp_path, orders)
    register(
        tmp_path, fit_champions(history, AS_OF, choice={"churn": "recency", "clv": "formula"}), as_of=AS_OF
    )
    ids = sorted({line["customer_id"] for line in orders})
    far = [0.0 if n % 2 else 1.0 for n in range(len(ids))]
    publish_scores(tmp_path, ids, far, churn_horizon_days=HEADLINE_DAYS, currency="USD")
    return tmp_path


def live_run_id(var: Path) -> str:
    return SqliteStore(var / "scores").live_run_id()


@pytest.mark.slow
def test_the_command_keeps_the_last_run_until_somebody_looked(shop: Path) -> None:
    request = open_request(Environment(var=shop), as_of=None, out=None)
    with pytest.raises(GateError, match=r"moved by 0\.\d\d on average since s_0001, over 60 customers"):
        run_scoring(request, lambda _: None)
    assert live_run_id(shop) == "s_0001"
    assert not list(shop.rglob("*.partial*"))
    published = run_scoring(replace(request, is_looked_at=True), lambda _: None)
    assert live_run_id(shop) == published.score_run_id != "s_0001"
    run_scoring(request, lambda _: None)


def test_a_model_that_says_nan_never_goes_live(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predict = RecencyChurn.predict

    def with_nan(self: RecencyChurn, features: Any, **given: Any) -> Any:
        said = predict(self, features, **given).copy()
        said.iloc[:1] = np.nan
        return said

    monkeypatch.setattr(RecencyChurn, "predict", with_nan)
    request = open_request(Environment(var=shop), as_of=None, out=None)
    with pytest.raises(NoNumberError, match="the churn champion's answer is no number for 1 of"):
        run_scoring(replace(request, is_looked_at=True), lambda _: None)
    assert live_run_id(shop) == "s_0001"
