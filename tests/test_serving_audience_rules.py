"""Rules of lists: what they mean on hand-made rows, whom consent leaves out, whom the control group holds."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from serving_runs import COMPLETE

from features.audience_settings import DEFAULT_AUDIENCES
from features.delivery_settings import ControlSettings
from features.item_filter import compile_filter
from features.settings import Settings
from serving.audiences.control_group import ControlGroup
from serving.rows import STORED
from serving.scoring.audience_rules import (
    AudienceError,
    AudienceList,
    build_audiences,
    compile_audiences,
    days_until_due,
)

GROUP = ControlGroup(b"k" * 32)
_TYPES: dict[str, Any] = {
    "string": pl.String,
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
    "date": pl.Date,
    "datetime": pl.Datetime("us", "UTC"),
}
NOTHING_DUE = pl.DataFrame(schema={"customer_id": pl.String, "due_in_days": pl.Float64})


def rows(*customers: dict[str, Any]) -> pl.DataFrame:
    """Return typed rows; what a customer does not say is as in the complete example, with no dates."""
    complete = {
        column.name: None if column.kind in ("date", "datetime") else COMPLETE.get(column.name)
        for column in STORED
    }
    flags = {column.name for column in STORED if column.kind == "boolean"}
    typed = [
        {name: bool(v) if name in flags and v is not None else v for name, v in (complete | c).items()}
        for c in customers
    ]
    schema = {column.name: _TYPES.get(column.kind, pl.String) for column in STORED}
    return pl.DataFrame(typed, schema=schema)


def listed(table: pl.DataFrame, due: pl.DataFrame = NOTHING_DUE, **audience: str) -> AudienceList:
    """Return the only list of a shop whose rule is given."""
    settings = Settings.model_validate({"audiences": {"one": {"title": "One", **audience}}})
    rules = compile_audiences({"one": settings.audiences["one"]})
    (made,) = build_audiences(table, due, rules, control=ControlSettings(), group=GROUP)
    return made


def members(table: pl.DataFrame, due: pl.DataFrame = NOTHING_DUE, **audience: str) -> str:
    return "".join(listed(table, due, **audience).customer_ids)


SHOP = rows(
    {"customer_id": "a", "risk_band": "high", "lapsed": False, "value_at_risk": 5.0, "predicted_clv": 10.0},
    {"customer_id": "b", "risk_band": "high", "lapsed": None, "value_at_risk": 7.0, "predicted_clv": 20.0},
    {"customer_id": "c", "risk_band": "high", "lapsed": True, "value_at_risk": 9.0, "predicted_clv": 30.0},
    {"customer_id": "d", "risk_band": "low", "lapsed": False, "value_at_risk": None, "predicted_clv": 30.0},
    {"customer_id": "e", "risk_band": "high", "lapsed": False, "value_at_risk": 7.0, "email_consent": None},
    {"customer_id": "x", "risk_band": "high", "lapsed": False, "value_at_risk": 99.0, "email_consent": 0},
)


@pytest.mark.parametrize(
    ("rule", "order", "wanted"),
    [
        ('risk_band == "high" and lapsed != true', "value_at_risk desc", "bea"),
        ('risk_band == "high" and not lapsed', "value_at_risk asc", "abe"),
        ("lapsed", "predicted_clv desc", "c"),
        ("lapsed is null", "predicted_clv desc", "b"),
        ("20 <= predicted_clv < 100", "predicted_clv desc, customer_id desc", "dcb"),
        ("value_at_risk >= 0 or value_at_risk is null", "value_at_risk desc", "cbead"),
        ('customer_id in ["d", "a", "nobody"]', "customer_id desc", "da"),
        ("predicted_clv > 1000", "predicted_clv desc", ""),
    ],
)
def test_a_rule_and_its_order(rule: str, order: str, wanted: str) -> None:
    assert members(SHOP, rule=rule, order=order) == wanted


def test_whoever_refused_contact_is_counted_and_in_no_list() -> None:
    counts = listed(SHOP, rule='risk_band == "high" and lapsed != true').counts
    assert (counts.member_count, counts.refused_count, counts.unknown_consent_count) == (3, 1, 1)
    assert counts.value_at_risk_total == 19.0
    assert (counts.title, counts.order) == ("One", "predicted_clv desc")
    assert counts.rule == 'risk_band == "high" and lapsed != true'


def test_dates_and_instants_are_compared_as_they_are_written() -> None:
    table = rows(
        {"customer_id": "a", "last_order_at": datetime(2026, 7, 2, 10, 11, tzinfo=UTC)},
        {"customer_id": "b", "next_order_p50_date": date(2026, 12, 1)},
    )
    assert members(table, rule='last_order_at < "2026-07-02T10:11:01Z"') == "a"
    assert members(table, rule='next_order_p50_date >= "2026-12-01"') == "b"


def lists(*places: tuple[str, str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(places, columns=["customer_id", "kind", "reason", "value"])


def test_what_is_nearest_to_its_due_day_counts() -> None:
    due = days_until_due(
        lists(
            ("a", "buy_again", "due_again", -40.0),
            ("a", "buy_again", "due_again", 3.0),
            ("a", "buy_again", "due_again", -3.0),
            ("b", "buy_again", "due_again", 14.0),
            ("c", "for_you", "due_again", 0.0),
            ("d", "buy_again", "due_again", float("nan")),
        )
    )
    assert dict(due.iter_rows()) == {"a": -3.0, "b": 14.0}
    assert members(SHOP, due, rule="-7 <= due_in_days <= 7") == "a"
    assert members(SHOP, due, rule="due_in_days is not null", order="due_in_days asc") == "ab"
    assert days_until_due(lists()).is_empty()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"rule": "churn > 0.5"},
            r"\[audiences.vip\] rule: there is no column .churn.; .*churn_prob",
        ),
        ({"rule": "lapsed and"}, r"\[audiences.vip\] rule: write a condition such as: risk_band == "),
        ({"rule": "predicted_clv"}, "rule: only extrapolated, lapsed, .* are a condition by itself"),
        ({"rule": 'predicted_clv > "5"'}, "rule: predicted_clv is compared with a number"),
        ({"rule": 'lapsed or __import__("os")'}, "rule: there is no such function; did you mean days_ago"),
        (
            {"rule": "lapsed", "order": "clv desc"},
            "order: there is no column .clv.; write columns",
        ),
        ({"rule": "lapsed", "order": "predicted_clv"}, "order: after 'predicted_clv' stands ''; write"),
        ({"rule": "lapsed", "order": "predicted_clv down"}, "order: after 'predicted_clv' stands 'down'"),
    ],
)
def test_a_mistake_names_list_and_column_and_what_is_allowed(entry: dict[str, str], said: str) -> None:
    settings = Settings.model_validate({"audiences": {"vip": {"title": "V", **entry}}})
    with pytest.raises(AudienceError, match=said):
        compile_audiences(settings.audiences)


def test_a_list_that_is_turned_off_is_not_made() -> None:
    settings = Settings.model_validate({"audiences": {"at-risk": {"enabled": False}}})
    assert "at-risk" not in {rule.slug for rule in compile_audiences(settings.audiences)}


def test_lists_built_in_tell_customers_apart() -> None:
    base = {"risk_band": "low", "lapsed": False, "rfm_segment": "ACTIVE", "is_in_top_share": False}
    silent = {"lapsed": True, "historic_number_of_orders": 3, "risk_band": "high"}
    lapsed, lost = ({**silent, "lifecycle_stage": stage} for stage in ("lapsed", "lost"))
    table = rows(
        {"customer_id": "r", **base, "risk_band": "high"},
        {"customer_id": "w", **base, **lapsed, "churn_probability_365": 0.5},
        {"customer_id": "d", **base, **lapsed, "churn_probability_365": 0.95},
        {"customer_id": "l", **base, **lost, "churn_probability_365": 0.5},
        {"customer_id": "c", **base, "rfm_segment": "CHAMPIONS"},
        {"customer_id": "t", **base, "rfm_segment": "top"},
        {"customer_id": "1", **base, "historic_number_of_orders": 1},
        {"customer_id": "h", **base, "is_in_top_share": True},
    )
    due = pl.DataFrame({"customer_id": ["r", "h"], "due_in_days": [7.0, -8.0]})
    rules = compile_audiences(DEFAULT_AUDIENCES)
    made = build_audiences(table, due, rules, control=ControlSettings(), group=GROUP)
    assert {audience.slug: "".join(sorted(audience.customer_ids)) for audience in made} == {
        "at-risk": "r",
        "win-back": "w",
        "champions": "ct",
        "one-time-buyers": "1",
        "high-value": "h",
        "dormant": "dl",
        "replenishment-due": "r",
    }


def test_products_are_asked_for_as_before() -> None:
    assert compile_filter("in_stock").sql == "coalesce(in_stock = 1, FALSE)"


def crowd(count: int) -> pl.DataFrame:
    return rows(*({"customer_id": f"c{number}"} for number in range(count)))


def test_a_list_of_five_hundred_has_a_control_group_and_a_smaller_one_has_none() -> None:
    counts = listed(crowd(500), rule="lapsed == false").counts
    assert counts.control_group_share == 0.1
    drawn = sum(GROUP.holds("one", f"c{number}", share=0.1) for number in range(500))
    assert counts.control_group_count == drawn
    assert 25 <= drawn <= 75
    assert counts.member_count == 500
    small = listed(crowd(499), rule="lapsed == false").counts
    assert (small.control_group_share, small.control_group_count) == (0.0, 0)


def test_a_person_stays_in_and_lists_draw_by_themselves() -> None:
    ids = [f"c{number}" for number in range(10_000)]
    tenth = {c for c in ids if GROUP.holds("at-risk", c, share=0.1)}
    fifth = {c for c in ids if GROUP.holds("at-risk", c, share=0.2)}
    other = {c for c in ids if GROUP.holds("win-back", c, share=0.1)}
    assert 900 <= len(tenth) <= 1_100
    assert tenth < fifth
    # Drawn independently: of one group about a tenth is in the other too.
    assert 60 <= len(tenth & other) <= 140
    assert not any(GROUP.holds("at-risk", c, share=0.0) for c in ids)
    assert {c for c in ids if ControlGroup(b"x" * 32).holds("at-risk", c, share=0.1)} != tenth


def test_the_draw_is_the_one_that_is_written_down() -> None:
    """HMAC-SHA256 of list, NUL and id; its first 8 bytes as a share of all."""
    assert [c for c in "abcdefghijklmnopqrstuvwxyz" if GROUP.holds("at-risk", c, share=0.1)] == ["x"]


def test_the_secret_is_made_once(tmp_path: Path) -> None:
    first = ControlGroup.of(tmp_path / "private")
    again = ControlGroup.of(tmp_path / "private")
    ids = [f"c{number}" for number in range(1_000)]
    assert [first.holds("a", c, share=0.5) for c in ids] == [again.holds("a", c, share=0.5) for c in ids]
    assert (tmp_path / "private/control.key").stat().st_mode & 0o777 == 0o600
