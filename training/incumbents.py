"""The recipes that serve today, judged again beside those that the settings make now.

A champion is a fitted version; what it says of a past origin would be hindsight. So its *recipe* is refitted
at the origins like every other, and the two are compared on the same customers.
"""

from mlflow import MlflowClient

from models import registry_names as names
from models.candidates import churn_candidates, clv_candidates, recipe_of
from models.contract import ChurnModel, ClvModel
from training.context import Context
from training.tracking import if_there

INCUMBENT = "champion"
"""Under which name a standing champion's recipe is judged."""


def standing_recipes(client: MlflowClient, context: Context) -> dict[names.Task, ChurnModel | ClvModel]:
    """Return the recipes of the champions of churn and value, unfitted, where today's settings differ.

    A champion whose recipe is one of today's candidates needs no second judgement; one that this version
    cannot make any more has none.
    """
    found: dict[names.Task, ChurnModel | ClvModel] = {}
    today: dict[names.Task, dict[str, dict[str, object]]] = {
        "churn": {name: dict(model.params()) for name, model in churn_candidates(context.settings).items()},
        "clv": {name: dict(model.params()) for name, model in clv_candidates(context.settings).items()},
    }
    for task, candidates in today.items():
        registered = names.REGISTERED[task]
        version = if_there(lambda name=registered: client.get_model_version_by_alias(name, names.CHAMPION))  # type: ignore[misc]
        if version is None:
            continue
        name, params = version.tags[names.TAG_CANDIDATE], client.get_run(version.run_id).data.params
        own = candidates.get(name, {})
        if own and all(str(value) == params.get(key) for key, value in own.items()):
            continue
        recipe = recipe_of(task, name, params)
        if recipe is not None and str(recipe.params()) != str(own):
            found[task] = recipe
    return found
