"""The functions of conditions: days around the snapshot, what was bought, the top of an attribute."""

import ast
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from features.condition_text import FilterError, Source
from features.condition_values import literal, read_days

TOP_STEP: Final = 5
Bound = list[str | float | int]
"""The values of question marks."""


class Function(NamedTuple):
    """A function of the language: how it is written, what it means; a condition itself, or a day."""

    signature: str
    meaning: str
    is_condition: bool


FUNCTIONS: Final = {
    "days_ago": Function("days_ago(90)", "the day so many days before the snapshot", False),
    "days_ahead": Function("days_ahead(14)", "the day so many days after the snapshot", False),
    "bought": Function(
        "bought('SKU1', 180d)",
        "bought a product, ever or within so many days before the snapshot; a list of products: any of them",
        True,
    ),
    "bought_category": Function(
        "bought_category('Tea', 180d)", "the same of anything in a category, or in any of a list", True
    ),
    "top": Function(
        "top(average_order_value, 20)",
        "above the value that at most so many percent of the customers exceed (5 to 95, in steps of 5)",
        True,
    ),
}
"""Every function that a vocabulary may have."""

_PRODUCT_COLUMNS: Final = {"bought": "product_id", "bought_category": "category"}


def bought(source: Source, node: ast.Call, name: str) -> tuple[str, Bound]:
    """Compile `bought` or `bought_category`; raises `FilterError`."""
    if not 1 <= len(node.args) <= 2:
        raise FilterError("arguments", source.span(node), values={"signature": FUNCTIONS[name].signature})
    wanted = node.args[0]
    listed = wanted.elts if isinstance(wanted, ast.List | ast.Tuple) else [wanted]
    values: Bound = [text for each in listed if isinstance(text := literal(source, each), str)]
    if not values or len(values) < len(listed):
        told = {"function": name, "signature": FUNCTIONS[name].signature}
        raise FilterError("texts_wanted", source.span(wanted), values=told)
    marks, within = ",".join("?" * len(values)), ""
    if len(node.args) == 2:
        values.append(read_days(source, node.args[1]))
        within = " AND age_days <= ?"
    chosen = f"SELECT product_no FROM @sold_products WHERE {_PRODUCT_COLUMNS[name]} IN ({marks})"  # noqa: S608 - values are bound
    sql = f"(row_number IN (SELECT row_number FROM @purchases WHERE product_no IN ({chosen}){within}))"  # noqa: S608 - values are bound
    return sql, values


def top(
    source: Source, node: ast.Call, name: str, *, kind: str | None, cuts: Mapping[str, Sequence[float]]
) -> tuple[str, Bound]:
    """Compile `top` of an attribute, which is of a kind; raises `FilterError`."""
    if len(node.args) != 2:
        raise FilterError("arguments", source.span(node), values={"signature": FUNCTIONS["top"].signature})
    if kind != "number":
        raise FilterError("top_of_number", source.span(node.args[0]))
    share = literal(source, node.args[1])
    if not isinstance(share, float) or share not in range(TOP_STEP, 100, TOP_STEP):
        told = {"low": TOP_STEP, "high": 100 - TOP_STEP, "step": TOP_STEP}
        raise FilterError("percentage", source.span(node.args[1]), values=told)
    if not cuts.get(name):
        return "FALSE", []  # nobody has a value
    return f"coalesce({name} > ?, FALSE)", [cuts[name][(100 - int(share)) // TOP_STEP - 1]]
