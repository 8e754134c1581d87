"""What is said while one writes a condition and while the set-up works, in every language."""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_runs import publish
from test_serving_api import open_client

from features.condition_functions import FUNCTIONS
from serving.cluster.workers import SHOWN
from serving.console.completion_words import FUNCTION_WORDS, meanings_in
from serving.console.progress_words import say_progress
from serving.console.tongues import tongue
from serving.databases import open_state
from serving.environment import Environment
from serving.segments.words import MEANINGS, SEGMENTS
from serving.setup_run import SetupStatus
from serving.state.migrate import make

ROOT = Path(__file__).parents[1]
STEPS = (
    "features/ingest.py",
    "features/loading.py",
    "training/train.py",
    "training/backtest.py",
    "serving/score.py",
    "serving/scoring/shop.py",
)


def is_korean(text: str) -> bool:
    return re.search("[가-힣]", text) is not None


def announced(path: str) -> Iterator[str]:
    """Yield every text that a step announces, 7 in its gaps, and a task before a model's name."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "announce":
            said = node.args[0]
            for part in (said.body, said.orelse) if isinstance(said, ast.IfExp) else (said,):
                yield written(part).replace("7: 7", "churn: 7")


def written(part: ast.expr) -> str:
    if isinstance(part, ast.JoinedStr):
        return "".join(written(each) for each in part.values)
    return str(part.value) if isinstance(part, ast.Constant) else "7"


@pytest.mark.parametrize("path", STEPS)
def test_all_that_a_step_announces_is_said_in_korean(path: str) -> None:
    lines = list(announced(path))
    assert lines
    assert [line for line in lines if not is_korean(say_progress(tongue("ko"), line))] == []


@pytest.mark.parametrize("shown", sorted(set(SHOWN.values())))
def test_the_buckets_of_a_scoring_run_are_counted_in_korean(shown: str) -> None:
    assert is_korean(say_progress(tongue("ko"), f"{shown} 7 of 64"))


@pytest.mark.parametrize(
    ("line", "korean", "english"),
    [
        ("bucket 2 of 8", "고객 8묶음 중 2번째", "customers, part 2 of 8"),
        ("clv: lightgbm", "예상 지출 모델: lightgbm", "model of the expected spend: lightgbm"),
        ("churn as of 2026-01-31", "2026-01-31 기준 이탈 위험", "churn risk as of 2026-01-31"),
        ("100 % done", "100 % done", "100 % done"),
    ],
)
def test_a_line_as_it_is_read(line: str, korean: str, english: str) -> None:
    assert (say_progress(tongue("ko"), line), say_progress(tongue("en"), line)) == (korean, english)


def test_the_page_says_the_line_in_the_readers_language(tmp_path: Path) -> None:
    with open_client(tmp_path) as client:
        folder = tmp_path / "setup"
        folder.mkdir()
        status = SetupStatus(state="running", pid=os.getpid(), step=4, line="bucket 2 of 8")
        (folder / "status.json").write_text(status.model_dump_json())
        assert "고객 8묶음 중 2번째" in client.get("/setup", headers={"accept-language": "ko"}).text
        assert "customers, part 2 of 8" in client.get("/setup").text


def test_every_completion_has_a_meaning_in_every_language() -> None:
    korean = meanings_in(tongue("ko"))
    assert korean.keys() == {*SEGMENTS.attributes, *FUNCTIONS}
    assert [name for name, meaning in korean.items() if not is_korean(meaning)] == []
    assert meanings_in(tongue("en")) == MEANINGS
    assert {name: function.meaning for name, function in FUNCTIONS.items()} == FUNCTION_WORDS


def test_a_completion_is_explained_in_korean(tmp_path: Path) -> None:
    make(open_state(Environment(var=tmp_path)))
    publish(tmp_path, ["c1"])
    wanted = {"text": "historic_c", "cursor": 10}
    with open_client(tmp_path) as client:
        for language, meaning in (("ko", "지금까지의 구매 금액"), ("en", MEANINGS["historic_clv"])):
            answer = client.post("/segments/look", json=wanted, headers={"accept-language": language})
            assert answer.json()["completions"][0]["meaning"] == meaning
