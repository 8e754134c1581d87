"""Metrics of ranked lists against what was bought in the outcome window.

`lists` has one row per customer and rank (customer_id, rank from 1, product_id); `purchases` one row per
customer and item truly bought. Customers who bought nothing are not judged; customers without a list count
as missed.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

IMPERSONAL_SOURCES = ("popular", "fallback")
"""Sources of a place that says nothing of the customer: it would be the same for anybody."""


def customer_metrics(lists: pd.DataFrame, purchases: pd.DataFrame, *, k: int = 10) -> pd.DataFrame:
    """Return recall, ndcg, hit, mrr and precision per customer who bought (index customer_id, sorted).

    recall = hits ÷ items bought; NDCG with gain 1 and discount log2(rank + 1), against the best list of
    min(k, items bought) (Järvelin & Kekäläinen 2002); MRR = 1 ÷ rank of the first hit; precision = hits ÷ k,
    places that a list does not have counting as missed.

    Where `purchases` say `is_repeat` (bought before the origin too), repeat_recall and explore_recall are the
    recall of that part and of the rest; NaN for a customer who bought nothing of the kind.

    >>> truth = pd.DataFrame({"customer_id": ["a", "a"], "product_id": ["x", "y"]})
    >>> shown = pd.DataFrame({"customer_id": ["a", "a"], "rank": [1, 2], "product_id": ["z", "x"]})
    >>> customer_metrics(shown, truth, k=2).loc["a", ["recall", "hit", "mrr"]].tolist()
    [0.5, 1.0, 0.5]
    """
    truth = purchases.drop_duplicates(["customer_id", "product_id"])
    bought = truth.groupby("customer_id").size().sort_index()
    shown = lists.loc[lists["rank"] <= k, ["customer_id", "product_id", "rank"]]
    hits = shown.merge(truth, on=["customer_id", "product_id"])
    hits = hits.assign(gain=1 / np.log2(hits["rank"] + 1), reciprocal=1 / hits["rank"])
    grouped = hits.groupby("customer_id")
    ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    hit_count = grouped.size().reindex(bought.index, fill_value=0)
    found = pd.DataFrame(
        {
            "recall": hit_count / bought,
            "ndcg": grouped["gain"].sum().reindex(bought.index, fill_value=0.0)
            / ideal[np.minimum(bought, k)],
            "hit": (hit_count > 0).astype(float),
            "mrr": grouped["reciprocal"].max().reindex(bought.index, fill_value=0.0),
            "precision": hit_count / k,
        }
    )
    if "is_repeat" not in truth:
        return found
    return found.assign(
        repeat_recall=_recall(hits[hits["is_repeat"]], truth[truth["is_repeat"]]),
        explore_recall=_recall(hits[~hits["is_repeat"]], truth[~truth["is_repeat"]]),
    )


def _recall(hits: pd.DataFrame, truth: pd.DataFrame) -> "pd.Series[float]":
    """Return hits ÷ items bought per customer who bought; others are not in it."""
    bought = truth.groupby("customer_id").size()
    return hits.groupby("customer_id").size().reindex(bought.index, fill_value=0) / bought


def recall_by_k(lists: pd.DataFrame, purchases: pd.DataFrame, *, ks: tuple[int, ...]) -> dict[int, float]:
    """Return the mean recall at every k, for a plot."""
    truth = purchases[["customer_id", "product_id"]].drop_duplicates()
    bought = truth.groupby("customer_id").size()
    hits = lists[["customer_id", "product_id", "rank"]].merge(truth, on=["customer_id", "product_id"])
    shares = 1 / bought.loc[hits["customer_id"]].to_numpy()
    return {k: float(shares[(hits["rank"] <= k).to_numpy()].sum() / len(bought)) for k in ks}


def list_figures(
    lists: pd.DataFrame, buyer_shares: Mapping[str, float], *, rarest: float, k: int = 10
) -> pd.DataFrame:
    """Return novelty and fallback_share per customer who has a list (index customer_id).

    novelty = the mean over the first k places of -log2 of the share of customers who had bought the item
    before (Zhou et al. 2010); `buyer_shares` has it by product, what nobody bought counts as `rarest`.
    fallback_share = the share of these places whose `source` says nothing of the customer.

    >>> shown = pd.DataFrame({"customer_id": ["a", "a"], "rank": [1, 2], "product_id": ["x", "y"]})
    >>> shown["source"] = ["personalised", "popular"]
    >>> list_figures(shown, {"x": 0.5, "y": 0.125}, rarest=0.1).loc["a"].to_dict()
    {'novelty': 2.0, 'fallback_share': 0.5}
    """
    shown = lists[lists["rank"] <= k]
    shares = shown["product_id"].map(buyer_shares).astype(float).fillna(rarest)
    places = pd.DataFrame(
        {
            "customer_id": shown["customer_id"],
            "novelty": -np.log2(shares),
            "fallback_share": shown["source"].isin(IMPERSONAL_SOURCES).astype(float),
        }
    )
    return places.groupby("customer_id").mean()
