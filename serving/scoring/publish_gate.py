"""What a new run must pass before it goes live: its numbers are numbers, and not far from the last run's.

A model can load, answer its golden rows as on the day of writing, and still say nonsense of today's
customers: a column of the data changed its meaning, a load was cut short. Whoever looked and finds the new
run right publishes it with `--publish-anyway`; what is no number never goes live.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

import polars as pl

from features.errors import UserError
from serving.rows import COLUMNS, STORED_NAMES
from serving.store.contract import ScoreRun, ScoreStore
from serving.store.errors import NoRunError, StoreError
from serving.store.records import RunMeta, StoredRow

COMPARED_MIN: Final = 50
"""Fewer customers in both runs prove nothing."""
COMPARED_MAX: Final = 10_000
"""So many, evenly spread over the ids, stand for all."""
CHURN_STEP_MAX: Final = 0.2
"""The mean over customers of |new - old churn probability|; two unrelated answers are 0.33 apart."""
CLV_RATIO_MAX: Final = 4.0
"""Predicted CLV of the same customers, all together, at most so many times more or less."""
_AT_ONCE: Final = 1_000
_CHURN, _CLV = "churn_probability", "predicted_clv"
COMPARED_COLUMNS: Final = ("customer_id", _CHURN, _CLV)
_HOW: Final = "the old run stays live; look at it, and if it is right: make score ANYWAY=1"


class GateError(UserError):
    """A run may not go live; the old one stays."""


def check_numbers(parts: Iterable[pl.DataFrame]) -> None:
    """Raise `GateError` where a score is no number, or a probability lies outside 0 to 1.

    `parts` are the completed rows of all customers, some at a time.
    """
    wrong, customer_count = dict.fromkeys((column.name for column in COLUMNS), 0), 0
    for rows in parts:
        customer_count += rows.height
        for column in COLUMNS:
            if column.name in rows.columns and rows.schema[column.name].is_float():
                is_probability = column.unit == "probability"
                wrong[column.name] += _wrong_count(rows[column.name], is_probability=is_probability)
    for name, count in wrong.items():
        if count:
            raise GateError(
                f"{name} is no possible number for {count} of {customer_count} customers; nothing was "
                "published: go back to the previous champion (make rollback), or train again"
            )


def _wrong_count(values: pl.Series, *, is_probability: bool) -> int:
    wrong = ~values.is_finite()
    if is_probability:
        wrong |= (values < 0.0) | (values > 1.0)
    return int(wrong.sum())


def check_like_the_last(rows: pl.DataFrame, meta: RunMeta, store: ScoreStore) -> None:
    """Raise `GateError` where scores are far from those of the live run, of the customers in both.

    `rows` are those of the run with the columns `COMPARED_COLUMNS`. Churn is compared where both speak of one
    horizon, value where both speak of the same money. A live run
    that cannot be read, or none, is nothing to compare with.
    """
    try:
        old, old_meta = _live_scores(rows, store)
    except (NoRunError, StoreError):
        return
    both = rows.select(COMPARED_COLUMNS).join(old, on="customer_id", suffix="_old")
    if both.height < COMPARED_MIN:
        return
    if old_meta.churn_horizon_days == meta.churn_horizon_days:
        _check_churn(both, old_meta.score_run_id)
    if _money(old_meta) == _money(meta):
        _check_value(both, old_meta.score_run_id)


def _check_churn(both: pl.DataFrame, last: str) -> None:
    new, old = both[_CHURN], both[f"{_CHURN}_old"]
    _check_not_constant(both, _CHURN, last)
    step = float((new - old).abs().mean() or 0.0)  # type: ignore[arg-type]
    if step > CHURN_STEP_MAX:
        raise GateError(
            f"{_CHURN} moved by {step:.2f} on average since {last}, over {both.height} customers; at most "
            f"{CHURN_STEP_MAX:g} goes live unasked: {_HOW}"
        )


def _check_value(both: pl.DataFrame, last: str) -> None:
    _check_not_constant(both, _CLV, last)
    new, old = float(both[_CLV].sum()), float(both[f"{_CLV}_old"].sum())
    if old > 0.0 and not old / CLV_RATIO_MAX <= new <= old * CLV_RATIO_MAX:
        raise GateError(
            f"{_CLV} of {both.height} customers went from {old:,.0f} to {new:,.0f} in all since {last}; at "
            f"most {CLV_RATIO_MAX:g} times more or less goes live unasked: {_HOW}"
        )


def _check_not_constant(both: pl.DataFrame, name: str, last: str) -> None:
    if both[name].n_unique() == 1 and both[f"{name}_old"].n_unique() > 1:
        raise GateError(f"{name} is the same for every customer, and was not in {last}: {_HOW}")


def _money(meta: RunMeta) -> tuple[object, ...]:
    return meta.currency, meta.clv_basis, meta.margin_share, meta.clv_horizon_days, meta.clv_discount_rate


def _live_scores(rows: pl.DataFrame, store: ScoreStore) -> tuple[pl.DataFrame, RunMeta]:
    run = store.open_run(store.live_run_id())
    try:
        ids = rows["customer_id"].gather_every(-(-rows.height // COMPARED_MAX) or 1).to_list()
        return asyncio.run(_read(run, store, ids)), run.meta
    finally:
        run.close()


async def _read(run: ScoreRun, store: ScoreStore, ids: list[str]) -> pl.DataFrame:
    found: dict[str, StoredRow] = {}
    try:
        for first in range(0, len(ids), _AT_ONCE):
            found |= await run.get_scores(ids[first : first + _AT_ONCE])
    finally:
        if store.is_networked:
            await store.aclose()  # its connections belong to this event loop
    places = {name: STORED_NAMES.index(name) for name in (_CHURN, _CLV)}
    columns = {name: [row[place] for row in found.values()] for name, place in places.items()}
    schema = {"customer_id": pl.String, _CHURN: pl.Float64, _CLV: pl.Float64}
    return pl.DataFrame({"customer_id": list(found), **columns}, schema=schema).drop_nulls()
