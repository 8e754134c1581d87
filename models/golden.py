"""Made-up rows that every bundle carries, with the answers of the day of writing; no customer is in them."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from features.interactions import INTERACTION_SCHEMA
from features.snapshot import Snapshot, instant_of
from models.registry_names import Task

GOLDEN_HORIZONS_DAYS = (14, 30, 90, 365, 730)
_ROW_COUNT = 48
_DAY = 20_000.0
_SHOPPER_COUNT = 8

Arrays = dict[str, NDArray[Any]]


def golden_inputs(feature_names: tuple[str, ...]) -> Arrays:
    """Return made-up feature rows: none known, all zero, and numbers of many sizes with some missing."""
    generator = np.random.default_rng(20261122)
    shape = (_ROW_COUNT, len(feature_names))
    rows = generator.gamma(0.5, 20.0, shape) * 10.0 ** generator.integers(-2, 3, (1, len(feature_names)))
    rows[generator.random(shape) < 0.1] = np.nan
    rows[0], rows[1] = np.nan, 0.0
    return {"rows": rows.round(3)}


def golden_answers(kind: Task, model: Any, inputs: Arrays) -> Arrays:  # noqa: ANN401
    """Return what a model answers to the made-up rows, as arrays of numbers."""
    if kind == "recommender":
        return _recommender_answers(model)
    features = pd.DataFrame(inputs["rows"], columns=list(model.feature_names_))
    return _churn_answers(model, features) if kind == "churn" else _clv_answers(model, features)


def _churn_answers(model: Any, features: pd.DataFrame) -> Arrays:  # noqa: ANN401
    answers = {"churn": model.predict(features, horizons_days=GOLDEN_HORIZONS_DAYS).to_numpy()}
    shares = model.contributions(features, horizon_days=GOLDEN_HORIZONS_DAYS[1])
    return answers if shares is None else answers | {"contributions": shares.logits.to_numpy()}


def _clv_answers(model: Any, features: pd.DataFrame) -> Arrays:  # noqa: ANN401
    steps = np.linspace(0.05, 0.9, len(features))
    chances = {days: 1.0 - (1.0 - steps) ** (days / 90.0) for days in GOLDEN_HORIZONS_DAYS}
    given = {"order_probability": pd.DataFrame(chances, index=features.index)}
    days = GOLDEN_HORIZONS_DAYS[2]
    return {
        "spend": model.predict(features, horizons_days=GOLDEN_HORIZONS_DAYS, **given).to_numpy(),
        "interval": model.predict_interval(features, horizon_days=days, **given).to_numpy(),
        "orders": model.predict_order_count(features, horizon_days=days, **given).to_numpy(),
    }


def _recommender_answers(model: Any) -> Arrays:  # noqa: ANN401
    items = model.items()
    product_ids = items["product_id"].astype(str).tolist()
    shoppers = [f"made-up-{number}" for number in range(_SHOPPER_COUNT)]
    lists = model.recommend(
        _made_up_interactions(shoppers, product_ids),
        customer_ids=shoppers,
        snapshot=Snapshot(instant_of(_DAY).date()),
        kinds=["for_you"],
        depth=10,
    )
    lists = pd.concat([lists, *_lists_of_nobody(model, product_ids)], ignore_index=True)
    numbers = {product_id: number for number, product_id in enumerate(product_ids)}
    return {
        "items": np.array([numbers[product_id] for product_id in lists["product_id"]], dtype=np.float64),
        "scores": lists["score"].to_numpy(dtype=np.float64),
    }


def _lists_of_nobody(model: Any, product_ids: list[str]) -> list[pd.DataFrame]:  # noqa: ANN401
    shop = model.shop_lists(snapshot=Snapshot(instant_of(_DAY).date()), depth=10)
    return [shop, model.item_lists(product_ids[:_SHOPPER_COUNT], depth=10)]


def _made_up_interactions(shoppers: list[str], product_ids: list[str]) -> pl.DataFrame:
    """Give shopper n the n products after the n-th; the first has bought nothing and gets the fallback."""
    rows = []
    for number, shopper in enumerate(shoppers):
        bought = product_ids[number : 2 * number]
        for place, product_id in enumerate(bought):
            rows.append(
                {
                    "customer_id": shopper,
                    "product_id": product_id,
                    "order_count": 1 + place,
                    "recent_order_count": place % 2,
                    "order_weight_7": 0.3 * (1 + place),
                    "order_weight_30": 0.7 * (1 + place),
                    "order_weight_90": 0.9 * (1 + place),
                    "quantity_minor": 1_000 * (1 + place),
                    "spend_minor": 50_000 * (1 + place),
                    "first_days": _DAY - 60.0 - place,
                    "last_days": _DAY - 10.0 - place,
                    "returned_share": 0.0,
                    "customer_order_count": 2 + len(bought),
                    "customer_last_days": _DAY - 10.0,
                }
            )
    return pl.DataFrame(rows, schema=INTERACTION_SCHEMA)
