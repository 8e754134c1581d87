"""What a run says of itself once people were erased from it."""

from collections.abc import Iterable
from typing import NamedTuple

from serving.store.contract import Membership
from serving.store.records import RunMeta


class Gone(NamedTuple):
    """Somebody who was erased from a list."""

    audience: str
    customer_id: str
    value_at_risk: float | None
    email_consent: int | None


def without(meta: RunMeta, gone: Iterable[Gone], group: Membership, *, customer_count: int) -> RunMeta:
    """Return the facts of a run with the counts of its lists as they are without some people.

    Whom consent had left out stays counted: who that was is not known.
    """
    audiences = dict(meta.audiences)
    for each in gone:
        counts = audiences.get(each.audience)
        if counts is None:
            continue
        share, total = counts.control_group_share, counts.value_at_risk_total
        changes: dict[str, float | int | None] = {"member_count": counts.member_count - 1}
        if total is not None:
            changes["value_at_risk_total"] = round(total - (each.value_at_risk or 0.0), 2)
        if each.email_consent is None and counts.unknown_consent_count:
            changes["unknown_consent_count"] = counts.unknown_consent_count - 1
        if share and group.holds(each.audience, each.customer_id, share=share):
            changes["control_group_count"] = max(counts.control_group_count - 1, 0)
        audiences[each.audience] = counts.model_copy(update=changes)
    return meta.model_copy(update={"audiences": audiences, "customer_count": customer_count})
