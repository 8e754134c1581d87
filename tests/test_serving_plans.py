"""Whom of a live list it pays to contact: figures by hand, consent, control group, overlays, wrong calls."""

import json
from pathlib import Path
from typing import Any

import pytest
from export_shop import follow, open_api, publish_scores
from serving_runs import COMPLETE
from starlette.testclient import TestClient

from features.delivery_settings import CampaignSettings
from features.settings import Settings, ShopSettings
from serving.audiences.campaigns import usual_margin
from serving.schemas.base import Problem
from serving.schemas.plan_request import PlanShape

# As in tests/test_features_profit.py: value_at_risk is churn x spend, so spends are 200, 200, 10 and 420.
FOUR: dict[str, dict[str, Any]] = {
    "1": {"churn_probability": 0.9, "value_at_risk": 180.0},
    "2": {"churn_probability": 0.5, "value_at_risk": 100.0},
    "3": {"churn_probability": 0.9, "value_at_risk": 9.0},
    "4": {"churn_probability": 1.0, "value_at_risk": 420.0},
}
CAMPAIGN = {"margin_share": 0.5, "offer_cost": 10.0, "contact_cost": 1.0, "response_share": 0.1}
PLAN = "/v1/audiences/at-risk/plan"


def planned(client: TestClient, **campaign: Any) -> dict[str, Any]:
    answer = client.post(PLAN, json=CAMPAIGN | campaign)
    assert answer.status_code == 200, answer.text
    PlanShape.model_validate_json(answer.text)
    found: dict[str, Any] = answer.json()
    return found


def test_a_plan_is_what_is_reckoned_by_hand(tmp_path: Path) -> None:
    publish_scores(tmp_path, FOUR)
    with open_api(tmp_path) as client:
        plan = planned(client)
    assert [point["profit"] for point in plan["curve"]] == [0.0, 19.0, 25.1, 23.6, 21.15]
    assert (plan["best"]["contact_count"], plan["best"]["hits"], plan["best"]["false_alarms"]) == (
        2,
        1.9,
        0.1,
    )
    assert plan["bands"] == {"high": 2, "medium": 0, "low": 2}
    assert [(c["customer_id"], c["expected_profit"]) for c in plan["contacts"]] == [("4", 19.0), ("1", 6.1)]
    assert (plan["median_spend_if_order"], plan["break_even_probability"]) == (200.0, 0.578947)
    assert plan["assumptions"]["margin_source"] == "call"
    assert plan["warnings"] == []


def test_nobody_and_a_budget(tmp_path: Path) -> None:
    publish_scores(tmp_path, FOUR)
    with open_api(tmp_path) as client:
        assert planned(client, offer_cost=500.0)["best"]["contact_count"] == 0
        tight = planned(client, budget=4.0)
        assert (tight["best"]["contact_count"], tight["best"]["cost"]) == (1, 2.0)
        assert planned(client, limit=1)["contacts"] == tight["contacts"]


def test_what_is_left_out_is_assumed_and_said(tmp_path: Path) -> None:
    publish_scores(tmp_path, FOUR)
    with open_api(tmp_path) as client:
        plan = client.post(PLAN, json={}).json()
    assert plan["warnings"] == ["margin_assumed", "nothing_costs"]
    assert plan["assumptions"] == {
        **CampaignSettings().model_dump(),
        "margin_source": "campaign",
        "budget": None,
    }
    assert plan["best"]["contact_count"] == 4


def test_the_control_group_and_who_has_no_score_are_left_out_and_counted(tmp_path: Path) -> None:
    people: dict[str, dict[str, Any]] = {f"{n:03}": dict(FOUR["4"]) for n in range(200)}
    unknown = ("churn_probability", "value_at_risk")
    reasons = json.loads(COMPLETE["null_reasons"]) | dict.fromkeys(unknown, "no_model")
    people["007"] = {**dict.fromkeys(unknown), "null_reasons": json.dumps(reasons)}
    consent = json.loads(COMPLETE["null_reasons"]) | {"email_consent": "no_consent_data"}
    people["008"] |= {"email_consent": None, "null_reasons": json.dumps(consent)}
    publish_scores(tmp_path, people, share=0.3)
    with open_api(tmp_path) as client:
        plan = planned(client, limit=1000)
        held = client.get("/v1/audiences/at-risk/members?control=only&limit=1000").json()["members"]
    left_out = {member["customer_id"] for member in held}
    assert plan["control_group_share"] == 0.3
    assert plan["control_group_count"] == len(left_out) > 0
    assert plan["unscored_count"] == ("007" not in left_out)
    assert plan["unknown_consent_count"] == ("008" not in left_out)
    chosen = {contact["customer_id"] for contact in plan["contacts"]}
    assert not chosen & left_out
    assert len(chosen) == plan["member_count"] == 200 - len(left_out) - plan["unscored_count"]


def test_a_newer_run_is_planned_anew(tmp_path: Path) -> None:
    publish_scores(tmp_path, FOUR)
    with open_api(tmp_path) as client:
        assert planned(client)["member_count"] == 4
        publish_scores(tmp_path, {"4": FOUR["4"]})
        follow(client)
        assert planned(client)["member_count"] == 1


def test_an_empty_list_is_planned_too(tmp_path: Path) -> None:
    publish_scores(tmp_path, FOUR, listed=[])
    with open_api(tmp_path) as client:
        plan = planned(client)
    assert (plan["member_count"], plan["median_spend_if_order"], len(plan["curve"])) == (0, None, 1)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"margin_share": 1.5}, "/body/margin_share"),
        ({"offer_cost": "ten"}, "/body/offer_cost"),
        ({"secret": 1}, "/body"),
        ([], "/body"),
        ({"response_share": 0.2, "response_high": 0.1}, "/body/response_share"),
    ],
)
def test_a_wrong_campaign_is_named_and_not_repeated(tmp_path: Path, body: Any, pointer: str) -> None:
    publish_scores(tmp_path, FOUR)
    with open_api(tmp_path) as client:
        answer = client.post(PLAN, content=json.dumps(body))
        assert answer.status_code == 422
        assert [error.pointer for error in Problem.model_validate_json(answer.text).errors] == [pointer]
        assert "secret" not in answer.text
        assert "ten" not in answer.text.replace("instance", "")
        assert client.post("/v1/audiences/none/plan", json={}).status_code == 404


def test_whose_word_the_margin_is(tmp_path: Path) -> None:
    publish_scores(tmp_path, FOUR)
    with open_api(tmp_path) as client:
        meta = client.app.state.context.runs.current().meta  # type: ignore[attr-defined]
    assert usual_margin(meta, Settings()) == (0.5, "campaign")
    assert usual_margin(meta, Settings(shop=ShopSettings(margin_share=0.3))) == (0.3, "shop")
    assert usual_margin(meta.model_copy(update={"clv_basis": "margin"}), Settings()) == (1.0, "basis")
