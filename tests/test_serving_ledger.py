"""A published run leaves what it said; when its horizon is over, it is graded against what happened."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from serving_shop import AS_OF, FIRST_DAY, fit_champions, make_orders, register, write_history

from features.layout import Layout
from features.ledger import list_files, read_rows, read_run
from features.settings import Settings
from features.snapshot import days_since_epoch
from serving.environment import Environment
from serving.score import run_scoring
from serving.scoring.ledger import keep_run
from serving.scoring.request import open_request
from serving.store.sqlite_store import SqliteStore
from training.context import open_context
from training.ledger import ledger_report
from training.ledger_report import churn_line

# MLflow's own database layer uses what SQLAlchemy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
CHOICE: dict[Any, str] = {"churn": "base_rate", "clv": "past_spend"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a history, champions, and one run scored as of 2026-07-01."""
    var = tmp_path_factory.mktemp("shop")
    history = write_history(var, make_orders())
    with pytest.MonkeyPatch.context() as patch:
        # The canary's child process is tried in test_serving_score.
        patch.setattr("serving.registry.check_bundle", lambda *_: None)
        register(var, fit_champions(history, AS_OF, choice=CHOICE), as_of=AS_OF)
        score(var, out=var / "out")
    return var


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.registry.check_bundle", lambda *_: None)


def score(var: Path, *, as_of: str | None = None, out: Path | None = None) -> Any:
    return run_scoring(open_request(Environment(var=var), as_of=as_of, out=out), lambda _: None)


def later_line(customer: str, number: int, *, days: int, is_return: bool = False) -> dict[str, Any]:
    """Lay out a line for 100, a number of days after the snapshot."""
    at = FIRST_DAY + timedelta(days=(AS_OF - FIRST_DAY.date()).days + days)
    return {
        "customer_id": customer,
        "order_id": f"later-{number}",
        "line_id": f"later-{number}",
        "ordered_at": at,
        "ordered_days": days_since_epoch(at),
        "product_id": "p00",
        "amount_minor": -1_000_000 if is_return else 1_000_000,
        "quantity_minor": 1000,
        "is_return": is_return,
        "loaded_at": at,
    }


def test_a_published_run_is_kept_as_it_was_said(shop: Path) -> None:
    (path,) = list_files(Layout(shop).ledger)
    run, scores = read_run(path), pl.read_parquet(shop / "out/scores.parquet").sort("customer_id")
    assert (run.as_of, run.score_run_id, run.customer_count) == (AS_OF, "s_0001", 40)
    assert (run.method, run.clv_method, run.churn_model_version) == ("baseline", "baseline", 1)
    assert run.horizons_days == (30, 60, 90, 180, 365)
    rows = read_rows(path, run)
    assert rows["customer_id"].to_list() == scores["customer_id"].to_list()
    for name in rows.columns[1:]:
        assert rows[name].to_list() == pytest.approx(scores[name].round(5).to_list()), name


def test_a_headline_that_is_no_served_horizon_has_a_column_of_its_own(shop: Path) -> None:
    store = SqliteStore.of(Layout(shop))
    meta = store.open_run(store.live_run_id()).meta.model_copy(
        update={"churn_horizon_days": 45, "clv_horizon_days": 700}
    )
    scores = pl.read_parquet(shop / "out/scores.parquet").with_columns(
        pl.lit(0.25).alias("churn_probability"), pl.lit(7.5).alias("predicted_clv")
    )
    other = Layout(shop / "other")
    assert keep_run([scores], meta, other, Settings()) is None
    (path,) = list_files(other.ledger)
    run = read_run(path)
    assert run.churn_horizons_days == (30, 45, 60, 90, 180, 365)
    assert run.clv_horizons_days == (30, 90, 180, 365, 700)
    rows = read_rows(path, run)
    assert rows["churn_probability_45"].unique().to_list() == [0.25]
    assert rows["predicted_clv_700"].unique().to_list() == [7.5]


def test_orders_that_come_later_grade_the_run(shop: Path) -> None:
    """Of 40 customers, c1 and c2 order within 30 days; c3 sends goods back, c4 orders later, one is new."""
    layout = Layout(shop)
    later = [
        later_line("c1", 1, days=0),
        later_line("c1", 2, days=3),
        later_line("c2", 3, days=29),
        later_line("c3", 4, days=5, is_return=True),
        later_line("c4", 5, days=30),
        later_line("new", 6, days=1),
    ]
    # The shop goes on selling every day; a stretch without any order would be a hole in the data.
    busy = [later_line("busy", 100 + day, days=day) for day in range(0, 31, 2)]
    write_history(shop, [*make_orders(), *later, *busy])
    (path,) = list_files(layout.ledger)
    constant = read_rows(path, read_run(path))["churn_probability_30"][0]
    (check,) = ledger_report(open_context(layout, Settings())).runs
    (churn,), (clv,) = check.churn, check.clv
    assert (churn.customer_count, churn.churned_share, churn.auc) == (40, 38 / 40, 0.5)
    assert churn.predicted_share == pytest.approx(constant)
    assert churn.ece == pytest.approx(abs(constant - 0.95))
    assert churn_line(churn).startswith(
        f"said {100 * constant:.1f} % would not order within 30 days; 95.0 % did not (n = 40)"
    )
    assert clv.actual_total == 200.0  # 300 came, and 100 went back
    assert min(check.waiting.items()) == (60, date(2026, 8, 30))
    write_history(shop, make_orders())


def test_a_past_date_leaves_nothing_in_the_ledger(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = date(2026, 5, 1)
    history = open_request(Environment(var=shop), as_of=None, out=None).history
    register(shop, fit_champions(history, old, choice=CHOICE), as_of=old)
    before = list_files(Layout(shop).ledger)
    score(shop, as_of=old.isoformat(), out=shop / "past")
    assert (shop / "past/scores.parquet").exists()
    assert list_files(Layout(shop).ledger) == before
    assert capsys.readouterr().err == ""


def test_a_ledger_that_cannot_be_written_costs_a_line_and_no_run(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = Layout(shop)
    away = layout.ledger.rename(shop / "away")
    layout.ledger.write_text("a file where the folder should be")
    try:
        meta = score(shop, out=shop / "again")
    finally:
        layout.ledger.unlink()
        away.rename(layout.ledger)
    assert SqliteStore.of(layout).live_run_id() == meta.score_run_id
    assert (shop / "again/scores.parquet").exists()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: run {meta.score_run_id} is live, but will never be graded: ")
    assert line.endswith("cannot be written: File exists")
