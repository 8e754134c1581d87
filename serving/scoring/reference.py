"""What a run keeps so that a customer can be scored again and compared with its customers."""

from typing import Self

from pydantic import BaseModel, ConfigDict

from features.shop import ShopFacts
from serving.scoring.shop_cuts import ShopCuts


class RunReference(BaseModel):
    """The cut points of a run's customers, and what was usual in the shop as of its date."""

    model_config = ConfigDict(frozen=True)

    cuts: ShopCuts
    usual_gap_days: float | None
    usual_order_value: float | None
    recorded: tuple[str, ...]

    @classmethod
    def of(cls, cuts: ShopCuts, shop: ShopFacts) -> Self:
        """Return what a run keeps of a shop."""
        return cls(
            cuts=cuts,
            usual_gap_days=shop.usual_gap_days,
            usual_order_value=shop.usual_order_value,
            recorded=tuple(sorted(shop.recorded)),
        )

    @property
    def shop(self) -> ShopFacts:
        """The shop as the run's features saw it."""
        return ShopFacts(self.usual_gap_days, self.usual_order_value, frozenset(self.recorded))
