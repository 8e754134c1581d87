"""Saved segments in the state: their versions, which stay, and how many were in them at each run."""

from datetime import UTC, datetime
from typing import Final, NamedTuple

import sqlalchemy as sa

from serving.instants import instant_text
from serving.state.database import State
from serving.state.tables import SEGMENT_SIZES, SEGMENT_VERSIONS, SEGMENTS

SEGMENTS_MAX: Final = 200
SIZES_SHOWN: Final = 400
_OLDEST_FIRST: Final = SEGMENTS.c.created_at, SEGMENTS.c.slug


class TooManySegmentsError(Exception):
    """As many segments are saved as may be."""


class SavedSegment(NamedTuple):
    """A segment as it is saved; its versions count from 1."""

    slug: str
    title: str
    version: int
    created_at: str
    changed_at: str
    text: str


class SegmentVersion(NamedTuple):
    """One of the texts that a segment has had."""

    version: int
    title: str
    text: str
    created_at: str


class SegmentSize(NamedTuple):
    """How many were in a segment at a run; who came and went against the run before, by the same words."""

    score_run_id: str
    as_of: str
    version: int
    customer_count: int
    member_count: int
    joined_count: int | None
    left_count: int | None


class Segments:
    """The saved segments of a state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def list_all(self) -> list[SavedSegment]:
        """Return all segments, the oldest first; none where no state was made yet."""
        if not self._state.exists():
            return []
        with self._state.reading() as connection:
            if not sa.inspect(connection).has_table(SEGMENTS.name):
                return []  # of an earlier release
            return [SavedSegment._make(row) for row in connection.execute(_saved().order_by(*_OLDEST_FIRST))]

    def find(self, slug: str) -> SavedSegment | None:
        """Return a segment, None where there is none of the name."""
        return next((each for each in self.list_all() if each.slug == slug), None)

    def save(self, slug: str, title: str, text: str, *, key_id: str) -> SavedSegment:
        """Save a segment, or the next version of one; nothing changes where it stands so already.

        Raises `TooManySegmentsError`.
        """
        now = instant_text(datetime.now(UTC))
        with self._state.writing() as connection:
            found = connection.execute(_saved().where(SEGMENTS.c.slug == slug)).first()
            if found is not None and (found.title, found.text) == (title, text):
                return SavedSegment._make(found)
            if found is None:
                count = connection.execute(sa.select(sa.func.count()).select_from(SEGMENTS)).scalar_one()
                if count >= SEGMENTS_MAX:
                    raise TooManySegmentsError
            version = 1 if found is None else found.version + 1
            created_at = now if found is None else found.created_at
            row = {"title": title, "version": version, "changed_at": now}
            if found is None:
                connection.execute(sa.insert(SEGMENTS).values(slug=slug, created_at=now, **row))
            else:
                connection.execute(sa.update(SEGMENTS).where(SEGMENTS.c.slug == slug).values(**row))
            words = {"title": title, "text": text, "key_id": key_id, "created_at": now}
            connection.execute(sa.insert(SEGMENT_VERSIONS).values(slug=slug, version=version, **words))
        return SavedSegment(slug, title, version, created_at, now, text)

    def versions(self, slug: str) -> list[SegmentVersion]:
        """Return what a segment has said, the newest first."""
        columns = (SEGMENT_VERSIONS.c[name] for name in SegmentVersion._fields)
        query = sa.select(*columns).where(SEGMENT_VERSIONS.c.slug == slug)
        with self._state.reading() as connection:
            rows = connection.execute(query.order_by(SEGMENT_VERSIONS.c.version.desc()))
            return [SegmentVersion._make(row) for row in rows]

    def add_size(self, slug: str, size: SegmentSize) -> None:
        """Keep how many were in a segment at a run."""
        with self._state.writing() as connection:
            connection.execute(sa.insert(SEGMENT_SIZES).values(slug=slug, **size._asdict()))

    def sizes(self, slug: str) -> list[SegmentSize]:
        """Return how many were in a segment at the newest 400 runs, the newest first."""
        columns = (SEGMENT_SIZES.c[name] for name in SegmentSize._fields)
        query = sa.select(*columns).where(SEGMENT_SIZES.c.slug == slug)
        newest = query.order_by(SEGMENT_SIZES.c.as_of.desc(), SEGMENT_SIZES.c.score_run_id.desc())
        with self._state.reading() as connection:
            return [SegmentSize._make(row) for row in connection.execute(newest.limit(SIZES_SHOWN))]


def _saved() -> "sa.Select[tuple[str, str, int, str, str, str]]":
    same = (SEGMENT_VERSIONS.c.slug == SEGMENTS.c.slug) & (SEGMENT_VERSIONS.c.version == SEGMENTS.c.version)
    columns = (SEGMENTS.c[name] for name in SavedSegment._fields[:-1])
    return sa.select(*columns, SEGMENT_VERSIONS.c.text).join(SEGMENT_VERSIONS, same)
