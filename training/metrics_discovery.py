"""Discovery: whether a list names a category that is new to the customer and from which they then buy."""

from collections.abc import Mapping

import pandas as pd


def discovery_hits(
    lists: pd.DataFrame, discoveries: pd.DataFrame, categories: Mapping[str, str], *, k: int = 10
) -> pd.DataFrame:
    """Return discovery and popular_discovery, 1 or 0, per customer who bought from a new category.

    The customers are the index. A list is read as its first k distinct categories, in the order of their best
    items; 1 if one of them is among the customer's `discoveries` (as in `training.list_truth.Truth`).
    `popular_discovery` asks the same of the k most popular categories that are new to the customer.
    `categories` are by product.

    >>> shown = pd.DataFrame({"customer_id": ["a", "a"], "rank": [1, 2], "product_id": ["x", "y"]})
    >>> new = pd.DataFrame({"customer_id": ["a"], "category": ["tea"], "popular_place": [12.0]})
    >>> discovery_hits(shown, new, {"x": "jam", "y": "tea"}).loc["a"].to_dict()
    {'discovery': 1.0, 'popular_discovery': 0.0}
    """
    named = lists[["customer_id", "rank"]].assign(category=lists["product_id"].map(categories))
    named = named.dropna(subset="category").sort_values(["customer_id", "rank"], kind="stable")
    named = named.drop_duplicates(["customer_id", "category"])
    named = named[named.groupby("customer_id").cumcount() < k]
    found = discoveries.merge(named.assign(is_named=1.0), on=["customer_id", "category"], how="left")
    hits = found.assign(
        discovery=found["is_named"].fillna(0.0),
        popular_discovery=(found["popular_place"] <= k).astype(float),
    )
    return hits.groupby("customer_id")[["discovery", "popular_discovery"]].max()
