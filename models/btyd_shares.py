"""What each of BTYD's three inputs adds to its log odds of silence, against a typical customer.

BTYD knows three things of a customer: on how many days they ordered, how long ago the last order was and how
long ago the first. With v(S) the log odds of a customer who has the inputs in S of their own and the others
of the typical customer, an input's share is the mean of what it adds to v over all orders of adding inputs
(Shapley 1953; as a reason of one prediction: Strumbelj, Kononenko 2014). The three add up to the customer's
log odds less the typical customer's.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from models.btyd import BgNbd, PurchaseHistories
from models.horizon import Floats, logit

INPUTS: Final = ("order_day_count", "recency_days", "tenure_days")
"""The features that hold what BTYD knows."""
_WEIGHTS: Final = (1 / 3, 1 / 6, 1 / 3)
"""Share of the orders of adding three inputs in which 0, 1 or 2 given others come before one."""


def typical_inputs(features: pd.DataFrame) -> dict[str, float]:
    """Return the median of each input."""
    return {name: float(features[name].median()) for name in INPUTS}


def silence_margins(btyd: BgNbd, inputs: pd.DataFrame, horizon_days: int) -> Floats:
    """Return BTYD's log odds that no order comes within the horizon, one entry a row of `INPUTS`."""
    purchases = PurchaseHistories.from_features(inputs)
    return logit(btyd.silence_probability(purchases, horizon_days, unit="days"))


def silence_shares(
    btyd: BgNbd, features: pd.DataFrame, typical: Mapping[str, float], horizon_days: int
) -> Floats:
    """Return what each input adds to `silence_margins`: one row a customer, columns as `INPUTS`."""
    own = features[list(INPUTS)]
    margins = [
        silence_margins(btyd, own.assign(**_others(typical, coalition)), horizon_days)
        for coalition in range(1 << len(INPUTS))
    ]
    shares = np.zeros((len(features), len(INPUTS)))
    for place in range(len(INPUTS)):
        bit = 1 << place
        for coalition in range(1 << len(INPUTS)):
            if not coalition & bit:
                gain = margins[coalition | bit] - margins[coalition]
                shares[:, place] += _WEIGHTS[coalition.bit_count()] * gain
    return shares


def _others(typical: Mapping[str, float], coalition: int) -> dict[str, float]:
    """Return the typical values of the inputs that are not in a coalition (bit i: input i is)."""
    return {name: typical[name] for place, name in enumerate(INPUTS) if not coalition & (1 << place)}
