"""The formula CLV beside the model, by RFM tier, with both errors on the shop's own past.

The formula multiplies averages: order value × frequency × lifespan, the lifespan ending at the horizon.
Whoever knows it from a spreadsheet sees here where it is right, and where a model that also knows silence,
rhythm and trend comes closer.
"""

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd

from features.formula_clv import TOTAL
from features.history import History
from features.settings import Settings
from features.shop_rfm import read_rfm
from features.snapshot import Snapshot
from training.context import Context
from training.metrics_clv import Floats, total_bias
from training.rounds import alone_name
from training.scorecard import GroupErrors, TaskResult

COLUMNS = (
    "customer_count",
    "actual_mean",
    "formula_mean",
    "formula_bias",
    "formula_mae",
    "winner_mean",
    "winner_bias",
    "winner_mae",
    "ordered_share",
    "once_share",
)


def tiers_at(history: History, snapshot: Snapshot, *, settings: Settings) -> "pd.Series[str]":
    """Return the RFM group or tier of everybody at an origin (`rfm.preset`): index customer_id.

    An ordered categorical, the best name first.
    """
    found = read_rfm(history, snapshot, settings=settings)
    names = [segment.name for segment in found.table.segments]
    labels = pd.Categorical(found.customers["rfm_segment"].to_list(), categories=names, ordered=True)
    index = pd.Index(found.customers["customer_id"].to_list(), name="customer_id", dtype=object)
    return pd.Series(labels, index=index, name="rfm_segment")


def compare_by_tier(
    predictions: pd.DataFrame,
    tiers: Mapping[date, "pd.Series[str]"],
    *,
    horizon_days: int,
    winner: str,
    formula: str = "formula",
) -> pd.DataFrame:
    """Compare the formula and the winning recipe by tier, pooled over the origins.

    `predictions` is the stored table of value (`training.rounds`); `tiers` has for each of its origins the
    tier of every customer. Returns one row per tier that has customers (index `tier`, in the order of the
    tiers' categories, else of their names) and a last one of all customers:

    `customer_count`                     customers, each counted once an origin
    `actual_mean`                        what they spent within the horizon, in major units
    `formula_mean`, `winner_mean`        what was predicted
    `formula_bias`, `winner_bias`        predicted total ÷ actual total − 1; NaN where nobody spent anything
    `formula_mae`, `winner_mae`          mean absolute error, in major units
    `ordered_share`, `once_share`        who ordered within the horizon; who had ordered once before

    A recipe without predictions has NaN; without any prediction at the horizon the table is empty. Raises
    `ValueError` where a customer of an origin has no tier.
    """
    rows = predictions[predictions["horizon_days"] == horizon_days]
    keys = ["origin", "customer_id"]
    customers = rows.drop_duplicates(keys).set_index(keys)
    outcomes = customers["outcome"]
    labels = _labels(outcomes.index, tiers)
    guesses = {
        name: rows[rows["candidate"] == recipe].set_index(keys)["prediction"].reindex(outcomes.index)
        for name, recipe in (("formula", formula), ("winner", winner))
    }
    habits = {"ordered": customers["ordered"], "once": customers["order_count"] == 1}
    table = pd.DataFrame({"tier": labels, "actual": outcomes, **guesses, **habits})
    groups = {str(name): part for name, part in table.groupby("tier", sort=True, observed=True)}
    if groups:
        groups[TOTAL] = table
    found = [{"tier": name, **_compared(part)} for name, part in groups.items()]
    return pd.DataFrame(found, columns=["tier", *COLUMNS]).set_index("tier")


def with_groups(result: TaskResult, predictions: pd.DataFrame, context: Context) -> TaskResult:
    """Add to the result of value the errors of formula and winner by RFM group, from a `judged` table.

    The groups are those of each origin's own day.
    """
    if result.winner is None:
        return result
    at = context.as_of
    days: list[date] = sorted(predictions["origin"].unique())
    tiers = {
        day: tiers_at(
            context.history, Snapshot(day, at.time_zone, at.observation_days), settings=context.settings
        )
        for day in days
    }
    table = compare_by_tier(
        predictions,
        tiers,
        horizon_days=result.horizon_days,
        winner=result.winner,
        formula=alone_name("formula"),
    )
    return result.model_copy(update={"groups": group_errors(table)})


def group_errors(table: pd.DataFrame) -> list[GroupErrors]:
    """Return what `compare_by_tier` found as data; what is not defined is None."""
    found = []
    for tier, row in table.iterrows():
        known = {name: None if np.isnan(row[name]) else float(row[name]) for name in COLUMNS}
        counted = {"name": str(tier), "customer_count": int(row["customer_count"])}
        found.append(GroupErrors.model_validate(known | counted))
    return found


def table_of(groups: list[GroupErrors]) -> pd.DataFrame:
    """Return the table of which `group_errors` made data."""
    rows = [{**group.model_dump(exclude={"name"}), "tier": group.name} for group in groups]
    table = pd.DataFrame(rows, columns=["tier", *COLUMNS]).set_index("tier")
    return table.astype(float)


def tier_rows(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return what `compare_by_tier` found as finished cells, a row a tier; a dash where nothing is known.

    Tier, customers, what came, then of the formula and of the winner: what was said, how far the tier's total
    was off, the mean absolute error.
    """
    return [
        (
            str(tier),
            f"{int(row['customer_count']):,}",
            _money(row["actual_mean"]),
            *(cell for who in ("formula", "winner") for cell in _cells(row, who)),
        )
        for tier, row in table.iterrows()
    ]


def _cells(row: "pd.Series[float]", who: str) -> tuple[str, str, str]:
    bias = row[f"{who}_bias"]
    off = "–" if np.isnan(bias) else f"{bias:+.1%}"
    return _money(row[f"{who}_mean"]), off, _money(row[f"{who}_mae"])


def _labels(customers: pd.Index, tiers: Mapping[date, "pd.Series[str]"]) -> "pd.Series[str]":
    known = [each.set_axis(_keyed(origin, each.index)) for origin, each in tiers.items()]
    labels = pd.concat(known).reindex(customers) if known else pd.Series(index=customers, dtype=object)
    missing = labels.index[labels.isna()]
    if len(missing):
        raise ValueError(f"{len(missing)} customers have no tier, such as {missing[0]}")
    return labels


def _keyed(origin: date, customers: pd.Index) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays(
        [[origin] * len(customers), customers.astype(object)], names=["origin", "customer_id"]
    )


def _compared(part: pd.DataFrame) -> dict[str, float]:
    actual: Floats = part["actual"].to_numpy(np.float64)
    found: dict[str, float] = {"customer_count": len(part), "actual_mean": float(actual.mean())}
    for who in ("formula", "winner"):
        guess: Floats = part[who].to_numpy(np.float64)
        found[f"{who}_mean"] = float(guess.mean())
        found[f"{who}_bias"] = total_bias(actual, guess)
        found[f"{who}_mae"] = float(np.abs(guess - actual).mean())
    return found | {f"{habit}_share": float(part[habit].mean()) for habit in ("ordered", "once")}


def _money(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:,.2f}"
