"""Implicit ALS alone: a rung of its own, and the part of the blend that knows taste."""

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from models.contract import Method, Scalar
from models.plain import read_arrays
from models.recommender.base import ListRecommender
from models.recommender.contract import RecommenderMaterial
from models.recommender.factors import AlsSettings, ItemFactors
from models.recommender.for_you import drop_unwanted, explain
from models.recommender.lists import Picks
from models.recommender.material import learnt_factors
from models.recommender.shoppers import Shoppers

# Looked up beyond the depth, so that dropping owned durables and near-ties at the edge leave the list whole.
_MARGIN = 20


class Als(ListRecommender):
    """The items nearest to a customer in the factors' space, owned ones included."""

    name: ClassVar[str] = "als"
    method: ClassVar[Method] = "ml"

    factors_: ItemFactors

    def __init__(
        self,
        *,
        factor_count: int = 64,
        regularization: float = 10.0,
        alpha: float = 1.0,
        iteration_count: int = 7,
        seed: int = 0,
    ) -> None:
        self.factor_count = factor_count
        self.regularization = regularization
        self.alpha = alpha
        self.iteration_count = iteration_count
        self.seed = seed

    def params(self) -> dict[str, Scalar]:
        """Return the constructor's arguments, flat."""
        return {
            "factor_count": self.factor_count,
            "regularization": self.regularization,
            "alpha": self.alpha,
            "iteration_count": self.iteration_count,
            "seed": self.seed,
        }

    def als_settings(self) -> AlsSettings:
        """Return how factors are learnt."""
        return AlsSettings(
            self.factor_count, self.regularization, self.alpha, self.iteration_count, self.seed
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        loaded = super().load(folder)
        loaded.factors_ = ItemFactors(read_arrays(folder)["als_vectors"], loaded.als_settings())
        return loaded

    def _learn(self, material: RecommenderMaterial) -> None:
        self.factors_ = learnt_factors(material, self.catalogue_, self.als_settings())

    def _rank(self, shoppers: Shoppers, depth: int) -> Picks:
        customers = self.factors_.fold_in(shoppers.owned(len(self.catalogue_)))
        rows, items, _ = self.factors_.nearest(
            customers, count=depth + _MARGIN, is_offered=self.catalogue_.is_offered
        )
        known = shoppers.has_items[rows]
        rows, items = rows[known], items[known]
        scores = self.factors_.scores(customers, rows, items)
        picks = Picks.of(rows, items, scores, reason="like_what_you_buy", source="personalised")
        picks = drop_unwanted(picks, shoppers, item_count=len(self.catalogue_)).best(depth)
        taste = np.ones(len(picks), dtype=bool)
        return explain(picks, shoppers, self.catalogue_, factors=self.factors_, by_taste=taste)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {"als_vectors": self.factors_.vectors}
