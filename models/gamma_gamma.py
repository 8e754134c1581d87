"""Gamma-Gamma: what an order is worth, shrunk towards the shop's mean by how few repeat orders were seen.

Spend an order is gamma distributed with shape p and a rate of the customer's own, itself gamma (q, v). With x
repeat orders of mean m (Fader, Hardie 2013, "The gamma-gamma model of monetary value"):

    log L  = lnG(px+q) - lnG(px) - lnG(q) + q ln v + (px-1) ln m + px ln x - (px+q) ln(v + mx)
    E[spend an order] = p (v + mx) / (px + q - 1)           the shop's mean pv / (q-1) where x = 0
"""

from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln

Floats = NDArray[np.float64]

# Centre of the weak prior, in logs: p, q - 1, v over the mean spend.
_PRIOR_CENTRE = np.log([5.0, 2.5, 0.5])
_LOG_BOUNDS = [(-7.0, 7.0), (-7.0, 7.0), (-9.0, 9.0)]


class GammaGamma:
    """Gamma-Gamma with q > 1, so that the expectation exists; `penalty` as in `models.btyd.BgNbd`."""

    p_: float
    q_: float
    v_: float
    log_likelihood_: float

    def __init__(self, *, penalty: float = 0.0) -> None:
        self.penalty = penalty

    def fit(
        self,
        order_count: object,
        mean_spend: object,
        *,
        fallback_mean: float = 1.0,
        weights: Floats | None = None,
    ) -> Self:
        """Fit to repeat orders and their mean spend; customers without either (or mean <= 0) say nothing.

        `fallback_mean` is the spend an order that the prior starts from where no customer has repeat orders;
        `weights` say what each customer counts (None: all the same).
        """
        usable = _usable(order_count, mean_spend)
        x, m = (np.asarray(values, dtype=np.float64)[usable] for values in (order_count, mean_spend))
        w = np.ones_like(x) if weights is None else weights[usable]
        scale = float(np.average(m, weights=x * w)) if len(x) else fallback_mean
        scale = scale if np.isfinite(scale) and scale > 0 else 1.0
        best = minimize(
            self._loss, _PRIOR_CENTRE, args=(x, m / scale, w), method="L-BFGS-B", bounds=_LOG_BOUNDS,
            options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-9},
        )  # fmt: skip
        self.p_, above_one, v = (float(value) for value in np.exp(best.x))
        self.q_, self.v_ = 1.0 + above_one, v * scale
        self.log_likelihood_ = float((w * _log_likelihood(x, m, self.p_, self.q_, self.v_)).sum())
        return self

    def expected_spend(self, order_count: object, mean_spend: object) -> Floats:
        """Return the expected spend an order; without repeat orders (or with mean <= 0) the shop's own."""
        x = np.nan_to_num(np.asarray(order_count, dtype=np.float64)).clip(min=0.0)
        m = np.nan_to_num(np.asarray(mean_spend, dtype=np.float64))
        x = np.where(m > 0, x, 0.0)
        return np.asarray(self.p_ * (self.v_ + m.clip(min=0.0) * x) / (self.p_ * x + self.q_ - 1.0))

    def state(self) -> dict[str, float]:
        """Return what `from_state` needs, as plain values."""
        return {
            "penalty": self.penalty,
            "p": self.p_,
            "q": self.q_,
            "v": self.v_,
            "log_likelihood": self.log_likelihood_,
        }

    @classmethod
    def from_state(cls, state: dict[str, float]) -> Self:
        """Rebuild a fitted model from `state()`."""
        model = cls(penalty=state["penalty"])
        model.p_, model.q_, model.v_ = state["p"], state["q"], state["v"]
        model.log_likelihood_ = state["log_likelihood"]
        return model

    def _loss(self, logs: Floats, x: Floats, m: Floats, w: Floats) -> float:
        p, above_one, v = np.exp(logs)
        distance = logs - _PRIOR_CENTRE
        value = (w * _log_likelihood(x, m, p, 1.0 + above_one, v)).sum()
        return float((self.penalty * distance @ distance - value) / max(len(x), 1))


def _usable(order_count: object, mean_spend: object) -> NDArray[np.bool_]:
    x = np.asarray(order_count, dtype=np.float64)
    m = np.asarray(mean_spend, dtype=np.float64)
    usable: NDArray[np.bool_] = np.isfinite(x) & np.isfinite(m) & (x > 0) & (m > 0)
    return usable


def _log_likelihood(x: Floats, m: Floats, p: float, q: float, v: float) -> Floats:
    px = p * x
    shape = gammaln(px + q) - gammaln(px) - gammaln(q)
    # q ln v - (px+q) ln(v + mx), kept together so that neither is large alone.
    scale = -q * np.log1p(m * x / v) - px * np.log(v + m * x)
    return np.asarray(shape + scale + (px - 1.0) * np.log(m) + px * np.log(x))


def repeat_spend(features: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return repeat order days and their mean spend from a feature table."""
    return (
        np.asarray(features["order_day_count"], dtype=np.float64) - 1.0,
        np.asarray(features["repeat_spend_mean"], dtype=np.float64),
    )
