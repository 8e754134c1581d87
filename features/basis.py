"""The money basis: which money every figure of a shop counts.

    gross    what was sold, after discounts
    net      gross − what was given back
    margin   net − what the goods cost the shop (`unit_cost` of the products table × quantity)

Goods whose cost nobody knows make `margin_share` of their net money. `features.margin` computes it, and
`features.settle` says which basis a history can be computed on.
"""

from dataclasses import dataclass
from typing import Literal

BasisName = Literal["gross", "net", "margin"]

_WORDS: dict[str, str] = {
    "gross": "before returns",
    "net": "after returns",
    "margin": "after returns and the cost of the goods",
}


@dataclass(frozen=True, slots=True)
class Basis:
    """A money basis; `margin_share` is what goods without a known cost make of their money, on `margin`."""

    name: BasisName = "net"
    margin_share: float = 0.0

    @property
    def tags(self) -> dict[str, str | float]:
        """What figures must share to be compared, by the names of the settings.

        >>> Basis("net", 0.3).tags, Basis("margin", 0.3).tags
        ({'clv_basis': 'net'}, {'clv_basis': 'margin', 'margin_share': 0.3})
        """
        if self.name == "margin":
            return {"clv_basis": self.name, "margin_share": self.margin_share}
        return {"clv_basis": self.name}


def basis_words(name: str) -> str:
    """Say in words what a basis counts.

    >>> basis_words("margin")
    'after returns and the cost of the goods'
    """
    return _WORDS[name]
