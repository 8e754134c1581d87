"""A whole made-up shop: drawn in blocks of customers, so that memory does not grow with its size."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from features.console import Announce
from features.synthetic.assortment import Assortment
from features.synthetic.people import People, draw_people
from features.synthetic.simulate import draw_events, draw_lines, draw_orders, instants
from features.synthetic.spec import Season, ShopSpec
from features.synthetic.truth import Oracle

BLOCK_CUSTOMERS = 10_000
# Questions about the future reach this far beyond the last day.
_FUTURE_DAYS = 5 * 366


@dataclass(frozen=True, slots=True)
class Block:
    """Some customers of the shop: their truth and what was seen of them."""

    oracle: Oracle
    order_lines: pl.DataFrame
    events: pl.DataFrame


class SyntheticShop:
    """A shop of a specification; the same specification gives the same shop whatever is asked of it."""

    def __init__(self, spec: ShopSpec) -> None:
        self.spec = spec
        self.season = Season.of(spec, day_count=spec.day_count + _FUTURE_DAYS)
        self.assortment = Assortment.of(spec, self._random("assortment", 0))

    def oracle(self) -> Oracle:
        """Return the truth of all customers, without simulating their orders."""
        blocks = [self._people(number) for number in range(self.block_count)]
        return self._oracle(People.concat(blocks))

    def blocks(self) -> Iterator[Block]:
        """Yield the shop block by block."""
        for number in range(self.block_count):
            people = self._people(number)
            random = self._random("orders", number)
            orders = draw_orders(self.spec, self.season, people, random)
            lines = draw_lines(self.spec, self.assortment, people, orders, random)
            yield Block(self._oracle(people), lines, draw_events(self.spec, people))

    @property
    def block_count(self) -> int:
        """How many blocks there are."""
        return -(-self.spec.customer_count // BLOCK_CUSTOMERS)

    def _people(self, number: int) -> People:
        first = number * BLOCK_CUSTOMERS
        count = min(BLOCK_CUSTOMERS, self.spec.customer_count - first)
        random = self._random("people", number)
        return draw_people(self.spec, self.assortment, first=first, count=count, random=random)

    def _oracle(self, people: People) -> Oracle:
        return Oracle(self.spec, self.season, self.assortment, people)

    def _random(self, purpose: str, number: int) -> np.random.Generator:
        words = [self.spec.seed, number, *purpose.encode()]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


def _customers(spec: ShopSpec, people: People) -> pl.DataFrame:
    return pl.DataFrame({"customer_id": people.ids, "acquired_at": instants(spec, people.born)})


def write_shop(shop: SyntheticShop, folder: Path, *, announce: Announce = lambda _: None) -> None:
    """Write `order_lines`, `products`, `customers`, `events` and `truth` (Parquet) and `truth.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    shop.assortment.products().write_parquet(folder / "products.parquet")
    writers: dict[str, pq.ParquetWriter] = {}
    try:
        for number, block in enumerate(shop.blocks()):
            announce(f"customers {number * BLOCK_CUSTOMERS:,} and on")
            truth = block.oracle.table()
            tables = {
                "order_lines": block.order_lines,
                "events": block.events,
                "truth": truth,
                "customers": _customers(shop.spec, block.oracle.people),
            }
            for name, rows in tables.items():
                arrow = rows.to_arrow()
                if name not in writers:
                    writers[name] = pq.ParquetWriter(folder / f"{name}.parquet", arrow.schema)
                writers[name].write_table(arrow.cast(writers[name].schema))
    finally:
        for writer in writers.values():
            writer.close()
    about: dict[str, object] = {"spec": asdict(shop.spec) | {"first_day": str(shop.spec.first_day)}}
    about["complement_pairs"] = [list(pair) for pair in shop.assortment.pairs()]
    (folder / "truth.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
