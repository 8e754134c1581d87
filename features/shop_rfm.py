"""A shop's RFM and formula CLV, from its history to what is known of every customer and every group."""

from dataclasses import dataclass

import narwhals as nw
import polars as pl

from features.customer_totals import CustomerTotals, read_customer_totals
from features.event_totals import EventType, read_event_totals
from features.formula_clv import FormulaClv, estimate_lifespan, formula_clv
from features.history import History
from features.rfm import RfmScheme, find_cuts, scheme_of, scheme_of_event
from features.rfm_table import RfmTable, describe_rfm
from features.settings import Settings
from features.snapshot import Snapshot
from features.suppression import NOBODY, Suppressed


@dataclass(frozen=True, slots=True)
class ShopRfm:
    """A shop's RFM at a snapshot.

    `customers`  one row per customer, sorted by `customer_id`: the totals of `features.customer_totals` and
                 the columns that `features.rfm.build_rfm` adds
    `values`     the formula CLV of every group or tier, all customers last
    """

    customers: pl.DataFrame
    table: RfmTable
    values: list[FormulaClv]


def read_rfm(
    history: History, snapshot: Snapshot, *, settings: Settings, preset: str | None = None
) -> ShopRfm:
    """Score everybody who ordered before a snapshot by a preset (`rfm.preset` unless given).

    Raises `RfmError` for an unknown preset.
    """
    scheme = scheme_of(settings.rfm, preset)
    return score_totals(read_customer_totals(history, snapshot, settings=settings), scheme, settings=settings)


def read_event_rfm(
    history: History,
    snapshot: Snapshot,
    event: EventType,
    *,
    settings: Settings,
    preset: str | None = None,
    suppressed: Suppressed = NOBODY,
) -> ShopRfm:
    """Score customers, but for the suppressed, by what they did in an order's place; groups have no value.

    Raises `RfmError` for an unknown preset.
    """
    scheme = scheme_of_event(scheme_of(settings.rfm, preset), event.name, has_value=event.has_value)
    totals = read_event_totals(history, snapshot, event.name, settings=settings)
    gone = suppressed.among(totals["customer_id"])
    totals = totals.filter(~pl.col("customer_id").is_in(list(gone))) if gone else totals
    cuts = find_cuts(nw.from_native(totals.lazy()), scheme)
    scored = cuts.score(nw.from_native(totals.lazy()))
    customers: pl.DataFrame = scored.collect("polars").to_native().sort("customer_id")
    return ShopRfm(customers, describe_rfm(nw.from_native(customers.lazy()), cuts), [])


def score_totals(totals: CustomerTotals, scheme: RfmScheme, *, settings: Settings) -> ShopRfm:
    """Score customers by a scheme, describe the scores, and value each group."""
    rows = nw.from_native(totals.customers.lazy())
    cuts = find_cuts(rows, scheme)
    customers: pl.DataFrame = cuts.score(rows).collect("polars").to_native().sort("customer_id")
    scored = nw.from_native(customers.lazy())
    values = formula_clv(
        scored,
        segments=scheme.segments,
        lifespan=estimate_lifespan(totals.returns, default_days=settings.clv.lifespan_days_default),
        window_days=settings.rfm.window_days,
    )
    return ShopRfm(customers, describe_rfm(scored, cuts), values)
