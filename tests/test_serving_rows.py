"""The flat names: declared once, the same everywhere."""

import json
import subprocess
import sys
from pathlib import Path

from serving_runs import COMPLETE

from serving.api import create_app
from serving.environment import Environment
from serving.exports.member_csv import SCORE_NAMES
from serving.openapi import describe
from serving.rows import CLV_HORIZONS_DAYS, COLUMNS, HORIZONS_DAYS, NAMES, NULL_REASONS, STORED_NAMES
from serving.schemas.customers import Score
from serving.scoring.run_scores import NULL_REASON_OF

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "mlflow",
    "lightgbm",
    "implicit",
    "sklearn",
    "pandas",
    "polars",
    "numpy",
    "pyarrow",
    "scipy",
    "narwhals",
    "duckdb",
    "models",
    "training",
}
PUBLISHED = """
customer_id status method as_of scored_at score_run_id churn_model_version clv_model_version
recommender_model_version churn_probability churn_horizon_days churn_probability_30
churn_probability_60 churn_probability_90 churn_probability_180 churn_probability_365
churn_percentile risk_band usual_churn_probability lapsed reactivation_probability
next_order_p25_date next_order_p50_date next_order_p75_date expected_date_of_next_order
predicted_number_of_orders historic_number_of_orders average_days_between_orders average_order_value
predicted_clv predicted_clv_low predicted_clv_median predicted_clv_high clv_horizon_days
historic_clv total_clv currency clv_basis value_at_risk rfm_recency rfm_frequency rfm_monetary
rfm_segment lifecycle_stage email_consent last_order_at reasons null_reasons quality
""".split()  # noqa: SIM905 - easier to compare with the published example


def test_the_published_names_stand_in_their_order() -> None:
    assert [name for name in NAMES if name in PUBLISHED] == PUBLISHED
    assert len(set(NAMES)) == len(NAMES)
    for days in HORIZONS_DAYS:
        assert f"churn_probability_{days}" in NAMES
    for days in CLV_HORIZONS_DAYS:
        assert f"predicted_clv_{days}" in NAMES
    assert {"spend_if_order_low", "spend_if_order_high", "extrapolated"} <= set(NAMES)


def test_store_schema_and_csv_speak_the_same_names() -> None:
    assert set(STORED_NAMES) == {"customer_id", *COMPLETE}
    assert tuple(Score.model_fields) == NAMES
    assert set(SCORE_NAMES) <= set(NAMES)
    assert set(NULL_REASON_OF.values()) <= set(NULL_REASONS)
    assert all(column.meaning for column in COLUMNS)


def test_the_committed_description_is_the_current_one() -> None:
    committed = (ROOT / "docs/openapi.json").read_text(encoding="utf-8")
    assert committed == describe(create_app(Environment())), (
        "run `python -m serving.openapi > docs/openapi.json`"
    )


def test_every_operation_is_in_the_manual() -> None:
    manual = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    paths = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))["paths"]
    assert [path for path in paths if path not in manual] == []
    assert [name for name in NAMES if f"`{name}`" not in manual] == []
    assert [code for code in NULL_REASONS if f"`{code}`" not in manual] == []


def test_the_serving_process_imports_no_machine_learning() -> None:
    code = (
        "import gc, sys, serving.served, serving.__main__\n"
        "serving.served.create_served_app()\n"
        "assert gc.get_freeze_count() > 10_000\n"
        "print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    assert "fastapi" in loaded
    assert loaded & FORBIDDEN == set()
