"""The lists of an item: `similar` and `bundle`, learnt once for all recommenders of a material."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from numpy.typing import NDArray

from models.recommender.bundles import BundleTable
from models.recommender.catalogue import Catalogue, Ints
from models.recommender.contract import ItemKind, RecommenderMaterial, Unavailable
from models.recommender.lists import NO_ITEM, Picks
from models.recommender.material import learnt_neighbours
from models.recommender.similar import SimilarTable


@dataclass(frozen=True, slots=True)
class ItemShelf:
    """What is like an item, and what goes with it."""

    similar: SimilarTable
    bundles: BundleTable

    @classmethod
    def fit(cls, material: RecommenderMaterial, catalogue: Catalogue) -> Self:
        """Learn both; a material that is only judged by customers' lists has neither."""
        if material.shelf is None:
            return cls(SimilarTable.none(len(catalogue)), BundleTable.none(len(catalogue)))
        bundles = BundleTable.fit(material.shelf.baskets(), catalogue)
        neighbours = learnt_neighbours(material, catalogue)
        return cls(SimilarTable.fit(catalogue, neighbours, bundles), bundles)

    def picks(self, kind: ItemKind, asked: Ints, catalogue: Catalogue, *, depth: int) -> Picks:
        """Return a list of each item asked for."""
        table = self.similar if kind == "similar" else self.bundles
        return table.picks(asked, catalogue, depth=depth)

    def unavailable(self, kind: ItemKind, catalogue: Catalogue) -> Unavailable | None:
        """Say why no item can have a list of this kind in this shop, or None where one can."""
        table = self.similar if kind == "similar" else self.bundles
        if catalogue.is_available[table.items[table.items != NO_ITEM]].any():
            return None
        return "nothing_alike" if kind == "similar" else "nothing_bought_together"

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `.npz` keeps."""
        return self.similar.arrays() | self.bundles.arrays()

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from what `arrays` returned."""
        return cls(SimilarTable.restore(arrays), BundleTable.restore(arrays))
