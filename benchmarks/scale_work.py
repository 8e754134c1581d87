"""One step of the cost curve that has no command of its own, in this process.

    python -m benchmarks.scale_work features --engine duckdb --var var/bench/scale/1000000/var

`engine` only begins the engine · `features` and `labels` go through the buckets as scoring and training do ·
`material` reads what the recommender learns from · `fit` fits it, and implicit's own ALS to the same matrix ·
`champions` makes the main recipes champions without a back-test · `ours`, `hand` and `pandas` build one whole
feature table for the comparison. The last line of the output is JSON.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from benchmarks.features import column_sums
from features.build import bucket_groups, build_features, build_shop_facts, read_parts
from features.cohort import default_as_of
from features.console import run_command
from features.engines import scan_table
from features.history import History
from features.labels import compute_labels
from features.layout import Layout
from features.settings import Engine, Settings, load_settings
from features.settle import settle_basis
from features.snapshot import Snapshot

HORIZON_DAYS = 90
CHAMPIONS = {"churn": "lightgbm_btyd", "clv": "hurdle", "recommender": "blend"}
"""What serves a shop of some size as a rule; a small one gets the first that could be fitted."""

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """A history as of the day after its newest order, and who computes."""

    var: Path
    history: History
    snapshot: Snapshot
    settings: Settings

    @classmethod
    def open(cls, var: Path, engine: Engine) -> "Place":
        """Open the history under `var` for an engine, on the basis that it allows."""
        settings = load_settings()
        chosen = settings.features.model_copy(update={"engine": engine})
        history = History.open(Layout(var).history)
        day = default_as_of(history, settings.shop.time_zone)
        snapshot = Snapshot(day, settings.shop.time_zone, settings.features.observation_days or None)
        settled = settle_basis(settings.model_copy(update={"features": chosen}), history, snapshot)
        return cls(var, history, snapshot, settled.settings)

    @property
    def engine(self) -> Engine:
        """Who computes."""
        return self.settings.features.engine

    def groups(self) -> list[list[int]]:
        """Return the buckets as they are read: some at a time, on Spark all at once."""
        if self.engine == "pyspark":
            return [list(range(self.history.manifest.bucket_count))]
        return bucket_groups(self.history)


def work_features(place: Place) -> Answer:
    """Write the feature table of the newest snapshot, a group of buckets at a time."""
    folder = place.var / "scale" / place.engine
    folder.mkdir(parents=True, exist_ok=True)
    _announce("the shop as a whole")
    shop = build_shop_facts(place.history, place.snapshot, engine=place.engine)
    rows = 0
    for number, buckets in enumerate(place.groups()):
        _announce(f"buckets {buckets[0]} to {buckets[-1]}")
        table = build_features(
            place.history, place.snapshot, settings=place.settings, buckets=buckets, shop=shop
        )
        table.write_parquet(folder / f"{number:03d}.parquet")
        rows += table.height
    return {"rows": rows}


def work_labels(place: Place) -> Answer:
    """Compute what happened within the horizon that ended last, a group of buckets at a time."""
    start = Snapshot(place.snapshot.date - timedelta(days=HORIZON_DAYS), place.snapshot.time_zone)
    rows = 0
    for buckets in place.groups():
        _announce(f"buckets {buckets[0]} to {buckets[-1]}")
        parts = read_parts(place.history, engine=place.engine, buckets=buckets)
        rows += compute_labels(
            parts,
            start,
            horizons_days=[HORIZON_DAYS],
            known_until=place.snapshot,
            settings=place.settings,
        ).height
    return {"rows": rows}


def work_material(place: Place) -> Answer:
    """Read what the recommender learns from."""
    from models.recommender.material import build_material  # noqa: PLC0415 - implicit and scikit-learn

    material = build_material(place.history, place.snapshot, settings=place.settings, engine=place.engine)
    return {"rows": material.interactions.height}


def work_fit(place: Place) -> Answer:
    """Fit the recommender, its taste alone, and implicit's own ALS to the same matrix."""
    from implicit.als import AlternatingLeastSquares  # noqa: PLC0415

    from models.recommender.blend import Blend  # noqa: PLC0415
    from models.recommender.candidates import recommender_candidates  # noqa: PLC0415
    from models.recommender.factors import ItemFactors, one_blas_thread  # noqa: PLC0415
    from models.recommender.material import build_material, owned_matrix  # noqa: PLC0415

    _announce("material")
    material = build_material(place.history, place.snapshot, settings=place.settings)
    blend = recommender_candidates(place.settings)["blend"]
    assert isinstance(blend, Blend)  # noqa: S101 - the recipe of that name
    found: Answer = {"blend": _timed("blend", lambda: blend.fit(material))}
    owned = owned_matrix(material.interactions, blend.catalogue_)
    chosen = blend.als_settings()
    with one_blas_thread():
        own = AlternatingLeastSquares(
            factors=chosen.factor_count,
            regularization=chosen.regularization,
            alpha=chosen.alpha,
            iterations=chosen.iteration_count,
            random_state=chosen.seed,
        )
        found["implicit"] = _timed("implicit", lambda: own.fit(owned, show_progress=False))
        found["als"] = _timed("als", lambda: ItemFactors.fit(owned, chosen))
    return found | {"customers": owned.shape[0], "items": owned.shape[1], "cells": owned.nnz}


def work_champions(place: Place) -> Answer:
    """Make the main recipes champions, as if a back-test had chosen them."""
    from models.registry_names import CHAMPION, REGISTERED, TAG_PASSED  # noqa: PLC0415
    from training.tracking import challengers, connect  # noqa: PLC0415

    client = connect(Layout(place.var))
    chosen: Answer = {}
    for task, wanted in CHAMPIONS.items():
        found = challengers(client, task)  # type: ignore[arg-type]
        if found:
            picked = found.get(wanted) or next(iter(found.values()))
            client.set_model_version_tag(REGISTERED[picked.task], picked.version, TAG_PASSED, "true")
            client.set_registered_model_alias(REGISTERED[picked.task], CHAMPION, picked.version)
            chosen[task] = picked.candidate
    return chosen


def work_table(place: Place, *, who: str) -> Answer:
    """Build one whole feature table: ours, as a person would in Polars, or by the plain pandas script."""
    root, day, end = place.history.root, place.snapshot.date, place.snapshot.end_days
    if who == "ours":
        found = build_features(place.history, place.snapshot, settings=place.settings)
    elif who == "hand":
        from benchmarks import features_polars  # noqa: PLC0415

        found = features_polars.build(root, as_of=day, end_days=end)
    else:
        from benchmarks import features_pandas  # noqa: PLC0415 - each process imports its own only

        found = pl.from_pandas(features_pandas.build(root, as_of=day, end_days=end), include_index=True)
    _announce("sums")
    sizes = column_sums(found.with_columns(pl.selectors.numeric().abs()))
    return {"rows": found.height, "sums": column_sums(found), "sizes": sizes}


def begin_engine(engine: Engine) -> None:
    """Begin an engine: what it lacks is told at once."""
    scan_table(pl.DataFrame({"number": [1]}), engine=engine).collect("polars")


WORK: dict[str, Callable[[Place], Answer]] = {
    "features": work_features,
    "labels": work_labels,
    "material": work_material,
    "fit": work_fit,
    "champions": work_champions,
    "ours": lambda place: work_table(place, who="ours"),
    "hand": lambda place: work_table(place, who="hand"),
    "pandas": lambda place: work_table(place, who="pandas"),
}


def _announce(step: str) -> None:
    sys.stderr.write(f"[scale] {step}\n")
    sys.stderr.flush()


def _timed(name: str, step: Callable[[], object]) -> float:
    _announce(name)
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun


@contextmanager
def _spark_stopped(engine: Engine) -> Iterator[None]:
    """Leave no Java side behind."""
    try:
        yield
    finally:
        if engine == "pyspark" and "pyspark" in sys.modules:
            from pyspark.sql import SparkSession  # noqa: PLC0415 - an extra

            session = SparkSession.getActiveSession()
            if session is not None:
                session.stop()


def _command(
    step: Annotated[str, typer.Argument(help=", ".join(WORK))],
    *,
    engine: Annotated[str, typer.Option(help="polars, duckdb or pyspark")] = "polars",
    var: Annotated[Path, typer.Option(envvar="VAR", help="where the shop lies")] = Path("var"),
) -> None:
    """Do one step, and print what was found as JSON."""
    chosen: Engine = engine  # type: ignore[assignment]
    found: Answer = {}
    with _spark_stopped(chosen):
        begin_engine(chosen)
        if step != "engine":
            place = Place.open(var, chosen)
            _announce("begin")
            found = WORK[step](place)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    run_command(_command)
