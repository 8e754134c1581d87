"""The rows of a run's table `traits`, and who bought what: made at scoring, written with the run."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import polars as pl

from features.history import History
from features.orders import known_rows
from features.snapshot import Snapshot
from serving.scoring.audience_rules import DUE
from serving.scoring.facts import instant_column
from serving.scoring.run_scores import stored_expression
from serving.segments.traits import ATTRIBUTES, TRAIT_NAMES, TRAITS
from serving.store.contract import RunWriter

_CENT_DIGITS: Final = 2
_FEATURE_OF: Final = {
    "distinct_product_count": "product_count",
    "distinct_category_count": "category_count",
    "return_share": "returned_spend_share",
}
_MONEY: Final = frozenset(trait.name for trait in TRAITS if trait.unit == "money")
NUMBER_NAMES: Final = tuple(column.name for column in ATTRIBUTES if column.kind in ("integer", "number"))
"""The attributes that have cut points."""

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


def with_known_traits(scores: pl.DataFrame, bucket_rows: pl.DataFrame) -> pl.DataFrame:
    """Add the traits to completed rows; the day on which something falls due comes later."""
    names = [name for name in TRAIT_NAMES if name != DUE and name not in scores.columns]
    traits = bucket_rows.select("customer_id", *names)
    return scores.join(traits, on="customer_id", how="left", maintain_order="left")


def trait_tuples(rows: pl.DataFrame, due: pl.DataFrame, *, first_number: int) -> Iterator[tuple[Any, ...]]:
    """Yield (row_number, the values of `traits.ATTRIBUTE_NAMES`) of completed rows as the store takes them.

    `due` is `audience_rules.days_until_due` of the same customers.
    """
    known = rows.join(due, on="customer_id", how="left", maintain_order="left")
    columns = [stored_expression(column.name, column.kind) for column in ATTRIBUTES]
    whole = {column.name for column in ATTRIBUTES if column.kind == "integer"}
    typed = known.select(columns).with_columns(
        pl.col(name).cast(pl.Int64) for name in whole if known[name].dtype.is_float()
    )
    return typed.with_row_index("row_number", offset=first_number).iter_rows()


def trait_cuts(columns: Iterable[pl.Series]) -> dict[str, list[float]]:
    """Return of each number the values that at most 95 %, 90 %, … 5 % of the customers exceed.

    `columns` have everybody's values, a column at a time. The value of rank ⌈q · n⌉ among the n customers who
    have one; none where nobody has.
    """
    found: dict[str, list[float]] = {}
    for column in columns:
        values = column.cast(pl.Float64)
        ordered = values.filter(values.is_finite()).sort()
        if len(ordered):
            ranks = [-(-step * len(ordered) // (_CUTS.stop)) for step in _CUTS]
            found[column.name] = [float(ordered[rank - 1]) for rank in ranks]
    return found


def read_sold_products(history: History) -> pl.DataFrame:
    """Return `product_no` (from 1), `product_id` and `category` of every product in the history's lines."""
    parts = []
    for bucket in range(history.manifest.bucket_count):
        sold: pl.LazyFrame = history.scan("order_lines", buckets=[bucket]).select("product_id").to_native()
        parts.append(sold.drop_nulls().unique().collect())
    found = pl.concat(parts).unique().sort("product_id")
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


def write_traits(writer: RunWriter, parts: Iterable[tuple[pl.DataFrame, pl.DataFrame]]) -> None:
    """Write what segments are chosen by, of completed rows in their order, some at a time.

    Beside them stands when something falls due to the same customers.
    """
    writer.write_traits(_numbered(parts))


def write_purchases(writer: RunWriter, customer_ids: pl.Series, history: History, snapshot: Snapshot) -> None:
    """Write who bought what; the ids are those of all rows, in their order."""
    products = read_sold_products(history)
    writer.write_sold_products(products.iter_rows())
    numbers = customer_ids.alias("customer_id").to_frame().with_row_index("row_number", offset=1)
    parts = read_purchases(history, snapshot, products=products, numbers=numbers)
    writer.write_purchases(row for part in parts for row in part.iter_rows())


def _numbered(parts: Iterable[tuple[pl.DataFrame, pl.DataFrame]]) -> Iterator[tuple[Any, ...]]:
    first = 1
    for rows, due in parts:
        yield from trait_tuples(rows, due, first_number=first)
        first += rows.height
