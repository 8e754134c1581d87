"""The straight line on a made-up shop, through the commands a person types."""

import itertools
import json
from pathlib import Path

import polars as pl
import pytest
from made_up_shop import run, write_orders
from privacy_shop import files_with

QUICK = """
[churn]
snapshots_max = 6
supported_outcomes_min = 50
[churn.boosting]
tree_count = 40
[clv.boosting]
tree_count = 40
[recommender]
factor_count = 8
iteration_count = 3
[backtest]
origin_count = 2
bootstrap_count = 100
"""
AS_OF = "2025-12-01"
PEOPLE = ("anary", "4917012345")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop that went through data, train, evaluate, promote and score as of a date in its past."""
    folder = tmp_path_factory.mktemp("shop")
    orders = with_people(write_orders(folder / "orders.csv", customer_count=260))
    steps = [
        ("features.ingest", "--file", str(orders)),
        ("training.train", "--as-of", AS_OF, "--horizon", "30"),
        ("training.backtest", "--as-of", AS_OF),
        ("training.promote", "--as-of", AS_OF),
        ("serving.score", "--as-of", AS_OF, "--out", str(folder / "out")),
    ]
    for module, *arguments in steps:
        done = run(module, *arguments, var=folder / "var", settings=QUICK)
        assert done.returncode == 0, f"{module}: {done.stderr}"
        (folder / f"{module}.txt").write_text(done.stdout)
    return folder


def with_people(orders: Path) -> Path:
    """Add to a file what shops export beside: names, addresses, telephone numbers."""
    lines = pl.read_csv(orders, infer_schema=False)
    lines.with_columns(
        customer_name=pl.lit("Canary Person ") + pl.col("customer_id"),
        email=pl.lit("canary.") + pl.col("customer_id") + "@example.com",
        phone=pl.lit("+4917012345") + pl.col("customer_id").str.tail(3),
    ).write_csv(orders)
    return orders


def test_who_somebody_is_stands_in_the_identity_file_alone(shop: Path) -> None:
    """Not in features, models, MLflow, reports or scores."""
    assert files_with(shop / "out", *PEOPLE) == set()
    found = files_with(shop / "var", *PEOPLE)
    assert found == {"private/identities.parquet"}
    assert not any(word in path.read_text() for path in shop.glob("*.txt") for word in PEOPLE)


def test_every_customer_known_on_the_day_is_scored_and_nobody_else(shop: Path) -> None:
    lines = pl.read_csv(shop / "orders.csv", schema_overrides={"customer_id": pl.String})
    known = lines.filter((pl.col("ordered_at") < AS_OF) & (pl.col("quantity") > 0))["customer_id"].unique()
    scores = pl.read_parquet(shop / "out" / "scores.parquet")
    assert sorted(scores["customer_id"]) == sorted(known)
    assert scores["as_of"].cast(pl.String).unique().to_list() == [AS_OF]


def test_scores_are_probabilities_and_money_that_agree_with_each_other(shop: Path) -> None:
    scores = pl.read_parquet(shop / "out" / "scores.parquet")
    horizons = [scores[f"churn_probability_{h}"].to_numpy() for h in (30, 60, 90, 180, 365)]
    for shorter, longer in itertools.pairwise(horizons):
        assert (longer <= shorter + 1e-12).all()
    assert ((horizons[0] >= 0) & (horizons[0] <= 1)).all()
    spends = [scores[f"predicted_clv_{h}"].to_numpy() for h in (30, 90, 180, 365)]
    for shorter, longer in itertools.pairwise(spends):
        assert (longer >= shorter - 1e-9).all()
    assert (scores["predicted_clv_low"] <= scores["predicted_clv_high"]).all()
    assert scores["method"].is_in(["ml", "btyd", "formula", "baseline"]).all()


def test_every_customer_has_a_list_of_its_own(shop: Path) -> None:
    lists = pl.read_parquet(shop / "out" / "recommendations.parquet")
    assert set(lists.columns) >= {"customer_id", "kind", "rank", "product_id", "score", "reason"}
    scores = pl.read_parquet(shop / "out" / "scores.parquet")
    mixed = lists.filter(pl.col("kind") == "for_you")
    assert set(mixed["customer_id"]) == set(scores["customer_id"])
    assert (
        mixed.group_by("customer_id").agg(pl.col("product_id").is_duplicated().any())["product_id"].sum() == 0
    )


def test_the_scorecard_judges_models_beside_rules_before_the_date(shop: Path) -> None:
    card = json.loads((shop / "var" / "reports" / "scorecard.json").read_text())
    assert set(card["tasks"]["churn"]["candidates"]) >= {"lightgbm", "btyd", "recency", "base_rate"}
    assert set(card["tasks"]["clv"]["candidates"]) >= {"hurdle", "btyd", "past_spend", "formula"}
    everybody = card["tasks"]["clv"]["groups"][-1]
    assert everybody["name"] == "all customers"
    assert everybody["customer_count"] == sum(card["tasks"]["clv"]["customer_counts"].values())
    assert all(origin <= "2025-11-01" for origin in card["tasks"]["churn"]["origins"])
    text = (shop / "var" / "reports" / "scorecard.txt").read_text()
    for title in ("The formula beside the model", "Customers with one order", "A first season"):
        assert f"\n{title}\n" in text
    assert (shop / "var" / "reports" / "scorecard.html").read_text().count('class="drawing"') >= 10


def test_mlflow_keeps_pictures_with_every_challenger_and_the_page_with_each_winner(shop: Path) -> None:
    kept = shop / "var" / "mlflow"
    assert len(list(kept.rglob("scorecard.html"))) == 3
    card = json.loads((shop / "var" / "reports" / "scorecard.json").read_text())
    assert len(list(kept.rglob("scorecard.txt"))) == sum(
        not name.endswith("_alone") for task in card["tasks"].values() for name in task["candidates"]
    )
    assert len(list(kept.rglob("churn-calibration.json"))) == len(card["tasks"]["churn"]["candidates"])


def test_stored_predictions_are_paired_with_outcomes(shop: Path) -> None:
    churn = pl.read_parquet(shop / "var" / "backtest" / "churn.parquet")
    assert churn["outcome"].is_in([0.0, 1.0]).all()
    per_candidate = churn.group_by("candidate").agg(pl.len())["len"]
    assert per_candidate.n_unique() == 1


def test_each_window_is_told_with_its_evidence(shop: Path) -> None:
    done = run("training.churn_window", "--as-of", AS_OF, var=shop / "var", settings=QUICK)
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line[:12].strip().isdigit()}
    assert set(rows) == {"14", "30", "60", "90", "180", "365"}
    card = json.loads((shop / "var" / "reports" / "scorecard.json").read_text())
    churn = card["tasks"]["churn"]
    expected = churn["candidates"][churn["winner"]]["metrics"]["30"]["auc"]["mean"]
    assert float(rows["30"][-3]) == pytest.approx(expected, abs=5e-4)
    assert rows["30"][-1] == "100%"
    assert "Chance of coming back" in (shop / "var" / "reports" / "churn-window.html").read_text()


@pytest.mark.slow
def test_what_lies_on_or_after_the_date_changes_no_score(shop: Path, tmp_path: Path) -> None:
    lines = pl.read_csv(shop / "orders.csv", infer_schema=False)
    lines.filter(pl.col("ordered_at") < AS_OF).write_csv(tmp_path / "cut.csv")
    steps = [
        ("features.ingest", "--file", str(tmp_path / "cut.csv")),
        ("training.train", "--as-of", AS_OF, "--horizon", "30"),
        ("training.backtest", "--as-of", AS_OF),
        ("training.promote", "--as-of", AS_OF),
        ("serving.score", "--as-of", AS_OF, "--out", str(tmp_path / "out")),
    ]
    for module, *arguments in steps:
        done = run(module, *arguments, var=tmp_path / "var", settings=QUICK)
        assert done.returncode == 0, f"{module}: {done.stderr}"
    volatile = [
        "scored_at",
        "score_run_id",
        "churn_model_version",
        "clv_model_version",
        "recommender_model_version",
    ]
    whole = pl.read_parquet(shop / "out" / "scores.parquet").drop(volatile)
    cut = pl.read_parquet(tmp_path / "out" / "scores.parquet").drop(volatile)
    assert whole.equals(cut)
    lists = "recommendations.parquet"
    assert pl.read_parquet(shop / "out" / lists).equals(pl.read_parquet(tmp_path / "out" / lists))


@pytest.mark.slow
def test_training_again_on_the_same_data_promotes_the_newer_version(shop: Path) -> None:
    listed = run("training.promote", "--list", var=shop / "var")
    assert listed.stdout.count("none → ") == 3
    again = run("training.promote", "--as-of", AS_OF, var=shop / "var")
    assert again.stdout == "the champions stay as they are\n"


@pytest.mark.slow
def test_rolling_back_without_an_earlier_champion_says_so(shop: Path) -> None:
    done = run("training.promote", "--rollback", var=shop / "var")
    assert done.returncode == 2
    assert "no earlier champion" in done.stderr
    assert "Traceback" not in done.stderr


def test_promoting_without_a_matching_evaluation_says_what_to_run(shop: Path) -> None:
    done = run("training.promote", "--as-of", "2025-11-01", var=shop / "var")
    assert done.returncode == 2
    assert "make evaluate AS_OF=2025-11-01" in done.stderr


@pytest.mark.parametrize("as_of", ["1999-01-01", "soon"])
def test_a_date_that_cannot_be_used_is_one_line(shop: Path, as_of: str) -> None:
    done = run("training.train", "--as-of", as_of, var=shop / "var")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert as_of in done.stderr


@pytest.mark.slow
def test_a_shop_above_the_setting_is_trained_and_judged_on_a_sample(tmp_path: Path) -> None:
    orders = write_orders(tmp_path / "orders.csv", customer_count=260)
    settings = QUICK.replace("= 50", "= 10") + "[training]\ncustomers_max = 120\n"
    steps = [
        ("features.ingest", "--file", str(orders)),
        ("training.train", "--as-of", AS_OF, "--horizon", "30"),
        ("training.backtest", "--as-of", AS_OF),
        ("training.promote", "--as-of", AS_OF),
        ("serving.score", "--as-of", AS_OF, "--out", str(tmp_path / "out")),
    ]
    for module, *arguments in steps:
        done = run(module, *arguments, var=tmp_path / "var", settings=settings)
        assert done.returncode == 0, f"{module}: {done.stderr}"
    judged = pl.read_parquet(tmp_path / "var" / "backtest" / "churn.parquet")
    assert 0 < judged["customer_id"].n_unique() <= 120
    scores = pl.read_parquet(tmp_path / "out" / "scores.parquet")
    assert scores.height > 200
    cards = [path.read_text() for path in (tmp_path / "var" / "mlflow").rglob("model_card.md")]
    assert any("120 of " in card for card in cards)
