"""BTYD's spend on the basis of the shop: what is kept of gross money, losses included."""

import numpy as np
import pandas as pd
import pytest
from model_examples import make_examples, simulate_orders

from models.btyd_spend import BtydSpend


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    return make_examples(simulate_orders(200, seed=5)).current


@pytest.mark.parametrize("kept", [0.5, 0.02])
def test_answers_are_what_the_shop_keeps(features: pd.DataFrame, kept: float) -> None:
    """A half of the customers lose money, the others bring more: the shop keeps `kept` of its gross money."""
    gross = BtydSpend().fit(features)
    even = np.arange(len(features)) % 2 == 0
    total, half = features["spend_total"].sum(), features.loc[even, "spend_total"].sum()
    share = np.where(even, (kept * total + 0.3 * (total - half)) / half, -0.3)
    margin = BtydSpend().fit(features.assign(spend_total=features["spend_total"] * share))
    ratio = margin.expected_spend(features, 30).sum() / gross.expected_spend(features, 30).sum()
    assert ratio == pytest.approx(kept, rel=1e-6)


def test_a_shop_that_loses_on_everything_is_expected_to_bring_next_to_nothing(
    features: pd.DataFrame,
) -> None:
    loss = BtydSpend().fit(features.assign(spend_total=-features["spend_total"]))
    found = loss.expected_spend(features, 30)
    assert (found > 0).all()
    assert found.sum() < 0.002 * BtydSpend().fit(features).expected_spend(features, 30).sum()
