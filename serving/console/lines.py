"""A customer as a line of a page."""

from typing import Any

from serving.exports.actions import action_code


def customer_line(flat: dict[str, Any]) -> dict[str, Any]:
    """Return a flat score with its reasons apart by what they speak for, and the code of an action."""
    reasons = flat["reasons"] or []
    return {
        **flat,
        "action": action_code(flat["lifecycle_stage"], flat["churn_probability_365"]),
        "rest_points": _rest_points(flat, reasons),
        "worrying": [reason for reason in reasons if reason["direction"] == "up"],
        "calming": [reason for reason in reasons if reason["direction"] != "up"],
    }


def _rest_points(flat: dict[str, Any], reasons: list[dict[str, Any]]) -> float | None:
    """Return what all reasons that are not kept add to the risk, in percentage points; None where unknown.

    Of figures rounded as they are shown, so that reference, reasons and rest add up to the risk.
    """
    reference: float | None = flat["churn_reference"]
    risk: float | None = flat["churn_probability"]
    if reference is None or risk is None:
        return None
    shown: float = sum(round(100 * reason["effect"], 1) for reason in reasons)
    return round(round(100 * risk, 1) - round(100 * reference, 1) - shown, 1)
