"""Simple churn rules under the contract of the models: base rate, recency, and BG/NBD.

They are candidates like the models: the back-test's best becomes champion. Rates are learnt per horizon from
every example whose outcome is known; between and beyond those horizons the curve is that of `models.horizon`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from scipy.special import expit

from features.examples import Examples
from models.btyd import BgNbd, PurchaseHistories
from models.btyd_spend import shop_orders
from models.contract import Method, Scalar
from models.horizon import (
    Floats,
    check_features,
    extended_churn_curve,
    label_horizons,
    require_supported,
)
from models.plain import read_state, write_state

# Ridge of the rules' coefficients: keeps them finite where only one kind of outcome was seen.
_RIDGE = 0.1
_NEWTON_STEPS = 50


class BaseRateChurn:
    """The shop's churn rate per horizon, the same for everyone."""

    name: ClassVar[str] = "base_rate"
    method: ClassVar[Method] = "baseline"

    feature_names_: tuple[str, ...]
    grid_days_: tuple[int, ...]
    supported_days_: int
    lines_: tuple[tuple[float, float], ...]
    extension_: BgNbd

    def params(self) -> dict[str, Scalar]:
        """Return nothing: a rule has no parameters."""
        return {}

    def fit(self, examples: Examples) -> Self:
        """Learn one line (intercept, slope) in the logit per horizon with a known outcome.

        Raises `NotEnoughDataError` where no outcome is known.
        """
        labels = examples.labels
        self.grid_days_ = require_supported(labels, snapshots_min=1, outcomes_min=0)
        signal, weights = self._signal(examples.features), examples.weights_of(examples.features)
        counts = np.ones_like(signal) if weights is None else weights
        lines = []
        for horizon_days in self.grid_days_:
            churned = labels[f"churned_{horizon_days}"].to_numpy(dtype=np.float64)
            known = np.isfinite(churned)
            lines.append(_fit_line(signal[known], churned[known], counts[known]))
        self.lines_ = tuple(lines)
        self.feature_names_ = tuple(examples.features.columns)
        self.extension_ = shop_orders(examples)
        self.supported_days_ = max(self.grid_days_)
        return self

    def predict(self, features: pd.DataFrame, *, horizons_days: Sequence[int]) -> pd.DataFrame:
        """Return churn probabilities, one column a horizon, not rising with it."""
        check_features(features, self.feature_names_)
        signal = self._signal(features)
        known = np.column_stack([expit(intercept + slope * signal) for intercept, slope in self.lines_])
        curve = extended_churn_curve(
            known, features, grid_days=self.grid_days_, horizons_days=horizons_days, extension=self.extension_
        )
        return pd.DataFrame(curve, index=features.index, columns=list(horizons_days))

    def contributions(self, features: pd.DataFrame, *, horizon_days: int) -> None:
        """Return None: a simple rule has no additive reasons."""

    def save(self, folder: Path) -> None:
        """Write `state.json`."""
        state = {
            "feature_names": list(self.feature_names_),
            "grid_days": list(self.grid_days_),
            "lines": [list(line) for line in self.lines_],
            "extension": self.extension_.state(),
        }
        write_state(folder, state)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        state = read_state(folder)
        model = cls()
        model.feature_names_ = tuple(state["feature_names"])
        model.grid_days_ = tuple(state["grid_days"])
        model.supported_days_ = max(model.grid_days_)
        model.lines_ = tuple((line[0], line[1]) for line in state["lines"])
        model.extension_ = BgNbd.from_state(state["extension"])
        return model

    def _signal(self, features: pd.DataFrame) -> Floats:
        """Return the column that the rule reads; all zeros here."""
        return np.zeros(len(features))


class RecencyChurn(BaseRateChurn):
    """The recency rule: the longer the silence the likelier churn, logistic in log(1 + recency_days)."""

    name: ClassVar[str] = "recency"

    def _signal(self, features: pd.DataFrame) -> Floats:
        recency = np.asarray(features["recency_days"], dtype=np.float64)
        return np.asarray(np.log1p(np.nan_to_num(recency).clip(min=0.0)))


class BtydChurn:
    """P(no order within h) of BG/NBD or MBG/NBD, whichever is likelier; it needs no past snapshot.

    The parameters come from the customers at the origin. `supported_days_` is the longest horizon with a
    known outcome (0 where there is none): the model answers beyond it too, but nobody has checked it there.
    """

    name: ClassVar[str] = "btyd"
    method: ClassVar[Method] = "btyd"

    feature_names_: tuple[str, ...]
    supported_days_: int
    btyd_: BgNbd

    def params(self) -> dict[str, Scalar]:
        """Return nothing: the likelihood decides."""
        return {}

    def fit(self, examples: Examples) -> Self:
        """Fit both models to the current customers and keep the likelier."""
        self.feature_names_ = tuple(examples.current.columns)
        self.supported_days_ = longest_known_days(examples.labels)
        self.btyd_ = shop_orders(examples)
        return self

    def predict(self, features: pd.DataFrame, *, horizons_days: Sequence[int]) -> pd.DataFrame:
        """Return churn probabilities, one column a horizon, not rising with it."""
        check_features(features, self.feature_names_)
        purchases = PurchaseHistories.from_features(features)
        curve = {
            horizon_days: self.btyd_.silence_probability(purchases, horizon_days, unit="days")
            for horizon_days in horizons_days
        }
        return pd.DataFrame(curve, index=features.index, columns=list(horizons_days))

    def contributions(self, features: pd.DataFrame, *, horizon_days: int) -> None:
        """Return None: the model's answer does not add up over features."""

    def save(self, folder: Path) -> None:
        """Write `state.json`."""
        state = {
            "feature_names": list(self.feature_names_),
            "supported_days": self.supported_days_,
            "btyd": self.btyd_.state(),
        }
        write_state(folder, state)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        state = read_state(folder)
        model = cls()
        model.feature_names_ = tuple(state["feature_names"])
        model.supported_days_ = state["supported_days"]
        model.btyd_ = BgNbd.from_state(state["btyd"])
        return model


def longest_known_days(labels: pd.DataFrame) -> int:
    """Return the longest horizon with a known outcome, 0 where there is none."""
    known = [days for days in label_horizons(labels) if labels[f"churned_{days}"].notna().any()]
    return max(known, default=0)


def _fit_line(signal: Floats, churned: Floats, counts: Floats) -> tuple[float, float]:
    """Fit churned ~ expit(intercept + slope * signal) by Newton's method, slope held at 0 or above."""
    design = np.column_stack([np.ones_like(signal), signal])
    line = _newton(design, churned, counts)
    if line[1] <= 0:
        line = np.append(_newton(design[:, :1], churned, counts), 0.0)
    return float(line[0]), float(line[1])


def _newton(design: Floats, churned: Floats, counts: Floats) -> Floats:
    ridge = _RIDGE * np.eye(design.shape[1])
    line = np.zeros(design.shape[1])
    for _ in range(_NEWTON_STEPS):
        chance = expit(design @ line)
        gradient = design.T @ (counts * (churned - chance)) - ridge @ line
        curvature = design.T @ (design * (counts * chance * (1.0 - chance))[:, None]) + ridge
        step = np.linalg.solve(curvature, gradient)
        line = line + step.clip(-2.0, 2.0)
        if np.abs(step).max() < 1e-9:
            break
    return line
