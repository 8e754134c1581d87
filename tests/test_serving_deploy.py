"""The units of systemd, the Dockerfile and what enters the image: rules that hold without either at hand."""

import configparser
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from serving_runs import publish
from test_serving_server import serving

from serving.environment import Environment
from serving.health import is_ready

ROOT = Path(__file__).parents[1]
UNITS = ROOT / "deploy/systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
TIMERS = sorted(path.name for path in UNITS.glob("*.timer"))
PYTHON = "/opt/regulars/.venv/bin/python"
MODULE = re.compile(r"^ExecStart=\S+/python -m (\S+)$", re.MULTILINE)
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_units_are_those_of_the_page() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    assert TIMERS == ["regulars-refresh.timer", "regulars-retrain.timer"]
    assert all(f"`{name}`" in page for name in (*SERVICES, *TIMERS))
    assert all((UNITS / name.replace(".timer", ".service")).exists() for name in TIMERS)


@pytest.mark.parametrize("name", SERVICES)
def test_every_command_of_a_unit_exists(name: str) -> None:
    text = (UNITS / name).read_text()
    modules = MODULE.findall(text)
    assert len(modules) == text.count("ExecStart=") > 0
    for module in modules:
        if module == "serving.worker" and importlib.util.find_spec(module) is None:
            pytest.skip("this release has no worker")
        assert importlib.util.find_spec(module) is not None


def test_every_setting_is_on_the_page() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    told = set(re.findall(r"^\| `REGULARS_([A-Z_]+)`", page, re.MULTILINE))
    assert {name.upper() for name in Environment.model_fields} == told


def test_the_jobs_do_what_the_make_targets_do() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for job in ("refresh", "retrain"):
        recipe = re.search(rf"^{job}:.*\n\t@\$\(MAKE\) --no-print-directory (.+)$", makefile, re.MULTILINE)
        assert recipe is not None
        run = [target_module(makefile, target) for target in recipe[1].split()]
        assert MODULE.findall((UNITS / f"regulars-{job}.service").read_text()) == run


def target_module(makefile: str, target: str) -> str:
    """Return what a target without parameters runs: the last module of its recipe."""
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    return re.findall(r"\$\(RUN\) ([a-z_.]+)", recipe[1])[-1]


def test_nothing_is_left_open() -> None:
    """The drop-in holds for every unit whose name begins with `regulars-`."""
    assert all(name.startswith("regulars-") for name in SERVICES)
    common = configparser.ConfigParser(strict=False, allow_no_value=True)
    common.optionxform = str  # type: ignore[assignment,method-assign]
    common.read(UNITS / "regulars-.service.d/common.conf")
    service = common["Service"]
    assert service["User"] == "regulars"
    assert (service["ProtectSystem"], service["UMask"]) == ("strict", "0077")
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == ""
    closed = ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "RestrictNamespaces")
    assert all(service[name] == "yes" for name in closed)
    for name in SERVICES:
        assert "User=" not in (UNITS / name).read_text()


def test_the_server_may_end_what_it_has_begun() -> None:
    text = (UNITS / "regulars-serve.service").read_text()
    seconds = int(re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[0])
    assert seconds > Environment().drain_seconds
    assert "\nKillMode=mixed\n" in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    shutil.copytree(UNITS, tmp_path / "units")
    for path in (tmp_path / "units").rglob("*.service"):
        if path.is_file():
            path.write_text(
                path.read_text().replace(PYTHON, sys.executable).replace("file:///opt", "file:///")
            )
    files = [str(tmp_path / "units" / name) for name in (*SERVICES, *TIMERS)]
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files], capture_output=True, text=True, check=False
    )
    # It speaks of the machine's own units as well.
    assert "regulars-" not in verified.stderr
    for name in SERVICES:
        command = [
            "systemd-analyze",
            "security",
            "--offline=true",
            "--threshold=20",
            str(tmp_path / "units" / name),
        ]
        exposed = subprocess.run(command, capture_output=True, text=True, check=False)
        assert exposed.returncode == 0, exposed.stdout


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their words, lines joined and comments left out."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def test_the_image_is_small_locked_and_runs_as_nobody_special() -> None:
    found = instructions()
    images = [rest.split()[0] for word, rest in found if word == "FROM"]
    assert all(re.fullmatch(r"python:3\.\d+-slim-\w+", image) for image in images)
    runs = [rest for word, rest in found if word == "RUN"]
    installs = [step for run in runs for step in run.split("&&") if "pip install" in step]
    assert len(installs) == 2
    assert all("--require-hashes" in step for step in installs)
    (apt,) = (run for run in runs if "apt-get" in run)
    assert "--no-install-recommends libgomp1" in apt
    assert "rm -rf /var/lib/apt/lists/*" in apt
    assert [rest for word, rest in found if word == "USER"] == ["10001:10001"]
    assert not [word for word, _ in found if word == "ADD"]
    last = [word for word, _ in found]
    assert last.index("USER") < last.index("HEALTHCHECK") < last.index("ENTRYPOINT")
    assert dict(found)["ENTRYPOINT"] == '["python", "-m"]'


def test_what_is_copied_exists_and_passes_the_ignore_file() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        source
        for word, rest in instructions()
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert copied == let_in
    assert all((ROOT / source).exists() for source in copied)


def test_the_health_check_asks_the_service_that_runs(tmp_path: Path) -> None:
    publish(tmp_path, ["c1"])
    with serving(tmp_path) as (_, port):
        assert is_ready(Environment(port=port))
        assert is_ready(Environment(host="0.0.0.0", port=port))  # noqa: S104
        (tmp_path / "scores/runs/s_0001.sqlite").unlink()
        assert not is_ready(Environment(port=port))
    assert not is_ready(Environment(port=port))
