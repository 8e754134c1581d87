"""The two-stage recommender: candidates from several sources, ranked by what came true in the windows before.

Candidates: `models.recommender.sources`. A LightGBM, trained at the rehearsals (earlier origins whose outcome
is known) on `models.recommender.ranking`, ranks them by P(bought | an order in the outcome window); times
P(an order in it) that is the score. Where the rehearsals hold too few purchases to learn from, own items come
first by orders, then taste, then popularity.
"""

from pathlib import Path
from typing import Any, ClassVar, Self

import lightgbm
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.contract import Method, Scalar
from models.plain import read_arrays
from models.recommender.als import Als
from models.recommender.catalogue import Floats
from models.recommender.contract import RecommenderMaterial
from models.recommender.for_you import explain
from models.recommender.lessons import Lessons, join_lessons, level_shift, rehearse
from models.recommender.lists import Picks, find_pairs, pair_keys
from models.recommender.material import learnt_neighbours
from models.recommender.neighbours import ItemNeighbours
from models.recommender.order_chance import OrderChance
from models.recommender.ranking import RANKING_FEATURES, ranking_features
from models.recommender.shoppers import Shoppers
from models.recommender.sources import Candidates, Sources

RANKER_FILE = "ranker.txt"
CHANCE_FILE = "order_chance.txt"
_HITS_MIN = 100


class Blend(Als):
    """Own items, ALS, item neighbours and popularity, blended by a learnt ranker."""

    name: ClassVar[str] = "blend"
    method: ClassVar[Method] = "ml"

    sources_: Sources
    ranker_: lightgbm.Booster | None
    level_: float
    chance_: OrderChance

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
        for name, booster in ((RANKER_FILE, self.ranker_), (CHANCE_FILE, self.chance_.booster)):
            path = folder / name
            path.unlink(missing_ok=True)
            if booster is not None:
                path.write_text(booster.model_to_string(), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        loaded = super().load(folder)
        arrays = read_arrays(folder)
        neighbours = ItemNeighbours.restore(arrays)
        loaded.sources_ = Sources(loaded.catalogue_, loaded.factors_, neighbours)
        loaded.ranker_ = _booster(folder / RANKER_FILE)
        loaded.level_ = float(arrays["ranker_level"])
        loaded.chance_ = OrderChance(float(arrays["order_chance"]), _booster(folder / CHANCE_FILE))
        return loaded

    def _arrays(self) -> dict[str, NDArray[Any]]:
        figures = {"ranker_level": np.array(self.level_), "order_chance": np.array(self.chance_.mean)}
        return super()._arrays() | self.sources_.neighbours.arrays() | figures

    def _learn(self, material: RecommenderMaterial) -> None:
        super()._learn(material)
        neighbours = learnt_neighbours(material, self.catalogue_)
        self.sources_ = Sources(self.catalogue_, self.factors_, neighbours)
        rehearsed = [rehearse(rehearsal, self.als_settings()) for rehearsal in material.rehearsals]
        found = [lessons for lessons in rehearsed if lessons is not None]
        self.chance_ = OrderChance(1.0, None)
        self.ranker_, self.level_ = None, 0.0
        if not found:
            return
        features = np.concatenate([chances.features for _, chances in found])
        ordered = np.concatenate([chances.ordered for _, chances in found])
        self.chance_ = OrderChance.fit(features, ordered, seed=self.seed)
        lesson = join_lessons([lessons for lessons, _ in found])
        if lesson.hit.sum() >= _HITS_MIN:
            self.ranker_ = self._train(lesson)
            self.level_ = level_shift(self._margins, lesson)

    def _train(self, lesson: Lessons) -> lightgbm.Booster:
        params = {
            "objective": "binary",
            "learning_rate": 0.05,
            "num_leaves": 63,
            "min_data_in_leaf": 400,
            "max_bin": 63,
            "feature_fraction": 0.3,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "lambda_l2": 20.0,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        rows = lightgbm.Dataset(
            lesson.features,
            lesson.hit.astype(np.float64),
            weight=lesson.weights / lesson.weights.mean(),
            feature_name=list(RANKING_FEATURES),
            params=params,
        )
        return lightgbm.train(params, rows, num_boost_round=self.tree_count)

    def _rank(self, shoppers: Shoppers, depth: int) -> Picks:
        found = self.sources_.find(shoppers)
        scores = self._scores(found, shoppers)
        size = len(self.catalogue_)
        picks = Picks.of(found.rows, found.items, scores, reason="popular", source="popular").best(depth)
        known = pair_keys(found.rows, found.items, item_count=size)
        places = find_pairs(pair_keys(picks.rows, picks.items, item_count=size), known)
        return explain(
            picks,
            shoppers,
            self.catalogue_,
            factors=self.factors_,
            neighbours=self.sources_.neighbours,
            by_taste=found.by_taste[places],
        )

    def _scores(self, found: Candidates, shoppers: Shoppers) -> Floats:
        if not len(found.rows):
            return np.zeros(0)
        if self.ranker_ is not None:
            margins = self._margins(ranking_features(found, shoppers, self.catalogue_))
            chances: Floats = self.chance_.predict(shoppers)[found.rows] * expit(margins + self.level_)
            return chances
        owned = found.owned >= 0
        orders = np.where(owned, shoppers.order_counts[found.owned], 0.0)
        buyers = self.catalogue_.recent_customer_counts[found.items]
        return orders + np.where(found.by_taste, 0.5 + found.taste / 4, 0.25 * buyers / (buyers.max() + 1))

    def _margins(self, features: Floats | NDArray[np.float32]) -> Floats:
        assert self.ranker_ is not None  # noqa: S101 - callers ask first
        return np.asarray(self.ranker_.predict(features, raw_score=True, num_threads=1), dtype=np.float64)


def _booster(path: Path) -> lightgbm.Booster | None:
    return lightgbm.Booster(model_str=path.read_text(encoding="utf-8")) if path.exists() else None
