"""The CSV of a list: byte-exact, complete, in order; and harmless in a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving_runs import NASTY_IDS, meta, publish, stored_row
from starlette.testclient import TestClient
from test_serving_api import open_client

from features.audience_settings import DEFAULT_AUDIENCES
from features.spreadsheet import excel_cell
from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.exports.actions import CODES, REST_FROM, suggester
from serving.exports.csv_lines import CHUNK_ROWS
from serving.exports.member_csv import HEADER, LINE_NAMES
from serving.scoring.stages import STAGES
from serving.state.migrate import make
from serving.state.overlays import Overlays, Rescored
from serving.store.records import AudienceCounts

URL = "/v1/audiences/at-risk/export.csv"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    var = tmp_path_factory.mktemp("var")
    graded = {"churn": meta().models["churn"].model_copy(update={"grade": "F"})}
    publish(var, (*NASTY_IDS, *(f"c{number}" for number in range(CHUNK_ROWS + 20))), models=graded)
    with open_client(var) as opened:
        yield opened


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_every_member_is_there_byte_for_byte_and_in_order(client: TestClient) -> None:
    answer = client.get(URL)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="at-risk-2026-11-22.csv"'
    rows = read(answer.content)
    assert [row["customer_id"] for row in rows][: len(NASTY_IDS)] == list(NASTY_IDS)
    assert len(rows) == len(NASTY_IDS) + CHUNK_ROWS + 20
    assert tuple(rows[0]) == HEADER
    assert answer.content.startswith(b"customer_id,")


def test_a_row_says_why_and_what_to_offer(client: TestClient) -> None:
    row = read(client.get(URL).content)[0]
    assert row["reasons"] == "143 days since the last order; the usual gap is 41"
    assert (row["top_recommendation"], row["top_recommendation_name"]) == ("00007", "Mug")
    assert (row["churn_probability"], row["email_consent"], row["value_at_risk"]) == ("0.49", "true", "31.4")
    assert (row["as_of"], row["score_run_id"]) == ("2026-11-22", "s_0001")
    assert row["churn_grade"] == "F"


def test_a_row_says_what_usually_helps(client: TestClient) -> None:
    row = read(client.get(URL).content)[0]
    assert row["lifecycle_stage"] == "slipping"
    assert row["suggested_action"] == "remind"
    assert row["suggested_action_text"] == "remind of what they buy; no discount yet"
    # Every stage of a customer with orders has an action; a prospect is on no list.
    assert set(CODES) == STAGES.keys() - {"prospect"}
    assert suggester("en")("lost", 0.3) == ("let_rest", "let rest")


def test_who_lapsed_is_won_back_or_let_rest_by_their_chance_of_coming() -> None:
    suggested = suggester("en")
    assert suggested("lapsed", 0.89).code == "win_back"
    assert suggested("lapsed", 0.9).code == "let_rest"
    assert suggested("lapsed", None).code == "win_back"
    # Those with two orders are at this stage too: no word of the second.
    assert suggested("onboarding", 0.5) == (
        "ease_next_order",
        "make the next order easy, and show what else there is",
    )
    assert suggested(None, 0.95) == suggested("prospect", 0.95) == (None, None)
    assert f"churn_probability_365 >= {REST_FROM}" in DEFAULT_AUDIENCES["dormant"].rule
    assert f"churn_probability_365 < {REST_FROM}" in DEFAULT_AUDIENCES["win-back"].rule
    # Who is let rest as lost is on no list of whom to win back.
    assert 'lifecycle_stage == "lapsed"' in DEFAULT_AUDIENCES["win-back"].rule


def test_the_file_of_the_dormant_says_let_rest(tmp_path: Path) -> None:
    publish(tmp_path, ["c1"], lifecycle_stage="lapsed", lapsed=1, churn_probability_365=0.95)
    with open_client(tmp_path) as client:
        (row,) = read(client.get(URL).content)
        pages = [client.get(address).text for address in ("/lists/at-risk", "/customers/c1")]
    assert (row["suggested_action"], row["suggested_action_text"]) == ("let_rest", "let rest")
    assert all("→ let rest" in page for page in pages)
    assert not any("win back, by the dates" in page for page in pages)
    assert 'id="winback"' not in pages[1]


def test_reasons_and_actions_are_in_the_language_that_is_asked_for(client: TestClient) -> None:
    english, korean = read(client.get(URL).content)[0], read(client.get(f"{URL}?language=ko").content)[0]
    assert korean["suggested_action"] == english["suggested_action"] == "remind"
    assert korean["suggested_action_text"] == suggester("ko")("slipping", None).text
    assert re.search("[가-힣]", korean["suggested_action_text"])
    assert english["reasons"].startswith("143 days since the last order")
    assert re.match("마지막 주문 후 143일", korean["reasons"])
    others = english.keys() - {"reasons", "suggested_action_text"}
    assert all(korean[name] == english[name] for name in others)
    assert client.get(f"{URL}?language=fr").status_code == 422


def test_kept_lines_are_english_and_no_other_language(tmp_path: Path) -> None:
    publish(tmp_path, ["c1"], lines=[b"c1,kept"], line_columns=list(LINE_NAMES))
    with open_client(tmp_path) as client:
        assert client.get(URL).content.splitlines()[1] == b"c1,kept,false,0.0"
        (row,) = read(client.get(f"{URL}?language=ko").content)
    assert re.search("[가-힣]", row["reasons"])


def test_lines_of_other_columns_are_made_anew(tmp_path: Path) -> None:
    older = [name for name in LINE_NAMES if not name.startswith("suggested_action")]
    for columns in ([], older):
        publish(tmp_path, ["c1"], lines=[b"c1,of an older release"], line_columns=columns)
        with open_client(tmp_path) as client:
            (row,) = read(client.get(URL).content)
        assert (row["customer_id"], row["suggested_action"], row["churn_grade"]) == ("c1", "remind", "")
    publish(tmp_path, ["c1"], lines=[b"c1,kept"], line_columns=list(LINE_NAMES))
    with open_client(tmp_path) as client:
        assert client.get(URL).content.splitlines()[1] == b"c1,kept,false,0.0"


def test_excel_gets_a_mark_and_no_formula(client: TestClient) -> None:
    content = client.get(f"{URL}?format=excel").content
    assert content.startswith(b"\xef\xbb\xbf")
    rows = read(content)
    shown = dict(zip(NASTY_IDS, (row["customer_id"] for row in rows), strict=False))
    assert shown["=1+1"] == "'=1+1"
    assert shown["@x"] == "'@x"
    assert shown["00123"] == '="00123"'
    assert shown["김철수"] == "김철수"
    assert rows[0]["top_recommendation"] == '="00007"'


def test_a_filter_counts_for_the_file_too(client: TestClient) -> None:
    assert read(client.get(f"{URL}?min_clv=122.5").content) == []


def test_kept_lines_are_streamed_and_who_was_scored_again_is_made(tmp_path: Path) -> None:
    ids = [f"c{number}" for number in range(CHUNK_ROWS + 20)]
    environment = Environment(var=tmp_path)
    with open_store(environment).begin_run() as writer:
        writer.write_scores(stored_row(customer) for customer in ids)
        writer.write_audience("at-risk", ids, [f"{customer},kept".encode() for customer in ids])
        counts = AudienceCounts(member_count=len(ids), control_group_share=0.3)
        writer.publish(meta(audiences={"at-risk": counts}, line_columns=list(LINE_NAMES)))
    state = open_state(environment)
    make(state)
    with state.writing() as connection:
        rescored = [
            Rescored("c1", stored_row("c1", value_at_risk=99.5), {}, b"", ("at-risk",)),
            Rescored("c2", stored_row("c2"), {}, b""),
        ]
        Overlays(state).put_in(connection, "s_0001", rescored, inbox_sequence=0)
    with open_client(tmp_path) as client:
        lines = client.get(f"{URL}?control=include").content.splitlines()[1:]
        assert len(lines) == len(ids) - 1
        assert lines[0] in (b"c0,kept,true,0.3", b"c0,kept,false,0.3")
        made = read(client.get(f"{URL}?control=include&items=1").content)
        assert [row["customer_id"] for row in made] == [line.split(b",")[0].decode() for line in lines]
        assert (made[1]["customer_id"], made[1]["value_at_risk"]) == ("c1", "99.5")
        (again,) = [line for line in lines if line.startswith(b"c1,")]
        assert again.decode() == ",".join(list(made[1].values())[: len(HEADER)])


@given(st.text(max_size=12))
def test_no_cell_begins_a_formula_except_quoted_digits(text: str) -> None:
    cell = excel_cell(text)
    if cell.startswith("="):
        assert cell == f'="{text}"'
        assert text.isdigit()
    else:
        assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert text in cell
