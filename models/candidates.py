"""Every recipe that may become champion: made from the settings, or found by name when a bundle is read."""

import inspect
from collections.abc import Mapping
from typing import Any

from features.settings import BoostingSettings, Settings
from models.baselines import BaseRateChurn, BtydChurn, RecencyChurn
from models.boosting import Recipe
from models.churn import BlendedChurn, HorizonChurn
from models.clv import HurdleClv
from models.clv_baselines import BtydClv, FormulaClv, PastSpendClv
from models.contract import ChurnModel, ClvModel
from models.recommender.candidates import recommender_candidates
from models.registry_names import Task

__all__ = ["churn_candidates", "clv_candidates", "model_class", "recommender_candidates"]


def churn_candidates(settings: Settings) -> dict[str, ChurnModel]:
    """Return unfitted churn recipes by name, the main one first."""
    boosted = _recipe(settings, settings.churn.boosting)
    models: list[ChurnModel] = [
        HorizonChurn(recipe=boosted, retail_year=settings.churn.retail_year),
        BlendedChurn(recipe=boosted, retail_year=settings.churn.retail_year),
        BtydChurn(),
        RecencyChurn(),
        BaseRateChurn(),
    ]
    return {model.name: model for model in models}


def clv_candidates(settings: Settings) -> dict[str, ClvModel]:
    """Return unfitted value recipes by name, the main one first."""
    models: list[ClvModel] = [
        HurdleClv(recipe=_recipe(settings, settings.clv.boosting), retail_year=settings.churn.retail_year),
        BtydClv(),
        PastSpendClv(),
        FormulaClv(lifespan_days=settings.clv.lifespan_days_default),
    ]
    return {model.name: model for model in models}


def model_class(kind: Task, name: str) -> type[Any] | None:
    """Return the class of a candidate, or None where there is none of that kind and name."""
    makers: dict[Task, Any] = {
        "churn": churn_candidates,
        "clv": clv_candidates,
        "recommender": recommender_candidates,
    }
    candidates = makers[kind](Settings()) if kind in makers else {}
    return type(candidates[name]) if name in candidates else None


def recipe_of(kind: Task, name: str, params: Mapping[str, str]) -> Any | None:  # noqa: ANN401
    """Return an unfitted candidate with the parameters that a tracker kept, or None where that cannot be."""
    found = model_class(kind, name)
    if found is None:
        return None
    try:
        made = {
            argument: Recipe.from_params(params) if argument == "recipe" else _number(params[argument])
            for argument in inspect.signature(found).parameters
        }
    except (KeyError, ValueError):
        return None
    return found(**made)


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _recipe(settings: Settings, boosting: BoostingSettings) -> Recipe:
    return Recipe(
        boosting=boosting,
        snapshots_min=settings.churn.supported_snapshots_min,
        outcomes_min=settings.churn.supported_outcomes_min,
        seed=settings.seed,
    )
