"""The sample of customers where Spark computes: the same customers, the same features."""

import importlib.util
import shutil
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from features_shop import write_shop
from test_features_build import random_rows

from features.examples import ExampleBuilder
from features.settings import Settings
from features.snapshot import Snapshot

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("pyspark") is None, reason="PySpark is not installed"),
    pytest.mark.skipif(shutil.which("java") is None, reason="Java is not installed"),
]


def test_a_sample_on_spark_has_the_features_that_it_has_on_polars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_MASTER", "local[1]")
    history, origin = write_shop(tmp_path, random_rows(300), bucket_count=2), Snapshot(date(2026, 3, 1))
    found = {}
    for engine in ("polars", "pyspark"):
        given = {"features": {"engine": engine}, "training": {"customers_max": 20}}
        builder = ExampleBuilder(history, Settings.model_validate(given), sampled_as_of=origin)
        assert builder.sample is not None
        found[engine] = (
            builder.sample.weights.tolist(),
            builder.features_at(origin),
            builder.outcomes(origin.shifted(-40), [14, 30], origin),
        )
    assert found["pyspark"][0] == found["polars"][0]
    for spark, polars in zip(found["pyspark"][1:], found["polars"][1:], strict=True):
        pd.testing.assert_frame_equal(spark, polars, rtol=1e-9)
