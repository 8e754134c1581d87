"""Random filters: the text that a request sends, beside what it means, made by nothing of the program."""

import operator
import random
from collections.abc import Callable, Mapping
from typing import Any

Product = Mapping[str, Any]
Holds = Callable[[Product], bool]
TEXTS = ("product_id", "name", "category", "subcategory", "brand")
ORDERED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def random_filter(
    dice: random.Random, values: Mapping[str, list[Any]], *, depth: int = 3
) -> tuple[str, Holds]:
    """Return a filter and its meaning; `values` are those to compare with, by attribute."""
    shape = dice.random()
    if depth == 0 or shape < 0.4:
        return _comparison(dice, values)
    if shape < 0.55:
        text, holds = random_filter(dice, values, depth=depth - 1)
        return f"not ({text})", lambda product: not holds(product)
    parts = [random_filter(dice, values, depth=depth - 1) for _ in range(dice.randrange(2, 4))]
    word, combine = dice.choice([("and", all), ("or", any)])
    text = f" {word} ".join(f"({part})" for part, _ in parts)
    return text, lambda product: combine(holds(product) for _, holds in parts)


def _comparison(dice: random.Random, values: Mapping[str, list[Any]]) -> tuple[str, Holds]:
    name = dice.choice([*TEXTS, "price", "price", "in_stock"])
    if name == "in_stock" and dice.random() < 0.5:
        return "in_stock", lambda product: product["in_stock"] is True
    kind = dice.choice(["equal", "null", "member", "ordered", "between"])
    if kind == "null":
        negated = dice.random() < 0.5
        text = f"{name} is {'not ' if negated else ''}null"
        return text, lambda product: (product[name] is None) != negated
    if kind == "member":
        return _membership(dice, name, values[name])
    if kind == "equal" or name == "in_stock":
        return _equality(dice, name, values[name])
    return _between(dice, name, values[name]) if kind == "between" else _order(dice, name, values[name])


def _equality(dice: random.Random, name: str, values: list[Any]) -> tuple[str, Holds]:
    value = dice.choice(values)
    sides = [name, written(dice, value)]
    dice.shuffle(sides)
    if dice.random() < 0.5:
        return " == ".join(sides), lambda product: product[name] == value
    return " != ".join(sides), lambda product: product[name] != value


def _membership(dice: random.Random, name: str, values: list[Any]) -> tuple[str, Holds]:
    chosen = dice.sample(values, min(dice.randrange(4), len(values)))
    listed = "[" + ", ".join(written(dice, value) for value in chosen) + "]"
    if dice.random() < 0.5:
        return f"{name} in {listed}", lambda product: product[name] is not None and product[name] in chosen
    return f"{name} not in {listed}", lambda product: product[name] is None or product[name] not in chosen


def _order(dice: random.Random, name: str, values: list[Any]) -> tuple[str, Holds]:
    value, word = dice.choice(values), dice.choice(list(ORDERED))
    compare = ORDERED[word]

    def holds(product: Product) -> bool:
        return product[name] is not None and compare(product[name], value)

    return f"{name} {word} {written(dice, value)}", holds


def _between(dice: random.Random, name: str, values: list[Any]) -> tuple[str, Holds]:
    low, high = dice.choice(values), dice.choice(values)

    def holds(product: Product) -> bool:
        return product[name] is not None and low < product[name] <= high

    return f"{written(dice, low)} < {name} <= {written(dice, high)}", holds


def written(dice: random.Random, value: Any) -> str:
    """Write a value as a filter has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return dice.choice([repr(value), f"{value:.2f}" if value == round(value, 2) else repr(value)])
    return repr(str(value))
