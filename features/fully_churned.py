"""After how many silent days a shop's customers have left for good, from how they came back so far.

The chance of coming back falls with the silence (`features.return_curve`). **A customer has fully churned
after the shortest silence at which it is less than a tenth of what it is right after an order**, both within
the curve's patience. Against the shop's own beginning, since of a grocer's customers nearly all come back and
of a furniture maker's few do.

It is a finding only where it could have failed: so many silences must have been watched to their end that at
a tenth of the chance three returns were to be expected. Of fewer, seeing none proves nothing (the rule of
three: Hanley, Lippman-Hand 1983). Else the point is the default of 9 months, and says why.
"""

from dataclasses import dataclass
from typing import Final, Literal

from features.history import History
from features.return_curve import ReturnCurve, read_return_curve
from features.snapshot import Snapshot
from features.winback import FULLY_CHURNED_DEFAULT, Span

CHANCE_LEFT: Final = 0.1
_RETURNS_EXPECTED_MIN: Final = 3

Grounds = Literal[
    "measured", "history_too_short", "nobody_comes_back", "still_coming_back", "too_few_silences"
]


@dataclass(frozen=True, slots=True)
class FullyChurned:
    """The point, where it comes from, and the evidence; `dataclasses.asdict` gives plain values.

    `span`           the silence: days where `source` is `measured`, the default in months
    `chance_after`   P(order within `patience_days` | silent so long); `chance_first`: right after an order
    `watched_count`  silences that were watched to the end of the patience
    `grounds`        `history_too_short`: too few silences are watched as long as customers take to come back;
                     `nobody_comes_back`: within what can be read nobody ever did;
                     `still_coming_back`: at every silence that can be read more than a tenth of the chance is
                     left; `too_few_silences`: there are too few to be sure
    """

    span: Span
    source: Literal["measured", "default"]
    grounds: Grounds
    patience_days: int
    chance_first: float | None = None
    chance_after: float | None = None
    watched_count: int | None = None


def read_fully_churned(history: History, snapshot: Snapshot) -> FullyChurned:
    """Measure when a shop's customers have left for good, by the order days known at a snapshot."""
    return find_fully_churned(read_return_curve(history, snapshot))


def find_fully_churned(curve: ReturnCurve, *, default: Span = FULLY_CHURNED_DEFAULT) -> FullyChurned:
    """Read the point off a return curve, or return the default with the reason."""
    patience = curve.patience_days
    first = curve.coming_back(0, within_days=patience)
    if not first:
        is_watched = patience > 0 and not curve.returned_share
        return FullyChurned(
            default, "default", "nobody_comes_back" if is_watched else "history_too_short", patience
        )
    for days in range(1, curve.reach_days - patience + 1):
        chance = curve.coming_back(days, within_days=patience)
        if chance is None or chance >= CHANCE_LEFT * first:
            continue
        watched = int(curve.watched_counts[days + patience])
        is_sure = watched * CHANCE_LEFT * first >= _RETURNS_EXPECTED_MIN
        evidence = (patience, round(first, 9), round(max(chance, 0.0), 9), watched)
        if is_sure:
            return FullyChurned(Span(days=days), "measured", "measured", *evidence)
        return FullyChurned(default, "default", "too_few_silences", *evidence)
    return FullyChurned(default, "default", "still_coming_back", patience, round(first, 9))
