"""The simple rules that every recommender has to beat; each is a candidate like the models."""

from typing import ClassVar

import numpy as np

from models.contract import Method, Scalar
from models.recommender.base import ListRecommender
from models.recommender.contract import RecommenderMaterial
from models.recommender.for_you import drop_unwanted, explain
from models.recommender.lists import Picks
from models.recommender.shoppers import Shoppers


class Popular(ListRecommender):
    """The most popular items of the last `popularity_days`, for everybody."""

    name: ClassVar[str] = "popular"
    method: ClassVar[Method] = "baseline"

    def params(self) -> dict[str, Scalar]:
        """Return no arguments: there are none."""
        return {}

    def _learn(self, material: RecommenderMaterial) -> None:
        """Learn nothing: the catalogue has it all."""

    def _rank(self, shoppers: Shoppers, depth: int) -> Picks:
        """Leave every list to be filled."""
        return Picks.none()


class TopFrequent(ListRecommender):
    """GP-TopFreq: the customer's own items by number of orders, then popular ones.

    Li et al., "A next basket recommendation reality check" (2023). Ties: the more popular item first. Score
    is the number of orders plus the item's place in popularity as a fraction.
    """

    name: ClassVar[str] = "top_freq"
    method: ClassVar[Method] = "baseline"

    def params(self) -> dict[str, Scalar]:
        """Return no arguments: there are none."""
        return {}

    def _learn(self, material: RecommenderMaterial) -> None:
        """Learn nothing: the catalogue has it all."""

    def _rank(self, shoppers: Shoppers, depth: int) -> Picks:
        places = np.full(len(self.catalogue_), len(self.catalogue_.popular), np.int64)
        places[self.catalogue_.popular] = np.arange(len(self.catalogue_.popular))
        owned = np.flatnonzero(self.catalogue_.is_offered[shoppers.items])
        fractions = 1 - (places[shoppers.items[owned]] + 1) / (len(places) + 1)
        scores = shoppers.order_counts[owned] + fractions
        picks = Picks.of(
            shoppers.rows[owned], shoppers.items[owned], scores, reason="bought_before", source="personalised"
        )
        picks = drop_unwanted(picks, shoppers, item_count=len(self.catalogue_)).best(depth)
        return explain(picks, shoppers, self.catalogue_)
