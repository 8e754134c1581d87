"""The plan of a campaign to a named list: its members as `features.profit` takes them, kept for a run."""

import asyncio
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from features.campaign import Campaign, Prospect
from features.profit import Plan, plan_contacts
from features.profit_cut import CutMember, cut_members
from features.settings import Settings
from features.suppression import Suppressed
from serving.audiences.named import Audience, Listed
from serving.store.overlay_run import OverlaidRun
from serving.store.records import RunMeta

MarginSource = Literal["call", "basis", "shop", "campaign"]
_NAMES: Final = (
    "customer_id",
    "churn_probability",
    "value_at_risk",
    "spend_if_order_low",
    "spend_if_order_high",
    "email_consent",
)
_ROWS_AT_ONCE: Final = 500
_KEPT_MAX: Final = 2


class Reached(NamedTuple):
    """The members of a list who may be contacted, and how many of it may not or have no score.

    `unknown_consent_count` of the prospects have not said whether they may be mailed: they are kept.
    `control` are those of the control group who have a score.
    """

    prospects: Sequence[Prospect]
    control: Sequence[Prospect]
    control_group_count: int
    unknown_consent_count: int
    unscored_count: int


@dataclass(slots=True)
class _Kept:
    run: "weakref.ref[OverlaidRun]"
    through: int
    suppressed: Suppressed
    reached: Reached
    newest: tuple[Campaign, Plan] | None = None

    async def plan(self, campaign: Campaign) -> Plan:
        if self.newest is None or self.newest[0] != campaign:
            self.newest = campaign, await asyncio.to_thread(plan_contacts, self.reached.prospects, campaign)
        return self.newest[1]


class Planner:
    """Plans campaigns, one at a time, in a thread: nobody else waits for one.

    What a plan needs of a list is read once a run, and again when somebody was scored or suppressed since. A
    list's newest plan is kept: whoever looked at it may take its customers away.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._turn = asyncio.Lock()

    async def plan(self, audience: Audience, run: OverlaidRun, campaign: Campaign) -> tuple[Reached, Plan]:
        """Return who can be contacted and whom it pays to; `audience` is a list of `run`."""
        async with self._turn:
            kept = await self._read(audience, run)
            return kept.reached, await kept.plan(campaign)

    async def cut(self, audience: Audience, run: OverlaidRun, campaign: Campaign) -> list[CutMember]:
        """Return whom of a list of `run` a plan contacts, and the control group within the same cut."""
        async with self._turn:
            kept = await self._read(audience, run)
            return await asyncio.to_thread(_cut, kept.reached, await kept.plan(campaign), campaign)

    async def _read(self, audience: Audience, run: OverlaidRun) -> _Kept:
        kept = self._kept.pop(audience.slug, None)
        through = run.through
        if (
            kept is None
            or kept.run() is not run
            or (kept.through, kept.suppressed) != (through, audience.suppressed)
        ):
            kept = _Kept(weakref.ref(run), through, audience.suppressed, await read_reached(audience))
        self._kept[audience.slug] = kept
        while len(self._kept) > _KEPT_MAX:
            self._kept.popitem(last=False)
        return kept


async def read_cut(audience: Audience, campaign: Campaign) -> list[CutMember]:
    """Return whom of a list a plan contacts, and the control group within the same cut, for one reading."""
    reached = await read_reached(audience)
    return _cut(reached, plan_contacts(reached.prospects, campaign), campaign)


def _cut(reached: Reached, plan: Plan, campaign: Campaign) -> list[CutMember]:
    return cut_members(reached.prospects, reached.control, plan, campaign)


async def read_reached(audience: Audience) -> Reached:
    """Read a list as a plan takes it, whatever part of it was wanted."""
    prospects, control, held, unscored, unknown = list[Prospect](), list[Prospect](), 0, 0, 0
    async for members in audience._replace(control="include").chunks(size=_ROWS_AT_ONCE, names=_NAMES):
        for member in members:
            prospect = _prospect(member)
            if member.control_group:
                held += 1
                control += [prospect] if prospect else []
                continue
            if prospect is None:
                unscored += 1
                continue
            prospects.append(prospect)
            unknown += member.row[5] is None
    prospects.sort()
    return Reached(prospects, control, held, unknown, unscored)


def _prospect(member: Listed) -> Prospect | None:
    """Return a member as a prospect; None without a churn probability or an expected spend.

    `value_at_risk` is churn probability x spend if they order, within the headline horizon. The interval
    of that spend is the one of the CLV horizon, as shares of its middle.
    """
    customer_id, churn, at_stake, low, high, _ = member.row
    if churn is None or at_stake is None:
        return None
    # Who is sure to come is no reason to contact, whatever they spend.
    spend = at_stake / churn if churn > 0.0 else 0.0
    if low is None or high is None or low + high <= 0.0:
        return Prospect(customer_id, churn, spend, spend, spend)
    scale = 2.0 * spend / (low + high)
    return Prospect(customer_id, churn, spend, low * scale, high * scale)


def usual_margin(meta: RunMeta, settings: Settings) -> tuple[float, MarginSource]:
    """Return the margin share of a run's money where a call names none, and whose word that is."""
    if meta.clv_basis == "margin":
        return 1.0, "basis"
    if settings.shop.margin_share > 0.0:
        return settings.shop.margin_share, "shop"
    return settings.campaign.margin_share, "campaign"
