"""Conditions: a boolean over named attributes, compiled to SQL; in requests, settings and segments.

    in_stock and price < 20 and category not in ["Wine", "Tobacco"] and brand is not null
    churn_probability_90 > 0.6 AND last_order_at >= days_ago(180) AND NOT bought('SKU1', 180d)

A `Vocabulary` says which attributes and functions there are. Texts stand in quotes; and, or, not, in, is,
null, true and false may be written in capitals too. Python's own parser reads it (`features.condition_text`),
nothing of it is ever run, and every node but the few below is refused, each refusal with its place.

Every comparison is true or false: of an unknown value only `is null`, `!=` and `not in` are true. So `not` is
the exact complement, and `in_stock != false` keeps what is not known to be out of stock.

The SQL means the same to SQLite and to PostgreSQL, where texts compare byte by byte and in_stock is 1 or 0.
A table of the run is written `@name`.
"""

import ast
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

from features.condition_functions import FUNCTIONS, bought, top
from features.condition_text import FilterError, Source, Span, near_names
from features.condition_values import (
    ANY_DAY,
    Moment,
    Standpoint,
    Value,
    compare_with_moment,
    instant_text,
    is_named_value,
    literal,
    moment_of_day,
    read_day,
    read_days,
    read_instant,
)

TEXT_LENGTH_MAX: Final = 1_000
DEPTH_MAX: Final = 20
COMPARISON_COUNT_MAX: Final = 32
_ORDERED: Final[dict[type[ast.cmpop], str]] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_EQUAL: Final[dict[type[ast.cmpop], str]] = {ast.Eq: "=", ast.NotEq: "<>"}
_NULL_TEST: Final[dict[type[ast.cmpop], str]] = {ast.Is: "IS", ast.IsNot: "IS NOT"}
_MEMBER: Final[dict[type[ast.cmpop], str]] = {ast.In: "", ast.NotIn: "NOT "}
_FLIPPED: Final[dict[str, str]] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
_TESTED_FOR_NULL: Final = {"=": "IS NULL", "<>": "IS NOT NULL"}
# What a comparison with an unknown value is: the standard would have it neither true nor false.
_OF_UNKNOWN: Final = {"<>": "TRUE"}


class Vocabulary(NamedTuple):
    """What conditions may speak of: attributes by name (text, number, boolean, date, instant), functions."""

    attributes: Mapping[str, str]
    example: str
    functions: frozenset[str] = frozenset()


class Condition(NamedTuple):
    """A condition on the columns of a table: SQL with question marks, and their values."""

    sql: str
    values: tuple[str | float | int, ...]


def compile_condition(text: str, vocabulary: Vocabulary, at: Standpoint = ANY_DAY) -> Condition:
    """Compile a condition over some vocabulary, seen from a snapshot; raises `FilterError`.

    Without a snapshot the words are looked at, and days count from any day.
    """
    if len(text) > TEXT_LENGTH_MAX:
        beyond = Span(TEXT_LENGTH_MAX, len(text) - TEXT_LENGTH_MAX)
        raise FilterError("too_long", beyond, values={"count": TEXT_LENGTH_MAX})
    if not text.strip():
        raise FilterError("empty", Span(0, len(text)), values={"example": vocabulary.example})
    source = Source(text, example=vocabulary.example)
    compiler = _Compiler(source, vocabulary, at)
    sql = compiler.condition(source.tree, depth=1)
    return Condition(sql, tuple(compiler.values))


class _Compiler:
    """Turns one syntax tree into SQL; `values` are bound in the order of their question marks."""

    def __init__(self, source: Source, vocabulary: Vocabulary, at: Standpoint) -> None:
        self._source = source
        self._words = vocabulary
        self._at = at
        self.values: list[str | float | int] = []
        self._comparison_count = 0

    def condition(self, node: ast.expr, *, depth: int) -> str:
        if depth > DEPTH_MAX:
            raise self._error("too_deep", node, count=DEPTH_MAX)
        if isinstance(node, ast.BoolOp):
            word = " AND " if isinstance(node.op, ast.And) else " OR "
            return f"({word.join(self.condition(part, depth=depth + 1) for part in node.values)})"
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return f"(NOT {self.condition(node.operand, depth=depth + 1)})"
        if isinstance(node, ast.Compare):
            return self._chain(node)
        if isinstance(node, ast.Name):
            return self._flag(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._test(node, node.func)
        raise self._source.refused(node)

    def _flag(self, node: ast.Name) -> str:
        self._count(node)
        name = self._attribute(node)
        if self._words.attributes[name] != "boolean":
            flags = [flag for flag, kind in self._words.attributes.items() if kind == "boolean"]
            raise self._error("one_flag" if len(flags) == 1 else "flags", node, name=name, flags=tuple(flags))
        return f"coalesce({name} = 1, FALSE)"

    def _test(self, node: ast.Call, called: ast.Name) -> str:
        """Compile a function that is a condition."""
        self._count(node)
        name = self._function(node, called)
        if not FUNCTIONS[name].is_condition:
            raise self._error("gives_day", node, function=name)
        if name == "top":
            attribute = self._attribute(node.args[0]) if node.args else ""
            kind = self._words.attributes.get(attribute)
            sql, values = top(self._source, node, attribute, kind=kind, cuts=self._at.cuts)
        else:
            sql, values = bought(self._source, node, name)
        self.values += values
        return sql

    def _chain(self, node: ast.Compare) -> str:
        """Compile `a < b <= c` as both of its comparisons."""
        sides = [node.left, *node.comparators]
        pairs = zip(sides, node.ops, sides[1:], strict=False)
        parts = [self._comparison(left, operator, right) for left, operator, right in pairs]
        return parts[0] if len(parts) == 1 else f"({' AND '.join(parts)})"

    def _comparison(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> str:
        self._count(left)
        kind = type(operator)
        if kind in _MEMBER:
            return self._membership(self._attribute(left), _MEMBER[kind], right)
        if kind in _NULL_TEST:
            return self._null_test(self._attribute(left), _NULL_TEST[kind], right)
        word = _ORDERED.get(kind) or _EQUAL[kind]
        if _names_attribute(right) and not _names_attribute(left):
            left, word, right = right, _FLIPPED[word], left
        name = self._attribute(left)
        value = self._value(right)
        if value is None:
            if kind in _EQUAL:
                return f"{name} {_TESTED_FOR_NULL[word]}"
            raise self._error("null_order", right)
        checked = self._checked(name, value, right, is_ordered=kind in _ORDERED)
        if isinstance(checked, Moment):
            sql, bounds = compare_with_moment(name, word, checked)
            self.values += bounds
            return sql
        self.values.append(checked)
        return f"coalesce({name} {word} ?, {_OF_UNKNOWN.get(word, 'FALSE')})"

    def _membership(self, name: str, negation: str, right: ast.expr) -> str:
        if not isinstance(right, ast.List | ast.Tuple):
            raise self._error("list_wanted", right)
        if self._words.attributes[name] == "instant":
            raise self._error("no_list", right, name=name)
        members: list[str | float | int] = []
        for member in right.elts:
            checked = self._checked(name, self._value(member), member, is_ordered=False)
            members += [] if isinstance(checked, Moment) else [checked]
        self.values += members
        held = f"coalesce({name} IN ({_marks(members)}), FALSE)" if members else "FALSE"
        return f"({negation}{held})"

    def _null_test(self, name: str, word: str, right: ast.expr) -> str:
        if not isinstance(right, ast.Constant | ast.Name) or literal(self._source, right) is not None:
            raise self._error("null_wanted", right)
        return f"{name} {word} NULL"

    def _count(self, node: ast.expr) -> None:
        self._comparison_count += 1
        if self._comparison_count > COMPARISON_COUNT_MAX:
            raise self._error("too_many", node, count=COMPARISON_COUNT_MAX)

    def _attribute(self, node: ast.expr) -> str:
        known = self._words.attributes
        if isinstance(node, ast.Name) and node.id in known and self._source.duration(node) is None:
            return node.id
        seen = node.id if isinstance(node, ast.Name) else None
        near = near_names(seen, known) if seen is not None else []
        reason = "near_attribute" if near else "attribute_wanted" if seen is None else "unknown_attribute"
        told = {"names": tuple(near or known)}
        raise FilterError(reason, self._source.span(node), values=told, seen=seen, suggestions=near)

    def _function(self, node: ast.Call, called: ast.Name) -> str:
        name, known = called.id, self._words.functions
        if not known:
            raise self._source.refused(node)
        if name not in known:
            near = near_names(name, known) or sorted(known)
            told = {"names": tuple(near)}
            raise FilterError("near_function", self._source.span(called), values=told, suggestions=near)
        if node.keywords or any(isinstance(each, ast.Starred) for each in node.args):
            raise self._error("arguments", node, signature=FUNCTIONS[name].signature)
        return name

    def _value(self, node: ast.expr) -> Value | date:
        """Return what an attribute is compared with."""
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and self._words.functions):
            return literal(self._source, node)
        name = self._function(node, node.func)
        if FUNCTIONS[name].is_condition:
            raise self._error("is_condition", node, function=name, signature=FUNCTIONS[name].signature)
        if len(node.args) != 1:
            raise self._error("arguments", node, signature=FUNCTIONS[name].signature)
        days = read_days(self._source, node.args[0])
        return self._at.as_of + timedelta(days=days if name == "days_ahead" else -days)

    def _checked(
        self, name: str, value: Value | date, node: ast.expr, *, is_ordered: bool
    ) -> str | float | int | Moment:
        """Return a value as the store takes it, if it may stand beside this attribute."""
        kind = self._words.attributes[name]
        if kind in ("date", "instant"):
            found = _time(value, kind, self._at.time_zone)
            if found is not None:
                return found
        if kind == "text" and isinstance(value, str):
            return value
        if kind == "number" and isinstance(value, float):
            return value
        if kind == "boolean" and isinstance(value, bool) and not is_ordered:
            return int(value)
        if kind == "boolean" and is_ordered:
            raise self._error("unordered", node, name=name)
        raise self._error(f"{kind}_wanted", node, name=name)

    def _error(self, reason: str, node: ast.expr, **values: str | int | tuple[str, ...]) -> FilterError:
        return FilterError(reason, self._source.span(node), values=values)


def _time(value: Value | date, kind: str, time_zone: str) -> str | Moment | None:
    """Return a day as dates are stored, for an instant its whole length; None for what is no time."""
    day = read_day(value) if isinstance(value, str) else value
    if isinstance(day, date):
        return day.isoformat() if kind == "date" else moment_of_day(day, time_zone)
    if kind == "date" or not isinstance(value, str):
        return None
    instant = read_instant(value)
    if instant is None:
        return None
    return Moment(instant_text(instant), instant_text(instant))


def _names_attribute(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and not is_named_value(node)


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
