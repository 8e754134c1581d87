"""Why a customer's churn probability is what it is: code, direction, probability points, the true numbers.

A churn model's contributions add up in the logit. They are summed by the reason code that each feature
declares and turned into probability points, effect_i = logit_i * (p - p0) / (logit p - logit p0), so that the
reference p0 plus all effects is p. The three strongest that raise the probability are kept, and the three
that lower it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

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


def explain_churn(
    churn: ChurnModel, features: pd.DataFrame, *, horizon_days: int
) -> list[list[ChurnReason]] | None:
    """Return each customer's reasons at a horizon, largest effect first; None where the method has none."""
    shares = churn.contributions(features, horizon_days=horizon_days)
    if shares is None:
        return None
    code_of = {feature.name: feature.reason for feature in FEATURES}
    columns = [code_of[str(name)] for name in shares.logits.columns]
    by_code = shares.logits.T.groupby(columns).sum().T
    reference = np.broadcast_to(np.asarray(shares.reference, dtype=np.float64), len(features))
    effects = probability_points(by_code.to_numpy(dtype=np.float64), reference)
    codes = cast("list[Reason]", list(by_code.columns))
    values = {code: _values(code, features) for code in codes}
    return [_strongest(effects[row], codes, values, row) for row in range(len(features))]


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


def _strongest(
    effects: Floats, codes: Sequence[Reason], values: Mapping[Reason, Mapping[str, Floats]], row: int
) -> list[ChurnReason]:
    order = np.argsort(-np.abs(effects), kind="stable")
    up = [place for place in order if effects[place] >= EFFECT_MIN][:KEPT_EACH_WAY]
    down = [place for place in order if effects[place] <= -EFFECT_MIN][:KEPT_EACH_WAY]
    return [
        ChurnReason(
            code=codes[place],
            direction="up" if effects[place] > 0 else "down",
            effect=round(float(effects[place]), 6),
            values=_numbers(values[codes[place]], row),
        )
        for place in order
        if place in up or place in down
    ]


def _numbers(values: Mapping[str, Floats], row: int) -> dict[str, float | int | None]:
    """Return the numbers of one customer: days whole, missing ones null."""
    return {name: _number(name, float(column[row])) for name, column in values.items()}


def _number(name: str, value: float) -> float | int | None:
    if np.isnan(value):
        return None
    if name.endswith("days") or value.is_integer():
        return round(value)
    return round(value, 4)
