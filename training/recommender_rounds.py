"""What recommenders learn from at an origin, and one round of their back-test."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from features.history import History
from features.interactions import build_interactions, build_purchases
from features.items import build_items
from features.settings import Settings
from features.snapshot import Snapshot
from models.contract import NotEnoughDataError
from models.recommender.contract import Recommender, RecommenderMaterial, Rehearsal
from training.metrics_recommender import customer_metrics, recall_by_k

JUDGED_K = 10
RECALL_KS = (1, 3, 5, 10, 20)
REHEARSAL_COUNT = 2


@dataclass(frozen=True, slots=True)
class RecommenderRound:
    """One origin's result: per-customer metrics, mean recall by k, and who was left out.

    `metrics` has the columns candidate, origin, customer_id, recall, ndcg, hit, mrr (at 10).
    """

    metrics: pd.DataFrame
    recalls: dict[str, dict[int, float]]
    left_out: dict[str, str]


def material_at(history: History, origin: Snapshot, *, settings: Settings) -> RecommenderMaterial:
    """Collect what a recommender may learn at an origin: its purchases, and earlier windows as rehearsals."""
    outcome_days = settings.recommender.outcome_days
    first = history.manifest.first_order_days
    rehearsals = []
    for number in range(1, REHEARSAL_COUNT + 1):
        start = origin.shifted(-outcome_days * number)
        if first is None or start.end_days - first < settings.churn.history_days_min:
            break
        rehearsals.append(
            Rehearsal(
                snapshot=start,
                interactions=build_interactions(history, start, settings=settings),
                items=build_items(history, start, settings=settings),
                purchases=build_purchases(history, start, start.shifted(outcome_days)),
            )
        )
    return RecommenderMaterial(
        origin=origin,
        outcome_days=outcome_days,
        interactions=build_interactions(history, origin, settings=settings),
        items=build_items(history, origin, settings=settings),
        rehearsals=tuple(rehearsals),
    )


def recommender_round(
    candidates: Mapping[str, Recommender], material: RecommenderMaterial, purchases: pd.DataFrame
) -> RecommenderRound:
    """Fit and judge every recommender at one origin against what was bought in the window after it.

    Judged are the customers known at the origin who bought something; `purchases` as from `build_purchases`.
    """
    known = set(material.interactions["customer_id"])
    truth = purchases[purchases["customer_id"].isin(known)]
    judged = sorted(set(truth["customer_id"]))
    tables, recalls, left_out = [], {}, {}
    for name, candidate in candidates.items():
        try:
            candidate.fit(material)
        except NotEnoughDataError as error:
            left_out[name] = str(error)
            continue
        if not judged:
            continue
        lists = candidate.recommend(
            material.interactions,
            customer_ids=judged,
            snapshot=material.origin,
            kinds=["for_you"],
            depth=max(RECALL_KS),
        )
        table = customer_metrics(lists, truth, k=JUDGED_K).reset_index()
        tables.append(table.assign(candidate=name, origin=material.origin.date))
        recalls[name] = recall_by_k(lists, truth, ks=RECALL_KS)
    metrics = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    return RecommenderRound(metrics=metrics, recalls=recalls, left_out=left_out)
