"""The pages for Braze and Klaviyo: every block runs as it stands, against fakes that keep to their limits."""

import os
import re
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from export_shop import open_api, open_bench, publish_scores, serving
from fake_braze import FakeBraze
from fake_klaviyo import FakeKlaviyo
from pytest_httpserver import HTTPServer
from serving_runs import publish

from serving.state.keys import Keys

ROOT = Path(__file__).parents[1]
LIST = "regulars_list_at_risk"


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def run_block(script: str, **environment: str) -> None:
    done = subprocess.run(
        ["bash", "-c", script], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def wait_for_run(address: str, key: str, score_run_id: str) -> None:
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{address}/v1/audiences", headers={"authorization": f"Bearer {key}"}
    )
    for _ in range(600):
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            if f'"{score_run_id}"'.encode() in answer.read():
                return
        time.sleep(0.02)
    raise AssertionError(f"{score_run_id} did not go live")


@pytest.mark.slow
def test_the_braze_script_keeps_profiles_as_the_lists_are(tmp_path: Path, httpserver: HTTPServer) -> None:
    braze = FakeBraze(httpserver, key="b")
    bench = open_bench(tmp_path)
    first = {f"c{number}": {} for number in range(200)}
    publish_scores(tmp_path, first)
    key = Keys(bench.state).add("sync", ["audiences:read"])[1]
    (script,) = blocks("connect-braze.md", "bash")
    with serving(bench) as (address, _):
        environment = {
            "REGULARS_URL": address,
            "REGULARS_KEY": key,
            "BRAZE_URL": httpserver.url_for("").rstrip("/"),
            "BRAZE_KEY": "b",
        }
        run_block(script, **environment)
        assert braze.sizes == [75, 75, 50]
        assert {c for c, user in braze.users.items() if user[LIST]} == set(first)
        paid = braze.data_points
        run_block(script, **environment)  # nothing changed: nothing is sent
        assert braze.data_points == paid
        publish_scores(tmp_path, first | {"c7": {"risk_band": "low"}}, listed=[c for c in first if c != "c7"])
        wait_for_run(address, key, "s_0002")
        run_block(script, **environment)
    assert braze.refused == []
    assert braze.data_points == paid + 2
    assert (braze.users["c7"][LIST], braze.users["c7"]["regulars_risk_band"]) == (False, "low")


@pytest.mark.slow
def test_the_klaviyo_script_keeps_profiles_as_the_lists_are(tmp_path: Path, httpserver: HTTPServer) -> None:
    klaviyo = FakeKlaviyo(httpserver, key="k")
    bench = open_bench(tmp_path)
    ids = [f"c{number}" for number in range(12_000)]
    publish_scores(tmp_path, {c: {} for c in ids})
    key = Keys(bench.state).add("sync", ["audiences:read"])[1]
    (script,) = blocks("connect-klaviyo.md", "bash")
    with serving(bench) as (address, _):
        environment = {
            "REGULARS_URL": address,
            "REGULARS_KEY": key,
            "KLAVIYO_URL": httpserver.url_for("").rstrip("/"),
            "KLAVIYO_KEY": "k",
        }
        run_block(script, **environment)
        assert klaviyo.refused == []
        assert klaviyo.sizes == [10_000, 2_000]
        assert {c for c, known in klaviyo.profiles.items() if known[LIST]} == set(ids)
        assert klaviyo.profiles["c7"]["regulars_churn_probability"] == 0.49


@pytest.mark.slow
def test_a_script_stops_where_the_platform_refuses(tmp_path: Path, httpserver: HTTPServer) -> None:
    FakeBraze(httpserver, key="another")
    bench = open_bench(tmp_path)
    publish_scores(tmp_path, {"c1": {}})
    key = Keys(bench.state).add("sync", ["audiences:read"])[1]
    (script,) = blocks("connect-braze.md", "bash")
    with serving(bench) as (address, _), pytest.raises(AssertionError, match="400"):
        run_block(
            script,
            REGULARS_URL=address,
            REGULARS_KEY=key,
            BRAZE_URL=httpserver.url_for("").rstrip("/"),
            BRAZE_KEY="b",
        )


def resolve(answer: Any, path: str) -> Any:
    """Follow a template's dotted path; fails where the answer has no such name."""
    for name in path.split("."):
        assert name in answer, path
        answer = answer[name]
    return answer


@pytest.mark.parametrize("customer_id", ["c1", "a/b", "김철수", "nobody at all"])
@pytest.mark.parametrize("number", [0, 1])
def test_every_name_in_a_braze_template_is_in_the_answer(
    tmp_path: Path, number: int, customer_id: str
) -> None:
    template = blocks("connect-braze.md", "liquid")[number]
    publish(tmp_path)
    bench = open_bench(tmp_path)
    key = Keys(bench.state).add("braze", ["predictions:read"])[1]
    (url, saved), *_ = re.findall(r"connected_content (\S+) :basic_auth regulars .*:save (\w+)", template)
    path = url.removeprefix("https://scores.example.com").replace(
        "{{id}}", urllib.request.pathname2url(customer_id).replace("/", "%2F")
    )
    with open_api(tmp_path) as client:
        answer = client.get(path, auth=(key, "any-word"), follow_redirects=False)
    assert answer.status_code == 200
    assert len(answer.content) < 1_000_000
    outer = re.findall(rf"\b{saved}\.([a-z_.]+)", template.replace(url, ""))
    assert outer
    for name in outer:
        resolve(answer.json(), name)
    for name in re.findall(r"\bplace\.([a-z_.]+)", template):
        for place in answer.json()["lists"]["for_you"]:
            resolve(place, name)


def test_klaviyos_names_are_names_of_the_api(tmp_path: Path) -> None:
    page = (ROOT / "docs/connect-klaviyo.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (?:`(\w+)`)? ?\|$", page, flags=re.MULTILINE)
    assert len(rows) == 9
    publish(tmp_path, ["c1"])
    with open_api(tmp_path) as client:
        score = client.get("/v1/customers/c1/predictions").json()
    assert all(own == klaviyo and own in score for klaviyo, own, _ in rows)
    (template,) = blocks("connect-klaviyo.md", "liquid")
    assert re.findall(r"lookup:'(\w+)'", template) == ["regulars_risk_band"]
