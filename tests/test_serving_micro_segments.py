"""The tree of micro-segments: sizes by hand, floors, conditions that hold whom they say, the page."""

from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from segment_shop import publish_customers
from serving_runs import publish
from starlette.testclient import TestClient
from test_serving_api import open_client

from serving.databases import open_state
from serving.environment import Environment
from serving.scoring.micro_segments import micro_segments, persona_of
from serving.state.migrate import make

HOSTILE = '"><script>alert(1)</script>\\'
# stage, group, category, how many
GROUPS = (
    ("loyal", "CHAMPIONS", "Tea", 4),
    ("loyal", "CHAMPIONS", HOSTILE, 3),
    ("loyal", "CHAMPIONS", None, 3),
    ("loyal", "CHAMPIONS", "Mugs", 1),
    ("loyal", "LOYAL", "Tea", 2),
    ("loyal", None, "Tea", 1),
    ("lapsed", "DORMANT", "Tea", 2),
    ("new", None, None, 1),
)


def customers(*groups: tuple[str | None, str | None, str | None, int], **more: Any) -> list[dict[str, Any]]:
    rows = [
        {"lifecycle_stage": stage, "rfm_segment": group, "favourite_category": category}
        for stage, group, category, count in groups
        for _ in range(count)
    ]
    told = {"acquisition_channel": None, "historic_clv": 10.0, "predicted_clv_90": 2.5} | more
    return [told | row | {"customer_id": f"c{number:02}"} for number, row in enumerate(rows)]


def tree(rows: list[dict[str, Any]], floor: int = 3) -> dict[str, Any]:
    names = ("acquisition_channel", "lifecycle_stage", "rfm_segment", "favourite_category")
    schema = dict.fromkeys(names, pl.String) | dict.fromkeys(("historic_clv", "predicted_clv_90"), pl.Float64)
    return micro_segments(pl.DataFrame(rows, schema=schema), leaf_customers_min=floor)


def outline(branches: list[dict[str, Any]]) -> list[Any]:
    return [
        (
            each["value"] or each["kind"],
            each["customer_count"],
            *([outline(each["branches"])] if each["branches"] else []),
        )
        for each in branches
    ]


def test_customers_stand_where_they_belong() -> None:
    found = tree(customers(*GROUPS))
    assert found["levels"] == ["lifecycle_stage", "rfm_segment", "favourite_category"]
    assert outline(found["branches"]) == [
        (
            "loyal",
            14,
            [("CHAMPIONS", 11, [("Tea", 4), (HOSTILE, 3), ("unknown", 3), ("other", 1)]), ("other", 3)],
        ),
        ("other", 3),
    ]
    loyal, rest = found["branches"]
    assert (loyal["share"], loyal["historic_clv"], loyal["expected_revenue"]) == (0.823529, 140.0, 35.0)
    assert (rest["is_small"], rest["historic_clv"], rest["condition"]) == (
        False,
        30.0,
        'lifecycle_stage not in ["loyal"]',
    )
    mugs = loyal["branches"][0]["branches"][3]
    assert (mugs["is_small"], mugs["historic_clv"], mugs["expected_revenue"]) == (True, None, None)


def leaves(branches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [leaf for each in branches for leaf in (leaves(each["branches"]) or [each])]


def test_every_condition_holds_as_many_as_it_says_and_everybody_once(tmp_path: Path) -> None:
    rows = customers(*GROUPS)
    publish_customers(tmp_path, rows)
    make(open_state(Environment(var=tmp_path)))
    ends = leaves(tree(rows)["branches"])
    with open_client(tmp_path) as client:
        for leaf in ends:
            answer = client.post("/v1/segments/count", json={"text": leaf["condition"]})
            assert answer.json()["member_count"] == leaf["customer_count"], leaf["condition"]
    assert sum(leaf["customer_count"] for leaf in ends) == len(rows)


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        # No categories; no groups either; one customer; all alike.
        (
            customers(("loyal", "LOYAL", None, 3), ("new", "NEW", None, 3)),
            [("loyal", 3, [("LOYAL", 3)]), ("new", 3, [("NEW", 3)])],
        ),
        (customers(("loyal", None, None, 3), ("new", None, None, 3)), [("loyal", 3), ("new", 3)]),
        (customers(("new", None, None, 1)), []),
        (customers((None, None, None, 9)), []),
        # Groups that are all too small: categories are told all the same.
        (
            customers(("loyal", "LOYAL", "Tea", 2), ("loyal", "ACTIVE", "Tea", 2)),
            [("loyal", 4, [("Tea", 4)])],
        ),
    ],
)
def test_a_level_that_divides_nobody_is_left_out(rows: list[dict[str, Any]], wanted: list[Any]) -> None:
    assert outline(tree(rows)["branches"]) == wanted


def test_a_shop_that_knows_its_channels_is_divided_by_them() -> None:
    channels = ["ads"] * 3 + ["mail"] * 3 + [None] * 6
    frame = pl.DataFrame({"acquisition_channel": channels})
    assert persona_of(frame, 3) == "acquisition_channel"
    assert persona_of(frame, 4) == "lifecycle_stage"
    assert persona_of(frame.vstack(pl.DataFrame({"acquisition_channel": [None]}, frame.schema)), 3) == (
        "lifecycle_stage"
    )


def test_at_most_twelve_values_have_a_branch_and_long_conditions_no_link() -> None:
    many = [("loyal", None, f"{'long' * 40} {number:02}", 3) for number in range(20)]
    (loyal,) = tree(customers(*many))["branches"]
    assert len(loyal["branches"]) == 13
    assert loyal["branches"][0]["condition"].startswith(
        'lifecycle_stage == "loyal" and favourite_category =='
    )
    assert (loyal["branches"][12]["customer_count"], loyal["branches"][12]["condition"]) == (24, None)


def page_of(var: Path, document: Any, **headers: str) -> str:
    publish(var, ["c1"], documents={} if document is None else {"micro_segments": document})
    with open_client(var) as client:
        return opened(client, **headers)


def opened(client: TestClient, **headers: str) -> str:
    answer = client.get("/micro-segments", headers=headers)
    assert answer.status_code == 200
    return answer.text


def test_the_page_opens_branch_by_branch_and_nothing_in_it_runs(tmp_path: Path) -> None:
    page = page_of(tmp_path, orjson.loads(orjson.dumps(tree(customers(*GROUPS)))))
    assert page.count("<details><summary>") == 2
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "€140 so far, €35.00 expected within 90 days" in page
    assert "too small to read" in page
    with open_client(tmp_path) as client:
        korean = opened(client, **{"accept-language": "ko"})
    assert "너무 적어 읽을 수 없음" in korean


def test_a_shop_too_small_or_of_an_earlier_release_says_so(tmp_path: Path) -> None:
    assert "no group reaches 3 customers" in page_of(tmp_path, tree(customers(("new", None, None, 1))))
    assert "earlier release" in page_of(tmp_path, None)
