"""Whether the service can answer, and whether what it answers is fresh."""

from serving.store.contract import ScoreRun
from serving.store.errors import StoreError
from serving.web.context import Context
from serving.web.problems import ProblemError, no_keys, no_scores, no_suppressions


async def ready_run(context: Context) -> ScoreRun:
    """Return the live run if it, the keys and the suppressions can be read; else raise the 503 problem."""
    runs = context.runs
    await runs.refresh()
    run = runs.current()
    try:
        await run.check()
    except StoreError:
        raise no_scores() from None
    if runs.problem:
        raise no_scores()
    if context.guard.problem:
        raise no_keys()
    if context.suppressed.problem:
        raise no_suppressions()
    return run


async def is_ready(context: Context) -> bool:
    """Say whether the service can answer."""
    try:
        await ready_run(context)
    except ProblemError:
        return False
    return True
