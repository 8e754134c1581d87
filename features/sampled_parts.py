"""A history read for learning: everybody's rows, or those of a sample and what the whole shop was like."""

from collections.abc import Sequence

import polars as pl

from features.build import Part, iterate_parts, measure_shop, read_parts
from features.customer_sample import CustomerSample, choose_customers
from features.engines import keep, scan_table
from features.history import History
from features.settings import Settings
from features.shop import ShopFacts
from features.shop_past import ShopPast
from features.snapshot import Snapshot


class SampledParts:
    """The rows that are kept, once read.

    `sample`  whose they are; None: everybody's, as without `sampled_as_of` and in a shop with no more than
              `training.customers_max` customers
    `parts`   their ledger and events
    `past`    with a sample, what the whole shop was like, counted while it was read
    """

    def __init__(
        self, history: History, settings: Settings, *, sampled_as_of: Snapshot | None, draw: int = 0
    ) -> None:
        self._history = history
        self._engine = settings.features.engine
        self.sample: CustomerSample | None = None
        if sampled_as_of is not None:
            count = settings.training.customers_max
            self.sample = choose_customers(
                history, sampled_as_of, count_max=count, engine=self._engine, draw=draw
            )
        self.past = self._new_past(settings.shop.time_zone)
        self.parts = self._read(None)

    def at(self, snapshot: Snapshot) -> list[Part]:
        """Return the parts to compute a snapshot on; with `observation_days` they are read for it."""
        return self.parts if snapshot.observation_days is None else self._read(snapshot)

    def shop_at(self, snapshot: Snapshot) -> ShopFacts | None:
        """Return what the whole shop was like; None where the parts are the whole shop."""
        if self.past is None:
            return None
        if self.past.knows(snapshot):
            return self.past.at(snapshot)
        parts = iterate_parts(self._history, engine=self._engine, snapshot=snapshot)
        return measure_shop(part.known_at(snapshot) for part in parts)

    def _new_past(self, time_zone: str) -> ShopPast | None:
        last_days = self._history.manifest.last_order_days
        if self.sample is None or last_days is None:
            return None
        return ShopPast(time_zone=time_zone, last_order_days=last_days)

    def _read(self, snapshot: Snapshot | None) -> list[Part]:
        if self.sample is None:
            return read_parts(self._history, engine=self._engine, snapshot=snapshot)
        kept: list[Part] = []
        for part in iterate_parts(self._history, engine=self._engine, snapshot=snapshot):
            if self.past is not None and snapshot is None:
                self.past.add(part)
            kept.append(_of_customers(part, self.sample.customer_ids))
        return _joined(kept)


def _of_customers(part: Part, customer_ids: pl.Series) -> Part:
    """Return the rows of some customers of a part."""
    ids = scan_table(pl.DataFrame({"customer_id": customer_ids}), engine=part.engine)
    ledger, events = (
        keep(part.scan(table).join(ids, on="customer_id", how="semi"), engine=part.engine)
        for table in (part.ledger, part.events)
    )
    return Part(ledger, events, part.engine)


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Join parts that have become small to one; where they lie on a cluster, they stay."""
    ledgers = [part.ledger for part in parts if isinstance(part.ledger, pl.DataFrame)]
    events = [part.events for part in parts if isinstance(part.events, pl.DataFrame)]
    if len(ledgers) < len(parts) or not ledgers:
        return list(parts)
    return [Part(pl.concat(ledgers), pl.concat(events), parts[0].engine)]
