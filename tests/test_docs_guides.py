"""The pages for marketers name nothing that is not there: words, routes, commands, settings, columns."""

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import date

import pytest
from starlette.routing import Match
from test_docs import ROOT, TEXTS, headings_of, make_targets
from test_serving_guard import ROUTES

from features.audience_settings import DEFAULT_AUDIENCES
from features.item_filter import FilterError, compile_filter
from features.settings import Settings
from features.tables import TABLES
from features.winback import FULLY_CHURNED_DEFAULT, WinbackRule, winback_schedule
from serving import wording
from serving.audiences.outcomes import HORIZONS_DAYS
from serving.changes.lifecycle import EVENTS
from serving.console import catalogue
from serving.console.tongues import DEFAULT, tongue
from serving.console.words import BASES, GROUPS, METHODS, SEGMENTS, STAGES
from serving.environment import Environment
from serving.exports.member_csv import HEADER
from serving.rows import COLUMNS, NULL_REASONS
from serving.schemas.export_request import ExportRequest
from serving.scoring.audience_rules import compile_audiences
from serving.scoring.stages import STAGES as STAGE_RULES
from serving.scoring.warnings import FEW_CUSTOMERS
from serving.web.scope_names import SCOPES
from serving.web.scopes import ScopedRoute

FAQ, ENGLISH, KOREAN = "docs/faq.md", "docs/marketer.md", "docs/marketer.ko.md"
GUIDES = {FAQ: "en", ENGLISH: "en", KOREAN: "ko", "README.ko.md": "ko"}
"""Every page for marketers and the language that it is written in."""

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DESCRIBED = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))["paths"]


def query_names(route: ScopedRoute, method: str) -> set[str]:
    """Return what a route reads of a query: calls as they are described, pages by their handler."""
    described = DESCRIBED.get(route.path_format, {}).get(method.lower(), {}).get("parameters", [])
    names = {parameter["name"] for parameter in described if parameter["in"] == "query"}
    return names | {parameter.alias for parameter in route.dependant.query_params}


QUERY_NAMES = {
    name
    for route in ROUTES
    if isinstance(route, ScopedRoute)
    for method in route.methods
    for name in query_names(route, method)
}
WORDS = {
    *(column.name for column in COLUMNS),
    *HEADER,
    *(column.name for table in TABLES.values() for column in table.columns),
    *NULL_REASONS,
    *STAGES,
    *GROUPS,
    *METHODS,
    *BASES,
    *EVENTS,
    *QUERY_NAMES,
}
"""Names of columns, codes, stages, groups, methods, events and parameters."""


def prose_of(page: str) -> str:
    return re.sub(r"^```.*?^```$", "", TEXTS[page], flags=re.DOTALL | re.MULTILINE)


def codes_of(page: str) -> list[str]:
    return re.findall(r"`([^`]+)`", prose_of(page))


def sentences_of(language: str) -> set[str]:
    """Return what the console says in a language, with its blanks."""
    messages = catalogue.said() if language == DEFAULT else catalogue.read(language)
    found = set()
    for message in messages:
        said = message.id if language == DEFAULT else message.string
        found |= {text.replace("%%", "%") for text in (said if isinstance(said, tuple) else (said,))}
    return found


def is_route(code: str) -> bool:
    """Say whether `/path?query` or `METHOD /path` is answered, with these names in its query."""
    method, _, address = code.rpartition(" ")
    path, _, query = address.partition("?")
    scope = {"type": "http", "method": method or "GET", "path": path, "headers": []}
    for route in ROUTES:
        if isinstance(route, ScopedRoute) and route.matches(scope)[0] is Match.FULL:
            given = {part.partition("=")[0] for part in query.split("&") if part}
            return given <= query_names(route, method or "GET")
    return False


def is_make(code: str) -> bool:
    """Say whether targets exist and the first takes the variables: `make erase ID=1063`."""
    words = code.split()[1:]
    targets = [word for word in words if "=" not in word]
    recipe = re.search(rf"^{re.escape(targets[0])}:(?:.*\n)(?:\t.*\n)*", MAKEFILE, flags=re.MULTILINE)
    given = [word.partition("=")[0] for word in words if "=" in word]
    are_known = {target for target in targets if not target.startswith(".venv/.")} <= make_targets()
    return are_known and all(recipe is not None and f"$({name})" in recipe[0] for name in given)


def setting_of(path: str) -> object:
    """Return the value that a setting is delivered with; raises `KeyError` where there is none."""
    value: object = Settings().model_dump()
    for name in path.split("."):
        if not isinstance(value, dict):
            raise KeyError(path)
        value = value[name]
    return value


def is_setting(code: str) -> bool:
    """Say whether `section.key` is a setting, and `section.key = value` one with this value."""
    path, _, value = code.partition(" = ")
    try:
        found = setting_of(path)
    except KeyError:
        return False
    return not value or tomllib.loads(f"value = {value}")["value"] == found


def is_file(code: str) -> bool:
    """Say whether a file is in the repository, or is written by the program under its last name."""
    name = code.rpartition("/")[2]
    sources = [path for room in ("features", "serving", "training") for path in (ROOT / room).rglob("*.py")]
    return (ROOT / code).exists() or any(
        f'"{name}"' in text or f"/{name}" in text
        for text in (path.read_text(encoding="utf-8") for path in sources)
    )


def is_filter(code: str) -> bool:
    try:
        compile_filter(code)
    except FilterError:
        return False
    return True


def is_parameter(code: str) -> bool:
    """Say whether `name=value` or `name: value` is sent with some call."""
    name = re.split(r"=|: ", code)[0]
    return name in QUERY_NAMES or name in ExportRequest.model_fields


KINDS = (
    (r"(?:(?:GET|POST) )?/[^ ]*", is_route),
    (r"make .+", is_make),
    (r"REGULARS_\w+", lambda code: code.removeprefix("REGULARS_").lower() in Environment.model_fields),
    (r"[\w./-]+\.(?:toml|csv|html|parquet|md|json)", is_file),
    (r"\w+\.\w+(?: = .+)?", is_setting),
    (r"\w+(?:=|: ).+", is_parameter),
    (r"\w+(?:, \w+)+", lambda code: set(code.split(", ")) <= WORDS),
)
"""How each kind of code is written, and what says whether it is there."""


def is_known(code: str) -> bool:
    """Say whether a piece of code on a page is something that is there."""
    for pattern, is_there in KINDS:
        if re.fullmatch(pattern, code):
            return is_there(code)
    return code in WORDS or code in SCOPES or is_filter(code)


@pytest.mark.parametrize("page", GUIDES)
def test_everything_in_code_is_there(page: str) -> None:
    # The system's own package is no part of the project.
    named = [code for code in codes_of(page) if not code.startswith("apt-get ")]
    assert len(named) >= 10
    assert [code for code in named if not is_known(code)] == []


@pytest.mark.parametrize(
    "invented",
    [
        "/lists/at-risk/nobody/here",
        "/nowhere",
        "GET /v1/nothing",
        "POST /v1/changes",
        "/v1/audiences/at-risk/export.csv?wine=4",
        "make coffee",
        "make erase NOBODY=1063",
        "make score nothing",
        "REGULARS_NOTHING",
        "control.share = 0.2",
        "control.nothing",
        "nowhere.toml",
        "private/nobody.parquet",
        "wine=red",
        "customer_id, wine",
        "nothing_of_the_kind",
        "nothing:read",
        "in_stock and wine < 20",
    ],
)
def test_what_is_not_there_would_be_noticed(invented: str) -> None:
    assert not is_known(invented)


@pytest.mark.parametrize(("page", "language"), GUIDES.items())
def test_what_is_bold_is_a_word_of_the_console(page: str, language: str) -> None:
    said = sentences_of(language)
    assert [bold for bold in re.findall(r"\*\*(.+?)\*\*", prose_of(page)) if bold not in said] == []


@pytest.mark.parametrize(("page", "language"), GUIDES.items())
def test_what_is_quoted_is_said_by_the_console(page: str, language: str) -> None:
    reasons = wording.LANGUAGES[language].sentences.values()
    said = sentences_of(language) | {sentence for group in reasons for sentence in group}
    quoted = [quote.split("…") for quote in re.findall(r"“(.+?)”", prose_of(page))]
    assert [parts for parts in quoted if not any(_holds(sentence, parts) for sentence in said)] == []


def _holds(sentence: str, parts: list[str]) -> bool:
    """Say whether a sentence has these parts in their order, whatever stands between them."""
    place = 0
    for part in parts:
        found = sentence.find(part.strip(), place)
        if found < 0:
            return False
        place = found + len(part.strip())
    return True


def lists_in(page: str) -> Iterator[str]:
    yield from re.findall(r"^```toml\n(.*?)^```$", TEXTS[page], flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", [ENGLISH, KOREAN])
def test_the_list_to_copy_is_a_list(page: str) -> None:
    (text,) = lists_in(page)
    audiences = Settings.model_validate(tomllib.loads(text)).audiences
    (added,) = audiences.keys() - DEFAULT_AUDIENCES.keys()
    assert added in [rule.slug for rule in compile_audiences(audiences)]


def test_the_questions_explain_every_reason_for_a_missing_number() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", TEXTS[FAQ], flags=re.MULTILINE)
    assert set(NULL_REASONS) <= set(rows)


@pytest.mark.parametrize("page", [ENGLISH, KOREAN])
def test_a_guide_has_every_stage_once(page: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", TEXTS[page], flags=re.MULTILINE)
    assert sorted(rows) == sorted(STAGE_RULES)


def test_the_korean_guide_calls_stages_as_the_console_does() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", TEXTS[KOREAN], flags=re.MULTILINE))
    assert rows == {stage: tongue("ko").say(word) for stage, word in STAGES.items()}


def test_both_guides_name_the_same_things() -> None:
    assert set(codes_of(KOREAN)) == set(codes_of(ENGLISH))
    assert len(headings_of(TEXTS[KOREAN])) == len(headings_of(TEXTS[ENGLISH])) == 11
    for sign in ("\n1. ", "\n5. ", "\n- ", "\n|"):
        assert TEXTS[KOREAN].count(sign) == TEXTS[ENGLISH].count(sign)


def test_both_readmes_begin_with_the_same_commands() -> None:
    first = [TEXTS[page].split("```")[1] for page in ("README.md", "README.ko.md")]
    assert first[0] == first[1]
    assert "make demo" in first[0]


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("README.md", "README.ko.md"),
        ("README.ko.md", "README.md"),
        ("README.md", "docs/faq.md"),
        ("README.md", "docs/marketer.md"),
        ("README.md", "docs/marketer.ko.md"),
        ("README.ko.md", "docs/marketer.ko.md"),
        ("docs/marketer.md", "marketer.ko.md"),
        ("docs/marketer.ko.md", "marketer.md"),
        ("docs/faq.md", "marketer.md"),
    ],
)
def test_pages_lead_to_each_other(page: str, link: str) -> None:
    assert f"]({link})" in TEXTS[page]


def test_every_question_is_in_the_list_at_the_top() -> None:
    top = TEXTS[FAQ].split("\n## ")[0]
    questions = headings_of(TEXTS[FAQ]) - {"questions"}
    assert {f"#{question}" for question in questions} == set(re.findall(r"\]\((#[\w-]+)\)", top))


def test_numbers_in_the_pages_are_those_of_the_program() -> None:
    assert f"fewer than {FEW_CUSTOMERS} customers" in TEXTS[FAQ]
    days = [str(horizon) for horizon in HORIZONS_DAYS]
    assert f"After {days[0]}, {days[1]} and {days[2]} days" in TEXTS[ENGLISH]
    assert f"{days[0]}일, {days[1]}일, {days[2]}일이 지나면" in TEXTS[KOREAN]
    assert "seventeen are there to copy" in TEXTS[ENGLISH]
    assert "기본 세그먼트가 열일곱 개" in TEXTS[KOREAN]
    assert len(SEGMENTS) == 17
    assert "All ten stages" in TEXTS[FAQ]
    assert len(STAGE_RULES) == 10
    assert Environment.model_fields["stale_after_days"].default == 14
    assert "older than a fortnight" in TEXTS[ENGLISH]
    assert "2주가 넘은" in TEXTS[KOREAN]
    assert "churn_probability_365 < 0.9" in DEFAULT_AUDIENCES["win-back"].rule
    assert "at least one in ten orders again within a year" in TEXTS[ENGLISH].replace("\n", " ")


def test_the_win_back_plan_is_the_one_that_is_told() -> None:
    rule, english, korean = WinbackRule(), *(TEXTS[page].replace("\n", " ") for page in (ENGLISH, KOREAN))
    click, purchase = rule.after_click.months, rule.after_purchase.months
    assert f"{click} months after the last click, or {purchase} months after the last order" in english
    assert f"마지막 클릭 {click}개월 뒤 또는 마지막 주문 {purchase}개월 뒤" in korean
    assert f"at most every {rule.step_months_max} months" in english
    assert f"간격은 길어도 {rule.step_months_max}개월" in korean
    assert f"it is {FULLY_CHURNED_DEFAULT.months} months" in english
    assert f"알 수 없으면 {FULLY_CHURNED_DEFAULT.months}개월" in korean


def test_the_example_of_a_win_back_plan_comes_out() -> None:
    clicked = date(2026, 1, 15)
    dates = winback_schedule(last_purchase_on=date(2025, 11, 20), last_click_on=clicked).message_dates
    months = [12 * (day.year - clicked.year) + day.month - clicked.month for day in dates]
    assert months == [3, 5, 7, 9]
    assert "after 3, 5, 7 and 9 months" in TEXTS[ENGLISH]
    assert "3, 5, 7, 9개월" in TEXTS[KOREAN]
