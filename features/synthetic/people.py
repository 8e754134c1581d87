"""The customers of a made-up shop: what nobody in a real shop ever sees."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from features.synthetic.assortment import Assortment
from features.synthetic.spec import Floats, ShopSpec

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
_LIFETIME_SHAPE = 3.0
_RETURN_RATE_SHAPE = 2.0
QUANTITY_EXTRA_MEAN = 0.3


@dataclass(frozen=True, slots=True)
class People:
    """Some customers, one entry each; times in days since the shop's first day.

    `rates`        orders a day, before season and offers; `death_rates` 1 ÷ expected lifetime in days
    `born`, `died` the first order; the day after which there is none (may lie after the data's end)
    `tastes`       P(category) of a line; `usual` the usual item of each category
    `lines_mean`   mean lines an order; `returns` P(a line comes back)
    `lifts`        relative change of the rate while an offer runs; below 0 for those whom offers annoy
    `offered`      customers × campaigns: who was sent which
    """

    ids: list[str]
    born: Floats
    died: Floats
    rates: Floats
    death_rates: Floats
    tastes: Floats
    usual: Ints
    lines_mean: Floats
    returns: Floats
    lifts: Floats
    offered: Bools

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Join people end to end."""
        ids = [name for part in parts for name in part.ids]
        arrays = [field.name for field in fields(cls) if field.name != "ids"]
        joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays}
        return cls(ids=ids, **joined)


def draw_people(
    spec: ShopSpec, assortment: Assortment, *, first: int, count: int, random: np.random.Generator
) -> People:
    """Draw customers number `first` … `first + count - 1`."""
    founding = random.random(count) < spec.founding_share
    born = np.where(founding, random.uniform(0, 1, count), random.uniform(0, spec.day_count, count))
    rates = random.gamma(spec.rate_shape, 1.0 / (spec.rate_shape * spec.mean_gap_days), count)
    # The mean of 1 / gamma(shape, scale) is 1 / (scale (shape - 1)).
    scale = 1.0 / ((_LIFETIME_SHAPE - 1) * spec.mean_lifetime_days)
    death_rates = random.gamma(_LIFETIME_SHAPE, scale, count)
    died = born + random.exponential(1.0, count) / death_rates
    starts = spec.campaign_starts_days()
    living = (born[:, None] < starts) & (died[:, None] > starts)
    return People(
        ids=[f"c{number:07d}" for number in range(first, first + count)],
        born=born,
        died=died,
        rates=rates,
        death_rates=death_rates,
        tastes=random.dirichlet(np.full(spec.category_count, 0.5), count),
        usual=_draw_usual(spec, assortment, count, random),
        lines_mean=1.0 + random.gamma(2.0, (spec.line_count_mean - 1.0) / 2.0, count),
        returns=(spec.return_share * random.gamma(_RETURN_RATE_SHAPE, 1 / _RETURN_RATE_SHAPE, count)).clip(
            max=0.9
        ),
        lifts=random.choice([-0.3, 0.0, 0.5, 1.5], count, p=[0.1, 0.4, 0.3, 0.2]),
        offered=living & (random.random(living.shape) < spec.offered_share),
    )


def _draw_usual(spec: ShopSpec, assortment: Assortment, count: int, random: np.random.Generator) -> Ints:
    columns = [
        category * spec.items_per_category
        + random.choice(spec.items_per_category, count, p=assortment.shares[category])
        for category in range(spec.category_count)
    ]
    return np.column_stack(columns).astype(np.int64)
