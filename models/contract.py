"""The contracts that every model and baseline of a task fulfils.

Constructors take keyword-only arguments and only store them; `fit` returns self and may be called again,
which refits; attributes learnt from data end in `_`; `predict` keeps row order and index; `params()` is flat;
`save` and `load` write and read plain files. Probabilities are in [0, 1]; money is in major units of the
shop's currency.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol, Self, runtime_checkable

import pandas as pd

from features.errors import UserError
from features.examples import Examples

Method = Literal["ml", "btyd", "formula", "baseline"]
Scalar = str | int | float | bool


class NotEnoughDataError(UserError):
    """A method needs more history than there is; the message names the minimum and what was seen."""


@dataclass(frozen=True, slots=True)
class Contributions:
    """Additive reasons: `logit(p) = logit(reference) + logits.sum(axis=1)`.

    `reference`  probability at the average margin, the horizon being a condition whose share goes here, so
                 that it differs a little between customers; same index as the features given
    `logits`     same index, one column a feature
    """

    reference: "pd.Series[float]"
    logits: pd.DataFrame


class Model(Protocol):
    """What every model of every task has."""

    name: ClassVar[str]
    method: ClassVar[Method]

    def params(self) -> dict[str, Scalar]:
        """Return the constructor's arguments, flat, ready for an experiment tracker."""
        ...

    def save(self, folder: Path) -> None:
        """Write plain files into an existing folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; predictions are equal to those before."""
        ...


class ChurnModel(Model, Protocol):
    """P(no order within h) for any horizon h, not rising with h."""

    feature_names_: tuple[str, ...]
    supported_days_: int

    def fit(self, examples: Examples) -> Self:
        """Learn from examples; horizons beyond `supported_days_` are extrapolated and flagged so."""
        ...

    def predict(self, features: pd.DataFrame, *, horizons_days: Sequence[int]) -> pd.DataFrame:
        """Return churn probabilities: index as given, one column a horizon (its days as int)."""
        ...

    def contributions(self, features: pd.DataFrame, *, horizon_days: int) -> Contributions | None:
        """Return additive reasons, or None where the method has none."""
        ...


class ClvModel(Model, Protocol):
    """Expected spend within h, its interval, expected orders; beyond `supported_days_` h is extrapolated."""

    feature_names_: tuple[str, ...]
    supported_days_: int

    def fit(self, examples: Examples) -> Self:
        """Learn from examples."""
        ...

    def predict(
        self, features: pd.DataFrame, *, order_probability: pd.DataFrame, horizons_days: Sequence[int]
    ) -> pd.DataFrame:
        """Return expected spend: index as given, one column a horizon, not falling with the horizon.

        It is `order_probability`, 1 - churn at the same horizons (same index, columns = horizons), times what
        is expected given an order: so that all numbers of a customer agree, whatever methods made them.
        """
        ...

    def predict_interval(
        self, features: pd.DataFrame, *, order_probability: pd.DataFrame, horizon_days: int
    ) -> pd.DataFrame:
        """Return low, median, high (marginal p10, p50, p90), spend_if_order_low and spend_if_order_high."""
        ...

    def predict_order_count(
        self, features: pd.DataFrame, *, order_probability: pd.DataFrame, horizon_days: int
    ) -> "pd.Series[float]":
        """Return the expected number of orders within the horizon."""
        ...


@runtime_checkable
class StandsAlone(Protocol):
    """A simple rule of value, which also answers as it is usually taught: without any idea of churn."""

    def predict_alone(self, features: pd.DataFrame, *, horizons_days: Sequence[int]) -> pd.DataFrame:
        """Return expected spend: index as given, one column a horizon, not falling with the horizon."""
        ...
