"""What falls due to whom, gathered while the lists of a run are made."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from serving.changes.lifecycle import DueItem
from serving.changes.run_signals import due_items
from serving.scoring.audience_rules import DUE, days_until_due
from serving.scoring.lists import MadeLists
from serving.store.records import Item


class Due:
    """Gathers the days until each customer's nearest item (for audiences), and the items due (for events).

    `items` holds, by customer, what is due within `within_days` of `as_of`.
    """

    def __init__(self, products: Sequence[Item], as_of: date, within_days: int) -> None:
        self.items: dict[str, list[DueItem]] = {}
        self._numbers = {product.product_id: product.item_no for product in products}
        self._as_of = as_of
        self._within_days = within_days
        self._nearest = [pl.DataFrame(schema={"customer_id": pl.String, DUE: pl.Float64})]

    def add(self, made: MadeLists) -> None:
        """Take in the lists of some customers."""
        self._nearest.append(days_until_due(made.table))
        self.items |= due_items(
            made.table, made.owned, self._numbers, as_of=self._as_of, within_days=self._within_days
        )

    def nearest(self) -> pl.DataFrame:
        """Return `customer_id` and `due_in_days` of everybody to whom anything falls due."""
        return pl.concat(self._nearest)
