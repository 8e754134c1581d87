"""What a reader of a whole run should know before acting on it: a code, its numbers and a sentence."""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from features.holes import Hole
from features.settle import BasisNote
from serving.store.records import RunMeta, RunWarning

FEW_CUSTOMERS: Final = 200
"""Below so many customers a shop teaches little about itself."""
_LAPSED_SHARE: Final = 0.95
_OLD_DAYS: Final = 30
_HOLES_TOLD: Final = 3

_SENTENCES: Final = {
    "grade_f": "the {task} model got grade F in its back-test: it knows no more than that everybody is "
    "alike; do not act on its lists",
    "not_judged": "the back-test could not grade churn (too short a history, or all customers did the same): "
    "nobody has checked these predictions",
    "old_data": "the newest order is {day_count} days older than this run: dates told as ahead may have "
    "passed",
    "few_customers": "{customer_count} customers teach little about each other: expect wide errors",
    "no_repeat_orders": "nobody has ordered twice yet: nothing here tells who will",
    "nearly_all_lapsed": "{lapsed_count} of {customer_count} customers have been silent for longer than "
    "{lapsed_after_days} days: if that is not so, orders are missing",
    "no_orders_for_long": "no order between {first_date} and {last_date} ({day_count} days): what lies in "
    "there was left out of training, but silence through it still looks like churn",
    "first_season": "the shop has not lived through this time of the year yet: levels may be off, and "
    "intervals are wider",
    "denied_unknown": "{name_count} of the names in deny_product_ids and deny_categories are not in the data "
    "(the first is {first_name}), so they keep nothing out of the lists: check how they are written",
}


def run_warnings(
    rows: pl.DataFrame,
    meta: RunMeta,
    holes: Sequence[Hole],
    basis_note: BasisNote | None = None,
    *,
    unknown_denied: Sequence[str] = (),
) -> list[RunWarning]:
    """Return what to warn of in a run, the gravest first and its money basis last; `rows` are its rows.

    `unknown_denied` are denied names that no product has.
    """
    found = list(_found(rows, meta, holes))
    if unknown_denied:
        values: dict[str, str | int] = {"name_count": len(unknown_denied), "first_name": unknown_denied[0]}
        found.append(("denied_unknown", values))
    warnings = [
        RunWarning(code=code, values=values, text=_SENTENCES[code].format(**values)) for code, values in found
    ]
    if basis_note is not None:
        note = RunWarning(code=basis_note.code, values=dict(basis_note.values), text=basis_note.text)
        warnings.append(note)
    return warnings


def _found(
    rows: pl.DataFrame, meta: RunMeta, holes: Sequence[Hole]
) -> Iterator[tuple[str, dict[str, str | int]]]:
    for task in ("churn", "clv"):
        if meta.models[task].grade == "F":
            yield "grade_f", {"task": task}
    if meta.models["churn"].grade is None:
        yield "not_judged", {}
    day_count = (meta.scored_at.date() - meta.as_of).days
    if day_count > _OLD_DAYS:
        yield "old_data", {"day_count": day_count}
    count = rows.height
    if count < FEW_CUSTOMERS:
        yield "few_customers", {"customer_count": count}
    if meta.lapsed_after_days is None:
        yield "no_repeat_orders", {}
    elif (lapsed := int(rows["lapsed"].sum())) >= _LAPSED_SHARE * count:
        days = round(meta.lapsed_after_days)
        yield (
            "nearly_all_lapsed",
            {"lapsed_count": lapsed, "customer_count": count, "lapsed_after_days": days},
        )
    for hole in holes[:_HOLES_TOLD]:
        first, last = (day.isoformat() for day in hole.dates)
        yield (
            "no_orders_for_long",
            {"first_date": first, "last_date": last, "day_count": round(hole.day_count)},
        )
    if meta.first_season:
        yield "first_season", {}
