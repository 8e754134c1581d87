"""`make explain ID=…`: one customer in words, as the API answers: history, churn curve, reasons, lists.

python -m serving.explain --id 1063 [--var var]
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import polars as pl
import typer

from features.console import run_command
from features.errors import UserError
from features.history import MONEY_SCALE, History, bucket_of
from features.layout import Layout
from features.slots import CUSTOMER_KINDS
from features.snapshot import Snapshot
from serving.console.figures import ENGLISH
from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.offers.slot_choice import choose_lists
from serving.present import RunView, item_numbers
from serving.rows import HORIZONS_DAYS
from serving.state.overlays import Overlays
from serving.store.overlay_run import OverlaidRun
from serving.store.records import RunMeta
from serving.wording import Wording

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_ORDERS_SHOWN = 8
_PLACES_SHOWN = 5


class UnknownCustomerError(UserError):
    """The live run holds no such customer."""


def explain(environment: Environment, customer_id: str) -> str:
    """Return a page of text about a customer; raises `UnknownCustomerError`, or `NoRunError`."""
    return asyncio.run(_explain(environment, customer_id))


async def _explain(environment: Environment, customer_id: str) -> str:
    store = open_store(environment)
    state = open_state(environment)
    run = OverlaidRun(store.open_run(store.live_run_id()), Overlays(state))
    await run.follow()
    row = await run.get_score(customer_id)
    if row is None:
        raise UnknownCustomerError(
            f"no customer {customer_id!r} among the {run.meta.customer_count} of run "
            f"{run.meta.score_run_id}; "
            "ids count byte for byte"
        )
    view = RunView(run.meta, Wording())
    chosen = (await choose_lists(run, customer_id, is_known=True, limit=_PLACES_SHOWN)).lists
    items = await run.get_items(item_numbers(chosen, limit=_PLACES_SHOWN))
    lists = view.lists(chosen, items, limit=_PLACES_SHOWN, with_product=True)
    score, meta = view.flat(row), run.meta
    was_rescored = run.version_of(customer_id) != meta.score_run_id
    run.close()
    await store.aclose()
    state.close()
    orders = read_orders(
        environment.layout, customer_id, until_days=Snapshot(meta.as_of, meta.time_zone).end_days
    )
    parts = (
        _head(score),
        _timeline(orders, score, was_rescored=was_rescored),
        _risk(score),
        _value(score),
        _lists(lists, meta),
    )
    return "\n".join(line for part in parts for line in part) + "\n"


def read_orders(layout: Layout, customer_id: str, *, until_days: float) -> pl.DataFrame:
    """Return a customer's orders before an instant, newest first: `ordered_at`, `amount`, `products`."""
    history = History.open(layout.history)
    bucket = bucket_of(customer_id, history.manifest.bucket_count)
    lines = pl.scan_parquet(history.paths("order_lines", buckets=[bucket]), glob=False).filter(
        (pl.col("customer_id") == customer_id) & ~pl.col("is_return") & (pl.col("ordered_days") < until_days)
    )
    orders = lines.group_by("order_id").agg(
        pl.col("ordered_at").min(),
        (pl.col("amount_minor").sum() / MONEY_SCALE).alias("amount"),
        pl.col("product_id").n_unique().alias("products"),
    )
    return orders.sort("ordered_at", "order_id", descending=True).collect()


def sparkline(values: Sequence[float]) -> str:
    """Draw values in [0, 1] as blocks.

    >>> sparkline([0.0, 0.5, 1.0])
    '▁▄█'
    """
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[min(int(value * top + 0.49), top)] for value in values)


def _head(score: dict[str, Any]) -> Iterator[str]:
    run = f"as of {score['as_of']} · run {score['score_run_id']} · method {score['method']}"
    yield f"{score['customer_id']} · {run}"
    yield f"{score['lifecycle_stage']}, {score['rfm_segment'] or 'no RFM group'}"


def _timeline(orders: pl.DataFrame, score: dict[str, Any], *, was_rescored: bool) -> Iterator[str]:
    currency, gap = score["currency"], score["average_days_between_orders"]
    rhythm = "" if gap is None else ", one a day" if gap < 1.5 else f", one every {gap:.0f} days"
    spend = ENGLISH.money(score["historic_clv"], currency)
    spend += " margin" if score["clv_basis"] == "margin" else ""
    yield ""
    count = score["historic_number_of_orders"]
    yield f"History: {count} {'order' if count == 1 else 'orders'}, {spend}{rhythm}"
    for order in orders.head(_ORDERS_SHOWN).iter_rows(named=True):
        amount = ENGLISH.money(order["amount"], currency)
        what = "product" if order["products"] == 1 else "different products"
        yield f"  {order['ordered_at']:%Y-%m-%d}  {amount:>12}  {order['products']:>4} {what}"
    if orders.height > _ORDERS_SHOWN:
        yield f"  … and {orders.height - _ORDERS_SHOWN} earlier"
    if was_rescored and count > orders.height:
        yield f"  … and {count - orders.height} received since, which `make data` brings into the history"


def _window_text(early: object, late: object) -> str:
    """Return a window of dates in words; None is later than the curve reaches.

    >>> _window_text("2026-03-01", None), _window_text(None, None)
    ('between 2026-03-01 and later than a year', 'later than a year from now')
    """
    if early is None:
        return "later than a year from now"
    return f"between {early} and {late or 'later than a year'}"


def _risk(score: dict[str, Any]) -> Iterator[str]:
    usual, risk = score["usual_churn_probability"], score["churn_probability"]
    curve = [score[f"churn_probability_{days}"] for days in HORIZONS_DAYS]
    points = ", ".join(f"{days} d {ENGLISH.percent(p)}" for days, p in zip(HORIZONS_DAYS, curve, strict=True))
    against = f"{ENGLISH.ratio(risk, usual) or ENGLISH.percent(None)} × usual ({ENGLISH.percent(usual)})"
    state = f"band {score['risk_band']}{', lapsed' if score['lapsed'] else ''}"
    window = (score["next_order_p25_date"], score["next_order_p75_date"])
    yield ""
    yield f"Churn within {score['churn_horizon_days']} days: {ENGLISH.percent(risk)}, {against}, {state}"
    yield f"  {sparkline(curve)}  {points}{'  (partly extrapolated)' if score['extrapolated'] else ''}"
    yield f"  next order {_window_text(*window)}"
    for reason in score["reasons"] or ():
        yield f"  {reason['effect'] * 100:+5.1f} points  {reason['text']}"
    if score["reasons"] is None:
        yield f"  the method {score['method']} gives no reasons"


def _value(score: dict[str, Any]) -> Iterator[str]:
    names = ("predicted_clv", "predicted_clv_low", "predicted_clv_high", "value_at_risk")
    expected, low, high, at_risk = (ENGLISH.money(score[name], score["currency"]) for name in names)
    yield ""
    within = f"within {score['clv_horizon_days']} days ({low} to {high})"
    yield f"Value: {expected} expected {within}, {at_risk} at risk"


def _lists(lists: Mapping[str, Sequence[dict[str, Any]]], meta: RunMeta) -> Iterator[str]:
    for kind, places in lists.items():
        yield ""
        yield f"{kind.replace('_', ' ')}:"
        for place in places:
            name = place["product"]["name"] or place["product_id"]
            yield f"  {place['rank']}. {name}: {place['reason']['text']}"
    missing = {kind: why for kind, why in meta.unavailable_kinds.items() if kind in CUSTOMER_KINDS}
    if missing:
        yield ""
        yield "no lists: " + ", ".join(f"{kind} ({why})" for kind, why in missing.items())


def _command(
    *,
    customer_id: Annotated[str, typer.Option("--id", help="the customer's id, byte for byte")],
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Print one customer's history, churn curve, reasons and lists."""
    sys.stdout.write(explain(Environment(var=var), customer_id))


if __name__ == "__main__":
    run_command(_command)
