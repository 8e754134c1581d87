"""Where calls find, save and list segments: presets of every shop, and those of the state."""

from concurrent.futures import Executor
from typing import Any, Final, NamedTuple

from features.condition_text import FilterError
from features.item_filter import Condition
from serving.job_desk import Desk
from serving.segments.presets import BY_SLUG, PRESETS, Preset, preset_text
from serving.segments.suggested import SUGGESTED_BY_SLUG
from serving.segments.words import compile_segment
from serving.state.segments import Segments, TooManySegmentsError
from serving.store.contract import ScoreRun
from serving.store.records import RunMeta
from serving.web.problems import FieldError, ProblemError, malformed

PRESET: Final = "preset"
SAVED: Final = "saved"
SUGGESTED: Final = "suggested"
_TAKEN: Final = {*BY_SLUG, *SUGGESTED_BY_SLUG, SUGGESTED}


class Segment(NamedTuple):
    """A segment as calls see it; a preset or a suggestion has version 0 and no dates."""

    slug: str
    title: str
    text: str
    kind: str
    version: int
    created_at: str | None = None
    changed_at: str | None = None


class SegmentDesk(Desk):
    """Looks segments up and saves them; every failure is a problem."""

    def __init__(self, segments: Segments, executor: Executor) -> None:
        super().__init__(executor)
        self._segments = segments

    async def list_all(self, run: ScoreRun) -> list[Segment]:
        """Return the presets as they are for a run, then the saved segments."""
        saved = await self._in_thread(self._segments.list_all)
        presets = [await _preset(preset, run) for preset in PRESETS]
        return presets + [
            Segment(each.slug, each.title, each.text, SAVED, each.version, each.created_at, each.changed_at)
            for each in saved
        ]

    async def find(self, slug: str, run: ScoreRun, *, version: int | None = None) -> Segment:
        """Return a segment, or an earlier version of it; raises a 404 problem."""
        saved = None if slug in BY_SLUG else await self._in_thread(lambda: self._segments.find(slug))
        if saved is None:
            if version:
                raise unknown_segment()
            return await _preset(BY_SLUG[slug], run) if slug in BY_SLUG else _suggestion(slug)
        found = Segment(
            slug, saved.title, saved.text, SAVED, saved.version, saved.created_at, saved.changed_at
        )
        if version in (None, saved.version):
            return found
        for each in await self._in_thread(lambda: self._segments.versions(slug)):
            if each.version == version:
                return found._replace(version=version, text=each.text, title=each.title)
        raise unknown_segment()

    async def history(self, segment: Segment) -> dict[str, list[dict[str, Any]]]:
        """Return the versions and the sizes of a segment; a preset or a suggestion has none."""
        if segment.kind != SAVED:
            return {"versions": [], "sizes": []}
        versions = await self._in_thread(lambda: self._segments.versions(segment.slug))
        sizes = await self._in_thread(lambda: self._segments.sizes(segment.slug))
        return {
            "versions": [each._asdict() for each in versions],
            "sizes": [each._asdict() for each in sizes],
        }

    async def save(self, slug: str, title: str, text: str, *, key_id: str) -> Segment:
        """Save a segment or its next version; raises a 409, 422 or 503 problem."""
        if slug in _TAKEN and not await self._is_of_before(slug):
            words = "a preset or a suggestion has this name; choose another"
            raise malformed(FieldError("/body/slug", "preset", words))
        try:
            saved = await self._in_thread(lambda: self._segments.save(slug, title, text, key_id=key_id))
        except TooManySegmentsError:
            raise ProblemError(
                409, "too-many-segments", "As many segments are saved as may be.", title="Too many segments"
            ) from None
        return Segment(slug, title, text, SAVED, saved.version, saved.created_at, saved.changed_at)

    async def _is_of_before(self, slug: str) -> bool:
        """Say whether a segment has the name of a suggestion because it was saved when there were none."""
        if slug not in SUGGESTED_BY_SLUG:
            return False
        return await self._in_thread(lambda: self._segments.find(slug)) is not None


async def _preset(preset: Preset, run: ScoreRun) -> Segment:
    return Segment(preset.slug, preset.title, await preset_text(preset, run), PRESET, 0)


def _suggestion(slug: str) -> Segment:
    """Return a suggestion as a segment; raises a 404 problem."""
    found = SUGGESTED_BY_SLUG.get(slug)
    if found is None:
        raise unknown_segment()
    return Segment(slug, found.title, found.text, SUGGESTED, 0)


def compiled(text: str, meta: RunMeta) -> Condition:
    """Compile a text that was sent; raises a 422 problem with the place of the mistake."""
    try:
        return compile_segment(text, meta)
    except FilterError as error:
        raise malformed(FieldError("/body/text", error.code, error.message, *error.span)) from None


def unknown_segment() -> ProblemError:
    """Return the 404 problem of a name that no segment has."""
    return ProblemError(
        404, "unknown-segment", "There is no such segment; see /v1/segments.", title="Unknown segment"
    )
