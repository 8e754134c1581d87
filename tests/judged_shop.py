"""A back-test's stored predictions, made up, and the scorecard of it: no model is fitted."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.layout import Layout
from features.settings import BacktestSettings, Settings
from features.snapshot import Snapshot
from training import verdicts
from training.context import Context
from training.metrics_exposure import Exposure
from training.rounds import Backtest
from training.scorecard import Scorecard

ORIGINS = (date(2026, 3, 1), date(2026, 4, 1))
HEADLINE_DAYS = 30


def context_at(folder: Path) -> Context:
    """Return a context that judges stored predictions; nothing here reads its history."""
    nothing: Any = None
    settings = Settings(backtest=BacktestSettings(bootstrap_count=200))
    return Context(Layout(folder), settings, nothing, Snapshot(date(2026, 6, 1)), HEADLINE_DAYS, nothing)


def predictions(*, customer_count: int = 300, useless: bool = False, seed: int = 1) -> Backtest:
    """Return predictions of a model that knows the chances (or nothing, if useless), beside the base rate."""
    generator = np.random.default_rng(seed)
    churn, value, lists, exposures = [], [], [], {}
    ids = [f"c{number:04d}" for number in range(customer_count)]
    chances = generator.beta(0.5, 0.8, customer_count)
    means = generator.gamma(1.5, 40.0, customer_count)
    for origin in ORIGINS:
        churned = (generator.random(customer_count) < chances).astype(np.float64)
        spend = (1 - churned) * means * generator.lognormal(0, 0.4, customer_count)
        keys = {"origin": origin, "customer_id": ids, "horizon_days": HEADLINE_DAYS}
        base = np.full(customer_count, chances.mean())
        known = base if useless else chances
        churn += [
            pd.DataFrame({"candidate": name, **keys, "prediction": told, "outcome": churned})
            for name, told in (("lightgbm", known), ("base_rate", base))
        ]
        expected = np.full(customer_count, spend.mean()) if useless else (1 - chances) * means
        for name, told in (("hurdle", expected), ("formula", np.full(customer_count, spend.mean() * 1.2))):
            bounds = {"low": 0.0, "high": told * 2, "spend_if_order_low": told / 3}
            value.append(
                pd.DataFrame(
                    {
                        "candidate": name,
                        **keys,
                        "prediction": told,
                        "outcome": spend,
                        "ordered": spend > 0,
                        **bounds,
                    }
                ).assign(spend_if_order_high=told * 4)
            )
        for name, share in (("blend", 0.6), ("popular", 0.4)):
            hit = (generator.random(customer_count) < share).astype(np.float64)
            lists.append(list_rows(ids, hit).assign(candidate=name, origin=origin))
            shown = generator.integers(0, 30, (customer_count, 10)).astype(np.int32)
            exposures[name, origin] = Exposure(np.array(ids, dtype=object), shown, offered_count=40)
    found = Backtest(list(ORIGINS))
    found.churn, found.clv, found.recommender = (pd.concat(rows) for rows in (churn, value, lists))
    found.exposures = exposures
    found.recalls = {"blend": {1: 0.1, 10: 0.3}, "popular": {1: 0.05, 10: 0.2}}
    return found


def list_rows(ids: list[str], hit: NDArray[np.float64]) -> pd.DataFrame:
    """Return how lists were judged; one customer in two bought nothing from a category new to them."""
    places = np.arange(len(ids))
    return pd.DataFrame(
        {
            "customer_id": ids,
            "order_count": 1 + places % 12,
            "recall": hit / 2,
            "ndcg": hit / 3,
            "hit": hit,
            "mrr": hit / 4,
            "precision": hit / 10,
            "repeat_recall": hit,
            "explore_recall": hit / 5,
            "novelty": 2.0 + hit,
            "fallback_share": 0.2,
            "discovery": np.where(places % 2, 1 - hit, np.nan),
            "popular_discovery": np.where(places % 2, hit, np.nan),
        }
    )


def scorecard_of(context: Context, result: Backtest, *, left_out: dict[str, str] | None = None) -> Scorecard:
    """Judge stored predictions."""
    return Scorecard(
        as_of=date(2026, 6, 1),
        headline_days=HEADLINE_DAYS,
        data_hash="d" * 16,
        recipe_hash="r",
        git_revision="abc",
        currency="EUR",
        clv_basis="net",
        created_at=datetime(2026, 6, 1, tzinfo=UTC),
        tasks={
            "churn": verdicts.churn_result(context, result.churn, left_out or {}),
            "clv": verdicts.clv_result(context, result.clv, {}),
            "recommender": verdicts.recommender_result(
                context, result.recommender, {}, exposures=result.exposures, undefined=result.undefined
            ),
        },
    )
