"""`make train`: fit every candidate of every task as of a date and register each as a challenger in MLflow.

python -m training.train [--as-of 2011-09-10] [--horizon 90] [--var var]
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from mlflow import MlflowClient

from features.console import Announce, progress, run_command
from features.errors import UserError
from features.examples import Examples
from features.layout import Layout
from features.settings import Settings, load_settings
from models.candidates import churn_candidates, clv_candidates, recommender_candidates
from models.contract import NotEnoughDataError
from models.recommender.contract import RecommenderMaterial
from models.recommender.material import build_material
from models.registry_names import Task
from training.cards import model_card
from training.context import Context, keep_headline_days, open_context
from training.parallel import side_by_side
from training.tracking import Challenger, Training, connect, register


def train(
    context: Context, client: MlflowClient, announce: Announce
) -> tuple[list[Challenger], dict[str, str]]:
    """Fit and register every candidate; return the challengers, and for each one left out the reason.

    Raises `UserError` where not even a simple rule of churn or value can be fitted.
    """
    material = _read_material(context, announce)
    training = _training(context, material["churn"])

    def fit(candidate: tuple[Task, Any]) -> NotEnoughDataError | None:
        task, model = candidate
        announce(f"{task}: {model.name}")
        try:
            model.fit(material[task])
        except NotEnoughDataError as error:
            return error
        return None

    found = [(task, model) for task, models in all_candidates(context.settings).items() for model in models]
    places = by_turns([task for task, _ in found])
    errors = dict(zip(places, side_by_side(fit, [found[place] for place in places]), strict=True))
    registered: list[Challenger] = []
    left_out: dict[str, str] = {}
    for place, (task, model) in enumerate(found):
        error = errors[place]
        if error is not None:
            left_out[f"{task}/{model.name}"] = str(error)
            continue
        card = model_card(task, model, examples=material["churn"], training=training)
        registered.append(register(client, task, model, training=training, card=card))
    _check_something_answers(registered, left_out)
    return registered, left_out


def _read_material(context: Context, announce: Announce) -> dict[Task, Any]:
    """Read what the candidates of each task learn from."""

    def customers() -> Examples:
        announce("features at the past snapshots")
        return context.builder.examples(context.as_of, headline_days=context.headline_days)

    def purchases() -> RecommenderMaterial:
        announce("purchases by customer and item")
        return build_material(context.history, context.as_of, settings=context.settings)

    examples, material = side_by_side(lambda read: read(), (customers, purchases))
    return {"churn": examples, "clv": examples, "recommender": material}


def by_turns(tasks: Sequence[Task]) -> list[int]:
    """Return in which order candidates are fitted, two at a time: one of each task in turn.

    Candidates of one task share what they learn, so that one would wait for the other; and the recommender
    takes longest, so that begun last it would leave a core idle.

    >>> by_turns(["churn", "churn", "recommender", "recommender"])
    [2, 0, 3, 1]
    """
    turns = [tasks[:place].count(task) for place, task in enumerate(tasks)]
    return sorted(range(len(tasks)), key=lambda place: (turns[place], tasks[place] != "recommender"))


def all_candidates(settings: Settings) -> dict[Task, list[Any]]:
    """Return fresh candidates of every task."""
    return {
        "churn": list(churn_candidates(settings).values()),
        "clv": list(clv_candidates(settings).values()),
        "recommender": list(recommender_candidates(settings).values()),
    }


def _check_something_answers(registered: list[Challenger], left_out: dict[str, str]) -> None:
    for task in ("churn", "clv"):
        if not any(challenger.task == task for challenger in registered):
            reasons = "; ".join(
                f"{name}: {reason}" for name, reason in left_out.items() if name.startswith(task)
            )
            raise UserError(f"no {task} method can work with this history: {reasons}")


def _training(context: Context, examples: Examples) -> Training:
    manifest = context.history.manifest
    path = Path("regulars.toml")
    return Training(
        as_of=context.as_of.date,
        headline_days=context.headline_days,
        data_hash=manifest.data_hash,
        recipe_hash=context.settings.recipe_hash,
        settings_path=path if path.exists() else None,
        info={
            "data_until": str(context.as_of.date),
            "churn_horizon_days": context.headline_days,
            "clv_horizon_days": context.settings.clv.horizon_days,
            **context.settings.shop.basis.tags,
            "currency": manifest.currency,
            "time_zone": context.as_of.time_zone,
            "observation_days": context.settings.features.observation_days,
            "customer_count": examples.customer_count,
            "sampled_customer_count": len(examples.current),
            "data_hash": manifest.data_hash,
        },
    )


def _command(
    *,
    as_of: Annotated[str | None, typer.Option(help="as if that day were today (ISO date)")] = None,
    horizon: Annotated[
        int | None, typer.Option(help="headline horizon, in days; kept for later trainings", min=1, max=730)
    ] = None,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Fit every candidate and register it as a challenger in MLflow."""
    layout = Layout(var)
    settings = load_settings()
    context = open_context(layout, settings, as_of=as_of, headline_days=horizon, is_sampled=True)
    client = connect(layout)
    total = 2 + sum(len(found) for found in all_candidates(settings).values())
    with progress("train", total=total) as announce:
        registered, left_out = train(context, client, announce)
    keep_headline_days(layout, context.headline_days)
    sys.stdout.write(f"as of {context.as_of.date} · churn means no order for {context.headline_days} days\n")
    sys.stdout.write(context.warning)
    for found in registered:
        sys.stdout.write(
            f"  {found.task:<12} {found.candidate:<12} {found.method:<9} version {found.version}\n"
        )
    for name, reason in left_out.items():
        sys.stdout.write(f"  left out: {name}: {reason}\n")
    sys.stdout.write("next: make evaluate, then make promote\n")


if __name__ == "__main__":
    run_command(_command)
