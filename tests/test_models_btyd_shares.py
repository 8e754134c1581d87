"""What BTYD's inputs add: worked by hand, and what Shapley values must be."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.btyd import BgNbd
from models.btyd_shares import INPUTS, silence_margins, silence_shares, typical_inputs

TYPICAL = {"order_day_count": 3.0, "recency_days": 20.0, "tenure_days": 200.0}


@pytest.fixture(scope="module")
def btyd() -> BgNbd:
    state = {"r": 0.7, "alpha": 30.0, "a": 0.8, "b": 2.5, "unit": "days", "log_likelihood": 0.0}
    return BgNbd.from_state({"dropout_at_first_order": False, "penalty": 0.0, **state})


def customer(*, days: float, recency: float, tenure: float) -> pd.DataFrame:
    return pd.DataFrame([{"order_day_count": days, "recency_days": recency, "tenure_days": tenure}])


def test_the_median_customer_is_typical() -> None:
    known = pd.concat(
        [customer(days=days, recency=days * 10, tenure=100.0 + days) for days in (1.0, 2.0, 9.0)]
    )
    assert typical_inputs(known) == {"order_day_count": 2.0, "recency_days": 20.0, "tenure_days": 102.0}


def test_each_input_gets_the_mean_of_what_it_adds_in_every_order(btyd: BgNbd) -> None:
    own = customer(days=8.0, recency=90.0, tenure=300.0)
    expected = dict.fromkeys(INPUTS, 0.0)
    for order in permutations(INPUTS):
        row = pd.DataFrame([TYPICAL])
        before = silence_margins(btyd, row, 30)[0]
        for name in order:
            row[name] = own[name]
            after = silence_margins(btyd, row, 30)[0]
            expected[name] += (after - before) / 6
            before = after
    found = silence_shares(btyd, own, TYPICAL, 30)[0]
    assert found == pytest.approx([expected[name] for name in INPUTS], abs=1e-12)


def test_a_customer_who_differs_in_one_input_owes_it_everything(btyd: BgNbd) -> None:
    found = silence_shares(btyd, pd.DataFrame([TYPICAL | {"recency_days": 150.0}]), TYPICAL, 30)[0]
    assert found[INPUTS.index("recency_days")] > 0.1
    assert found[[0, 2]] == pytest.approx([0.0, 0.0], abs=1e-12)


@given(
    days=st.integers(1, 200),
    tenure=st.floats(0.1, 3000.0),
    silence=st.floats(0.0, 1.0),
    horizon_days=st.integers(1, 365),
)
def test_shares_add_up_to_the_difference_from_the_typical_customer(
    btyd: BgNbd, days: int, tenure: float, silence: float, horizon_days: int
) -> None:
    own = customer(days=float(days), recency=silence * tenure, tenure=tenure)
    difference = (
        silence_margins(btyd, own, horizon_days)
        - silence_margins(btyd, pd.DataFrame([TYPICAL]), horizon_days)
    )[0]
    assert silence_shares(btyd, own, TYPICAL, horizon_days).sum() == pytest.approx(difference, abs=1e-9)
    assert np.isfinite(difference)
