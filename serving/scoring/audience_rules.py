"""The lists of a scoring run: rules of `regulars.toml` over the rows of all customers, each in its order.

A rule is written in the language of `features.conditions` and evaluated as the same SQL as filters of
products, so that a condition means one thing wherever it stands.
"""

import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final, NamedTuple

import pandas as pd
import polars as pl

from features.audience_settings import AudienceSettings
from features.condition_text import FilterError
from features.condition_values import ANY_DAY, Standpoint
from features.conditions import Condition, Vocabulary, compile_condition
from features.delivery_settings import ControlSettings
from features.errors import UserError
from serving.audiences.control_group import ControlGroup
from serving.rows import STORED
from serving.scoring.run_scores import stored_expression
from serving.store.records import AudienceCounts

DUE: Final = "due_in_days"
_KINDS: Final = {
    "string": "text",
    "date": "date",
    "datetime": "instant",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
}
_COLUMN_KINDS: Final = {column.name: column.kind for column in STORED if column.kind in _KINDS}
RULE_COLUMNS: Final = {**{name: _KINDS[kind] for name, kind in _COLUMN_KINDS.items()}, DUE: "number"}
"""What a rule may speak of: a score's columns, and how soon something that is bought again falls due."""

_VOCABULARY: Final = Vocabulary(
    RULE_COLUMNS,
    'risk_band == "high" and predicted_clv >= 50 and not lapsed',
    frozenset({"days_ago", "days_ahead"}),
)
_PLACE: Final = "_place"
_ROWS_AT_ONCE: Final = 200_000
_DIRECTIONS: Final = {"asc": False, "desc": True}
_ORDER_SYNTAX: Final = "write columns, each asc or desc: risk_band asc, value_at_risk desc"


class AudienceError(UserError):
    """A rule or an order in `regulars.toml` cannot be understood."""


class AudienceRule(NamedTuple):
    """A named list as it is evaluated; `keys` are (column, whether the largest comes first)."""

    slug: str
    settings: AudienceSettings
    condition: Condition
    keys: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class AudienceList:
    """The members of a named list in their order, and how many were left out and why.

    `places` are those of the members among the rows that the list was made of, from 0.
    """

    slug: str
    customer_ids: pl.Series
    places: pl.Series
    counts: AudienceCounts


def compile_audiences(
    audiences: Mapping[str, AudienceSettings], at: Standpoint = ANY_DAY
) -> list[AudienceRule]:
    """Read the rules of all audiences that are enabled; raises `AudienceError` naming list and column.

    `at` is the run's snapshot, from which `days_ago` and `days_ahead` count.
    """
    return [_compiled(slug, audience, at) for slug, audience in audiences.items() if audience.enabled]


def _compiled(slug: str, audience: AudienceSettings, at: Standpoint) -> AudienceRule:
    try:
        condition = compile_condition(audience.rule, _VOCABULARY, at)
    except FilterError as error:
        seen = f"there is no column {error.seen!r}; " if error.seen else ""
        raise AudienceError(f"[audiences.{slug}] rule: {seen}{error.message}") from None
    return AudienceRule(slug, audience, condition, tuple(_order_keys(slug, audience.order)))


def _order_keys(slug: str, order: str) -> Iterator[tuple[str, bool]]:
    for part in order.split(","):
        name, _, direction = part.strip().partition(" ")
        if name not in RULE_COLUMNS:
            known = ", ".join(RULE_COLUMNS)
            raise AudienceError(
                f"[audiences.{slug}] order: there is no column {name!r}; {_ORDER_SYNTAX}; columns: {known}"
            )
        if direction.strip() not in _DIRECTIONS:
            raise AudienceError(
                f"[audiences.{slug}] order: after {name!r} stands {direction!r}; {_ORDER_SYNTAX}"
            )
        yield name, _DIRECTIONS[direction.strip()]


def days_until_due(lists: pd.DataFrame) -> pl.DataFrame:
    """Return `customer_id` and `due_in_days` of a table of recommendation lists.

    The days until the item of `buy_again` that is nearest to its due day, below 0 when overdue; the earlier
    of two that are as near. Customers without such an item are left out.
    """
    due = lists[(lists["kind"] == "buy_again") & (lists["reason"] == "due_again")]
    days = pl.DataFrame(
        {
            "customer_id": pl.Series(due["customer_id"].to_list(), dtype=pl.String),
            DUE: pl.Series(due["value"].to_numpy(dtype=float)),
        }
    )
    nearest = days.filter(pl.col(DUE).is_finite()).sort(pl.col(DUE).abs(), DUE)
    return nearest.unique("customer_id", keep="first", maintain_order=True)


def audience_columns(rules: Sequence[AudienceRule]) -> list[str]:
    """Return the columns of a run's rows that rules and orders speak of, and those that are counted."""
    ordered = {name for rule in rules for name, _ in rule.keys}
    named = {*_named_columns(rule.condition for rule in rules), *ordered} - {DUE}
    return ["customer_id", *sorted({*named, "email_consent", "value_at_risk"} - {"customer_id"})]


def build_audiences(
    rows: pl.DataFrame,
    due: pl.DataFrame,
    rules: Sequence[AudienceRule],
    *,
    control: ControlSettings,
    group: ControlGroup,
) -> list[AudienceList]:
    """Return every list of a run.

    `rows`  the run's rows, at least the columns of `audience_columns`
    `due`   `days_until_due` of all customers
    """
    if DUE not in rows.columns:
        rows = rows.join(due, on="customer_id", how="left", maintain_order="left")
    found = _matching(rows, rules)
    placed = rows.with_row_index(_PLACE)
    return [_listed(placed[found[rule.slug]], rule, control, group) for rule in rules]


def _matching(rows: pl.DataFrame, rules: Sequence[AudienceRule]) -> dict[str, pl.Series]:
    """Return the places of the rows that pass each rule."""
    names = _named_columns(rule.condition for rule in rules)
    table = rows.select(
        stored_expression(name, _COLUMN_KINDS.get(name, "number")) for name in names
    ).with_row_index(_PLACE)
    found: dict[str, list[pl.Series]] = {rule.slug: [pl.Series(dtype=pl.UInt32)] for rule in rules}
    for part in table.iter_slices(_ROWS_AT_ONCE):
        for slug, places in _passing(part, rules):
            found[slug].append(pl.Series(places, dtype=pl.UInt32))
    return {slug: pl.concat(places) for slug, places in found.items()}


def _passing(table: pl.DataFrame, rules: Sequence[AudienceRule]) -> Iterator[tuple[str, list[int]]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        columns = ", ".join(f'"{name}"' for name in table.columns)
        connection.execute(f"CREATE TABLE scores ({columns})")
        marks = ", ".join("?" * len(table.columns))
        connection.executemany(f"INSERT INTO scores VALUES ({marks})", table.iter_rows())  # noqa: S608 - marks only
        for rule in rules:
            query = f'SELECT "{_PLACE}" FROM scores WHERE {rule.condition.sql}'  # noqa: S608 - values are bound
            yield rule.slug, [place for (place,) in connection.execute(query, rule.condition.values)]


def _named_columns(conditions: Iterator[Condition]) -> Collection[str]:
    """Return the columns that conditions speak of; values are bound, so every word is a name or SQL's own."""
    words = {word for condition in conditions for word in re.findall(r"\w+", condition.sql)}
    return [name for name in RULE_COLUMNS if name in words]


def _listed(
    candidates: pl.DataFrame, rule: AudienceRule, control: ControlSettings, group: ControlGroup
) -> AudienceList:
    """Leave out who refused contact, sort the rest, and count."""
    names, falling = zip(*rule.keys, strict=True)
    members = candidates.filter(pl.col("email_consent").fill_null(value=True)).sort(
        *names, "customer_id", descending=[*falling, False], nulls_last=True
    )
    share = control.share if members.height >= control.list_size_min else 0.0
    ids = members["customer_id"]
    counts = AudienceCounts(
        title=rule.settings.title,
        rule=rule.settings.rule,
        order=rule.settings.order,
        member_count=members.height,
        refused_count=candidates.height - members.height,
        unknown_consent_count=members["email_consent"].null_count(),
        value_at_risk_total=round(float(members["value_at_risk"].sum()), 2),
        control_group_share=share,
        control_group_count=sum(group.holds(rule.slug, customer, share=share) for customer in ids),
    )
    return AudienceList(rule.slug, ids, members[_PLACE], counts)
