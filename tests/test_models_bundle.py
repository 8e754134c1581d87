"""Bundles: what is written reads back, and every kind of damage is refused before anything is loaded."""

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_examples import make_examples, simulate_orders
from recommender_shop import day, settings, write_shop

import models.bundle
from features.settings import BoostingSettings, Settings
from models.baselines import RecencyChurn
from models.boosting import Recipe
from models.bundle import (
    BundleError,
    check_bundle,
    read_bundle,
    read_description,
    verify_manifest,
    write_bundle,
)
from models.canary import compare_golden_answers
from models.churn import HorizonChurn
from models.clv_baselines import FormulaClv
from models.recommender.candidates import recommender_candidates
from models.recommender.material import build_material

EXAMPLES = make_examples(simulate_orders(300))
INFO = {"data_until": "2026-01-01", "churn_horizon_days": 30, "currency": "EUR"}
QUICK = Recipe(
    boosting=BoostingSettings(tree_count=10, rows_per_leaf_min=20), outcomes_min=20, thread_count=1
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "churn"
    write_bundle(HorizonChurn(recipe=QUICK).fit(EXAMPLES), folder, kind="churn", info=INFO)
    return folder


@pytest.fixture
def bundle(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "bundle"))


@pytest.fixture
def unloadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test if anything is loaded: refusal must come first."""

    def load(*_: object) -> None:
        pytest.fail("a damaged bundle was loaded")

    monkeypatch.setattr(models.bundle, "_load_model", load)


def rewrite_manifest(folder: Path) -> None:
    """Make the manifest fit the files again, as somebody with write access could."""
    content = models.bundle._canonical({"files": models.bundle._describe(folder)})
    (folder / "manifest.json").write_bytes(content)


def test_a_bundle_reads_back_as_it_was_written(bundle: Path) -> None:
    found = read_bundle(bundle, feature_names=list(EXAMPLES.features.columns))
    fresh = HorizonChurn(recipe=QUICK).fit(EXAMPLES)
    expected = fresh.predict(EXAMPLES.current, horizons_days=[30, 365])
    assert found.model.predict(EXAMPLES.current, horizons_days=[30, 365]).equals(expected)
    assert (found.kind, found.candidate, found.method) == ("churn", "lightgbm", "ml")
    assert found.info == INFO
    assert found.feature_names == tuple(EXAMPLES.features.columns)


def test_a_bundle_is_plain_files_and_names_its_libraries(bundle: Path) -> None:
    names = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert names == {"manifest.json", "bundle.json", "golden.npz", "model/state.json", "model/churn.txt"}
    assert {"numpy", "lightgbm"} <= set(read_description(bundle)["libraries"])


def test_two_writings_of_one_model_are_equal_byte_for_byte(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        write_bundle(HorizonChurn(recipe=QUICK).fit(EXAMPLES), folder, kind="churn", info=INFO)
    first, second = ((folder / "manifest.json").read_bytes() for folder in folders)
    assert first == second


def test_no_customer_is_in_a_bundle(bundle: Path) -> None:
    for path in bundle.rglob("*"):
        assert path.is_dir() or b"customer-0" not in path.read_bytes()
    with np.load(bundle / "golden.npz", allow_pickle=False) as golden:
        rows = golden["rows"]
    known = EXAMPLES.features.to_numpy()
    assert not any((row == known).all(axis=1).any() for row in rows)


def test_a_used_folder_is_not_written_over(bundle: Path) -> None:
    with pytest.raises(BundleError, match="is not empty"):
        write_bundle(RecencyChurn().fit(EXAMPLES), bundle, kind="churn", info=INFO)


@pytest.mark.usefixtures("unloadable")
def test_every_flipped_bit_is_refused(bundle: Path) -> None:
    generator = random.Random(20261122)
    paths = sorted(path for path in bundle.rglob("*") if path.is_file())
    for attempt in range(400):
        path = paths[attempt % len(paths)]
        content = path.read_bytes()
        place = generator.randrange(len(content))
        damaged = bytearray(content)
        damaged[place] ^= 1 << generator.randrange(8)
        path.write_bytes(bytes(damaged))
        with pytest.raises(BundleError):
            read_bundle(bundle)
        path.write_bytes(content)
    verify_manifest(bundle)


@pytest.mark.usefixtures("unloadable")
def test_every_truncation_is_refused(bundle: Path) -> None:
    generator = random.Random(7)
    paths = sorted(path for path in bundle.rglob("*") if path.is_file())
    for attempt in range(100):
        path = paths[attempt % len(paths)]
        content = path.read_bytes()
        path.write_bytes(content[: generator.randrange(len(content))])
        with pytest.raises(BundleError):
            read_bundle(bundle)
        path.write_bytes(content)


@pytest.mark.usefixtures("unloadable")
@pytest.mark.parametrize(
    "damage",
    ["extra file", "missing file", "symlink", "linked folder", "no manifest", "no folder", "swapped"],
)
def test_other_damage_is_refused(bundle: Path, original: Path, damage: str) -> None:
    model = bundle / "model" / "churn.txt"
    if damage == "extra file":
        (bundle / "model" / "sitecustomize.py").write_text("print('hello')")
    elif damage == "missing file":
        model.unlink()
    elif damage == "symlink":
        model.unlink()
        model.symlink_to(original / "model" / "churn.txt")
    elif damage == "linked folder":
        shutil.rmtree(bundle / "model")
        (bundle / "model").symlink_to(original / "model")
    elif damage == "no manifest":
        (bundle / "manifest.json").unlink()
    elif damage == "no folder":
        shutil.rmtree(bundle)
    else:
        content = model.read_bytes()
        model.write_bytes((bundle / "model" / "state.json").read_bytes())
        (bundle / "model" / "state.json").write_bytes(content)
    with pytest.raises(BundleError):
        read_bundle(bundle)


@pytest.mark.usefixtures("unloadable")
def test_a_named_pipe_is_refused_without_waiting(bundle: Path) -> None:
    (bundle / "model" / "churn.txt").unlink()
    os.mkfifo(bundle / "model" / "churn.txt")
    with pytest.raises(BundleError, match="no ordinary file"):
        read_bundle(bundle)


def test_another_feature_list_is_refused_by_name(bundle: Path) -> None:
    names = ["shoe_size", *EXAMPLES.features.columns[1:]]
    with pytest.raises(BundleError, match="missing recency_days; unexpected shoe_size"):
        read_bundle(bundle, feature_names=names)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "weather"}, "kind 'weather'"),
        ({"format_version": 99}, "format 99"),
        ({"candidate": "crystal_ball"}, "'crystal_ball', which is not known here"),
        ({"kind": "clv"}, "'lightgbm', which is not known here"),
    ],
)
def test_a_bundle_of_another_kind_or_time_is_refused(
    bundle: Path, change: dict[str, Any], message: str
) -> None:
    about = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_bytes(models.bundle._canonical(about | change))
    rewrite_manifest(bundle)
    with pytest.raises(BundleError, match=message):
        read_bundle(bundle)


def test_the_canary_passes_good_bundles_and_catches_a_lie_that_the_manifest_confirms(
    bundle: Path, tmp_path: Path
) -> None:
    """A model whose answers changed, under a manifest that was made to fit, among good ones."""
    good = shutil.copytree(bundle, tmp_path / "good")
    check_bundle(good, bundle, timeout_seconds=120)
    state = json.loads((bundle / "model" / "state.json").read_text())
    state["extension"]["alpha"] *= 2
    (bundle / "model" / "state.json").write_text(json.dumps(state))
    rewrite_manifest(bundle)
    with pytest.raises(BundleError, match="the answers 'churn' to the golden rows changed") as error:
        check_bundle(good, bundle, good, timeout_seconds=120)
    assert str(error.value).startswith(f"{bundle} failed its canary")


@pytest.mark.slow
def test_the_canary_survives_whatever_damaged_text_does(bundle: Path) -> None:
    """LightGBM crashes, hangs or raises on damaged text; the child process takes it, with a time limit."""
    path = bundle / "model" / "churn.txt"
    path.write_text(path.read_text().replace("left_child=", "left_child=9999999 ", 1))
    rewrite_manifest(bundle)
    with pytest.raises(BundleError, match=r"failed its canary|did not answer"):
        check_bundle(bundle, timeout_seconds=60)


def test_the_canary_has_a_time_limit(bundle: Path) -> None:
    with pytest.raises(BundleError, match=r"did not answer within 0\.01 s"):
        check_bundle(bundle, timeout_seconds=0.01)


def test_value_models_are_carried_too(tmp_path: Path) -> None:
    write_bundle(FormulaClv().fit(EXAMPLES), tmp_path / "clv", kind="clv", info=INFO)
    assert read_bundle(tmp_path / "clv").model.params() == {"lifespan_days": 1095}


@pytest.mark.parametrize("name", sorted(recommender_candidates(Settings())))
def test_recommenders_are_carried_too(name: str, tmp_path: Path) -> None:
    chosen = settings(outcome_days=14, factor_count=4)
    lines = [
        (f"shopper-{number:02}", f"p{(number + week) % 9}", week * 7.0 + 1, 1.0, 3.0)
        for number in range(30)
        for week in range(10)
    ]
    material = build_material(write_shop(tmp_path / "shop", lines), day(70), settings=chosen)
    recommender = recommender_candidates(chosen)[name].fit(material)
    write_bundle(recommender, tmp_path / "bundle", kind="recommender", info=INFO)
    found = read_bundle(tmp_path / "bundle")
    assert type(found.model) is type(recommender)
    with np.load(tmp_path / "bundle" / "golden.npz", allow_pickle=False) as golden:
        assert len(golden["answer_items"]) > 0
    compare_golden_answers(tmp_path / "bundle")
