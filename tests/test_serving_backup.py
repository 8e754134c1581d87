"""A back-up made while others write is whole; put back elsewhere, it serves what was served."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlflow import MlflowClient
from serving_runs import publish
from serving_shop import make_orders, write_history
from starlette.testclient import TestClient

from features.history import History
from features.layout import Layout
from serving.api import create_app
from serving.backup import back_up, restore
from serving.backups.files import BackupError, verified
from serving.environment import Environment
from serving.state.database import State
from serving.state.keys import Keys
from serving.state.migrate import make

ROOT = Path(__file__).parents[1]


@pytest.fixture
def var(tmp_path: Path) -> Path:
    """Make a folder with a run, a key, a history, a secret and a ledger."""
    root = tmp_path / "var"
    publish(root, ["c1", "a/b"])
    write_history(root, make_orders(10))
    state = State.of(Layout(root))
    make(state)
    Keys(state).add("first", ["predictions:read"])
    (root / "private/pepper").write_bytes(b"p" * 32)
    (root / "private/pepper").chmod(0o600)
    for name in ("ledger/s_0001.parquet", "bundles/churn-1/manifest.json", "metrics/8000/counter_1.db"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def serve(var: Path, secret: str) -> dict[str, object]:
    """Return one customer as a fresh service answers."""
    app = create_app(Environment(var=var, log="off"))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        assert client.get("/v1/models/current").status_code == 401
        answer = client.get("/v1/customers/a/b/predictions", headers={"authorization": f"Bearer {secret}"})
        assert answer.status_code == 200
        return dict(answer.json())


def test_what_is_restored_is_served(var: Path, tmp_path: Path) -> None:
    _, secret = Keys(State.of(Layout(var))).add("second", ["predictions:read"])
    before = serve(var, secret)
    back_up(Layout(var), tmp_path / "backup")
    shutil.rmtree(var)
    restore(tmp_path / "backup", Layout(var))
    assert serve(var, secret) == before
    assert History.open(var / "history").read("order_lines").height == len(make_orders(10))
    assert (var / "private/pepper").read_bytes() == b"p" * 32
    assert (var / "ledger/s_0001.parquet").read_bytes() == b"ledger/s_0001.parquet"
    assert not (var / "metrics").exists()


def test_secrets_stay_with_their_owner(var: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    back_up(Layout(var), backup)
    assert backup.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in (backup / "files").rglob("*") if path.is_file())
    restore(backup, Layout(tmp_path / "new"))
    for name in ("private", "state"):
        assert (tmp_path / "new" / name).stat().st_mode & 0o777 == 0o700
    for name in ("private/pepper", "private/keys-were-made", "state/state.sqlite"):
        assert (tmp_path / "new" / name).stat().st_mode & 0o777 == 0o600
    run = tmp_path / "new/scores/runs/s_0001.sqlite"
    assert run.stat().st_mode & 0o777 == (var / "scores/runs/s_0001.sqlite").stat().st_mode & 0o777


def test_a_copy_made_while_others_write_is_of_one_moment(var: Path, tmp_path: Path) -> None:
    """Keys come in pairs, runs and generations one after the other; every copy holds whole ones only."""
    is_over, heights = threading.Event(), {len(make_orders(10)), len(make_orders(5))}
    writers = [threading.Thread(target=write_on, args=(var, is_over, write)) for write in (add_pair, add_run)]
    for writer in writers:
        writer.start()
    try:
        for number in range(5):
            back_up(Layout(var), tmp_path / f"backup-{number}")
    finally:
        is_over.set()
        for writer in writers:
            writer.join()
    for number in range(5):
        root = tmp_path / f"new-{number}"
        restore(tmp_path / f"backup-{number}", Layout(root))
        names = [key.name for key in Keys(State.of(Layout(root))).list_all()]
        assert names.count("left") == names.count("right")
        app = create_app(Environment(var=root, log="off"))
        with TestClient(app, base_url="http://127.0.0.1:8000") as client:
            assert client.get("/readyz").status_code == 200
        assert History.open(root / "history").read("order_lines").height in heights


def write_on(var: Path, is_over: threading.Event, write: Callable[[Path], None]) -> None:
    while not is_over.wait(0.02):
        write(var)


def add_pair(var: Path) -> None:
    """Add two keys in one transaction."""
    from serving.state.tables import KEYS

    now = datetime.now(UTC).isoformat(timespec="seconds")
    with State.of(Layout(var)).writing() as connection:
        for name in ("left", "right"):
            key_id = f"k_{os.urandom(6).hex()}"
            values = {"key_id": key_id, "name": name, "digest": key_id, "scopes": "admin", "created_at": now}
            connection.execute(KEYS.insert().values(calls_per_minute=60, **values))


def add_run(var: Path) -> None:
    publish(var, ["c1", "a/b"])
    write_history(var, make_orders(5), previous=History.open(var / "history"))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda backup: flip(backup / "files/scores/runs/s_0001.sqlite"), "s_0001.sqlite is not what was"),
        (lambda backup: (backup / "files/private/pepper").unlink(), "private/pepper is missing"),
        (lambda backup: (backup / "files/private/more").write_bytes(b""), "private/more is too much"),
        (lambda backup: link(backup / "files/private/pepper"), "private/pepper is not what was"),
        (lambda backup: (backup / "manifest.json").write_text("{"), "is no back-up"),
        (lambda backup: (backup / "manifest.json").unlink(), "is no back-up"),
        (lambda backup: rename_in_manifest(backup, "../../escaped"), "escaped is missing"),
        (lambda backup: set_format(backup, 2), "has format 2, this release reads 1"),
    ],
)
def test_a_damaged_back_up_is_refused(
    var: Path, tmp_path: Path, damage: Callable[[Path], object], told: str
) -> None:
    backup = tmp_path / "backup"
    back_up(Layout(var), backup)
    damage(backup)
    with pytest.raises(BackupError, match=told):
        restore(backup, Layout(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def link(path: Path) -> None:
    """Put a link to the same bytes in the place of a file."""
    other = path.parents[2] / "elsewhere"
    path.rename(other)
    path.symlink_to(other)


def rename_in_manifest(backup: Path, name: str) -> None:
    manifest = json.loads((backup / "manifest.json").read_text())
    manifest["files"][name] = manifest["files"].pop("private/pepper")
    (backup / "manifest.json").write_text(json.dumps(manifest))
    (backup / "files/private/pepper").unlink()


def set_format(backup: Path, number: int) -> None:
    manifest = json.loads((backup / "manifest.json").read_text())
    (backup / "manifest.json").write_text(json.dumps(manifest | {"format": number}))


def test_a_folder_with_something_in_it_is_left_alone(var: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    back_up(Layout(var), backup)
    before = sorted(path.name for path in var.rglob("*"))
    with pytest.raises(BackupError, match="is not empty: stop the service and move the folder away"):
        restore(backup, Layout(var))
    assert sorted(path.name for path in var.rglob("*")) == before
    with pytest.raises(BackupError, match="is there already"):
        back_up(Layout(var), backup)
    assert len(verified(backup).files) > 5
    with pytest.raises(BackupError, match="holds nothing"):
        back_up(Layout(tmp_path / "nothing"), tmp_path / "another")


def test_a_damaged_database_is_not_backed_up(var: Path, tmp_path: Path) -> None:
    path = var / "state/state.sqlite"
    content = bytearray(path.read_bytes())
    content[5_000:9_000] = b"x" * 4_000
    path.write_bytes(content)
    with pytest.raises(BackupError, match="put the last back-up back"):
        back_up(Layout(var), tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
    assert not list(tmp_path.glob(".backup*"))


def registry_of(layout: Layout) -> MlflowClient:
    """Return a client of a layout's own database, whatever other tests told MLflow."""
    uri = f"sqlite:///{layout.mlflow / 'mlflow.db'}"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def test_models_are_found_where_they_were_put(tmp_path: Path) -> None:
    """MLflow keeps whole addresses; those of its own folder move with it."""
    old, new = Layout(tmp_path / "old var"), Layout(tmp_path / "new")
    old.mlflow.mkdir(parents=True)
    client = registry_of(old)
    experiment = client.create_experiment("e", (old.mlflow / "artifacts").as_uri())
    run = client.create_run(experiment)
    client.log_text(run.info.run_id, "here", "note.txt")
    client.create_registered_model("m")
    client.create_model_version("m", f"{run.info.artifact_uri}/note.txt", run.info.run_id)
    back_up(old, tmp_path / "backup")
    restore(tmp_path / "backup", new)
    shutil.rmtree(old.root)
    moved = registry_of(new)
    found = moved.download_artifacts(run.info.run_id, "note.txt", str(tmp_path))
    assert Path(found).read_text() == "here"
    (version,) = moved.search_model_versions("name = 'm'")
    assert version.source.startswith((new.mlflow / "artifacts").as_uri())
    assert moved.get_experiment(experiment).artifact_location.startswith(new.mlflow.as_uri())


def run_command(*words: str, var: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "serving.backup", *words]
    environment = {**os.environ, "VAR": str(var)}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)


def test_the_command_says_what_is_not_in_it(
    var: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGULARS_DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:1/d")
    done = run_command("--to", str(tmp_path / "backup"), var=var)
    assert (done.returncode, done.stderr) == (0, "")
    assert "score runs lie in PostgreSQL and are not in it: take them with pg_dump before" in done.stdout
    assert "hunter2" not in done.stdout


def test_the_command_makes_checks_and_restores(var: Path, tmp_path: Path) -> None:
    backup, new = tmp_path / "backup", tmp_path / "new"
    for words, where in (("--to", var), ("--check", var), ("--restore", new)):
        done = run_command(words, str(backup), var=where)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.count("\n") == 1
    assert [key.name for key in Keys(State.of(Layout(new))).list_all()] == ["first"]
    refused = run_command("--restore", str(backup), var=new)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert refused.stderr.startswith("error: ")
    assert run_command(var=new).returncode == 2
