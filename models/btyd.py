"""Buy till you die: BG/NBD and modified BG/NBD, fitted by maximum (penalised) likelihood.

Customers order as a Poisson process with their own rate (gamma: r, alpha) until they drop out; after each
order they drop out with their own probability (beta: a, b). In the *modified* model the first order is such a
chance too, so a customer with one order may be gone. With x repeat orders, the last at tx, observed for T
since the first order, and n chances to drop out (n = x, modified: x + 1):

    L = G(r+x)/G(r) * alpha^r / B(a,b) * [ B(a, b+n) / (alpha+T)^(r+x)  +  (n > 0) B(a+1, b+n-1) /
    (alpha+tx)^(r+x) ]

Sources: Fader, Hardie, Lee (2005), "Counting your customers the easy way", Marketing Science 24(2); Batislam,
Denizel, Filiztekin (2007), Int. J. of Research in Marketing 24(3). Everything is computed in log space.

The time unit travels with data and model, and a mismatch is refused.
"""

from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, digamma, expit, gammaln, hyp2f1

from features.errors import UserError

Floats = NDArray[np.float64]
TimeUnit = Literal["days", "weeks"]

# Centre of the weak prior, in logs: r, alpha over the mean age, a, b. Typical of published retail fits.
_PRIOR_CENTRE = np.log([0.5, 0.3, 1.0, 2.5])
_LOG_BOUNDS = [(-9.0, 9.0)] * 4
_PRIOR_AGE_MIN = {"days": 30.0, "weeks": 30.0 / 7.0}
_EXACT_ROWS_MAX = 200_000
_BIN_COUNT = 256


class TimeUnitError(UserError):
    """A model fitted in one time unit met data or a horizon in another."""


@dataclass(frozen=True, slots=True)
class PurchaseHistories:
    """What BTYD knows of each customer, in one time unit; arrays of one length.

    `frequency`  repeat orders (orders on distinct days, minus the first)
    `recency`    first order to last order, 0 where there is no repeat order
    `age`        first order to snapshot
    `weight`     customers a row stands for
    """

    frequency: Floats
    recency: Floats
    age: Floats
    weight: Floats
    unit: TimeUnit

    @classmethod
    def from_arrays(cls, frequency: object, recency: object, age: object, *, unit: TimeUnit) -> Self:
        """Build from array-likes; a recency above the age (rounding at the source) is lowered to it."""
        x = np.nan_to_num(np.asarray(frequency, dtype=np.float64)).clip(min=0.0)
        total = np.nan_to_num(np.asarray(age, dtype=np.float64)).clip(min=0.0)
        last = np.minimum(np.nan_to_num(np.asarray(recency, dtype=np.float64)).clip(min=0.0), total)
        return cls(x, np.where(x > 0, last, 0.0), total, np.ones_like(x), unit)

    @classmethod
    def from_features(cls, features: pd.DataFrame, *, weights: Floats | None = None) -> Self:
        """Build from a feature table, in days; unknown values count as no repeat order."""
        found = cls.from_arrays(
            features["order_day_count"] - 1.0,
            features["tenure_days"] - features["recency_days"],
            features["tenure_days"],
            unit="days",
        )
        return found if weights is None else replace(found, weight=weights)

    def condensed(self) -> Self:
        """Return one weighted row per distinct history, times binned (to bin means) if there are very many.

        The likelihood is unchanged up to 200,000 distinct customers; above, times move by less than 1/256 of
        the span.
        """
        if len(self.age) <= _EXACT_ROWS_MAX:
            columns = np.column_stack([self.frequency, self.recency, self.age])
            unique, inverse = np.unique(columns, axis=0, return_inverse=True)
            weight = _sums(inverse.ravel(), self.weight)
            return type(self)(unique[:, 0], unique[:, 1], unique[:, 2], weight, self.unit)
        width = max(float(self.age.max()), 1e-9) / _BIN_COUNT
        bins = [self.frequency, np.ceil(self.recency / width), np.ceil(self.age / width)]
        code = (bins[0] * (_BIN_COUNT + 1) + bins[1]) * (_BIN_COUNT + 1) + bins[2]
        _, inverse = np.unique(code, return_inverse=True)
        weight = _sums(inverse, self.weight)
        means = [
            _sums(inverse, self.weight * values) / weight
            for values in (self.frequency, self.recency, self.age)
        ]
        return type(self)(means[0].round(), means[1], means[2], weight, self.unit)


class BgNbd:
    """BG/NBD, or with `dropout_at_first_order` the modified BG/NBD (MBG/NBD).

    `penalty` weighs a weak prior on the logs of the parameters (0: plain maximum likelihood; 0.05 is a
    standard deviation of 3.2 in logs, which 1,000 customers do not notice and one customer needs).
    """

    r_: float
    alpha_: float
    a_: float
    b_: float
    unit_: TimeUnit
    log_likelihood_: float

    def __init__(self, *, dropout_at_first_order: bool = False, penalty: float = 0.0) -> None:
        self.dropout_at_first_order = dropout_at_first_order
        self.penalty = penalty

    def fit(self, purchases: PurchaseHistories) -> Self:
        """Fit to any number of customers, none included (then the prior's centre, if there is a penalty)."""
        rows = purchases.condensed()
        weight = rows.weight.sum()
        mean_age = float(np.average(rows.age, weights=rows.weight)) if weight > 0 else 0.0
        scale = max(mean_age, _PRIOR_AGE_MIN[rows.unit])
        scaled = PurchaseHistories(
            rows.frequency, rows.recency / scale, rows.age / scale, rows.weight, rows.unit
        )
        best = minimize(
            self._loss, _PRIOR_CENTRE, args=(scaled,), jac=True, method="L-BFGS-B", bounds=_LOG_BOUNDS,
            options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-9},
        )  # fmt: skip
        self.r_, alpha, self.a_, self.b_ = (float(value) for value in np.exp(best.x))
        self.alpha_ = alpha * scale
        self.unit_ = purchases.unit
        self.log_likelihood_ = self.log_likelihood(purchases)
        return self

    def log_likelihood(self, purchases: PurchaseHistories) -> float:
        """Return the log-likelihood of some customers under the fitted parameters."""
        self._check_unit(purchases.unit)
        terms = self._log_terms(purchases, self._parameters())
        return float(purchases.weight @ (terms[0] + np.logaddexp(terms[1], terms[2])))

    def alive_probability(self, purchases: PurchaseHistories) -> Floats:
        """Return P(has not dropped out).

        Not a churn score: under BG/NBD it is 1 for every customer with one order. Use `order_probability`.
        """
        self._check_unit(purchases.unit)
        terms = self._log_terms(purchases, self._parameters())
        return np.asarray(expit(terms[1] - terms[2]))

    def order_probability(self, purchases: PurchaseHistories, horizon: float, *, unit: TimeUnit) -> Floats:
        """Return P(at least one order within the horizon).

        P(alive) * (1 - ((alpha + T) / (alpha + T + h))^(r + x)): whoever is alive orders next at the own
        rate, gamma distributed with (r + x, alpha + T). The same in both models, which differ in P(alive).
        """
        alive, silent = self._alive_and_silent(purchases, horizon, unit)
        return np.asarray(alive * -np.expm1(silent))

    def silence_probability(self, purchases: PurchaseHistories, horizon: float, *, unit: TimeUnit) -> Floats:
        """Return P(no order within the horizon), exact also where it is next to nothing."""
        alive, silent = self._alive_and_silent(purchases, horizon, unit)
        terms = self._log_terms(purchases, self._parameters())
        return np.asarray(expit(terms[2] - terms[1]) + alive * np.exp(silent))

    def expected_orders(self, purchases: PurchaseHistories, horizon: float, *, unit: TimeUnit) -> Floats:
        """Return the expected number of orders within the horizon.

        With s = r + x, c = b + n and z = h / (alpha + T + h), the published Gauss form after Euler's
        transformation, which neither overflows nor cancels for frequent customers:

            P(alive) * (a + c - 1) / (a - 1) * (1 - (1 - z)^(a - 1) * 2F1(a + c - 1 - s, a - 1; a + c - 1; z))
        """
        self._check_unit(unit)
        s = self.r_ + purchases.frequency
        c = self.b_ + self._chances(purchases.frequency)
        z = horizon / (self.alpha_ + purchases.age + horizon)
        # SciPy misses the limits at whole-number differences of parameters; next to them all is smooth.
        a = self.a_ if abs(self.a_ - 1.0) > 1e-6 else 1.0 + 1e-6
        while_alive = _gauss_form(a, c, s, z)
        while_alive = np.where(np.isfinite(while_alive), while_alive, _gauss_form(a * (1.0 + 1e-6), c, s, z))
        expected = self.alive_probability(purchases) * while_alive
        return np.asarray(np.maximum(expected, self.order_probability(purchases, horizon, unit=unit)))

    def state(self) -> dict[str, float | str | bool]:
        """Return what `from_state` needs, as plain values."""
        return {
            "dropout_at_first_order": self.dropout_at_first_order,
            "penalty": self.penalty,
            "r": self.r_,
            "alpha": self.alpha_,
            "a": self.a_,
            "b": self.b_,
            "unit": self.unit_,
            "log_likelihood": self.log_likelihood_,
        }

    @classmethod
    def from_state(cls, state: dict[str, float | str | bool]) -> Self:
        """Rebuild a fitted model from `state()`."""
        model = cls(
            dropout_at_first_order=bool(state["dropout_at_first_order"]), penalty=float(state["penalty"])
        )
        model.r_, model.alpha_ = float(state["r"]), float(state["alpha"])
        model.a_, model.b_ = float(state["a"]), float(state["b"])
        model.unit_ = "weeks" if state["unit"] == "weeks" else "days"
        model.log_likelihood_ = float(state["log_likelihood"])
        return model

    def _chances(self, frequency: Floats) -> Floats:
        """Return n, how often a customer could have dropped out and did not, if alive."""
        return frequency + 1.0 if self.dropout_at_first_order else frequency

    def _parameters(self) -> Floats:
        return np.array([self.r_, self.alpha_, self.a_, self.b_])

    def _alive_and_silent(
        self, purchases: PurchaseHistories, horizon: float, unit: TimeUnit
    ) -> tuple[Floats, Floats]:
        """Return P(alive) and the log of P(no order within the horizon | alive)."""
        self._check_unit(unit)
        silent = -(self.r_ + purchases.frequency) * np.log1p(horizon / (self.alpha_ + purchases.age))
        return self.alive_probability(purchases), silent

    def _check_unit(self, unit: TimeUnit) -> None:
        if unit != self.unit_:
            raise TimeUnitError(
                f"the model was fitted in {self.unit_} and was asked about {unit}; convert one of them first"
            )

    def _log_terms(self, purchases: PurchaseHistories, parameters: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the logs of the common factor, of the alive and of the dropped-out term."""
        r, alpha, a, b = parameters
        x, n = purchases.frequency, self._chances(purchases.frequency)
        common = gammaln(r + x) - gammaln(r) + betaln(a, b + n) - betaln(a, b)
        # alpha^r is kept with the powers: alone it overflows for a large r.
        alive = r * np.log(alpha / (alpha + purchases.age)) - x * np.log(alpha + purchases.age)
        gone = r * np.log(alpha / (alpha + purchases.recency)) - x * np.log(alpha + purchases.recency)
        odds = np.where(n > 0, np.log(a) - np.log(np.where(n > 0, b + n - 1.0, 1.0)), -np.inf)
        return common, alive, odds + gone

    def _loss(self, logs: Floats, purchases: PurchaseHistories) -> tuple[float, Floats]:
        """Return the penalised negative log-likelihood a customer and its gradient in the logs."""
        parameters = np.exp(logs)
        common, alive, gone = self._log_terms(purchases, parameters)
        weight, total = purchases.weight, max(float(purchases.weight.sum()), 1.0)
        value = weight @ (common + np.logaddexp(alive, gone))
        gradient = weight @ self._score(purchases, parameters, expit(gone - alive)) * parameters
        distance = logs - _PRIOR_CENTRE
        loss = (self.penalty * distance @ distance - value) / total
        return float(loss), (2.0 * self.penalty * distance - gradient) / total

    def _score(self, purchases: PurchaseHistories, parameters: Floats, gone: Floats) -> Floats:
        """Return the derivative of each row's log-likelihood by r, alpha, a, b; `gone` is P(dropped out)."""
        r, alpha, a, b = parameters
        x, n = purchases.frequency, self._chances(purchases.frequency)
        until_now, until_last = alpha + purchases.age, alpha + purchases.recency
        by_r = digamma(r + x) - digamma(r) + np.log(alpha)
        by_r -= (1.0 - gone) * np.log(until_now) + gone * np.log(until_last)
        by_alpha = r / alpha - (r + x) * ((1.0 - gone) / until_now + gone / until_last)
        chances = digamma(a + b) - digamma(a + b + n)
        by_a = chances + gone / a
        by_b = (
            chances
            + digamma(b + n)
            - digamma(b)
            - np.where(n > 0, gone / np.where(n > 0, b + n - 1.0, 1.0), 0.0)
        )
        return np.column_stack([by_r, by_alpha, by_a, by_b])


def fit_btyd(purchases: PurchaseHistories, *, penalty: float = 0.05) -> BgNbd:
    """Fit BG/NBD and MBG/NBD and return the one with the higher likelihood (as many parameters)."""
    fitted = [BgNbd(dropout_at_first_order=early, penalty=penalty).fit(purchases) for early in (True, False)]
    return max(fitted, key=lambda model: model.log_likelihood_)


def _sums(groups: NDArray[np.intp], values: Floats) -> Floats:
    return np.bincount(groups, weights=values).astype(np.float64)


def _gauss_form(a: float, c: Floats, s: Floats, z: Floats) -> Floats:
    """Return the expected orders of a customer who is alive; see `BgNbd.expected_orders`."""
    third = _off_poles(a + c - 1.0)
    with np.errstate(invalid="ignore", over="ignore"):
        bracket = 1.0 - np.exp((a - 1.0) * np.log1p(-z)) * hyp2f1(third - s, a - 1.0, third, z)
        return np.asarray(third / (a - 1.0) * bracket)


def _off_poles(values: Floats) -> Floats:
    """Move values off zero and the negative integers, where 2F1 is not defined."""
    at_pole = (values <= 0) & (np.abs(values - values.round()) < 1e-9)
    return np.where(at_pole, values + 1e-7, values)
