"""`make rfm`: how a shop's customers score for recency, frequency and money, and what each group is worth.

    python -m features.rfm_report [--as-of 2011-09-10] [--preset shopify_2021] [--event product_viewed]

Prints the bins of every score with their edges and true shares, how ties are settled, the sizes of the
groups, the formula CLV of each, and how many customers are of high value in both usual definitions. With an
event, customers are scored by that in place of orders: since when, how often, and its value.
"""

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import narwhals as nw
import polars as pl
import typer

from features.cohort import AsOfError, read_as_of
from features.console import run_command
from features.event_totals import find_event_type, read_event_types
from features.formula_clv import YEAR_DAYS, FormulaClv
from features.high_value import CUSTOMER_SHARE, REVENUE_SHARE, flag_high_value
from features.history import History
from features.layout import Layout
from features.rfm import PRESETS
from features.rfm_table import rfm_text
from features.settings import Settings, load_settings
from features.settle import settle_basis
from features.shop_rfm import read_event_rfm, read_rfm
from features.snapshot import Snapshot

_CLV_WIDTHS = {
    "customers": 10,
    "ordered": 9,
    "orders": 10,
    "revenue": 16,
    "order value": 12,
    "frequency": 10,
    "value": 12,
    "years": 6,
    "CLV": 13,
}


def clv_text(values: list[FormulaClv], *, currency: str, basis: str) -> str:
    """Return the formula CLV of every group as a table of text, with where the lifespan comes from."""
    lifespan, window_days = values[-1].lifespan, values[-1].window_days
    per = "" if window_days == YEAR_DAYS else f" × {YEAR_DAYS} ÷ {window_days}"
    lines = [
        f"formula CLV, {currency} {basis}: orders and money of the {window_days} days before",
        f"lifespan {lifespan.source} {lifespan.years:.3g} years: {lifespan.grounds}",
        _clv_line("", tuple(_CLV_WIDTHS)),
        *(_clv_line(row.segment, _clv_cells(row)) for row in values),
        "order value = revenue ÷ orders · frequency = orders ÷ customers who ordered · "
        f"value = order value × frequency · CLV = value × years{per}",
    ]
    return "\n".join(lines) + "\n"


def high_value_text(customers: pl.DataFrame, *, window_days: int) -> str:
    """Say how many customers are of high value by what they spent within the window."""
    values = customers.select("customer_id", value="spend_in_window")
    flags: pl.DataFrame = flag_high_value(nw.from_native(values.lazy())).collect("polars").to_native()
    revenue = float(flags["value"].clip(lower_bound=0.0).sum())
    most, top = flags.filter("makes_most_revenue"), flags.filter("is_in_top_share")
    brought = float(top["value"].sum()) / revenue if revenue else 0.0
    return (
        f"high value by the spend of {window_days} days: {most.height:,} customers "
        f"({most.height / max(flags.height, 1):.1%}) make {REVENUE_SHARE:.0%} of the revenue; "
        f"the top {CUSTOMER_SHARE:.0%} ({top.height:,}) make {brought:.1%} of it\n"
    )


def _clv_cells(row: FormulaClv) -> tuple[str, ...]:
    return (
        f"{row.customer_count:,}",
        f"{row.buyer_count:,}",
        f"{row.order_count:,}",
        _number(row.revenue),
        _number(row.average_order_value),
        _number(row.purchase_frequency),
        _number(row.customer_value),
        f"{row.lifespan.years:.2f}",
        _number(row.clv),
    )


def _clv_line(name: str, cells: tuple[str, ...]) -> str:
    widths = _CLV_WIDTHS.values()
    return f"{name:<17}" + "".join(f" {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}"


def _command(
    *,
    as_of: Annotated[str | None, typer.Option(help="as if that day were today (ISO date)")] = None,
    preset: Annotated[
        str | None, typer.Option(help=f"{' or '.join(PRESETS)}; default: rfm.preset of regulars.toml")
    ] = None,
    event: Annotated[
        str | None, typer.Option(help="score events of this type, such as product_viewed, in place of orders")
    ] = None,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Print a shop's RFM scores with their edges, its groups, and the formula CLV of each."""
    history, settings = History.open(Layout(var).history), load_settings()
    snapshot = _snapshot(history, settings, as_of)
    settled = settle_basis(settings, history, snapshot)
    settings = settled.settings
    if event is not None:
        chosen = find_event_type(read_event_types(history, snapshot), event)
        scored = read_event_rfm(history, snapshot, chosen, settings=settings, preset=preset)
        sys.stdout.write(f"as of {snapshot.date}\n{rfm_text(scored.table)}")
        return
    found = read_rfm(history, snapshot, settings=settings, preset=preset)
    if not found.customers.height:
        raise AsOfError(f"nobody had ordered before {snapshot.date}; name a later date")
    currency, window_days = history.manifest.currency, settings.rfm.window_days
    sys.stdout.write(f"as of {snapshot.date}\n{settled.warning}{rfm_text(found.table)}\n")
    sys.stdout.write(clv_text(found.values, currency=currency, basis=settings.shop.clv_basis))
    sys.stdout.write("\n" + high_value_text(found.customers, window_days=window_days))


def _snapshot(history: History, settings: Settings, as_of: str | None) -> Snapshot:
    zone = settings.shop.time_zone
    day: date = read_as_of(as_of, history, zone)
    return Snapshot(day, zone, settings.features.observation_days or None)


if __name__ == "__main__":
    run_command(_command)
