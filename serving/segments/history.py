"""How many are in each saved segment at a new run, and how many came and went since the run before.

Both runs are asked by today's words, each from its own date, so that a change of the words moves nobody. Only
counts are kept: who came and who went is told by the runs themselves as long as they are kept, and nothing
here is left to erase.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from features.condition_text import FilterError
from serving.segments.words import compile_segment
from serving.state.database import State, StateError
from serving.state.segments import SavedSegment, Segments, SegmentSize
from serving.store.contract import ScoreRun, ScoreStore
from serving.store.errors import NoRunError, StoreError
from serving.store.records import RunMeta

_AT_ONCE: Final = 50_000


def live_run_before(store: ScoreStore) -> str | None:
    """Return the id of the run that is live by now, None before the first."""
    try:
        return store.live_run_id()
    except NoRunError:
        return None


def keep_sizes(store: ScoreStore, state: State, meta: RunMeta, before: str | None) -> str | None:
    """Keep the sizes of all saved segments at a run; returns what is to be told of failures.

    `before` is the run that was live until then.
    """
    try:
        segments = Segments(state)
        saved = segments.list_all()
        if saved:
            asyncio.run(_keep(segments, saved, store, meta, before))
    except (StateError, StoreError) as error:
        return f"warning: the sizes of the segments were not kept: {error}"
    return None


async def _keep(
    segments: Segments, saved: list[SavedSegment], store: ScoreStore, meta: RunMeta, before: str | None
) -> None:
    run, older = store.open_run(meta.score_run_id), _opened(store, before)
    try:
        for segment in saved:
            try:
                size = await _size(segment, run, older)
            except FilterError:
                continue  # an attribute of another release; the segment itself says so when it is read
            await asyncio.to_thread(segments.add_size, segment.slug, size)
    finally:
        run.close()
        if older is not None:
            older.close()
        await store.aclose()


def _opened(store: ScoreStore, run_id: str | None) -> ScoreRun | None:
    """Open the run before; one of another layout or no longer kept cannot be compared with."""
    try:
        return store.open_run(run_id) if run_id is not None else None
    except StoreError:
        return None


async def _size(segment: SavedSegment, run: ScoreRun, older: ScoreRun | None) -> SegmentSize:
    members = {customer async for customer in _members(segment.text, run)}
    joined = left = None
    if older is not None:
        joined, left = len(members), 0
        async for customer in _members(segment.text, older):
            joined, left = (joined - 1, left) if customer in members else (joined, left + 1)
    meta = run.meta
    return SegmentSize(
        meta.score_run_id,
        meta.as_of.isoformat(),
        segment.version,
        meta.customer_count,
        len(members),
        joined,
        left,
    )


async def _members(text: str, run: ScoreRun) -> AsyncIterator[str]:
    condition, after = compile_segment(text, run.meta), None
    while places := await run.list_segment(condition, after=after, limit=_AT_ONCE):
        for place in places:
            yield place.customer_id
        after = places[-1]
