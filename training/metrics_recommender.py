"""Metrics of ranked lists against what was bought in the outcome window.

`lists` has one row per customer and rank (customer_id, rank from 1, product_id); `purchases` one row per
customer and item truly bought. Customers who bought nothing are not judged; customers without a list count
as missed.
"""

import numpy as np
import pandas as pd


def recommender_metrics(lists: pd.DataFrame, purchases: pd.DataFrame, *, k: int = 10) -> dict[str, float]:
    """Return the means over customers of recall, NDCG, hit and MRR at k, and the catalogue coverage.

    >>> truth = pd.DataFrame({"customer_id": ["a", "a"], "product_id": ["x", "y"]})
    >>> shown = pd.DataFrame({"customer_id": ["a", "a"], "rank": [1, 2], "product_id": ["z", "x"]})
    >>> values = recommender_metrics(shown, truth, k=2)
    >>> values["recall_at_2"], values["hit_at_2"], values["mrr_at_2"]
    (0.5, 1.0, 0.5)
    """
    per_customer = customer_metrics(lists, purchases, k=k)
    values = {f"{name}_at_{k}": float(column.mean()) for name, column in per_customer.items()}
    values[f"items_shown_at_{k}"] = float(lists.loc[lists["rank"] <= k, "product_id"].nunique())
    return values


def customer_metrics(lists: pd.DataFrame, purchases: pd.DataFrame, *, k: int = 10) -> pd.DataFrame:
    """Return recall, ndcg, hit and mrr per customer who bought (index customer_id, sorted).

    recall = hits ÷ items bought; NDCG with gain 1 and discount log2(rank + 1), against the best list of
    min(k, items bought) (Järvelin & Kekäläinen 2002); MRR = 1 ÷ rank of the first hit.
    """
    truth = purchases[["customer_id", "product_id"]].drop_duplicates()
    bought = truth.groupby("customer_id").size().sort_index()
    shown = lists.loc[lists["rank"] <= k, ["customer_id", "product_id", "rank"]]
    hits = shown.merge(truth, on=["customer_id", "product_id"])
    hits = hits.assign(gain=1 / np.log2(hits["rank"] + 1), reciprocal=1 / hits["rank"])
    grouped = hits.groupby("customer_id")
    ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    hit_count = grouped.size().reindex(bought.index, fill_value=0)
    return pd.DataFrame(
        {
            "recall": hit_count / bought,
            "ndcg": grouped["gain"].sum().reindex(bought.index, fill_value=0.0)
            / ideal[np.minimum(bought, k)],
            "hit": (hit_count > 0).astype(float),
            "mrr": grouped["reciprocal"].max().reindex(bought.index, fill_value=0.0),
        }
    )


def recall_by_k(lists: pd.DataFrame, purchases: pd.DataFrame, *, ks: tuple[int, ...]) -> dict[int, float]:
    """Return the mean recall at every k, for a plot."""
    return {k: float(customer_metrics(lists, purchases, k=k)["recall"].mean()) for k in ks}
