"""Challengers and champions in a real MLflow registry on SQLite."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest
from mlflow import MlflowClient

from features.basis import Basis
from features.examples import Examples
from features.layout import Layout
from features.settings import PromotionSettings, Settings
from features.snapshot import Snapshot
from models import registry_names as names
from models.candidates import churn_candidates
from models.registry_names import Task
from training.attach import scorecard_tag
from training.cards import model_card
from training.promote import (
    PromotionError,
    champion,
    choose,
    first_ready,
    history_of,
    promote,
    read_scorecard,
    refusals,
    roll_back,
)
from training.scorecard import (
    CandidateResult,
    Comparison,
    GroupErrors,
    Scorecard,
    TaskResult,
    Total,
    summary_of,
    verdict_text,
)
from training.texts import scorecard_text
from training.tracking import Challenger, TrackingError, Training, challengers, connect, fits, register

AS_OF = date(2026, 6, 1)
ROOT = Path(__file__).parent.parent


def examples() -> Examples:
    """Four customers at one past snapshot, two of whom came back within 30 days."""
    ids = ["a", "b", "c", "d"]
    features = pd.DataFrame({"recency_days": [1.0, 2.0, 30.0, 60.0], "order_count": 1.0}, index=ids)
    features = features.assign(
        order_day_count=1.0, first_to_last_days=0.0, tenure_days=90.0, repeat_spend_mean=float("nan")
    )
    dated = features.set_axis(
        pd.MultiIndex.from_product([ids, [date(2026, 4, 1)]], names=["customer_id", "as_of"])
    )
    labels = pd.DataFrame(
        {"churned_30": [0.0, 0.0, 1.0, 1.0], "spend_30": 0.0, "order_count_30": 0.0}, index=dated.index
    )
    current = features.rename_axis("customer_id")
    return Examples(Snapshot(AS_OF), 30, (30,), dated, labels, current)


def training(data_hash: str = "d1", recipe_hash: str = "r1", *, basis: Basis | None = None) -> Training:
    money = (basis or Basis()).tags
    info = {"time_zone": "UTC", "currency": "EUR", **money, "data_until": str(AS_OF)}
    return Training(AS_OF, 30, data_hash, recipe_hash, None, info)


def result_of(losses: dict[str, float], *, task: names.Task = "churn") -> TaskResult:
    methods = {"lightgbm": "ml", "base_rate": "baseline", "recency": "baseline", "champion": "ml"}
    metrics = {30: {"log_loss": summary_of({date(2026, 4, 1): 0.5})}}
    return TaskResult(
        task=task,
        horizon_days=30,
        loss_name="log-loss",
        origins=[date(2026, 4, 1)],
        candidates={
            name: CandidateResult(method=methods[name], metrics=metrics, is_rule=methods[name] != "ml")  # type: ignore[arg-type]
            for name in losses
        },
        left_out={},
        winner=min(losses, key=lambda name: losses[name]) if losses else None,
        mean_losses=dict(sorted(losses.items(), key=lambda item: item[1])),
        against_rule=None,
        beats_baseline=False,
    )


def scorecard(losses: dict[str, float], *, data_hash: str = "d1", recipe_hash: str = "r1") -> Scorecard:
    return Scorecard(
        as_of=AS_OF,
        headline_days=30,
        data_hash=data_hash,
        recipe_hash=recipe_hash,
        git_revision="abc",
        currency="EUR",
        clv_basis="net",
        created_at=datetime(2026, 6, 1, tzinfo=UTC),
        tasks={"churn": result_of(losses)},
    )


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return Layout(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="module")
def client(registry: Layout) -> MlflowClient:
    """A registry with two challengers of churn, trained on the same data."""
    found = connect(registry)
    for name in ("base_rate", "recency"):
        _register(found, name)
    return found


@pytest.fixture
def own_client(tmp_path: Path, registry: Layout) -> Iterator[MlflowClient]:
    """An empty registry, and after it the module's again."""
    yield connect(Layout(tmp_path))
    connect(registry)


def test_one_process_keeps_two_registries_apart(tmp_path: Path, registry: Layout) -> None:
    before = dict(os.environ)
    found = [connect(Layout(root)).tracking_uri for root in (tmp_path / "a", tmp_path / "b")]
    connect(registry)
    assert found == [f"sqlite:///{(tmp_path / name / 'mlflow/mlflow.db').resolve()}" for name in "ab"]
    own = {name for name, value in os.environ.items() if before.get(name) != value}
    assert own <= {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"}


def _register(
    client: MlflowClient, name: str, *, data_hash: str = "d1", basis: Basis | None = None
) -> Challenger:
    model, made = churn_candidates(Settings())[name].fit(examples()), training(data_hash, basis=basis)
    card = model_card("churn", model, examples=examples(), training=made)
    return register(client, "churn", model, training=made, card=card)


def test_a_run_holds_parameters_card_and_bundle_and_no_customer(client: MlflowClient) -> None:
    challenger = challengers(client, "churn")["base_rate"]
    run = client.get_run(challenger.run_id)
    assert run.data.params["as_of"] == "2026-06-01"
    assert run.data.tags["data_hash"] == "d1"
    assert "model_card.md" in [file.path for file in client.list_artifacts(challenger.run_id)]
    source = client.get_model_version_download_uri("regulars-churn", challenger.version)
    folder = Path(source.removeprefix("file://"))
    stored = [path.name for path in folder.rglob("*") if path.is_file()]
    assert "manifest.json" in stored
    assert not [name for name in stored if name.endswith((".pkl", ".pickle", ".joblib"))]


def test_promotion_takes_the_best_then_keeps_it_then_goes_back(client: MlflowClient) -> None:
    first = promote(client, scorecard({"base_rate": 0.4, "recency": 0.5}))
    assert [(move.candidate, move.from_version) for move in first] == [("base_rate", None)]
    assert champion(client, "churn").tags[names.TAG_PASSED] == "true"
    assert promote(client, scorecard({"base_rate": 0.4, "recency": 0.5})) == []
    second = promote(client, scorecard({"base_rate": 0.6, "recency": 0.5}))
    assert second[0].candidate == "recency"
    back = roll_back(client, task="churn")
    assert champion(client, "churn").tags[names.TAG_CANDIDATE] == "base_rate"
    assert "rolled back" in back[0].reason
    assert [entry.candidate for entry in history_of(client, "churn")] == ["base_rate", "recency", "base_rate"]


class DyingClient:
    """A client that dies instead of its n-th change of the registry."""

    def __init__(self, client: MlflowClient, changes_left: int) -> None:
        self._client = client
        self._changes_left = changes_left

    def __getattr__(self, name: str) -> Any:
        if name.startswith("set_"):
            self._changes_left -= 1
            if self._changes_left < 0:
                raise KeyboardInterrupt
        return getattr(self._client, name)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [0, 1, 2])
def test_a_promotion_that_dies_between_two_changes_is_made_whole_by_the_next(
    own_client: MlflowClient, changes: int
) -> None:
    """F2: the old champion or the new one, and the way back leads to the old one."""
    for name in ("base_rate", "recency"):
        _register(own_client, name)
    promote(own_client, scorecard({"base_rate": 0.4, "recency": 0.5}))
    better = scorecard({"base_rate": 0.6, "recency": 0.5})
    with pytest.raises(KeyboardInterrupt):
        promote(cast("MlflowClient", DyingClient(own_client, changes)), better)
    assert champion(own_client, "churn").tags[names.TAG_CANDIDATE] == "base_rate"
    with pytest.raises(PromotionError, match="no earlier champion"):
        roll_back(own_client, task="churn")
    assert [move.candidate for move in promote(own_client, better)] == ["recency"]
    with pytest.raises(KeyboardInterrupt):
        roll_back(cast("MlflowClient", DyingClient(own_client, 1)), task="churn")
    assert champion(own_client, "churn").tags[names.TAG_CANDIDATE] == "base_rate"
    with pytest.raises(PromotionError, match="no earlier champion"):
        roll_back(own_client, task="churn")
    promote(own_client, better)
    roll_back(own_client, task="churn")
    assert champion(own_client, "churn").tags[names.TAG_CANDIDATE] == "base_rate"


@pytest.mark.parametrize("other", [{"data_hash": "d2"}, {"recipe_hash": "r2"}])
def test_a_scorecard_of_other_data_or_settings_promotes_nothing(
    client: MlflowClient, other: dict[str, str]
) -> None:
    with pytest.raises(PromotionError, match="make train evaluate AS_OF=2026-06-01"):
        promote(client, scorecard({"base_rate": 0.4}, **other))


def test_a_second_rollback_goes_further_back_and_never_forward(own_client: MlflowClient) -> None:
    client = own_client
    _register(client, "base_rate")
    _register(client, "recency")
    for losses in ((0.4, 0.5), (0.6, 0.5)):
        promote(client, scorecard(dict(zip(("base_rate", "recency"), losses, strict=True))))
    _register(client, "base_rate")
    promote(client, scorecard({"base_rate": 0.1}))
    served = [str(champion(client, "churn").version)]
    for _ in range(2):
        roll_back(client, task="churn")
        served.append(str(champion(client, "churn").version))
    assert served == ["3", "2", "1"]
    with pytest.raises(PromotionError, match="no earlier champion"):
        roll_back(client, task="churn")


def test_a_registry_that_cannot_be_asked_is_not_an_empty_one(
    own_client: MlflowClient, tmp_path: Path
) -> None:
    client = own_client
    _register(client, "base_rate")
    promote(client, scorecard({"base_rate": 0.4}))
    (tmp_path / "mlflow" / "mlflow.db").write_bytes(b"no database any more")
    with pytest.raises(TrackingError, match="MLflow cannot be used"):
        history_of(client, "churn")


def test_the_newest_version_of_a_candidate_is_its_challenger(client: MlflowClient) -> None:
    newer = _register(client, "recency", data_hash="d3")
    assert challengers(client, "churn")["recency"].version == newer.version
    assert not fits(newer, scorecard({"recency": 0.1}))
    _register(client, "recency")


def test_gates_keep_the_champion_and_say_why(own_client: MlflowClient) -> None:
    client = own_client
    _register(client, "base_rate")
    _register(client, "recency")
    promote(client, scorecard({"base_rate": 0.4}))
    worse = Comparison(rival="champion", mean=-0.02, low=-0.03, high=-0.01)
    card = scorecard({"recency": 0.42, "champion": 0.4})
    judged = card.tasks["churn"].model_copy(update={"against_champion": worse, "winner": "recency"})
    card = card.model_copy(update={"tasks": card.tasks | {"churn": judged}})
    told = refusals(client, card, PromotionSettings())
    assert told["churn"] == (
        "recency is worse beyond doubt, log-loss higher by 0.02 or 5.0% (95 % interval 0.01 … 0.03); "
        "promotion.loss_excess_max allows 0.0%"
    )
    assert promote(client, card) == []
    assert champion(client, "churn").tags[names.TAG_CANDIDATE] == "base_rate"
    lenient = PromotionSettings(loss_excess_max=0.1)
    assert refusals(client, card, lenient) == {}
    assert [move.candidate for move in promote(client, card, lenient)] == ["recency"]


def test_a_standing_champion_gives_way_only_to_the_winner_of_a_back_test(own_client: MlflowClient) -> None:
    client = own_client
    _register(client, "base_rate")
    _register(client, "recency")
    promote(client, scorecard({"recency": 0.4, "base_rate": 0.5}))
    unjudged, absent = scorecard({}), scorecard({"lightgbm": 0.1, "base_rate": 0.5})
    gates = PromotionSettings()
    assert refusals(client, unjudged, gates) == {"churn": "nothing could be judged this time"}
    assert "lightgbm won but could not be fitted" in refusals(client, absent, gates)["churn"]
    assert promote(client, unjudged) == promote(client, absent) == []
    assert champion(client, "churn").tags[names.TAG_CANDIDATE] == "recency"
    # Of another money basis it could not score any more: then anything that works takes its place.
    for basis in (Basis("gross"), Basis("margin", 0.3), Basis("margin", 0.4)):
        _register(client, "base_rate", basis=basis)
        assert [move.candidate for move in promote(client, absent)] == ["base_rate"]
    # Of the same one it could.
    _register(client, "base_rate", basis=Basis("margin", 0.4))
    assert promote(client, absent) == []


@pytest.mark.slow
def test_a_grade_below_the_least_one_promotes_nothing_where_a_champion_stands(
    own_client: MlflowClient,
) -> None:
    client = own_client
    _register(client, "base_rate")
    _register(client, "recency")
    card = scorecard({"recency": 0.3})
    graded = card.tasks["churn"].candidates["recency"].model_copy(update={"grade": "D"})
    result = card.tasks["churn"].model_copy(update={"candidates": {"recency": graded}})
    card = card.model_copy(update={"tasks": card.tasks | {"churn": result}})
    strict = PromotionSettings(grade_min="C")
    assert [move.candidate for move in promote(client, card, strict)] == ["recency"]
    _register(client, "recency")
    assert promote(client, card, strict) == []
    assert "grade D; promotion.grade_min asks for C" in refusals(client, card, strict)["churn"]


def test_without_a_back_test_a_simple_challenger_serves_where_nothing_else_works(
    client: MlflowClient,
) -> None:
    ready = challengers(client, "churn")
    assert choose(result_of({}), ready).candidate == "base_rate"
    assert "too short" in verdict_text(result_of({}))


@pytest.mark.parametrize(
    ("task", "ready", "first"),
    [
        ("churn", ("recency", "btyd", "lightgbm", "lightgbm_btyd"), "lightgbm_btyd"),
        ("churn", ("base_rate", "recency", "btyd"), "btyd"),
        ("clv", ("past_spend", "btyd", "formula", "hurdle"), "hurdle"),
        ("clv", ("past_spend", "btyd", "formula"), "formula"),
    ],
)
def test_without_a_back_test_a_model_serves_where_it_is_supported(
    task: Task, ready: tuple[str, ...], first: str
) -> None:
    assert first_ready(task, (), ready) == first
    # What was judged goes before what was not.
    assert first_ready(task, (ready[0],), ready) == ready[0]


def test_a_winner_that_could_not_be_fitted_gives_way_to_the_next(client: MlflowClient) -> None:
    ready = challengers(client, "churn")
    assert (
        choose(result_of({"lightgbm": 0.1, "recency": 0.2, "base_rate": 0.3}), ready).candidate == "recency"
    )


def test_the_tag_that_serving_reads_stands_beside_the_best_rule() -> None:
    tag = scorecard_tag(result_of({"lightgbm": 0.1, "recency": 0.2}), "lightgbm")
    assert json.loads(json.dumps(tag))["baseline"]["candidate"] == "recency"
    assert tag["beats_baseline"] is False
    assert (tag["groups"], tag["totals"]) == ([], [])


def test_the_tag_of_the_winner_has_its_groups_and_totals() -> None:
    total = Total(predicted=100.004, actual=130.0)
    group = GroupErrors(
        name="NEW",
        customer_count=3,
        actual_mean=1.0,
        formula_mean=2.00004,
        formula_bias=1.0,
        formula_mae=1.0,
        winner_mean=None,
        winner_bias=None,
        winner_mae=None,
    )
    result = result_of({"lightgbm": 0.1, "recency": 0.2})
    told = {"groups": [group], "totals": {"lightgbm": {date(2026, 5, 1): total}}, "winner": "lightgbm"}
    result = result.model_copy(update=told)
    tag = scorecard_tag(result, "lightgbm")
    assert tag["totals"] == [[100.0, 130.0]]
    assert (tag["groups"][0]["formula_mean"], tag["groups"][0]["winner_mean"]) == (2.0, None)
    # Errors that were measured of another recipe are not this one's.
    assert scorecard_tag(result, "recency")["groups"] == []


def test_the_text_marks_the_winner_and_says_who_won() -> None:
    text = scorecard_text(scorecard({"recency": 0.2, "base_rate": 0.3}))
    assert "* recency" in text
    assert "no model does better here" in text


def test_a_winner_that_a_simple_rule_beats_is_told_so() -> None:
    beaten = Comparison(rival="formula_alone", mean=-0.2, low=-0.3, high=-0.1)
    result = result_of({"lightgbm": 0.4, "recency": 0.2}).model_copy(
        update={"winner": "lightgbm", "against_rule": beaten}
    )
    assert verdict_text(result) == (
        "lightgbm (ml) is no better than a simple rule: formula_alone has a log-loss lower by 0.2 "
        "(95 % interval 0.1 … 0.3)"
    )


def test_a_missing_or_older_back_test_says_what_to_run(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with pytest.raises(PromotionError, match="make evaluate AS_OF=2026-06-01"):
        read_scorecard(layout, as_of=AS_OF)
    layout.reports.mkdir()
    (layout.reports / "scorecard.json").write_text(scorecard({"recency": 0.2}).model_dump_json())
    assert read_scorecard(layout, as_of=AS_OF).headline_days == 30
    with pytest.raises(PromotionError, match="make evaluate AS_OF=2026-07-01"):
        read_scorecard(layout, as_of=date(2026, 7, 1))


def test_tracking_stays_under_var_and_telemetry_is_off_outside_ci_too(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from training.tracking import connect\n"
        "from features.layout import Layout\n"
        f"client = connect(Layout(Path({str(tmp_path)!r})))\n"
        "from mlflow.telemetry import get_telemetry_client\n"
        "print(get_telemetry_client() is None, client.get_experiment_by_name('regulars').artifact_location)"
    )
    environment = {
        k: v
        for k, v in os.environ.items()
        if k not in {"CI", "MLFLOW_DISABLE_TELEMETRY", "MLFLOW_TRACKING_URI"}
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", (tmp_path / "mlflow" / "artifacts").as_uri()]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow"]


@pytest.mark.slow
def test_an_unreachable_tracking_server_is_one_line(tmp_path: Path) -> None:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-m", "training.promote", "--list", "--var", str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: MLflow at http://127.0.0.1:9 cannot be used")
    assert "Traceback" not in done.stderr
