"""A customer as a line of a page."""

from typing import Any

from serving.exports.actions import action_code


def customer_line(flat: dict[str, Any]) -> dict[str, Any]:
    """Return a flat score with its reasons apart by what they speak for, and the code of an action."""
    reasons = flat["reasons"] or []
    return {
        **flat,
        "action": action_code(flat["lifecycle_stage"], flat["churn_probability_365"]),
        "worrying": [reason for reason in reasons if reason["direction"] == "up"],
        "calming": [reason for reason in reasons if reason["direction"] != "up"],
    }
