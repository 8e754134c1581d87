"""Conditions: a boolean over named attributes, compiled to SQL; in requests and in the settings.

    in_stock and price < 20 and category not in ["Wine", "Tobacco"] and brand is not null

A `Vocabulary` says which attributes there are: those of products here (`compile_filter`), the columns of a
score in the rules of audiences. Texts stand in quotes, `true`, `false` and `null` in lower case.
Python's own parser reads it, nothing of it is ever run, and every node but the few below is refused.

Every comparison is true or false: of an unknown value only `is null`, `!=` and `not in` are true. So `not` is
the exact complement, and `in_stock != false` keeps what is not known to be out of stock.

The SQL means the same to SQLite and to PostgreSQL, where texts compare byte by byte and in_stock is 1 or 0.
"""

import ast
import math
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

TEXT_LENGTH_MAX: Final = 1_000
DEPTH_MAX: Final = 20
COMPARISON_COUNT_MAX: Final = 32
ATTRIBUTES: Final = {
    "product_id": "text",
    "name": "text",
    "category": "text",
    "subcategory": "text",
    "brand": "text",
    "price": "number",
    "in_stock": "boolean",
}
_ORDERED: Final[dict[type[ast.cmpop], str]] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_EQUAL: Final[dict[type[ast.cmpop], str]] = {ast.Eq: "=", ast.NotEq: "<>"}
_NULL_TEST: Final[dict[type[ast.cmpop], str]] = {ast.Is: "IS", ast.IsNot: "IS NOT"}
_MEMBER: Final[dict[type[ast.cmpop], str]] = {ast.In: "", ast.NotIn: "NOT "}
_FLIPPED: Final[dict[str, str]] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
_TESTED_FOR_NULL: Final = {"=": "IS NULL", "<>": "IS NOT NULL"}
# What a comparison with an unknown value is: the standard would have it neither true nor false.
_OF_UNKNOWN: Final = {"<>": "TRUE"}
_NAMED_VALUES: Final = {"true": True, "false": False, "null": None}

Value = str | float | bool | None


class FilterError(Exception):
    """A filter that cannot be understood: a code, and what is allowed; it repeats nothing that was sent.

    `seen` is the name that is no attribute, for whoever wrote the settings; no request gets to see it.
    """

    def __init__(self, code: str, message: str, *, seen: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.seen = seen


class Vocabulary(NamedTuple):
    """What conditions may speak of: attributes by name, each a text, a number or a boolean; an example."""

    attributes: Mapping[str, str]
    example: str

    @property
    def syntax(self) -> str:
        """What to write instead of something that is no condition."""
        return f"write a condition such as: {self.example}"


PRODUCTS: Final = Vocabulary(ATTRIBUTES, 'in_stock and price < 20 and category in ["Tea", "Mugs"]')


class Condition(NamedTuple):
    """A condition on the columns of a table: SQL with question marks, and their values."""

    sql: str
    values: tuple[str | float | int, ...]


@lru_cache(maxsize=256)
def compile_filter(text: str) -> Condition:
    """Compile a filter of products; raises `FilterError`.

    >>> compile_filter("in_stock and price < 20")
    Condition(sql='(coalesce(in_stock = 1, FALSE) AND coalesce(price < ?, FALSE))', values=(20.0,))
    """
    return compile_condition(text, PRODUCTS)


def compile_condition(text: str, vocabulary: Vocabulary) -> Condition:
    """Compile a condition over some vocabulary; raises `FilterError`."""
    if len(text) > TEXT_LENGTH_MAX:
        raise FilterError("too_long", f"a filter has at most {TEXT_LENGTH_MAX} characters")
    if not text.strip():
        raise FilterError("empty", f"the filter is empty; leave it out, or {vocabulary.syntax}")
    compiler = _Compiler(vocabulary)
    sql = compiler.condition(_parsed(text.strip(), vocabulary), depth=1)
    return Condition(sql, tuple(compiler.values))


def _parsed(text: str, vocabulary: Vocabulary) -> ast.expr:
    try:
        with warnings.catch_warnings():
            # The parser would warn of odd escapes on the server's own standard error.
            warnings.simplefilter("ignore")
            return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise FilterError("syntax", vocabulary.syntax) from None


class _Compiler:
    """Turns one syntax tree into SQL; `values` are bound in the order of their question marks."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._words = vocabulary
        self.values: list[str | float | int] = []
        self._comparison_count = 0

    def condition(self, node: ast.expr, *, depth: int) -> str:
        if depth > DEPTH_MAX:
            raise FilterError("too_deep", f"conditions are nested at most {DEPTH_MAX} deep")
        if isinstance(node, ast.BoolOp):
            word = " AND " if isinstance(node.op, ast.And) else " OR "
            return f"({word.join(self.condition(part, depth=depth + 1) for part in node.values)})"
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return f"(NOT {self.condition(node.operand, depth=depth + 1)})"
        if isinstance(node, ast.Compare):
            return self._chain(node)
        if isinstance(node, ast.Name):
            return self._flag(node)
        raise FilterError("syntax", self._words.syntax)

    def _flag(self, node: ast.Name) -> str:
        self._count()
        name = self._attribute(node)
        if self._words.attributes[name] != "boolean":
            flags = [flag for flag, kind in self._words.attributes.items() if kind == "boolean"]
            verb = "is" if len(flags) == 1 else "are"
            raise FilterError(
                "type",
                f"only {', '.join(flags)} {verb} a condition by itself; compare the others with a value",
            )
        return f"coalesce({name} = 1, FALSE)"

    def _chain(self, node: ast.Compare) -> str:
        """Compile `a < b <= c` as both of its comparisons."""
        sides = [node.left, *node.comparators]
        pairs = zip(sides, node.ops, sides[1:], strict=False)
        parts = [self._comparison(left, operator, right) for left, operator, right in pairs]
        return parts[0] if len(parts) == 1 else f"({' AND '.join(parts)})"

    def _comparison(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> str:
        self._count()
        kind = type(operator)
        if kind in _MEMBER:
            return self._membership(self._attribute(left), _MEMBER[kind], right)
        if kind in _NULL_TEST:
            return _null_test(self._attribute(left), _NULL_TEST[kind], right)
        word = _ORDERED.get(kind) or _EQUAL[kind]
        if _names_attribute(right) and not _names_attribute(left):
            left, word, right = right, _FLIPPED[word], left
        name, value = self._attribute(left), _literal(right)
        if value is None:
            if kind in _EQUAL:
                return f"{name} {_TESTED_FOR_NULL[word]}"
            raise FilterError("type", "null has no order; write `is null` or `is not null`")
        self.values.append(self._checked(name, value, is_ordered=kind in _ORDERED))
        return f"coalesce({name} {word} ?, {_OF_UNKNOWN.get(word, 'FALSE')})"

    def _membership(self, name: str, negation: str, right: ast.expr) -> str:
        if not isinstance(right, ast.List | ast.Tuple):
            raise FilterError("type", 'after `in` stands a list of values: brand in ["A", "B"]')
        members = [self._checked(name, _literal(member), is_ordered=False) for member in right.elts]
        self.values += members
        held = f"coalesce({name} IN ({_marks(members)}), FALSE)" if members else "FALSE"
        return f"({negation}{held})"

    def _count(self) -> None:
        self._comparison_count += 1
        if self._comparison_count > COMPARISON_COUNT_MAX:
            raise FilterError(
                "too_many",
                f"a filter has at most {COMPARISON_COUNT_MAX} comparisons; `in` takes a whole list",
            )

    def _attribute(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name) and node.id in self._words.attributes:
            return node.id
        raise FilterError(
            "attribute",
            f"compare an attribute with a value; attributes: {', '.join(self._words.attributes)}",
            seen=node.id if isinstance(node, ast.Name) else None,
        )

    def _checked(self, name: str, value: Value, *, is_ordered: bool) -> str | float | int:
        """Return a value as SQLite takes it, if it may stand beside this attribute."""
        kind = self._words.attributes[name]
        if kind == "text" and isinstance(value, str):
            return value
        if kind == "number" and isinstance(value, float):
            return value
        if kind == "boolean" and isinstance(value, bool) and not is_ordered:
            return int(value)
        if kind == "boolean" and is_ordered:
            raise FilterError("operator", f"{name} is true or false and has no order; write == or !=")
        wanted = {"text": "a text: put it in quotes", "number": "a number", "boolean": "true or false"}[kind]
        raise FilterError("type", f"{name} is compared with {wanted}; test for null with `is null`")


def _names_attribute(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id not in _NAMED_VALUES


def _null_test(name: str, word: str, right: ast.expr) -> str:
    if not isinstance(right, ast.Constant | ast.Name) or _literal(right) is not None:
        raise FilterError("operator", "`is` and `is not` test for null only; compare values with == and !=")
    return f"{name} {word} NULL"


def _literal(node: ast.expr) -> Value:
    if isinstance(node, ast.Name) and node.id in _NAMED_VALUES:
        return _NAMED_VALUES[node.id]
    is_negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    constant = node.operand if isinstance(node, ast.UnaryOp) and is_negative else node
    value = constant.value if isinstance(constant, ast.Constant) else ...
    if isinstance(value, int | float) and not isinstance(value, bool):
        return -_finite(value) if is_negative else _finite(value)
    if isinstance(value, str) and not is_negative:
        return _encodable(value)
    if (value is None or isinstance(value, bool)) and not is_negative:
        return value
    raise FilterError("value", 'a value is a text in quotes ("Tea"), a number, true, false or null')


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FilterError("value", "a text is made of Unicode characters; half of one is none") from None
    if "\0" in text:
        raise FilterError("value", "no text of a product holds the character NUL")
    return text


def _finite(number: float) -> float:
    try:
        value = float(number)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise FilterError("value", "a number is finite")
    return value


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
