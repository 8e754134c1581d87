"""Named lists as `regulars.toml` has them: `[audiences.<slug>]`, each a rule and an order.

What a shop writes is laid over the audiences that are built in: a key that is left out keeps its default,
`enabled = false` takes a list away, another slug adds one. The words of a rule are checked where the columns
of a score are known (`serving.scoring.audience_rules`).
"""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
_Words = Annotated[str, Field(min_length=1, max_length=1000)]


class AudienceSettings(BaseModel):
    """A named list: a condition over the columns of a score, and the columns that it is sorted by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Annotated[str, Field(min_length=1, max_length=100)]
    rule: _Words
    order: _Words = "predicted_clv desc"
    enabled: bool = True


DEFAULT_AUDIENCES: Final = {
    "at-risk": AudienceSettings(
        title="At risk", rule='risk_band == "high" and lapsed != true', order="value_at_risk desc"
    ),
    "win-back": AudienceSettings(
        title="Win back",
        rule='lifecycle_stage == "lapsed" and historic_number_of_orders >= 2 and churn_probability_365 < 0.9',
        order="predicted_clv desc",
    ),
    "champions": AudienceSettings(
        title="Champions", rule='rfm_segment in ["CHAMPIONS", "top"]', order="predicted_clv desc"
    ),
    "one-time-buyers": AudienceSettings(
        title="One-time buyers",
        rule="historic_number_of_orders == 1",
        order="second_order_probability_60 desc",
    ),
    "high-value": AudienceSettings(title="High value", rule="is_in_top_share", order="predicted_clv desc"),
    "dormant": AudienceSettings(
        title="Dormant",
        rule='lifecycle_stage == "lost" or (lapsed and churn_probability_365 >= 0.9)',
        order="historic_clv desc",
    ),
    "replenishment-due": AudienceSettings(
        title="Replenishment due", rule="-7 <= due_in_days <= 7", order="due_in_days asc"
    ),
}


def over_defaults(given: Any) -> Any:  # noqa: ANN401 - whatever the file holds; pydantic judges it
    """Lay the audiences of a file over those that are built in, key by key."""
    if not isinstance(given, dict):
        return given
    built_in = {slug: audience.model_dump() for slug, audience in DEFAULT_AUDIENCES.items()}
    return built_in | {
        slug: built_in.get(slug, {}) | entry if isinstance(entry, dict) else entry
        for slug, entry in given.items()
    }
