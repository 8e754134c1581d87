"""The products of a made-up shop: categories, needs, prices, popularity, and which go together."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from features.synthetic.spec import Floats, ShopSpec

Ints = npt.NDArray[np.int64]
NEED_ITEM_COUNT = 5
NO_PARTNER = -1


@dataclass(frozen=True, slots=True)
class Assortment:
    """Items by number; item i belongs to category i // items_per_category.

    `needs` items of one number are substitutes; `shares` P(item | category, no usual item), rows sum to 1;
    `partners` the item that joins an item's basket by `complement_share`, -1 for none.
    """

    categories: Ints
    needs: Ints
    prices: Floats
    shares: Floats
    partners: Ints

    @classmethod
    def of(cls, spec: ShopSpec, random: np.random.Generator) -> "Assortment":
        """Draw an assortment: prices log-normal around a category's level, popularity 1 / rank."""
        shape = (spec.category_count, spec.items_per_category)
        levels = random.lognormal(2.3, 0.5, spec.category_count)
        prices = np.round(levels[:, None] * random.lognormal(0.0, 0.4, shape), 2).clip(min=0.5)
        ranks = np.argsort(np.argsort(random.random(shape), axis=1), axis=1) + 1
        shares = (1.0 / ranks) / (1.0 / ranks).sum(axis=1, keepdims=True)
        numbers = np.arange(shape[0] * shape[1])
        return cls(
            categories=numbers // spec.items_per_category,
            needs=numbers // NEED_ITEM_COUNT,
            prices=prices.ravel(),
            shares=shares,
            partners=_draw_partners(spec, shares, random),
        )

    def products(self) -> pl.DataFrame:
        """Return the canonical product table."""
        numbers = range(len(self.prices))
        return pl.DataFrame(
            {
                "product_id": [product_id(number) for number in numbers],
                "name": [f"Item {number}" for number in numbers],
                "category": [f"Category {number}" for number in self.categories],
                "subcategory": [f"Need {number}" for number in self.needs],
                "list_price": self.prices,
                "unit_cost": np.round(self.prices * 0.6, 2),
            }
        )

    def pairs(self) -> list[tuple[str, str]]:
        """Return the complement pairs by product id."""
        firsts = np.flatnonzero(self.partners != NO_PARTNER)
        return [(product_id(int(first)), product_id(int(self.partners[first]))) for first in firsts]


def product_id(number: int) -> str:
    """Return an item's id.

    >>> product_id(7)
    'p0007'
    """
    return f"p{number:04d}"


def _draw_partners(spec: ShopSpec, shares: Floats, random: np.random.Generator) -> Ints:
    """Pair popular items with items of other categories; an item has one partner at most."""
    partners = np.full(shares.size, NO_PARTNER, dtype=np.int64)
    if spec.category_count < 2:
        return partners
    popular = np.argsort(-shares.ravel(), kind="stable")
    for first in popular[: min(spec.complement_pair_count, shares.size)]:
        others = np.flatnonzero(
            np.arange(shares.size) // spec.items_per_category != first // spec.items_per_category
        )
        partners[first] = random.choice(others)
    return partners
