"""Hand-made score runs for the serving tests, written through the real store."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from features.slots import Slot, pack_slots
from serving.databases import open_store
from serving.environment import Environment
from serving.rows import NULLABLE_NAMES, STORED_NAMES
from serving.segments.traits import ATTRIBUTE_NAMES
from serving.store.records import AudienceCounts, ChampionCard, Item, RunMeta

NASTY_IDS = (
    "00123",
    "NA",
    "null",
    "NaN",
    "1e5",
    "=1+1",
    "a/b",
    "a//b",
    "../x",
    "x/predictions",
    "김철수",
    "%2f",
    "%00",
    "' OR 1=1--",
    "🙂",
    "e\u0301",
    "\u00e9",
    "trail ",
    " lead",
    "+44",
    "a+b",
    "a&b=c",
    "a?b#c",
    "a;b,c",
    '"q"',
    "\u202eabc",
    "<b>x</b>",
    "-1",
    "@x",
    "x" * 256,
)

COMPLETE: dict[str, Any] = {
    "status": "ok",
    "method": "ml",
    "as_of": "2026-11-22",
    "churn_probability": 0.49,
    "churn_probability_30": 0.71,
    "churn_probability_60": 0.58,
    "churn_probability_90": 0.49,
    "churn_probability_180": 0.33,
    "churn_probability_365": 0.27,
    "extrapolated": 0,
    "churn_percentile": 91,
    "risk_band": "high",
    "lapsed": 0,
    "reactivation_probability": None,
    "second_order_probability_60": None,
    "next_order_p25_date": "2026-12-11",
    "next_order_p50_date": "2027-02-17",
    "next_order_p75_date": None,
    "expected_date_of_next_order": "2027-02-17",
    "predicted_number_of_orders": 1.9,
    "historic_number_of_orders": 7,
    "average_days_between_orders": 41.0,
    "average_order_value": 57.3,
    "predicted_clv": 122.0,
    "predicted_clv_low": 0.0,
    "predicted_clv_median": 96.0,
    "predicted_clv_high": 301.0,
    "predicted_clv_30": 14.0,
    "predicted_clv_90": 40.0,
    "predicted_clv_180": 70.0,
    "predicted_clv_365": 122.0,
    "spend_if_order_low": 20.0,
    "spend_if_order_high": 400.0,
    "clv_method": "ml",
    "historic_clv": 401.0,
    "total_clv": 523.0,
    "is_in_top_share": 1,
    "makes_most_revenue": 1,
    "value_at_risk": 31.4,
    "rfm_recency": 2,
    "rfm_frequency": 3,
    "rfm_monetary": 3,
    "rfm_segment": "PREVIOUSLY_LOYAL",
    "lifecycle_stage": "slipping",
    "email_consent": 1,
    "last_order_at": "2026-07-02T10:11:00Z",
    "churn_reference": 0.31,
    "reasons": json.dumps(
        [
            {
                "code": "gap_over_usual",
                "direction": "up",
                "effect": 0.18,
                "values": {"days": 143, "usual_days": 41},
            }
        ]
    ),
    "null_reasons": json.dumps(
        {
            "reactivation_probability": "not_lapsed",
            "second_order_probability_60": "not_one_order",
            "next_order_p75_date": "beyond_365_days",
        }
    ),
    "quality": json.dumps({"grade": None, "beats_baseline": True}),
}

LIST = (
    Slot(1, 0.75, "bought_before", "personalised", value=3),
    Slot(0, 0.5, "like_what_you_buy", "personalised", evidence_no=1),
)
POPULAR = (Slot(0, 0.5, "popular", "fallback", value=12),)


def stored_row(customer_id: str, **changes: Any) -> tuple[Any, ...]:
    """Return a stored row; changed values replace those of the complete example."""
    values = {"customer_id": customer_id, **COMPLETE, **changes}
    return tuple(values[name] for name in STORED_NAMES)


def meta(**changes: Any) -> RunMeta:
    """Return the facts of a run on 2026-11-22."""
    card = ChampionCard(
        name="regulars-churn",
        version=7,
        method="ml",
        candidate="boosted_horizon",
        beats_baseline=True,
        scorecard={
            "metrics": {"auc": 0.873, "log_loss": 0.307, "ece": 0.021},
            "baseline": {"candidate": "recency", "metrics": {"auc": 0.818, "log_loss": 0.402}},
        },
    )
    values: dict[str, Any] = {
        "as_of": date(2026, 11, 22),
        "scored_at": datetime(2026, 11, 22, 0, 10, tzinfo=UTC),
        "currency": "EUR",
        "clv_basis": "net",
        "churn_horizon_days": 90,
        "clv_horizon_days": 365,
        "usual_churn_probability": 0.16,
        "medium_from_probability": 0.16,
        "high_from_probability": 0.24,
        "lapsed_after_days": 133.0,
        "models": {
            "churn": card,
            "clv": card.model_copy(update={"name": "regulars-clv", "version": 5}),
            "recommender": card.model_copy(update={"name": "regulars-recommender", "version": 3}),
        },
    }
    return RunMeta(**(values | changes))


def publish(
    root: Path,
    customer_ids: Iterable[str] = ("c1", "c2", *NASTY_IDS),
    *,
    control_group_share: float = 0.0,
    lines: Iterable[bytes] | None = None,
    documents: Mapping[str, Any] | None = None,
    timelines: Mapping[str, Any] | None = None,
    **changes: Any,
) -> RunMeta:
    """Publish a run in which everybody is at risk, in the order given, with two products to recommend."""
    ids = list(customer_ids)
    row_changes = {name: changes.pop(name) for name in list(changes) if name in COMPLETE}
    if "as_of" in row_changes:
        changes["as_of"] = date.fromisoformat(row_changes["as_of"])
    with open_store(Environment(var=root)).begin_run() as writer:
        writer.write_scores(stored_row(customer, **row_changes) for customer in ids)
        writer.write_traits(_traits(place, each, row_changes) for place, each in enumerate(ids, 1))
        lists = [(c, "for_you", pack_slots(LIST)) for c in ids]
        writer.write_recommendations([*lists, ("", "for_you", pack_slots(POPULAR))])
        writer.write_items(
            [
                Item(item_no=0, product_id="p/0", name="=Tea", category="Drinks", price=4.5),
                Item(item_no=1, product_id="00007", name="Mug"),
            ]
        )
        writer.write_audience("at-risk", ids, lines)
        writer.write_documents({name: json.dumps(body) for name, body in (documents or {}).items()})
        writer.write_timelines((customer, json.dumps(body)) for customer, body in (timelines or {}).items())
        counts = AudienceCounts(
            title="At risk",
            rule='risk_band == "high" and lapsed != true',
            order="value_at_risk desc",
            member_count=len(ids),
            refused_count=2,
            value_at_risk_total=31.4 * len(ids),
            control_group_share=control_group_share,
        )
        return writer.publish(meta(**({"audiences": {"at-risk": counts}} | changes)))


def _traits(row_number: int, customer_id: str, changes: dict[str, Any]) -> tuple[Any, ...]:
    """Return what segments know of a customer: what the score says, and nothing else."""
    known = {"customer_id": customer_id, **COMPLETE, **changes}
    return row_number, *(known.get(name) for name in ATTRIBUTE_NAMES)


def explained(score: dict[str, Any]) -> bool:
    """Say whether exactly the nulls of a score are explained."""
    return {n for n in NULLABLE_NAMES if score[n] is None} <= score["null_reasons"].keys()
