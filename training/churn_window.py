"""`make churn-window`: after how many silent days a customer is gone, and what each window would mean.

    python -m training.churn_window [--as-of 2011-09-10] [--chance 0.1] [--var var]

Prints the chance of coming back after d silent days, the recommended window of the shop and of its largest
categories, and, for each window, how many were silent that long, how many it would call churned and how well
the last back-test told them apart. Writes `VAR/reports/churn-window.html`.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from features.cohort import read_return_gaps
from features.console import progress, run_command
from features.layout import Layout
from features.return_curve import ReturnCurve, read_category_curves, read_return_curve
from features.settings import load_settings
from training.context import Context, open_context
from training.pages import write_page
from training.plots import return_plot
from training.promote import read_scorecard_if_any
from training.scorecard import Scorecard
from training.sections import Picture, Section

WINDOWS_DAYS = (14, 30, 60, 90, 180, 365)
CATEGORY_COUNT = 8


@dataclass(frozen=True, slots=True)
class WindowMeaning:
    """What it would mean to call a customer churned after so many days without an order.

    `churned_share`   of the customers at AS_OF - days, those who did not order in the days that followed
    `silent_count`    customers who are silent that long today, `silent_share` of all
    `coming_back`     share of those silent that long who came back within the curve's patience
    `auc`, `log_loss` of the recipe that won, at that horizon, in the last back-test
    `overlap`         share of its riskiest tenth at the headline horizon who are in that of this one too

    None stands for what the history does not show.
    """

    days: int
    churned_share: float | None
    silent_count: int
    silent_share: float
    coming_back: float | None
    auc: float | None
    log_loss: float | None
    overlap: float | None


def meaning_of(
    context: Context, curve: ReturnCurve, days: int, *, scorecard: Scorecard | None
) -> WindowMeaning:
    """Measure one window as of the context's date."""
    recency = context.builder.features_at(context.as_of)["recency_days"].to_numpy(dtype=np.float64)
    quality = _quality(scorecard, days)
    return WindowMeaning(
        days=days,
        churned_share=_churned_share(context, days),
        silent_count=int((recency >= days).sum()),
        silent_share=float((recency >= days).mean()),
        coming_back=curve.coming_back(days, within_days=curve.patience_days),
        auc=quality.get("auc"),
        log_loss=quality.get("log_loss"),
        overlap=_overlap(context, days) if quality else None,
    )


def _churned_share(context: Context, days: int) -> float | None:
    earlier = context.as_of.shifted(-days)
    first = context.history.manifest.first_order_days
    if first is None or earlier.end_days <= first:
        return None
    labels = context.builder.outcomes(earlier, [days], context.as_of)
    share = float(labels[f"churned_{days}"].mean())
    return share if np.isfinite(share) else None


def _quality(scorecard: Scorecard | None, days: int) -> Mapping[str, float | None]:
    if scorecard is None or scorecard.tasks["churn"].winner is None:
        return {}
    churn = scorecard.tasks["churn"]
    metrics = churn.candidates[str(churn.winner)].metrics.get(days, {})
    return {name: summary.mean for name, summary in metrics.items()}


def _overlap(context: Context, days: int) -> float | None:
    """Compare the riskiest tenths at two horizons, at the newest origin where the back-test judged both."""
    path = context.layout.backtest / "churn.parquet"
    if not path.exists():
        return None
    rows = pd.read_parquet(path, columns=["candidate", "origin", "customer_id", "horizon_days", "prediction"])
    scorecard = read_scorecard_if_any(context.layout, as_of=context.as_of.date)
    winner = scorecard.tasks["churn"].winner if scorecard else None
    own = rows[(rows["candidate"] == winner) & rows["horizon_days"].isin([days, context.headline_days])]
    both = own.groupby("origin")["horizon_days"].nunique()
    wanted = len({days, context.headline_days})
    origins = both.index[both == wanted]
    if not len(origins):
        return None
    newest = own[own["origin"] == max(origins)]
    tenths = [
        set(part.sort_values(["prediction", "customer_id"])["customer_id"].tail(max(1, len(part) // 10)))
        for _, part in newest.groupby("horizon_days")
    ]
    return len(set.intersection(*tenths)) / len(tenths[0])


def window_text(
    curve: ReturnCurve, meanings: list[WindowMeaning], categories: Mapping[str, int | None], *, chance: float
) -> str:
    """Return the findings as a page of text; `categories` are their recommended windows, in days."""
    patience = curve.patience_days
    heads = ((12, "silent days"), (16, "silent now"), (12, "come back"), (10, "churned"), (8, "AUC"))
    lines = [_recommendation(curve, chance=chance), ""]
    last = ((10, "log-loss"), (12, "same tenth"))
    lines.append("".join(f"{name:>{width}}" for width, name in (*heads, *last)))
    for row in meanings:
        cells = (
            str(row.days),
            f"{row.silent_count:,} ({row.silent_share:.0%})",
            _percent(row.coming_back),
            _percent(row.churned_share),
            _number(row.auc),
        )
        line = "".join(f"{cell:>{width}}" for (width, _), cell in zip(heads, cells, strict=True))
        lines.append(f"{line}{_number(row.log_loss):>10}{_percent(row.overlap):>12}")
    lines += [
        "",
        f"come back: within {patience} days more · churned: no order in the window, of everybody",
        "same tenth: of the riskiest tenth at the headline horizon, who are in that of this window too",
    ]
    if categories:
        lines += ["", "from one purchase of a category to the next:"]
        lines += [f"  {days or '–':>5} days  {name}" for name, days in categories.items()]
    return "\n".join(lines) + "\n"


def _recommendation(curve: ReturnCurve, *, chance: float) -> str:
    window, patience = curve.window_days(chance=chance), curve.patience_days
    if window == 0:
        return (
            "no window can be recommended: hardly anybody came back at all "
            f"(fewer than {chance:.0%} within {patience} days of an order)"
        )
    if window is None:
        return (
            f"no window can be recommended: at every silence that the history shows, {chance:.0%} or more "
            f"came back within {patience} days"
        )
    return (
        f"recommended window: {window} days; of those silent that long, fewer than {chance:.0%} came back "
        f"within {patience} days more"
    )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _command(
    *,
    as_of: Annotated[str | None, typer.Option(help="as if that day were today (ISO date)")] = None,
    chance: Annotated[
        float, typer.Option(help="who comes back less likely than this is gone", min=0.01, max=0.9)
    ] = 0.1,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Say after how many silent days a customer of this shop is gone, with the evidence."""
    layout = Layout(var)
    context = open_context(layout, load_settings(), as_of=as_of)
    with progress("churn-window", total=3) as announce:
        announce("silences of the shop")
        curve = read_return_curve(context.history, context.as_of)
        announce("silences by category")
        curves = read_category_curves(context.history, context.as_of, count=CATEGORY_COUNT)
        announce("what each window means")
        scorecard = read_scorecard_if_any(layout, as_of=context.as_of.date)
        windows = sorted({*WINDOWS_DAYS, context.headline_days})
        meanings = [meaning_of(context, curve, days, scorecard=scorecard) for days in windows]
    categories = {name: found.window_days(chance=chance) for name, found in curves.items()}
    sys.stdout.write(f"as of {context.as_of.date} · churn means no order for {context.headline_days} days\n")
    sys.stdout.write(context.warning)
    sys.stdout.write(window_text(curve, meanings, categories, chance=chance))
    gaps = read_return_gaps(context.history, context.as_of)
    if gaps.p95_days is not None:
        sys.stdout.write(f"95 % of the gaps between orders are no longer than {gaps.p95_days:.0f} days\n")
    sys.stdout.write(f"picture: {_write_picture(layout, curve, chance=chance)}\n")


def _write_picture(layout: Layout, curve: ReturnCurve, *, chance: float) -> Path:
    path = layout.reports / "churn-window.html"
    picture = Picture(
        "return",
        title="Chance of coming back",
        alt="The share of customers who come back, by the days they have been silent.",
        figure=return_plot(curve, chance=chance),
    )
    text = _recommendation(curve, chance=chance)
    write_page(
        path,
        title="After how many silent days somebody is gone",
        sections=[Section("Coming back", text, pictures=[picture])],
    )
    return path


if __name__ == "__main__":
    run_command(_command)
