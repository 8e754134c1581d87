"""What a segment is: how many, the money expected of them, and what they have more often than others.

**Expected revenue** is the sum of the members' `predicted_clv_90`. Its 80 % range holds two doubts: whether
each member orders and spends, one apart from the other (`serving.store.profile_reads`), and how far the
totals of all customers were off at the dates of the back-test, which hits every member alike. The latter is
known of the back-test's own horizon and taken for 90 days; where no back-test tells it, `level_error` is None
and the range knows chance alone.

**Profile**: `features.lift`. Of the members and of the others about 10,000 each are looked at at most, spread
evenly over the run.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final, NamedTuple

from features.condition_phrases import names_in, read_phrases
from features.item_filter import Condition
from features.lift import Counted, Trait, over_represented
from serving.segments.profile_traits import Looked, looked_at
from serving.segments.suggested import SUGGESTED, Suggestion
from serving.segments.words import SEGMENTS, compile_segment
from serving.store.contract import ScoreRun
from serving.store.profile_reads import profile_query, size_query
from serving.store.records import RunMeta

HORIZON_DAYS: Final = 90
SAMPLE: Final = 10_000
TRAITS_SHOWN: Final = 12
CARD_TRAITS: Final = 4
SEEN_MIN: Final = 30
"""Of fewer members, or fewer others, nothing is said: the intervals are those of large numbers."""
_VALUES_MAX: Final = 50
_Z80: Final = 1.281552
EVERYBODY: Final = Condition("1 = 1", ())


class Size(NamedTuple):
    """How many members, the money expected of them within 90 days with its 80 % range, and who orders.

    `order_share` is the mean probability of an order within these days; `level_error` how far totals were off
    at the dates of the back-test (root mean square). Money is None where nobody has a prediction.
    """

    member_count: int
    expected_revenue: float | None
    expected_revenue_low: float | None
    expected_revenue_high: float | None
    order_share: float | None
    level_error: float | None


class ProfileTrait(NamedTuple):
    """A trait of a profile; a number's values lie above `above` and up to `up_to`, None being no edge."""

    name: str
    value: str | None
    above: float | None
    up_to: float | None
    member_share: float
    other_share: float
    lift: float
    low: float
    high: float


class Profile(NamedTuple):
    """What members have more often than others, the surest first.

    `compared_count` traits were looked at, of `member_seen` members and `other_seen` others; the intervals
    hold for all of them together with 95 %.
    """

    traits: list[ProfileTrait]
    compared_count: int
    member_seen: int
    other_seen: int


@dataclass(frozen=True, slots=True)
class Card:
    """A suggestion as it is in a run; `reason` says why there is none (`suggested.REASONS`)."""

    suggestion: Suggestion
    reason: str | None
    size: Size | None = None
    profile: Profile | None = None


async def read_size(run: ScoreRun, condition: Condition) -> Size:
    """Return how many a segment holds, and the money expected of them."""
    return (await read_sizes(run, [condition]))[0]


async def read_sizes(run: ScoreRun, conditions: Sequence[Condition]) -> list[Size]:
    """Return the sizes of several segments, read in one pass."""
    (row,) = await run.ask_segments(*size_query(conditions, clv_days=run.meta.clv_horizon_days))
    found = [row[place : place + 4] for place in range(0, len(row), 4)]
    return [_size(*numbers, level_error=level_error(run.meta)) for numbers in found]


def level_error(meta: RunMeta) -> float | None:
    """Return by how much totals were off: the root mean square of actual ÷ predicted − 1 over the dates."""
    card = meta.models.get("clv")
    totals = (card.scorecard.get("totals") if card else None) or []
    errors = [actual / predicted - 1 for predicted, actual in totals if predicted]
    return sqrt(sum(error * error for error in errors) / len(errors)) if errors else None


def _size(
    count: int | None,
    money: float | None,
    variance: float | None,
    order_share: float | None,
    *,
    level_error: float | None,
) -> Size:
    if money is None:
        return Size(int(count or 0), None, None, None, order_share, level_error)
    width = _Z80 * sqrt((variance or 0.0) + (money * (level_error or 0.0)) ** 2)
    low = money - width if money < 0 else max(money - width, 0.0)
    return Size(
        int(count or 0), round(money, 2), round(low, 2), round(money + width, 2), order_share, level_error
    )


async def read_profile(run: ScoreRun, text: str, *, member_count: int) -> Profile:
    """Return what the members of a segment have more often than the others; raises `FilterError`."""
    meta = run.meta
    condition = compile_segment(text, meta)
    looked = looked_at(meta.cuts, besides=names_in(read_phrases(text, SEGMENTS)))
    query = profile_query(
        [condition],
        looked,
        member_step=_step(member_count),
        other_step=_step(meta.customer_count - member_count),
    )
    rows = await run.ask_segments(*query)
    return _profiles(rows, looked, 1, limit=TRAITS_SHOWN)[0]


async def read_cards(run: ScoreRun) -> list[Card]:
    """Return the suggestions of a run, with sizes and short profiles, read in two passes.

    About 10,000 customers of the run are looked at for the profiles.
    """
    meta = run.meta
    reasons = {each.slug: each.missing(meta) for each in SUGGESTED}
    known = [each for each in SUGGESTED if reasons[each.slug] is None]
    conditions = [compile_segment(each.text, meta) for each in known]
    if not known:
        return [Card(each, reasons[each.slug]) for each in SUGGESTED]
    sizes = await read_sizes(run, conditions)
    looked = looked_at(meta.cuts)
    step = _step(meta.customer_count)
    rows = await run.ask_segments(*profile_query(conditions, looked, member_step=step, other_step=step))
    own = [{*looked_names(each.text, meta)} for each in known]
    profiles = _profiles(rows, looked, len(known), limit=CARD_TRAITS, own=own)
    made = {
        each.slug: Card(each, None, size, profile)
        for each, size, profile in zip(known, sizes, profiles, strict=True)
    }
    return [made.get(each.slug) or Card(each, reasons[each.slug]) for each in SUGGESTED]


def looked_names(text: str, meta: RunMeta) -> list[str]:
    """Return the traits that a profile of a segment looks at."""
    return [each.name for each in looked_at(meta.cuts, besides=names_in(read_phrases(text, SEGMENTS)))]


def _step(count: int) -> int:
    return max(1, -(-count // SAMPLE))


def _profiles(
    rows: Iterable[Sequence[Any]],
    looked: Sequence[Looked],
    condition_count: int,
    *,
    limit: int,
    own: Sequence[set[str]] | None = None,
) -> list[Profile]:
    """Return a profile for each condition from the rows of `profile_query`."""
    values = defaultdict[int, list[tuple[str | None, int, list[int]]]](list)
    for place, value, total, *members in rows:
        values[int(place)].append((value, int(total), [int(each or 0) for each in members]))
    everybody = next(iter(values.values()), [])
    found = []
    for number in range(condition_count):
        member_seen = sum(members[number] for _, _, members in everybody)
        other_seen = sum(total for _, total, _ in everybody) - member_seen
        counted = [
            each
            for place, trait in enumerate(looked)
            if own is None or trait.name in own[number]
            for each in _counted(trait, values[place], number)
        ]
        if min(member_seen, other_seen) < SEEN_MIN:
            counted = []
        traits, compared_count = over_represented(counted, limit=limit)
        edges = {trait.name: trait.edges for trait in looked}
        shown = [_shown(trait, edges[trait.name]) for trait in traits]
        found.append(Profile(shown, compared_count, member_seen, other_seen))
    return found


def _counted(
    trait: Looked, values: Sequence[tuple[str | None, int, list[int]]], number: int
) -> Iterable[Counted]:
    """Yield the counts of a trait's most frequent values among those of whom it is known."""
    known = [each for each in values if each[0] is not None]
    member_total = sum(members[number] for _, _, members in known)
    other_total = sum(total for _, total, _ in known) - member_total
    for value, total, members in sorted(known, key=lambda each: (-each[1], each[0]))[:_VALUES_MAX]:
        count = members[number]
        yield Counted(trait.name, str(value), count, member_total, total - count, other_total)


def _shown(trait: Trait, edges: Sequence[float]) -> ProfileTrait:
    place = int(trait.value) if edges else -1
    return ProfileTrait(
        name=trait.name,
        value=None if edges else trait.value,
        above=edges[place - 1] if place > 0 else None,
        up_to=edges[place] if 0 <= place < len(edges) else None,
        member_share=trait.member_share,
        other_share=trait.other_share,
        lift=trait.lift,
        low=trait.low,
        high=trait.high,
    )
