"""The parts of a condition as data, so that each language can say in its own words what the condition means.

It reads what `features.conditions` has accepted, by the same parser: `compile_condition` comes first.
"""

import ast
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Union

from features.condition_functions import FUNCTIONS
from features.condition_text import Source
from features.condition_values import literal, read_days
from features.conditions import Vocabulary

_COMPARED: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "==",
    ast.IsNot: "!=",
}
_FLIPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


class Days(NamedTuple):
    """A day counted from the snapshot; below 0 before it."""

    ahead: int


Value = str | float | bool | None | Days


class Compared(NamedTuple):
    """An attribute beside a value; `operator` is one of < <= > >= == !=, with None of the last two only."""

    name: str
    operator: str
    value: Value


class Among(NamedTuple):
    """An attribute that has one of several values; of a flag alone, the one value True."""

    name: str
    values: tuple[Value, ...]


class Top(NamedTuple):
    """An attribute above the value that at most `percent` of the customers exceed."""

    name: str
    percent: int


class Bought(NamedTuple):
    """Something bought, by product or by category; within so many days, None: ever."""

    is_category: bool
    names: tuple[str, ...]
    within_days: int | None


class Not(NamedTuple):
    """The exact opposite of a part."""

    part: "Phrase"


class Every(NamedTuple):
    """All parts hold."""

    parts: "tuple[Phrase, ...]"


class Either(NamedTuple):
    """At least one part holds."""

    parts: "tuple[Phrase, ...]"


Phrase = Union[Compared, Among, Top, Bought, Not, Every, Either]  # noqa: UP007 - names in quotes stand in it


def read_phrases(text: str, vocabulary: Vocabulary) -> Phrase:
    """Return the parts of a condition; raises `FilterError` for what no parser can read.

    >>> words = Vocabulary({"age": "number", "lapsed": "boolean"}, "")
    >>> read_phrases("3 < age", words)
    Compared(name='age', operator='>', value=3.0)
    >>> read_phrases("not lapsed", words)
    Not(part=Among(name='lapsed', values=(True,)))
    """
    source = Source(text, example=vocabulary.example)
    return _Reader(source).phrase(source.tree)


def names_in(phrase: Phrase) -> Iterator[str]:
    """Yield the attributes that a condition speaks of."""
    if isinstance(phrase, Every | Either):
        for part in phrase.parts:
            yield from names_in(part)
    elif isinstance(phrase, Not):
        yield from names_in(phrase.part)
    elif not isinstance(phrase, Bought):
        yield phrase.name


class _Reader:
    """Reads one tree that was accepted before."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def phrase(self, node: ast.expr) -> Phrase:
        if isinstance(node, ast.BoolOp):
            parts = tuple(self.phrase(part) for part in node.values)
            return Every(parts) if isinstance(node.op, ast.And) else Either(parts)
        if isinstance(node, ast.UnaryOp):
            return Not(self.phrase(node.operand))
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            pairs = zip(sides, node.ops, sides[1:], strict=False)
            found = tuple(self._compared(left, kind, right) for left, kind, right in pairs)
            return found[0] if len(found) == 1 else Every(found)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._called(node.func.id, node.args)
        return Among(node.id if isinstance(node, ast.Name) else "", (True,))

    def _compared(self, left: ast.expr, kind: ast.cmpop, right: ast.expr) -> Phrase:
        if isinstance(kind, ast.In | ast.NotIn):
            listed = right.elts if isinstance(right, ast.List | ast.Tuple) else []
            found = Among(_name(left), tuple(self._value(each) for each in listed))
            return found if isinstance(kind, ast.In) else Not(found)
        operator = _COMPARED[type(kind)]
        if not _name(left):
            left, operator, right = right, _FLIPPED[operator], left
        return Compared(_name(left), operator, self._value(right))

    def _called(self, name: str, args: Sequence[ast.expr]) -> Phrase:
        if name == "top":
            share = literal(self._source, args[1])
            return Top(_name(args[0]), int(share) if isinstance(share, float) else 0)
        listed = args[0].elts if isinstance(args[0], ast.List | ast.Tuple) else [args[0]]
        names = tuple(str(literal(self._source, each)) for each in listed)
        within = read_days(self._source, args[1]) if len(args) > 1 else None
        return Bought(name == "bought_category", names, within)

    def _value(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            days = read_days(self._source, node.args[0])
            return Days(days if node.func.id == "days_ahead" else -days)
        return literal(self._source, node)


def _name(node: ast.expr) -> str:
    """Return an attribute's name; "" for a value, true, false and null being such."""
    is_attribute = isinstance(node, ast.Name) and node.id not in ("true", "false", "null")
    return node.id if is_attribute and isinstance(node, ast.Name) else ""
