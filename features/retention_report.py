"""`make retention`: what a shop keeps, on whom its sales rest, and when things are bought again.

    python -m features.retention_report [--as-of 2011-09-10] [--var var]

Prints churn and retention with their definitions, the repurchase of the last months, monthly cohorts, the
concentration of sales, the clocks of categories and products, and when a customer has left for good.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from features.category_clocks import Clock
from features.cohort import AsOfError, read_as_of
from features.cohort_table import Cohort, CohortCell, CohortTable
from features.concentration import Concentration
from features.console import run_command
from features.fully_churned import FullyChurned
from features.history import History
from features.knowledge import Knowledge, read_knowledge
from features.layout import Layout
from features.retention import HEADLINE_CHURN_DAYS, ChurnRate, Repurchase, churn_definition
from features.settings import load_settings
from features.settle import settle_basis
from features.shares import Share
from features.snapshot import Snapshot

_MONTHS_SHOWN: Final = 12
_CLOCKS_SHOWN: Final = 20
_CHURN_WIDTHS: Final = {
    "churn": 10,
    "active then": 13,
    "churned": 9,
    "share (95 %)": 24,
    "kept": 8,
    "new": 8,
    "won back": 10,
}
_REASONS: Final = {
    "history_too_short": "the history does not reach back far enough",
    "nobody_active": "nobody had ordered in the days before",
}
_GROUNDS: Final = {
    "history_too_short": "the history is too short, or too few customers were silent for long",
    "nobody_comes_back": "nobody came back so far",
    "still_coming_back": "at every silence that the history shows, more than a tenth of the chance is left",
    "too_few_silences": "too few silences were watched long enough",
}


def knowledge_text(found: Knowledge, *, currency: str, basis: str) -> str:
    """Return everything as a page of text."""
    parts = [
        churn_text(found.retention.churn),
        repurchase_text(found.retention.repurchases),
        cohort_text(found.retention.cohorts),
        concentration_text(found.concentration, currency=currency, basis=basis),
        clock_text(found.category_clocks, name="category"),
        clock_text(found.product_clocks, name="product"),
        fully_churned_text(found.fully_churned),
    ]
    return "\n".join(parts)


def churn_text(rates: Sequence[ChurnRate]) -> str:
    """Return churn and retention rates, the headline with its definition."""
    lines = ["".join(f"{head:>{width}}" for head, width in _CHURN_WIDTHS.items())]
    for rate in rates:
        if rate.reason:
            lines.append(f"{rate.days:>5} days  –: {_REASONS[rate.reason]}")
            continue
        kept = "–" if rate.retention_rate is None else f"{rate.retention_rate:.1%}"
        lines.append(
            f"{rate.days:>5} days{rate.start_count:>13,}{rate.churned.count:>9,}{_share(rate.churned):>24}"
            f"{kept:>8}{rate.new_count:>8,}{rate.won_back_count:>10,}"
        )
    headline = next((rate for rate in rates if rate.days == HEADLINE_CHURN_DAYS), rates[0])
    lines.append(f"{headline.days}-day churn: {churn_definition(headline)}")
    lines.append("kept = (active now − new − won back) ÷ active then, the retention rate: 1 − churn")
    return "\n".join(lines) + "\n"


def repurchase_text(rows: Sequence[Repurchase]) -> str:
    """Return the repurchase of periods."""
    lines = ["repurchase: of those who had ordered before the first day, who ordered again within the period"]
    lines += [
        f"  {row.start_date} until {row.end_date}  {row.repurchased.count:>8,} of {row.repurchased.total:>9,}"
        f"{_share(row.repurchased):>24}   without {row.new_count:,} new ones"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def cohort_text(table: CohortTable) -> str:
    """Return the cohorts as a table: the share that ordered in each month after that of the first order."""
    months = range(1, _MONTHS_SHOWN + 1)
    lines = [
        "cohorts: share that ordered so many months after the month of the first order",
        f"{'':<9}{'customers':>10}" + "".join(f"{month:>6}" for month in months),
        *(
            _cohort_line(row.month + _mark(row), f"{row.customer_count:,}", row.cells)
            for row in table.cohorts
        ),
        _cohort_line("together", "", table.together),
        f"+ the month is not over · – fewer than {table.customer_count_min} customers · "
        "> the cohort's own month is not over · * some may have been customers before",
    ]
    return "\n".join(lines) + "\n"


def _mark(row: Cohort) -> str:
    return ("" if row.is_whole else ">") + ("*" if row.may_be_older else "")


def _cohort_line(name: str, customers: str, cells: Sequence[CohortCell]) -> str:
    return f"{name:<9}{customers:>10}" + "".join(f"{_cell(cell):>6}" for cell in cells[:_MONTHS_SHOWN])


def _cell(cell: CohortCell) -> str:
    if cell.share is None:
        return "–"
    return f"{cell.share:.0%}" + ("+" if cell.status == "unfinished" else "")


def concentration_text(found: Concentration, *, currency: str, basis: str) -> str:
    """Say what share of the sales the top customers make."""
    lines = [f"sales of {found.customer_count:,} customers so far: {found.revenue:,.2f} {currency} {basis}"]
    lines += [
        f"  the top {top.customer_share:.0%} of your customers ({top.customer_count:,}) = "
        f"{top.revenue_share:.1%} of sales"
        for top in found.tops
        if top.revenue_share is not None
    ]
    if found.gini is not None:
        lines.append(f"  Gini {found.gini:.2f} (0: all bring the same; near 1: one brings all)")
    if found.negative_count:
        lines.append(
            f"  {found.negative_count:,} gave back more than they bought ({found.negative_revenue:,.2f}) "
            "and count as nothing"
        )
    return "\n".join(lines) + "\n"


def clock_text(clocks: Sequence[Clock], *, name: str) -> str:
    """Return the clocks with the most gaps: the median gap, its quartiles, and what the tests say."""
    if not clocks:
        return f"no {name} has been bought again often enough for a clock\n"
    lines = [
        f"{name}: days until the same customer buys it again",
        f"  {'':<30}{'median':>8}{'quartiles':>13}{'gaps':>12}{'again':>8}{'× chance':>10}{'next ×':>8}",
    ]
    for clock in clocks[:_CLOCKS_SHOWN]:
        quartiles = f"{clock.quarter_days} … {clock.three_quarter_days}"
        lines.append(
            f"  {_shown(clock.title):<30}{clock.median_days:>6} d{quartiles:>13}"
            f"{f'n={clock.gap_count:,}':>12}{clock.again_share:>8.0%}{_times(clock.times_chance):>10}{_times(clock.next_times_chance):>8}"
            f"{'  used up' if clock.is_replenishable else ''}"
        )
    used_up = sum(clock.is_replenishable for clock in clocks)
    lines.append(f"  {len(clocks):,} have a clock, {used_up:,} are used up and bought again")
    return "\n".join(lines) + "\n"


def fully_churned_text(found: FullyChurned) -> str:
    """Say after how many silent days a customer has left for good, or why that is the default."""
    if found.source == "default":
        return f"left for good: {found.span.months} months, the default: {_GROUNDS[found.grounds]}\n"
    return (
        f"left for good: {found.span.days} silent days; of those silent that long {found.chance_after:.1%} "
        f"came back within {found.patience_days} days, right after an order {found.chance_first:.1%}\n"
    )


def _share(share: Share) -> str:
    if share.share is None:
        return "–"
    return f"{share.share:.1%} ({share.low:.1%} … {share.high:.1%})"


def _shown(title: str) -> str:
    r"""Cut a text of the shop's to fit, and take the power over a terminal from it.

    >>> _shown("tea\x1b[2J")
    'tea·[2J'
    """
    return "".join(letter if letter.isprintable() else "·" for letter in title[:30])


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _command(
    *,
    as_of: Annotated[str | None, typer.Option(help="as if that day were today (ISO date)")] = None,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Print what a shop keeps: churn, retention, cohorts, concentration of sales, repurchase clocks."""
    history, settings = History.open(Layout(var).history), load_settings()
    day = read_as_of(as_of, history, settings.shop.time_zone)
    snapshot = Snapshot(day, settings.shop.time_zone)
    settled = settle_basis(settings, history, snapshot)
    found = read_knowledge(history, snapshot, settings=settled.settings)
    if not found.concentration.customer_count:
        raise AsOfError(f"nobody had ordered before {day}; name a later date")
    sys.stdout.write(f"as of {day}\n{settled.warning}")
    basis = settled.settings.shop.clv_basis
    sys.stdout.write(knowledge_text(found, currency=history.manifest.currency, basis=basis))


if __name__ == "__main__":
    run_command(_command)
