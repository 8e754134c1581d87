"""F7: whatever is damaged in a bundle, it is refused before it scores; the last good one serves on."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from serving_shop import AS_OF, fit_champions, make_orders, register, write_history
from test_serving_main import read, status
from test_serving_server import children, serving

import models.bundle
from features.errors import UserError
from features.layout import Layout
from serving.environment import Environment
from serving.registry import load_champions
from serving.score import run_scoring
from serving.scoring.request import open_request

# MLflow's own database layer uses what SQLAlchemy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
Dice = random.Random


def plain_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def flip(folder: Path, dice: Dice) -> None:
    path = dice.choice(plain_files(folder))
    content = bytearray(path.read_bytes())
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    path.write_bytes(content)


def truncate(folder: Path, dice: Dice) -> None:
    path = dice.choice(plain_files(folder))
    content = path.read_bytes()
    path.write_bytes(content[: dice.randrange(len(content))])


def swap(folder: Path, dice: Dice) -> None:
    first, second = dice.sample(plain_files(folder), 2)
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)


def add_a_file(folder: Path, dice: Dice) -> None:
    place = dice.choice([folder, folder / "model"])
    (place / f"{dice.choice(['__init__', 'sitecustomize', 'state.pkl', '.hidden'])}.py").write_text("1 / 0")


def remove_a_file(folder: Path, dice: Dice) -> None:
    dice.choice(plain_files(folder)).unlink()


def link(folder: Path, dice: Dice) -> None:
    path = dice.choice(plain_files(folder))
    outside = folder.parent / f"outside-{dice.randrange(10**9)}"
    shutil.move(path, outside)
    path.symlink_to(outside)


def reorder_features(folder: Path, dice: Dice) -> None:
    """Somebody with write access puts the features in another order, and makes the manifest fit."""
    path = folder / "bundle.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    names = about["feature_names"]
    first, second = dice.sample(range(len(names)), 2)
    names[first], names[second] = names[second], names[first]
    path.write_bytes(models.bundle._canonical(about))
    manifest = models.bundle._canonical({"files": models.bundle._describe(folder)})
    (folder / "manifest.json").write_bytes(manifest)


DAMAGES: dict[Callable[[Path, Dice], None], int] = {
    flip: 160,
    truncate: 160,
    swap: 60,
    add_a_file: 40,
    remove_a_file: 40,
    link: 34,
    reorder_features: 6,
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with a published run and the bundles that made it."""
    var = tmp_path_factory.mktemp("shop")
    history = write_history(var, make_orders())
    register(var, fit_champions(history, AS_OF, choice={"churn": "recency", "clv": "formula"}), as_of=AS_OF)
    run_scoring(open_request(Environment(var=var), as_of=None, out=None), lambda _: None)
    return var


def refused_of(var: Path, counts: dict[Callable[[Path, Dice], None], int]) -> dict[str, int]:
    """Damage a bundle again and again; return how often it was refused, by what was done to it."""
    (bundle,) = (path for path in (var / "bundles").glob("churn-*") if path.is_dir())
    whole = var / "whole"
    if not whole.exists():
        shutil.copytree(bundle, whole)
    dice, refused = Dice(20261122), dict.fromkeys((damage.__name__ for damage in counts), 0)
    for damage, count in counts.items():
        for _ in range(count):
            damage(bundle, dice)
            try:
                load_champions(Layout(var), as_of=AS_OF)
            except UserError:
                refused[damage.__name__] += 1
            shutil.rmtree(bundle)
            shutil.copytree(whole, bundle)
    return refused


@pytest.mark.slow
def test_some_damaged_bundles_are_all_refused(shop: Path) -> None:
    some = {damage: 1 + count // 200 for damage, count in DAMAGES.items()}
    assert refused_of(shop, some) == {damage.__name__: count for damage, count in some.items()}
    assert set(load_champions(Layout(shop), as_of=AS_OF)) == {"churn", "clv"}


@pytest.mark.slow
def test_five_hundred_damaged_bundles_are_refused_and_the_service_stays(
    shop: Path,
) -> None:
    assert sum(DAMAGES.values()) == 500
    with serving(shop) as (process, port):
        url = f"http://127.0.0.1:{port}"
        workers, run = children(process.pid), read(f"{url}/readyz")["score_run_id"]
        assert refused_of(shop, DAMAGES) == {damage.__name__: count for damage, count in DAMAGES.items()}
        assert (children(process.pid), process.poll()) == (workers, None)
        assert read(f"{url}/readyz")["score_run_id"] == run
        assert status(f"{url}/v1/customers/c0/predictions") == 200
