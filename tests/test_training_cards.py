"""Model cards say whom a recipe learnt from."""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from model_examples import make_examples, simulate_orders

from features.customer_sample import CustomerSample
from models.baselines import BaseRateChurn
from models.recommender.factors import AlsSettings, ItemFactors
from training.cards import model_card
from training.tracking import Training

EXAMPLES = make_examples(simulate_orders(60), snapshot_count=4)
INFO = {"time_zone": "UTC", "currency": "EUR", "clv_basis": "net"}
TRAINING = Training(date(2026, 1, 1), 30, "d" * 16, "r" * 16, None, INFO)


@dataclass
class Lists(BaseRateChurn):
    customer_share_: float
    factors_: ItemFactors


@pytest.mark.parametrize(
    ("share", "als_share", "line"),
    [
        (1.0, 1.0, "of all customers; ALS: of all customers"),
        (1.0, 0.5, "of all customers; ALS: of a sample of 50.0% of the customers"),
        (0.25, 0.5, "of a sample of 25.0% of the customers; ALS: of a sample of 12.5% of the customers"),
    ],
)
def test_a_recommender_s_card_says_whose_purchases_it_learnt_from(
    share: float, als_share: float, line: str
) -> None:
    factors = ItemFactors(np.ones((3, 2), np.float32), AlsSettings(factor_count=2), customer_share=als_share)
    card = model_card("recommender", Lists(share, factors), examples=EXAMPLES, training=TRAINING)
    assert f"- Purchases learnt from: {line}\n" in card


def test_a_card_says_of_how_many_customers_the_sample_is() -> None:
    whole = model_card("churn", BaseRateChurn(), examples=EXAMPLES, training=TRAINING)
    assert f"- Customers: {len(EXAMPLES.current):,}; money: EUR" in whole
    ids = pl.Series(EXAMPLES.current.index.to_list())
    sample = CustomerSample(ids, np.full(len(ids), 50.0), np.ones(len(ids), dtype=bool), 50 * len(ids))
    card = model_card("churn", BaseRateChurn(), examples=replace(EXAMPLES, sample=sample), training=TRAINING)
    told = f"{len(ids):,} of {50 * len(ids):,}, a sample by strata (training.customers_max), weighted"
    assert f"- Customers: {told}; money" in card
    assert "Purchases" not in card
