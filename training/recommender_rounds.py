"""One round of the recommenders' back-test: at one origin each is refitted and judged on what was bought."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import pandas as pd
import polars as pl

from models.contract import NotEnoughDataError
from models.recommender.contract import CustomerKind, Recommender, RecommenderMaterial
from training.list_truth import Truth, truth_of
from training.metrics_discovery import discovery_hits
from training.metrics_exposure import Exposure
from training.metrics_recommender import customer_metrics, list_figures, recall_by_k

JUDGED_K = 10
RECALL_KS = (1, 3, 5, 10, 20)
DISCOVERY_DEPTH = 50
"""How deep a cross-sell is read for its categories: as deep as it is stored by default."""
LIST_METRICS = (
    "recall",
    "ndcg",
    "hit",
    "mrr",
    "precision",
    "repeat_recall",
    "explore_recall",
    "novelty",
    "fallback_share",
    "discovery",
    "popular_discovery",
)
"""What is measured of a list, customer by customer; NaN where it is not defined for a customer."""


@dataclass(frozen=True, slots=True)
class RecommenderRound:
    """One origin's result: per-customer metrics, what was shown, mean recall by k, and who was left out.

    `metrics` has the columns candidate, origin, customer_id, order_count (before the origin) and, at 10,
    `LIST_METRICS`. `undefined` are metrics that nobody has, with the reason.
    """

    metrics: pd.DataFrame
    recalls: dict[str, dict[int, float]]
    left_out: dict[str, str]
    exposures: dict[tuple[str, date], Exposure] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)


def recommender_round(
    candidates: Mapping[str, Recommender], material: RecommenderMaterial, purchases: pl.DataFrame
) -> RecommenderRound:
    """Fit and judge every recommender at one origin against what was bought in the window after it.

    Judged are the customers known at the origin who bought something; `purchases` as from `read_purchases`.
    """
    truth, origin = truth_of(material, purchases), material.origin.date
    fitted, left_out = _fit(candidates, material)
    if not truth.customer_ids:
        left_out[f"all, {origin}"] = "nobody who was known then bought a product in the window after it"
    if not truth.customer_ids or not fitted:
        return RecommenderRound(pd.DataFrame(), {}, left_out)
    discovery = _discovery(next(iter(fitted.values())), material, truth)
    tables, recalls, exposures = [], {}, {}
    for name, recommender in fitted.items():
        lists = _lists(recommender, material, truth.customer_ids, kind="for_you", depth=max(RECALL_KS))
        table = _judged(lists, truth).join(discovery)
        tables.append(table.reset_index().assign(candidate=name, origin=origin))
        recalls[name] = recall_by_k(lists, truth.purchases, ks=RECALL_KS)
        exposures[name, origin] = Exposure.of(
            lists, truth.customer_ids, offered_count=truth.offered_count, k=JUDGED_K
        )
    metrics = pd.concat(tables, ignore_index=True)
    return RecommenderRound(metrics, recalls, left_out, exposures, truth.undefined)


def _fit(
    candidates: Mapping[str, Recommender], material: RecommenderMaterial
) -> tuple[dict[str, Recommender], dict[str, str]]:
    fitted, left_out = {}, {}
    for name, candidate in candidates.items():
        try:
            fitted[name] = candidate.fit(material)
        except NotEnoughDataError as error:
            left_out[name] = str(error)
    return fitted, left_out


def _judged(lists: pd.DataFrame, truth: Truth) -> pd.DataFrame:
    metrics = customer_metrics(lists, truth.purchases, k=JUDGED_K)
    figures = list_figures(lists, truth.buyer_shares, rarest=truth.rarest, k=JUDGED_K)
    return metrics.join(figures).join(truth.order_counts.rename("order_count"))


def _discovery(recommender: Recommender, material: RecommenderMaterial, truth: Truth) -> pd.DataFrame:
    """Judge the cross-sell as a list of categories; all recommenders make it alike, so one stands for all."""
    who = sorted(set(truth.discoveries["customer_id"]))
    if not who:
        return pd.DataFrame(columns=["discovery", "popular_discovery"], dtype=float)
    lists = _lists(recommender, material, who, kind="cross_sell", depth=DISCOVERY_DEPTH)
    return discovery_hits(lists, truth.discoveries, truth.categories, k=JUDGED_K)


def _lists(
    recommender: Recommender,
    material: RecommenderMaterial,
    customer_ids: list[str],
    *,
    kind: CustomerKind,
    depth: int,
) -> pd.DataFrame:
    return recommender.recommend(
        material.interactions,
        customer_ids=customer_ids,
        snapshot=material.origin,
        kinds=[kind],
        depth=depth,
    )
