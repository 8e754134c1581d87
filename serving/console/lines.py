"""A customer as a line of a page."""

from typing import Any


def customer_line(flat: dict[str, Any]) -> dict[str, Any]:
    """Return a flat score with its reasons apart by what they speak for: `worrying` and `calming`."""
    reasons = flat["reasons"] or []
    return {
        **flat,
        "worrying": [reason for reason in reasons if reason["direction"] == "up"],
        "calming": [reason for reason in reasons if reason["direction"] != "up"],
    }
