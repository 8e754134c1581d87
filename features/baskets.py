"""Which items were bought in one order: what joint purchases are counted from."""

from collections.abc import Sequence

import narwhals as nw
import polars as pl

from features.history import History
from features.interactions import collected, known_product_lines
from features.settings import Engine
from features.snapshot import Snapshot

BASKET_SCHEMA = pl.Schema({"basket_no": pl.Int32, "customer_no": pl.Int32, "item_no": pl.Int32})
# A load of more different items is a wholesale order: it says nothing of what goes together, and pairs grow
# with the square.
BASKET_ITEM_COUNT_MAX = 100


def build_baskets(
    history: History,
    snapshot: Snapshot,
    *,
    items: pl.DataFrame,
    buckets: Sequence[int] | None = None,
    engine: Engine = "polars",
) -> pl.DataFrame:
    """Build one row per order before the snapshot and different item bought in it, `BASKET_SCHEMA`.

    `items` has product_id and item_no; lines of other products and returns do not count, nor do orders with
    more than 100 different items. `basket_no` and `customer_no` count from 0. Customers are read bucket by
    bucket.
    """
    numbers = items.select("product_id", pl.col("item_no").cast(pl.Int32))
    chosen = range(history.manifest.bucket_count) if buckets is None else buckets
    parts: list[pl.DataFrame] = []
    basket_count = customer_count = 0
    for bucket in chosen:
        lines = known_product_lines(history, snapshot, buckets=[bucket], engine=engine)
        bought = collected(lines.filter(~nw.col("is_return")).select("customer_id", "order_id", "product_id"))
        orders = (
            bought.join(numbers, on="product_id")
            .group_by("customer_id", "order_id")
            .agg(pl.col("item_no").unique())
            .filter(pl.col("item_no").list.len() <= BASKET_ITEM_COUNT_MAX)
        )
        numbered = orders.sort("customer_id", "order_id").select(
            pl.int_range(basket_count, basket_count + pl.len(), dtype=pl.Int32).alias("basket_no"),
            (customer_count + pl.col("customer_id").rle_id()).cast(pl.Int32).alias("customer_no"),
            "item_no",
        )
        parts.append(numbered.explode("item_no"))
        basket_count += len(numbered)
        customer_count += numbered["customer_no"].n_unique()
    return pl.concat([pl.DataFrame(schema=BASKET_SCHEMA), *parts])
