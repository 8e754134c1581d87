"""The recommenders that a back-test compares, and how to load each from its bundle."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from features.settings import Settings
from models.recommender.als import Als
from models.recommender.baselines import Popular, TopFrequent
from models.recommender.blend import Blend
from models.recommender.contract import Recommender
from models.recommender.item_knn import ItemKnn

LOADERS: Final[Mapping[str, Callable[[Path], Recommender]]] = {
    recommender.name: recommender.load for recommender in (Blend, Als, ItemKnn, TopFrequent, Popular)
}
"""By name, as `recommender_candidates` has them: reads a bundle's folder."""


def recommender_candidates(settings: Settings) -> dict[str, Recommender]:
    """Return fresh recommenders by name: blend, als and the baselines item_knn, top_freq and popular."""
    found: tuple[Recommender, ...] = (
        _with_factors(Blend, settings),
        _with_factors(Als, settings),
        ItemKnn(),
        TopFrequent(),
        Popular(),
    )
    return {recommender.name: recommender for recommender in found}


def _with_factors(recipe: type[Als], settings: Settings) -> Als:
    chosen = settings.recommender
    return recipe(
        factor_count=chosen.factor_count,
        regularization=chosen.regularization,
        alpha=chosen.alpha,
        iteration_count=chosen.iteration_count,
        seed=settings.seed,
    )
