"""What a shop knows of its customers without a model, in one document."""

from dataclasses import asdict, dataclass
from typing import Any

from features.category_clocks import Clock, read_clocks
from features.concentration import Concentration, read_concentration
from features.fully_churned import FullyChurned, read_fully_churned
from features.history import History
from features.retention import Retention, read_retention
from features.settings import Settings
from features.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Knowledge:
    """A shop as of one snapshot; clocks of categories and of products, those with the most gaps first."""

    retention: Retention
    concentration: Concentration
    category_clocks: tuple[Clock, ...]
    product_clocks: tuple[Clock, ...]
    fully_churned: FullyChurned

    def to_document(self) -> dict[str, Any]:
        """Return plain values: dicts, lists, texts, numbers, None; no customer is named."""
        return asdict(self)


def read_knowledge(history: History, snapshot: Snapshot, *, settings: Settings) -> Knowledge:
    """Measure a shop as of a snapshot; `settings` are settled ones (`features.settle`)."""
    return Knowledge(
        retention=read_retention(history, snapshot, settings=settings),
        concentration=read_concentration(history, snapshot, settings=settings),
        category_clocks=read_clocks(history, snapshot, kind="category", settings=settings),
        product_clocks=read_clocks(history, snapshot, kind="product_id", settings=settings),
        fully_churned=read_fully_churned(history, snapshot),
    )
