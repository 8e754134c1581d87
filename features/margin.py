"""Money on a basis, and the cost of goods: the one place where both are computed.

    margin of a line sold    amount − unit_cost × quantity
    of a line given back     the same, both negative: the money goes back and so do the goods

A line's cost is rounded to the minor unit, halves away from zero, so that a line given back undoes the line
sold. It is not known (null) where the product has no `unit_cost` or the line has no quantity. A refund
without a quantity is money and no goods: it takes the money and brings no cost back, unless it is of a
product whose cost is not known.
"""

import narwhals as nw
import polars as pl

from features.basis import Basis
from features.history import QUANTITY_SCALE

# Beyond it a product of two stored numbers might not fit into 64 bits; no line of a shop costs so much.
_PRODUCT_MAX = 9e18


def known_costs() -> pl.Expr:
    """Return the unit costs of a products table, in minor units; one below zero is not known."""
    cost = pl.col("unit_cost_minor")
    return pl.when(cost >= 0).then(cost).alias("unit_cost_minor")


def line_cost() -> nw.Expr:
    """Return what a line's goods cost, in minor units, negative where given back; null where not known.

    Reads `unit_cost_minor`, `quantity_minor`, `product_id` and `is_return`.
    """
    unit, pieces, given_back = nw.col("unit_cost_minor"), nw.col("quantity_minor"), nw.col("is_return")
    size = unit.cast(nw.Float64) * pieces.abs().cast(nw.Float64)
    counted = nw.when(size < _PRODUCT_MAX).then(pieces.abs())
    cost = (unit * counted + QUANTITY_SCALE // 2) // QUANTITY_SCALE
    signed = nw.when(given_back | (pieces < 0)).then(cost * -1).otherwise(cost)
    no_goods = given_back & pieces.is_null() & (~unit.is_null() | nw.col("product_id").is_null())
    return nw.when(no_goods).then(nw.lit(0)).otherwise(signed).cast(nw.Int64)


def basis_money(basis: Basis) -> nw.Expr:
    """Return the money of a ledger row (`features.orders`) on a basis: an integer of minor units.

    Of money without a known cost, `margin_share` is kept, rounded row by row to the minor unit, halves away
    from zero.
    """
    gross = nw.col("gross_minor")
    if basis.name == "gross":
        return gross
    net = gross - nw.col("return_minor")
    if basis.name == "net":
        return net
    costed = net - nw.col("uncosted_minor") - nw.col("cost_minor")
    if not basis.margin_share:
        return costed
    uncosted = nw.col("uncosted_minor")
    kept = (uncosted.abs() * basis.margin_share + 0.5).floor().cast(nw.Int64)
    return costed + nw.when(uncosted < 0).then(kept * -1).otherwise(kept)
