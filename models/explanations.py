"""Why a customer's churn probability is what it is: code, direction, probability points, the true numbers.

A churn model's contributions add up in the logit. They are summed by the reason code that each feature
declares and turned into probability points, effect_i = logit_i * (p - p0) / (logit p - logit p0), so that the
reference p0 plus all effects is p. The three strongest that raise the probability are kept, and the three
that lower it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.declare import Reason
from features.families import FEATURES
from models.contract import ChurnModel

Floats = npt.NDArray[np.float64]

KEPT_EACH_WAY: Final = 3
EFFECT_MIN: Final = 0.005
"""Weaker reasons than half a probability point are not worth a sentence."""
_WINDOW_DAYS: Final = 90
_EDGE: Final = 1e-12

VALUE_FEATURES: Final[Mapping[str, Mapping[str, str]]] = {
    "gap_over_usual": {"days": "recency_days", "usual_days": "median_gap_days"},
    "order_count": {"orders": "order_count", "recent_orders": "order_count_90"},
    "order_trend": {"recent_orders": "order_count_90", "both_orders": "order_count_180"},
    "tenure": {"tenure_days": "tenure_days"},
    "spend_level": {"mean_order_value": "mean_order_value", "spend_total": "spend_total"},
    "spend_trend": {"recent_spend": "spend_90", "both_spend": "spend_180"},
    "rhythm": {"usual_days": "median_gap_days", "last_gap_days": "last_gap_days", "orders": "order_count"},
    "breadth": {"products": "product_count"},
    "discounts": {"discounted_order_share": "discounted_order_share"},
    "returns": {"returned_spend_share": "returned_spend_share"},
    "engagement": {"acts": "act_count_30"},
    "season": {"year_ago_orders": "order_count_year_ago_90"},
}
"""Which features give a reason's numbers: value name -> feature."""
_DIFFERENCES: Final = {
    "order_trend": ("both_orders", "recent_orders", "earlier_orders"),
    "spend_trend": ("both_spend", "recent_spend", "earlier_spend"),
}
_WINDOWED: Final = frozenset({"order_count", "order_trend", "spend_trend"})


@dataclass(frozen=True, slots=True)
class ChurnReason:
    """One reason of one customer.

    `effect` in probability points as a share (0.1 is ten points); `values` the numbers of its wording.
    """

    code: Reason
    direction: Literal["up", "down"]
    effect: float
    values: dict[str, float | int | None]


@dataclass(frozen=True, slots=True)
class ChurnEffects:
    """All reasons of customers before the cut: `reference + effects.sum(axis=1)` is the churn probability.

    `reference`  probability, shape customers
    `effects`    probability points as a share, one row a customer, one column a code of `codes`
    """

    codes: tuple[Reason, ...]
    reference: Floats
    effects: Floats

    @property
    def is_named(self) -> npt.NDArray[np.bool_]:
        """Say which effects become a customer's reasons: the strongest three each way; shape of `effects`."""
        order = np.argsort(-np.abs(self.effects), axis=1, kind="stable")
        ordered = np.take_along_axis(self.effects, order, axis=1)
        kept = np.zeros(ordered.shape, dtype=bool)
        for strong in (ordered >= EFFECT_MIN, ordered <= -EFFECT_MIN):
            kept |= strong & (strong.cumsum(axis=1) <= KEPT_EACH_WAY)
        named = np.empty_like(kept)
        np.put_along_axis(named, order, kept, axis=1)
        return named

    @property
    def rest(self) -> Floats:
        """What the reasons that are not named add to the churn probability, together; shape customers."""
        return np.asarray(np.where(self.is_named, 0.0, self.effects).sum(axis=1))


def churn_effects(churn: ChurnModel, features: pd.DataFrame, *, horizon_days: int) -> ChurnEffects | None:
    """Return what every reason code adds to each churn probability; None where the method has no reasons.

    Codes are in alphabetical order; those of no feature of the model are left out.
    """
    shares = churn.contributions(features, horizon_days=horizon_days)
    if shares is None:
        return None
    code_of = {feature.name: feature.reason for feature in FEATURES}
    own = [code_of[str(name)] for name in shares.logits.columns]
    by_feature = shares.logits.to_numpy(dtype=np.float64).T
    codes = tuple(sorted(set(own)))
    by_code = np.zeros((len(codes), len(features)))
    for code, logits in zip(own, by_feature, strict=True):
        by_code[codes.index(code)] += logits
    reference = np.broadcast_to(np.asarray(shares.reference, dtype=np.float64), len(features))
    return ChurnEffects(codes, reference, probability_points(by_code.T, reference))


def named_reasons(
    found: ChurnEffects, features: pd.DataFrame, *, without_numbers: frozenset[str] = frozenset()
) -> list[list[ChurnReason]]:
    """Return the reasons that effects name, with the customer's numbers; one list a row of `features`.

    Codes in `without_numbers` are named and no more.
    """
    rows, places = np.nonzero(found.is_named)
    effects = found.effects[rows, places]
    reasons = np.empty(len(rows), dtype=object)
    for place, code in enumerate(found.codes):
        own = np.flatnonzero(places == place)
        numbers = _numbers({} if code in without_numbers else _values(code, features), rows[own])
        for at, effect, values in zip(own.tolist(), effects[own].tolist(), numbers, strict=True):
            reasons[at] = ChurnReason(code, "up" if effect > 0 else "down", round(effect, 6), values)
    order = np.lexsort((-np.abs(effects), rows))
    ordered = reasons[order].tolist()
    bounds = np.searchsorted(rows, np.arange(len(features) + 1)).tolist()
    return [ordered[start:end] for start, end in pairwise(bounds)]


def probability_points(logits: Floats, reference: Floats) -> Floats:
    """Turn logit shares (one row a customer) into probability points that add up to p - reference.

    >>> reference = np.array([0.5])
    >>> float(probability_points(np.array([[0.3, 0.1]]), reference).sum().round(6))
    0.098688
    """
    base = np.clip(reference, _EDGE, 1 - _EDGE)
    moved = logits.sum(axis=1)
    odds = base / (1 - base) * np.exp(moved)
    change = odds / (1 + odds) - base
    # Where the shares cancel out, the slope of the curve stands for the quotient.
    slope = np.where(np.abs(moved) > 1e-9, change / np.where(moved == 0, 1.0, moved), base * (1 - base))
    return np.asarray(logits * slope[:, None], dtype=np.float64)


def _values(code: str, features: pd.DataFrame) -> dict[str, Floats]:
    values = {
        name: features[feature].to_numpy(dtype=np.float64)
        for name, feature in VALUE_FEATURES[code].items()
        if feature in features.columns
    }
    if code in _DIFFERENCES:
        both, recent, earlier = _DIFFERENCES[code]
        values[earlier] = values.pop(both) - values[recent]
    if code in _WINDOWED:
        values["window_days"] = np.full(len(features), float(_WINDOW_DAYS))
    return values


def _numbers(
    values: Mapping[str, Floats], rows: npt.NDArray[np.intp]
) -> Iterator[dict[str, float | int | None]]:
    """Yield the numbers of some customers: days whole, missing ones null."""
    columns = [[_number(name, value) for value in column[rows].tolist()] for name, column in values.items()]
    return (
        {name: column[at] for name, column in zip(values, columns, strict=True)} for at in range(len(rows))
    )


def _number(name: str, value: float) -> float | int | None:
    if math.isnan(value):
        return None
    if name.endswith("days") or value.is_integer():
        return round(value)
    return round(value, 4)
