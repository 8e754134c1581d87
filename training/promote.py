"""`make promote`: the best recipe of the back-test becomes champion, be it a model or a simple rule.

    python -m training.promote [--as-of 2011-09-10] [--var var]
    python -m training.promote --list            the champions, and why            (make models)
    python -m training.promote --rollback        the previous champions back       (make rollback)

Every promotion is recorded on the registered model, with from, to and reason.
"""

import json
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from mlflow import MlflowClient

from features.cohort import read_as_of
from features.console import run_command
from features.errors import UserError
from features.history import History
from features.layout import Layout
from features.settings import PromotionSettings, load_settings
from models import registry_names as names
from training.scorecard import Scorecard, TaskResult, verdict_text
from training.tracking import BASIS_TAGS, Challenger, challengers, connect, fits, if_there

UNJUDGED_ORDER: dict[names.Task, tuple[str, ...]] = {
    "churn": ("lightgbm_btyd", "lightgbm", "btyd", "base_rate", "recency"),
    "clv": ("hurdle", "formula", "btyd", "past_spend"),
    "recommender": ("popular", "top_freq"),
}
"""Which challenger serves where the history is too short for a back-test: the first of these that works.

A model works where it is supported; there it is the better bet (docs/decisions/0011-without-a-back-test.md).
"""

TAG_PROMOTION = "promotion."


class PromotionError(UserError):
    """Nothing can be promoted yet; the message says what to run first."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """One entry of the record: which version followed which, when and why."""

    task: str
    at: str
    candidate: str
    from_version: str | None
    to_version: str
    reason: str
    is_rollback: bool = False


def read_scorecard(layout: Layout, *, as_of: date) -> Scorecard:
    """Read the last back-test; raises `PromotionError` unless it is of this date."""
    path = layout.reports / "scorecard.json"
    if not path.exists():
        raise PromotionError(f"no back-test in {layout.reports}; run `make evaluate AS_OF={as_of}` first")
    try:
        scorecard = Scorecard.model_validate_json(path.read_text(encoding="utf-8"))
    except ValueError:
        raise PromotionError(
            f"{path} is not of this version, or damaged; run `make evaluate AS_OF={as_of}` again"
        ) from None
    if scorecard.as_of != as_of:
        raise PromotionError(
            f"the last back-test is as of {scorecard.as_of}, not {as_of}; "
            f"run `make evaluate AS_OF={as_of}` first"
        )
    return scorecard


def read_scorecard_if_any(layout: Layout, *, as_of: date) -> Scorecard | None:
    """Read the last back-test if it is of this date, else return None."""
    try:
        return read_scorecard(layout, as_of=as_of)
    except PromotionError:
        return None


def promote(
    client: MlflowClient, scorecard: Scorecard, gates: PromotionSettings | None = None
) -> list[Promotion]:
    """Move the champion alias of every task to the back-test's best challenger, where it is not there yet.

    Where a champion stands, the challenger has to pass the gates; without one, the best there is serves.
    """
    gates = gates or PromotionSettings()
    done = []
    for task, result in scorecard.tasks.items():
        ready = {name: c for name, c in challengers(client, task).items() if fits(c, scorecard)}
        if not ready:
            if task == "recommender":
                continue
            raise PromotionError(
                f"no {task} challenger was trained on the data and settings of the back-test of "
                f"{scorecard.as_of} ({scorecard.headline_days} days); "
                f"run `make train evaluate AS_OF={scorecard.as_of}` first"
            )
        chosen = choose(result, ready)
        if _must_pass(client, chosen) and refusal_of(result, chosen, gates) is not None:
            continue
        promotion = _move(client, chosen, reason=_reason(result, chosen))
        if promotion is not None:
            done.append(promotion)
    return done


def choose(result: TaskResult, ready: dict[str, Challenger]) -> Challenger:
    """Return the challenger whose recipe did best; without a back-test, the one that is the best bet."""
    return ready[first_ready(result.task, tuple(result.mean_losses), ready)]


def first_ready(task: names.Task, judged: Sequence[str], ready: Collection[str]) -> str:
    """Return the first recipe that is ready, of those that were judged, else in `UNJUDGED_ORDER`."""
    order = (*judged, *UNJUDGED_ORDER[task], *ready)
    return next(name for name in order if name in ready)


def refusal_of(result: TaskResult, chosen: Challenger, gates: PromotionSettings) -> str | None:
    """Return why a challenger does not take a champion's place, or None where it does.

    Its loss may not exceed the champion's beyond doubt (the whole interval) and by more than the share that
    the gates allow, both refitted at the same origins; its grade may not be below the least one.
    """
    if result.winner is None:
        return "nothing could be judged this time"
    if chosen.candidate != result.winner:
        return f"{result.winner} won but could not be fitted on the newest data"
    found, judged = result.against_champion, result.candidates.get(chosen.candidate)
    if found is not None and found.high < 0:
        excess = -found.mean / max(result.mean_losses[found.rival], 1e-12)
        if excess > gates.loss_excess_max:
            return (
                f"{chosen.candidate} is worse beyond doubt, {result.loss_name} higher by {-found.mean:.4g} "
                f"or {excess:.1%} (95 % interval {-found.high:.4g} … {-found.low:.4g}); "
                f"promotion.loss_excess_max allows {gates.loss_excess_max:.1%}"
            )
    if judged is not None and judged.grade is not None and judged.grade > gates.grade_min:
        return f"{chosen.candidate} got grade {judged.grade}; promotion.grade_min asks for {gates.grade_min}"
    return None


def _must_pass(client: MlflowClient, chosen: Challenger) -> bool:
    """Say whether a champion stands that still can score: one of another basis or headline has to go."""
    standing = champion(client, chosen.task)
    if standing is None:
        return False
    own = client.get_model_version(names.REGISTERED[chosen.task], chosen.version).tags
    return all(standing.tags[name] == own.get(name) for name in BASIS_TAGS if name in standing.tags)


def refusals(client: MlflowClient, scorecard: Scorecard, gates: PromotionSettings) -> dict[str, str]:
    """Return for each task whose standing champion stays because of the gates, why."""
    found: dict[str, str] = {}
    for task, result in scorecard.tasks.items():
        ready = {name: c for name, c in challengers(client, task).items() if fits(c, scorecard)}
        if ready and _must_pass(client, choose(result, ready)):
            reason = refusal_of(result, choose(result, ready), gates)
            if reason is not None:
                found[task] = reason
    return found


def champion(client: MlflowClient, task: names.Task) -> Any | None:  # noqa: ANN401
    """Return the version that serves a task, or None."""
    return if_there(lambda: client.get_model_version_by_alias(names.REGISTERED[task], names.CHAMPION))


def roll_back(client: MlflowClient, *, task: names.Task | None = None) -> list[Promotion]:
    """Move champion aliases back to the version before the last promotion.

    Raises `PromotionError` where a task has no earlier champion.
    """
    tasks = [task] if task else [t for t in names.REGISTERED if champion(client, t) is not None]
    steps = [(t, _last_step(client, t)) for t in tasks]
    if not steps:
        raise PromotionError("there is no champion to roll back; run `make train evaluate promote` first")
    return [_roll_back_one(client, t, step) for t, step in steps]


def history_of(client: MlflowClient, task: names.Task) -> list[Promotion]:
    """Return the recorded promotions of a task, oldest first."""
    model = if_there(lambda: client.get_registered_model(names.REGISTERED[task]))
    tags = {} if model is None else model.tags
    entries = sorted((key, value) for key, value in tags.items() if key.startswith(TAG_PROMOTION))
    return [Promotion(**json.loads(value)) for _, value in entries]


def _last_step(client: MlflowClient, task: names.Task) -> Promotion:
    """Return the promotion that stands: the newest one that no rollback has undone."""
    standing: list[Promotion] = []
    for step in history_of(client, task):
        if step.is_rollback and standing:
            standing.pop()
        elif not step.is_rollback:
            standing.append(step)
    # It was recorded, and killed before the alias moved: or the alias went back, and nothing was recorded.
    if standing and standing[-1].from_version == _champion_version(client, task):
        standing.pop()
    if standing and standing[-1].from_version:
        return standing[-1]
    raise PromotionError(f"{task} has no earlier champion to go back to; `make models` lists the promotions")


def _roll_back_one(client: MlflowClient, task: names.Task, step: Promotion) -> Promotion:
    registered = names.REGISTERED[task]
    target = client.get_model_version(registered, step.from_version)
    candidate = target.tags[names.TAG_CANDIDATE]
    client.set_registered_model_alias(registered, names.CHAMPION, step.from_version)
    reason = f"rolled back from version {step.to_version} by hand"
    entry = Promotion(
        task, _now(), candidate, step.to_version, str(step.from_version), reason, is_rollback=True
    )
    return _record(client, entry)


def _move(client: MlflowClient, chosen: Challenger, *, reason: str) -> Promotion | None:
    registered = names.REGISTERED[chosen.task]
    before = _champion_version(client, chosen.task)
    if before == chosen.version:
        return None
    client.set_model_version_tag(registered, chosen.version, names.TAG_PASSED, "true")
    # Recorded first: a champion whose promotion is nowhere could not be rolled back.
    step = Promotion(chosen.task, _now(), chosen.candidate, before, chosen.version, reason)
    recorded = history_of(client, chosen.task)[-1:]
    if not any(
        (each.from_version, each.to_version, each.is_rollback) == (before, step.to_version, False)
        for each in recorded
    ):
        _record(client, step)
    client.set_registered_model_alias(registered, names.CHAMPION, chosen.version)
    return step


def _champion_version(client: MlflowClient, task: names.Task) -> str | None:
    found = champion(client, task)
    return None if found is None else str(found.version)


def _record(client: MlflowClient, entry: Promotion) -> Promotion:
    task = cast("names.Task", entry.task)
    number = len(history_of(client, task)) + 1
    key = f"{TAG_PROMOTION}{number:06d}"
    client.set_registered_model_tag(names.REGISTERED[task], key, json.dumps(asdict(entry)))
    return entry


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _reason(result: TaskResult, chosen: Challenger) -> str:
    if result.winner is None:
        return "the history is too short for a back-test; what does best in most young shops serves"
    if chosen.candidate != result.winner:
        return f"{result.winner} won but could not be fitted on the newest data; {chosen.candidate} is next"
    return verdict_text(result)


def _print_champions(client: MlflowClient) -> None:
    for task in names.REGISTERED:
        current = champion(client, task)
        if current is None:
            sys.stdout.write(f"{task:<12} none\n")
            continue
        tags = current.tags
        described = (
            f"{tags[names.TAG_CANDIDATE]} ({tags[names.TAG_METHOD]}), data until {tags[names.TAG_DATA_UNTIL]}"
        )
        sys.stdout.write(f"{task:<12} version {current.version}: {described}\n")
        for entry in history_of(client, task):
            moved = f"{entry.from_version or 'none'} → {entry.to_version}"
            sys.stdout.write(f"    {entry.at}  {moved:<10} {entry.candidate}: {entry.reason}\n")


def _command(
    *,
    as_of: Annotated[
        str | None, typer.Option(help="the date of the back-test (ISO); default: as for evaluate")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="list the champions and every promotion")] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="the previous champions back")] = False,
    task: Annotated[str | None, typer.Option(help="with --rollback: churn, clv or recommender only")] = None,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Promote the best of the back-test to champion, list the champions, or roll back."""
    layout = Layout(var)
    if task is not None and task not in names.REGISTERED:
        raise PromotionError(f"TASK={task} is unknown; choose one of {', '.join(names.REGISTERED)}")
    client = connect(layout)
    if list_:
        _print_champions(client)
        return
    if rollback:
        moves = roll_back(client, task=task)
    else:
        scorecard, gates = read_scorecard(layout, as_of=_date(layout, as_of)), load_settings().promotion
        for refused, reason in refusals(client, scorecard, gates).items():
            sys.stdout.write(f"{refused}: the champion stays: {reason}\n")
        moves = promote(client, scorecard, gates)
    for move in moves:
        moved = f"version {move.from_version or 'none'} → {move.to_version} ({move.candidate})"
        sys.stdout.write(f"{move.task}: {moved}: {move.reason}\n")
    if not moves:
        sys.stdout.write("the champions stay as they are\n")


def _date(layout: Layout, as_of: str | None) -> date:
    return read_as_of(as_of, History.open(layout.history), load_settings().shop.time_zone)


if __name__ == "__main__":
    run_command(_command)
