"""Random customers and segments: a text, and what it means, told by nothing of the program."""

import operator
import random
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from serving.rows import Column
from serving.segments.traits import ATTRIBUTES

AS_OF = date(2026, 11, 22)
CUT = 5.0
PRODUCTS = {"p1": "Tea", "p'2": "Mugs", "p3": "Tea"}
Customer = Mapping[str, Any]
Holds = Callable[[Customer], bool]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_TEXTS = ("", "high", "O'Neil", "100% _", "김철수", '"q"', "and")


def random_customer(dice: random.Random, number: int) -> dict[str, Any]:
    """Return a value of each attribute, as the store holds it, and what was bought when."""
    values = {column.name: _stored(dice, column) for column in ATTRIBUTES}
    bought = {product: dice.randrange(1, 300) for product in PRODUCTS if dice.random() < 0.5}
    return {**values, "customer_id": f"c{number}", "bought": bought}


def _stored(dice: random.Random, column: Column) -> Any:
    if column.nullable and dice.random() < 0.25:
        return None
    if column.kind in ("integer", "number"):
        return dice.randrange(10) if column.kind == "integer" else dice.choice([0.0, 0.5, 5.0, -3.25, 9.0])
    if column.kind == "boolean":
        return dice.randrange(2)
    if column.kind == "string":
        return dice.choice(_TEXTS)
    day = AS_OF + timedelta(days=dice.randrange(-6, 7))
    if column.kind == "date":
        return day.isoformat()
    return f"{day}T{dice.choice(['00:00:00', '10:30:00', '23:59:59'])}Z"


def random_segment(dice: random.Random, *, depth: int = 3) -> tuple[str, Holds]:
    """Return a condition and its meaning; times are those of UTC."""
    shape = dice.random()
    if depth == 0 or shape < 0.4:
        return _test(dice)
    if shape < 0.55:
        text, holds = random_segment(dice, depth=depth - 1)
        return f"{dice.choice(['not', 'NOT'])} ({text})", lambda each: not holds(each)
    parts = [random_segment(dice, depth=depth - 1) for _ in range(2)]
    word, combine = dice.choice([("and", all), ("OR", any), ("AND", all), ("or", any)])
    return f" {word} ".join(f"({text})" for text, _ in parts), lambda each: combine(
        holds(each) for _, holds in parts
    )


def _test(dice: random.Random) -> tuple[str, Holds]:
    column = dice.choice([column for column in ATTRIBUTES if column.name != "customer_id"])
    shape = dice.random()
    if shape < 0.2:
        return _bought(dice)
    if shape > 0.9:
        return _null_test(dice, column.name)
    if column.kind in ("date", "datetime"):
        return _dated(dice, column.name)
    if column.kind == "string":
        return _listed(dice, column.name)
    return _counted(dice, column)


def _null_test(dice: random.Random, name: str) -> tuple[str, Holds]:
    negated = dice.random() < 0.5
    text = f"{name} {'IS NOT' if negated else 'is'} {dice.choice(['null', 'NULL'])}"
    return text, lambda each: (each[name] is None) != negated


def _counted(dice: random.Random, column: Column) -> tuple[str, Holds]:
    name = column.name
    if column.kind == "boolean":
        return dice.choice([name, f"{name} == TRUE"]), lambda each: each[name] == 1
    if dice.random() < 0.2:
        return f"top({name}, 20)", lambda each: each[name] is not None and each[name] > CUT
    value, word = dice.choice([0, 0.5, 5, -3.25, 8]), dice.choice(list(_COMPARE))
    return f"{name} {word} {value}", _comparing(name, word, value)


def _comparing(name: str, word: str, value: Any) -> Holds:
    def holds(each: Customer) -> bool:
        return word == "!=" if each[name] is None else _COMPARE[word](each[name], value)

    return holds


def _dated(dice: random.Random, name: str) -> tuple[str, Holds]:
    """Compare the day of a time with a day."""
    shift, word = dice.randrange(-6, 7), dice.choice(list(_COMPARE))
    day = AS_OF + timedelta(days=shift)
    relative = f"days_ahead({shift})" if shift > 0 else f"days_ago({-shift}d)"
    text = f"{name} {word} {dice.choice([relative, repr(day.isoformat())])}"

    def holds(each: Customer) -> bool:
        stored = each[name]
        if stored is None:
            return word == "!="
        return _COMPARE[word](datetime.fromisoformat(stored).replace(tzinfo=UTC).date(), day)

    return text, holds


def _listed(dice: random.Random, name: str) -> tuple[str, Holds]:
    chosen = dice.sample(_TEXTS, dice.randrange(1, 4))
    listed = "[" + ", ".join(map(repr, chosen)) + "]"
    if dice.random() < 0.5:
        return f"{name} NOT IN {listed}", lambda each: each[name] is None or each[name] not in chosen
    return f"{name} in {listed}", lambda each: each[name] is not None and each[name] in chosen


def _bought(dice: random.Random) -> tuple[str, Holds]:
    days = dice.choice([None, 1, 30, 150, 299])
    within = "" if days is None else f", {days}{dice.choice(['', 'd'])}"
    product = dice.choice([*PRODUCTS, "unknown"])
    if dice.random() < 0.5:
        wanted, text = {product}, f"bought({product!r}{within})"
    else:
        category = PRODUCTS.get(product, "None")
        wanted = {each for each, its in PRODUCTS.items() if its == category}
        text = f"bought_category({category!r}{within})"

    def holds(each: Customer) -> bool:
        return any(age <= (days or 10**6) for each_id, age in each["bought"].items() if each_id in wanted)

    return text, holds
