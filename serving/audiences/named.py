"""The named lists of a run as calls name them, and their members with or without the control group."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

from features.suppression import Suppressed
from serving.audiences.control_group import Control, ControlGroup
from serving.rows import STORED_NAMES
from serving.store.contract import ScoreRun
from serving.store.records import AudienceCounts, Member, StoredRow
from serving.web.problems import ProblemError

AT_RISK: Final = "at-risk"


class Listed(NamedTuple):
    """A member of a list: the row, its place, and whether the control group holds it."""

    position: int
    row: StoredRow
    control_group: bool


class Audience(NamedTuple):
    """A named list of a run, and which of its members are wanted.

    `control` says what becomes of the control group: left out, marked, or the only one wanted. Nobody
    `suppressed` is a member.
    """

    run: ScoreRun
    slug: str
    counts: AudienceCounts
    group: ControlGroup
    suppressed: Suppressed
    control: Control = "exclude"
    clv_min: float | None = None

    @property
    def name(self) -> str:
        """The list's name, as it is written down when the list leaves."""
        return self.slug

    @property
    def control_group_share(self) -> float:
        """The probability with which each member was drawn for the control group."""
        return self.counts.control_group_share

    @property
    def control_group_count(self) -> int:
        """How many of the list its control group holds."""
        return self.counts.control_group_count

    async def page(self, *, after: int, limit: int) -> list[Listed]:
        """Return the next `limit` members after a place; fewer only at the end."""
        found: list[Listed] = []
        async for chunk in self.chunks(after=after, size=limit):
            found += chunk
            if len(found) >= limit:
                break
        return found[:limit]

    async def chunks(
        self, *, after: int = 0, size: int, names: Sequence[str] = STORED_NAMES
    ) -> AsyncIterator[list[Listed]]:
        """Yield all members after a place, up to `size` at once; a chunk may be empty.

        `names` are the columns of their rows; the id comes first.
        """
        while members := await self.run.list_members(
            self.slug, after=after, limit=size, clv_min=self.clv_min, names=names
        ):
            after = members[-1].position
            yield self._wanted(members)
            # Others are answered between two.
            await asyncio.sleep(0)

    def _wanted(self, members: Sequence[Member]) -> list[Listed]:
        if self.suppressed:
            members = [member for member in members if member.row[0] not in self.suppressed]
        share, holds = self.counts.control_group_share, self.group.holds
        if not share:
            return [] if self.control == "only" else [Listed(m.position, m.row, False) for m in members]
        marked = [Listed(m.position, m.row, holds(self.slug, m.row[0], share=share)) for m in members]
        if self.control == "include":
            return marked
        return [member for member in marked if member.control_group == (self.control == "only")]


def find_audience(
    run: ScoreRun,
    slug: str,
    group: ControlGroup,
    suppressed: Suppressed,
    *,
    control: Control = "exclude",
    clv_min: float | None = None,
) -> Audience:
    """Return a named list of a run; raises a 404 problem where the run has no such list."""
    counts = run.meta.audiences.get(slug)
    if counts is None:
        raise ProblemError(
            404, "unknown-audience", "There is no such list; see /v1/audiences.", title="Unknown list"
        )
    return Audience(run, slug, counts, group, suppressed, control, clv_min)
