"""The rows of a run's table `traits`, and who bought what: made at scoring, written with the run."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import polars as pl

from features.history import History
from features.orders import known_rows
from features.snapshot import Snapshot
from serving.scoring.audience_rules import DUE
from serving.scoring.facts import instant_column
from serving.scoring.run_scores import stored_expression
from serving.segments.traits import ATTRIBUTES, SCORES, TRAIT_NAMES, TRAITS
from serving.store.contract import RunWriter

_CENT_DIGITS: Final = 2
_FEATURE_OF: Final = {
    "distinct_product_count": "product_count",
    "distinct_category_count": "category_count",
    "return_share": "returned_spend_share",
}
_MONEY: Final = frozenset(trait.name for trait in TRAITS if trait.unit == "money")
_CUTS: Final = range(1, 20)


def with_traits(rows: pl.DataFrame, features: pl.DataFrame, behaviour: pl.DataFrame) -> pl.DataFrame:
    """Add a bucket's traits to its scores.

    `features` is the feature table of the same customers, `behaviour` what `features.behaviour` found.
    """
    known = {name: _FEATURE_OF.get(name, name) for name in TRAIT_NAMES if name not in rows.columns}
    told = features.select(
        "customer_id",
        *(
            pl.col(source).round(_CENT_DIGITS).alias(name) if name in _MONEY else pl.col(source).alias(name)
            for name, source in known.items()
            if source in features.columns and name not in behaviour.columns
        ),
    )
    days = [name for name in behaviour.columns if name.endswith("_days")]
    done = behaviour.with_columns(
        instant_column(name).alias(f"{name.removesuffix('_days')}_at") for name in days
    ).drop(days)
    joined = rows.join(told, on="customer_id", how="left", maintain_order="left")
    return joined.join(done, on="customer_id", how="left", maintain_order="left")


def known_traits(bucket_rows: pl.DataFrame) -> pl.DataFrame:
    """Return the traits of all customers, sorted; the day on which something falls due comes later."""
    names = [name for name in TRAIT_NAMES if name != DUE]
    return bucket_rows.select("customer_id", *names).sort("customer_id")


class TraitTable(NamedTuple):
    """The table `traits` of a run, and the cut points of its numbers."""

    rows: pl.DataFrame

    @classmethod
    def of(cls, scores: pl.DataFrame, traits: pl.DataFrame, due: pl.DataFrame) -> "TraitTable":
        """Put a run's rows, the traits of the same customers and `audience_rules.days_until_due` together."""
        own = scores.select("customer_id", *(c.name for c in SCORES if c.name != "customer_id"))
        joined = own.join(traits, on="customer_id", how="left", maintain_order="left")
        return cls(joined.join(due, on="customer_id", how="left", maintain_order="left"))

    def stored(self) -> Iterator[tuple[Any, ...]]:
        """Yield (row_number, the values of `traits.ATTRIBUTE_NAMES`) as the store takes them."""
        columns = [stored_expression(column.name, column.kind) for column in ATTRIBUTES]
        whole = {column.name for column in ATTRIBUTES if column.kind == "integer"}
        typed = self.rows.select(columns).with_columns(
            pl.col(name).cast(pl.Int64) for name in whole if self.rows[name].dtype.is_float()
        )
        return typed.with_row_index("row_number", offset=1).iter_rows()

    def cuts(self) -> dict[str, list[float]]:
        """Return of each number the values that at most 95 %, 90 %, … 5 % of the customers exceed.

        The value of rank ⌈q · n⌉ among the n customers who have one; none where nobody has.
        """
        found: dict[str, list[float]] = {}
        for column in ATTRIBUTES:
            if column.kind not in ("integer", "number"):
                continue
            values = self.rows[column.name].cast(pl.Float64)
            ordered = values.filter(values.is_finite()).sort()
            if len(ordered):
                ranks = [-(-step * len(ordered) // (_CUTS.stop)) for step in _CUTS]
                found[column.name] = [float(ordered[rank - 1]) for rank in ranks]
        return found


def read_sold_products(history: History) -> pl.DataFrame:
    """Return `product_no` (from 1), `product_id` and `category` of every product in the history's lines."""
    sold: pl.LazyFrame = history.scan("order_lines").select("product_id").to_native()
    found = sold.drop_nulls().unique().sort("product_id").collect()
    known = history.read("products").unique("product_id", keep="last").select("product_id", "category")
    joined = found.join(known, on="product_id", how="left", maintain_order="left")
    return joined.with_row_index("product_no", offset=1)


def read_purchases(
    history: History, snapshot: Snapshot, *, products: pl.DataFrame, numbers: pl.DataFrame
) -> Iterator[pl.DataFrame]:
    """Yield `product_no`, `row_number` and `age_days` of what customers bought, a bucket at a time.

    `numbers` has the `row_number` of each `customer_id`. The age counts the 24-hour days from the newest
    purchase to the snapshot, 1 being the last one. What was given back was bought all the same.
    """
    for bucket in range(history.manifest.bucket_count):
        lines = known_rows(history.scan("order_lines", buckets=[bucket]), snapshot).to_native()
        newest = (
            lines.filter(~pl.col("is_return"), pl.col("product_id").is_not_null())
            .group_by("customer_id", "product_id")
            .agg(pl.col("days_ago").min().alias("age_days"))
            .collect()
        )
        yield (
            newest.join(numbers, on="customer_id")
            .join(products.select("product_no", "product_id"), on="product_id")
            .select("product_no", "row_number", "age_days")
        )


def write_traits(writer: RunWriter, table: TraitTable, history: History, snapshot: Snapshot) -> None:
    """Write what segments are chosen by: the traits, and who bought what."""
    writer.write_traits(table.stored())
    products = read_sold_products(history)
    writer.write_sold_products(products.iter_rows())
    numbers = table.rows.select("customer_id").with_row_index("row_number", offset=1)
    parts = read_purchases(history, snapshot, products=products, numbers=numbers)
    writer.write_purchases(row for part in parts for row in part.iter_rows())
