"""The named lists: what each is called, whom it holds and in which order."""

from dataclasses import dataclass
from typing import Final

AT_RISK: Final = "at-risk"


@dataclass(frozen=True, slots=True)
class Audience:
    """A named list; its members and their order are written with each score run."""

    slug: str
    title: str
    rule: str


AUDIENCES: Final = {
    AT_RISK: Audience(
        AT_RISK,
        "At risk",
        "risk band high, not lapsed, contact not refused; band first, then value at risk",
    )
}
