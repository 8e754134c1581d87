"""People as they leave the service: a named list, the part of one that a plan contacts, or a segment.

All of them leave with the same rules: nobody who refused contact or is suppressed, the control group left out
by chance and for ever, and marked or alone where it is asked for.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from features.campaign import Campaign
from features.delivery_settings import ControlSettings
from features.profit_cut import CutMember
from features.suppression import Suppressed
from serving.audiences.campaigns import read_cut
from serving.audiences.control_group import Control, ControlGroup
from serving.audiences.named import Audience, Listed, find_audience
from serving.audiences.picked_rows import picked_rows
from serving.audiences.segment_list import SEGMENT, SegmentList, share_of_segment
from serving.rows import STORED_NAMES
from serving.segments.desk import compiled
from serving.store.contract import ScoreRun


class LeavingPeople(Protocol):
    """People in an order, and which of them are wanted.

    `name` is the slug of a list, or `segment:` and that of a segment. Each member was drawn for the control
    group with the probability `control_group_share`; `control_group_count` of them were, None as long as
    that is not known.
    """

    @property
    def run(self) -> ScoreRun:
        """The run that they are of."""
        ...

    @property
    def name(self) -> str:
        """What they are written down as."""
        ...

    @property
    def control(self) -> Control:
        """What becomes of the control group."""
        ...

    @property
    def suppressed(self) -> Suppressed:
        """Who is in no list."""
        ...

    @property
    def control_group_share(self) -> float:
        """The probability with which each was drawn."""
        ...

    @property
    def control_group_count(self) -> int | None:
        """How many the control group holds."""
        ...

    def chunks(
        self, *, after: int = 0, size: int, names: Sequence[str] = STORED_NAMES
    ) -> AsyncIterator[list[Listed]]:
        """Yield those wanted after a place, up to `size` at once; a chunk may be empty.

        `names` are the columns of their rows; the id comes first.
        """
        ...


@dataclass(frozen=True, slots=True)
class PlannedList:
    """The part of a named list that a plan contacts, in the plan's order; its control group is cut alike.

    `members` are everybody within the cut, whatever part of them the audience wants.
    """

    audience: Audience
    members: Sequence[CutMember]

    @property
    def run(self) -> ScoreRun:
        """The run that the list is of."""
        return self.audience.run

    @property
    def name(self) -> str:
        """The list's own name: who is in its control group is so in every part of it."""
        return self.audience.slug

    @property
    def control(self) -> Control:
        """What becomes of the control group."""
        return self.audience.control

    @property
    def suppressed(self) -> Suppressed:
        """Who is no member of any list."""
        return self.audience.suppressed

    @property
    def control_group_share(self) -> float:
        """The probability with which each was drawn: the cut looks at no draw."""
        return self.audience.control_group_share

    @property
    def control_group_count(self) -> int:
        """How many of the control group the same rule would have contacted."""
        return sum(member.is_control for member in self.members)

    @property
    def contact_count(self) -> int:
        """How many the plan contacts; 0 is an answer."""
        return len(self.members) - self.control_group_count

    async def chunks(
        self, *, after: int = 0, size: int, names: Sequence[str] = STORED_NAMES
    ) -> AsyncIterator[list[Listed]]:
        """Yield those wanted in the plan's order; whoever was erased meanwhile is left out."""
        wanted = [each for each in self.members if self.control in ("include", _control_of(each))]
        for start in range(after, len(wanted), size):
            part = wanted[start : start + size]
            rows = await picked_rows(self.run, [each.customer_id for each in part], names)
            yield [
                Listed(start + place, rows[each.customer_id], each.is_control)
                for place, each in enumerate(part, start=1)
                if each.customer_id in rows
            ]


def _control_of(member: CutMember) -> Control:
    return "only" if member.is_control else "exclude"


class Wanted(NamedTuple):
    """Which people of a run are wanted.

    `text` are the words of a segment, and `campaign` is the one whose plan cuts a list.
    """

    name: str
    control: Control = "exclude"
    clv_min: float | None = None
    campaign: Campaign | None = None
    text: str | None = None


class Drawing(NamedTuple):
    """Who is drawn for control groups, and who is in no list at all."""

    group: ControlGroup
    suppressed: Suppressed
    settings: ControlSettings


async def people_of(
    run: ScoreRun, wanted: Wanted, drawing: Drawing, *, share: float | None = None
) -> LeavingPeople:
    """Return the people wanted of a run; `share` is a segment's where it left before.

    Raises a problem where the run has no such list, or does not know what a segment asks for.
    """
    if wanted.text is not None:
        return await segment_of(run, wanted, drawing, share=share)
    audience = find_audience(
        run, wanted.name, drawing.group, drawing.suppressed, control=wanted.control, clv_min=wanted.clv_min
    )
    if wanted.campaign is None:
        return audience
    return PlannedList(audience, await read_cut(audience, wanted.campaign))


async def segment_of(
    run: ScoreRun, wanted: Wanted, drawing: Drawing, *, share: float | None = None
) -> SegmentList:
    """Return a segment's people; raises a 422 problem where the run does not know what it asks for."""
    people = SegmentList(
        run=run,
        slug=wanted.name.removeprefix(SEGMENT),
        condition=compiled(wanted.text or "", run.meta),
        group=drawing.group,
        suppressed=drawing.suppressed,
        control=wanted.control,
    )
    people.control_group_share = (
        share if share is not None else await share_of_segment(people, drawing.settings)
    )
    return people
