"""The first recommender: own items, taste and popularity, ranked by what came true in the window before.

Candidates are the customer's own items where they may repeat, the nearest by implicit ALS, and the popular.
A small LightGBM, trained at the rehearsals (earlier origins whose outcome is known), ranks them by
P(bought within the outcome window, given an order in it). Where the rehearsals hold too few purchases to
learn from, own items come first by orders, then taste, then popularity.
"""

from pathlib import Path
from typing import ClassVar, Self

import lightgbm
import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.contract import Method, Scalar
from models.recommender.als import Als
from models.recommender.catalogue import Catalogue, Floats
from models.recommender.contract import RecommenderMaterial, Rehearsal
from models.recommender.factors import ItemFactors
from models.recommender.for_you import explain
from models.recommender.lists import Picks, find_pairs, pair_keys
from models.recommender.material import owned_matrix
from models.recommender.ranking import (
    NEAR_MIN,
    RANKING_FEATURES,
    Candidates,
    find_candidates,
    ranking_features,
)
from models.recommender.shoppers import Shoppers, read_shoppers

RANKER_FILE = "ranker.txt"
_HITS_MIN = 100
_CUSTOMERS_MAX = 20_000


class Blend(Als):
    """ALS, own items and popularity, blended by a learnt ranker."""

    name: ClassVar[str] = "blend"
    method: ClassVar[Method] = "ml"

    ranker_: lightgbm.Booster | None

    def __init__(
        self,
        *,
        factor_count: int = 64,
        regularization: float = 10.0,
        alpha: float = 1.0,
        iteration_count: int = 7,
        seed: int = 0,
        tree_count: int = 100,
    ) -> None:
        super().__init__(
            factor_count=factor_count,
            regularization=regularization,
            alpha=alpha,
            iteration_count=iteration_count,
            seed=seed,
        )
        self.tree_count = tree_count

    def params(self) -> dict[str, Scalar]:
        """Return the constructor's arguments, flat."""
        return super().params() | {"tree_count": self.tree_count}

    def save(self, folder: Path) -> None:
        """Write plain files; the ranker is LightGBM's text."""
        super().save(folder)
        path = folder / RANKER_FILE
        path.unlink(missing_ok=True)
        if self.ranker_ is not None:
            path.write_text(self.ranker_.model_to_string(), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        loaded = super().load(folder)
        path = folder / RANKER_FILE
        text = path.read_text(encoding="utf-8") if path.exists() else None
        loaded.ranker_ = None if text is None else lightgbm.Booster(model_str=text)
        return loaded

    def _learn(self, material: RecommenderMaterial) -> None:
        super()._learn(material)
        found = [self._rehearse(rehearsal) for rehearsal in material.rehearsals]
        hits = sum(int(hit.sum()) for _, hit in found)
        self.ranker_ = None
        if hits >= _HITS_MIN:
            features = np.concatenate([features for features, _ in found])
            self.ranker_ = self._train(features, np.concatenate([hit for _, hit in found]))

    def _rehearse(self, rehearsal: Rehearsal) -> tuple[Floats, NDArray[np.bool_]]:
        """Return features and truth of the candidates of everybody who bought in a rehearsal's window."""
        if rehearsal.items.is_empty():
            return np.zeros((0, len(RANKING_FEATURES))), np.zeros(0, dtype=bool)
        catalogue = Catalogue(rehearsal.items)
        factors = ItemFactors.fit(owned_matrix(rehearsal.interactions, catalogue), self.als_settings())
        buyers = rehearsal.purchases["customer_id"].unique().sort()
        buyers = buyers.sample(min(len(buyers), _CUSTOMERS_MAX), seed=self.seed).sort()
        shoppers = read_shoppers(
            rehearsal.interactions, buyers.to_list(), catalogue=catalogue, snapshot=rehearsal.snapshot
        )
        found = find_candidates(shoppers, catalogue, factors, depth=NEAR_MIN)
        truth = _purchase_keys(rehearsal.purchases, buyers, catalogue)
        keys = pair_keys(found.rows, found.items, item_count=len(catalogue))
        return ranking_features(found, shoppers, catalogue), find_pairs(keys, truth) >= 0

    def _train(self, features: Floats, hit: NDArray[np.bool_]) -> lightgbm.Booster:
        params = {
            "objective": "binary",
            "learning_rate": 0.05,
            "num_leaves": 15,
            "min_data_in_leaf": 200,
            "feature_fraction": 0.7,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "lambda_l2": 20.0,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        rows = lightgbm.Dataset(
            features, hit.astype(np.float64), feature_name=list(RANKING_FEATURES), params=params
        )
        return lightgbm.train(params, rows, num_boost_round=self.tree_count)

    def _rank(self, shoppers: Shoppers, depth: int) -> Picks:
        found = find_candidates(shoppers, self.catalogue_, self.factors_, depth=depth)
        scores = self._scores(found, shoppers)
        size = len(self.catalogue_)
        picks = Picks.of(found.rows, found.items, scores, reason="popular", source="popular").best(depth)
        known = pair_keys(found.rows, found.items, item_count=size)
        places = find_pairs(pair_keys(picks.rows, picks.items, item_count=size), known)
        by_taste = found.by_taste[places]
        return explain(picks, shoppers, self.catalogue_, factors=self.factors_, by_taste=by_taste)

    def _scores(self, found: Candidates, shoppers: Shoppers) -> Floats:
        if not len(found.rows):
            return np.zeros(0)
        if self.ranker_ is not None:
            features = ranking_features(found, shoppers, self.catalogue_)
            return np.asarray(self.ranker_.predict(features, num_threads=1), dtype=np.float64)
        owned = found.owned >= 0
        orders = np.where(owned, shoppers.order_counts[found.owned], 0.0)
        buyers = self.catalogue_.recent_customer_counts[found.items]
        return orders + np.where(found.by_taste, 0.5 + found.taste / 4, 0.25 * buyers / (buyers.max() + 1))


def _purchase_keys(purchases: pl.DataFrame, buyers: pl.Series, catalogue: Catalogue) -> NDArray[np.int64]:
    """Return the sorted keys of what was bought; rows are places in `buyers`."""
    rows = pl.DataFrame({"customer_id": buyers}).with_row_index("row")
    items = catalogue.items.select("product_id", "item_no")
    bought = purchases.join(rows, on="customer_id").join(items, on="product_id").sort("row", "item_no")
    return pair_keys(
        bought["row"].to_numpy().astype(np.int64), bought["item_no"].to_numpy(), item_count=len(catalogue)
    )
