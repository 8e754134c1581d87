"""Documentation is tested: links resolve, targets exist, figures and names are the program's own."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from features.layout import Layout
from serving.rows import COLUMNS

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("README*.md")), ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}


def make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))


@pytest.mark.parametrize("page", TEXTS)
def test_every_relative_link_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", TEXTS[page])
    broken = [
        link for link in links if "://" not in link and not (ROOT / page).parent.joinpath(link).exists()
    ]
    assert broken == []


def headings_of(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", TEXTS)
def test_every_anchor_is_a_heading(page: str) -> None:
    broken = []
    for link, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", TEXTS[page]):
        target = (ROOT / page).parent.joinpath(link) if link else ROOT / page
        if target.suffix == ".md" and anchor not in headings_of(target.read_text(encoding="utf-8")):
            broken.append(f"{link}#{anchor}")
    assert broken == []


@pytest.mark.parametrize("page", TEXTS)
def test_every_make_target_that_is_named_exists(page: str) -> None:
    named = set(re.findall(r"`make ([a-z][a-z-]*)", TEXTS[page]))
    named |= set(re.findall(r"^\s*\$?\s*make ([a-z][a-z-]*)", TEXTS[page], flags=re.MULTILINE))
    assert named - make_targets() == set()


@pytest.mark.parametrize("page", TEXTS)
def test_every_module_that_a_page_calls_exists(page: str) -> None:
    named = re.findall(r"python3? -m ([A-Za-z_][\w.]*\w)", TEXTS[page])
    assert [name for name in named if not _can_be_run(name)] == []


def _can_be_run(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def test_make_help_lists_every_target() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make ([a-z-]+)", shown, flags=re.MULTILINE)) == make_targets()


def test_the_api_page_names_every_score_column() -> None:
    missing = [column.name for column in COLUMNS if f"`{column.name}`" not in TEXTS["docs/api.md"]]
    assert missing == []


COMMANDS = (
    "features.ingest",
    "features.build",
    "features.rfm_report",
    "features.retention_report",
    "training.train",
    "training.backtest",
    "training.promote",
    "training.ledger",
    "training.cohorts",
    "training.tracking",
    "serving",
    "serving.score",
    "serving.explain",
    "serving.jobs",
    "serving.audiences.outcomes",
    "serving.hooks",
    "serving.fold",
    "serving.backup",
    "serving.privacy",
    "serving.webhooks",
    "serving.deliver",
    "serving.worker",
)
ALL_HELP = """
import contextlib, io, json, runpy, sys
shown = {}
for module in sys.argv[1:]:
    sys.argv, out = [module, "--help"], io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as stopped:
            shown[module] = [stopped.code, out.getvalue()]
print(json.dumps(shown))
"""


def test_every_command_shows_its_help() -> None:
    """All in one process: what most of them load takes seconds."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::RuntimeWarning", "-c", ALL_HELP, *COMMANDS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert [module for module in COMMANDS if shown[module][0] not in (0, None)] == []
    assert [module for module in COMMANDS if "Usage" not in shown[module][1]] == []


def test_nothing_in_the_repository_names_a_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    homes = re.compile(r"(?<![\w.])/(?:home|root|Users|work)/\w")
    found = []
    for name in listed.splitlines():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".txt", ".yml", ""} and path.is_file():
            found += [name for line in path.read_text(encoding="utf-8").splitlines() if homes.search(line)]
    assert found == [], "paths of a machine"


def test_everything_written_lies_under_one_folder() -> None:
    root = Path("somewhere")
    places = [
        getattr(Layout(root), name) for name in dir(Layout) if not name.startswith("_") and name != "root"
    ]
    assert all(place.is_relative_to(root) for place in places)


FAULTS = sorted({f"F{number}" for number in range(1, 31)} - {"F16", "F26", "F27"}, key=lambda f: int(f[1:]))


def test_every_fault_is_in_the_table_with_a_test_or_a_reason() -> None:
    rows = re.findall(
        r"^\| (F\d+) \|.*?\| ([^|]*) \| ([^|]*) \|$", TEXTS["docs/faults.md"], flags=re.MULTILINE
    )
    assert [fault for fault, _, _ in rows] == FAULTS
    assert [
        fault for fault, reason, tests in rows if "::test_" not in tests and "does not" not in reason
    ] == []


@pytest.mark.parametrize("page", TEXTS)
def test_every_test_that_is_named_exists(page: str) -> None:
    named = re.findall(r"`(tests/test_\w+\.py)::(\w+)`", TEXTS[page])
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).exists() or f"\ndef {test}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_a_test_that_is_said_to_run_with_all_is_slow() -> None:
    named = re.findall(r"`(tests/test_\w+\.py)::(\w+)` \(all", TEXTS["docs/faults.md"])
    assert len(named) >= 8
    for file, test in named:
        before = (ROOT / file).read_text(encoding="utf-8").split(f"\ndef {test}(")[0]
        assert "@pytest.mark.slow" in before.rpartition("\n\n\n")[2], test
