"""One round of the recommenders' back-test: at one origin each is refitted and judged on what was bought."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from models.contract import NotEnoughDataError
from models.recommender.contract import Recommender, RecommenderMaterial
from training.metrics_recommender import customer_metrics, recall_by_k

JUDGED_K = 10
RECALL_KS = (1, 3, 5, 10, 20)


@dataclass(frozen=True, slots=True)
class RecommenderRound:
    """One origin's result: per-customer metrics, mean recall by k, and who was left out.

    `metrics` has the columns candidate, origin, customer_id, recall, ndcg, hit, mrr (at 10).
    """

    metrics: pd.DataFrame
    recalls: dict[str, dict[int, float]]
    left_out: dict[str, str]


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
