"""The small narwhals expressions that families share; every sum is one of integers, hence exact."""

import narwhals as nw

WINDOWS_DAYS = (7, 14, 30, 60, 90, 180, 365)
# A power of two, so that dividing by it is exact on every engine.
WEIGHT_SCALE = 2**30
_LN_2 = 0.6931471805599453


def within(window_days: int) -> nw.Expr:
    """Rows of the last `window_days` 24-hour days before the snapshot."""
    return nw.col("days_ago") <= window_days


def between(newer_days: int, older_days: int) -> nw.Expr:
    """Rows of the window `(newer_days, older_days]` days before the snapshot."""
    return (nw.col("days_ago") > newer_days) & (nw.col("days_ago") <= older_days)


def sum_where(condition: nw.Expr, value: str | nw.Expr) -> nw.Expr:
    """Sum integers over the rows that meet a condition: exact, and the same on every engine."""
    chosen = nw.col(value) if isinstance(value, str) else value
    return nw.when(condition).then(chosen).otherwise(nw.lit(0)).sum()


def decay(half_life_days: int) -> nw.Expr:
    """Weight of a row: 1 at the snapshot, halved for every `half_life_days` of age."""
    return (nw.col("days_ago") * (-_LN_2 / half_life_days)).exp()


def half_life_weight(half_life_days: int) -> nw.Expr:
    """Weight of a row like `decay`, as an integer of scale `WEIGHT_SCALE`."""
    return (decay(half_life_days) * WEIGHT_SCALE + 0.5).floor().cast(nw.Int64)


def one_where(condition: nw.Expr) -> nw.Expr:
    """1 where a condition holds, else 0."""
    return nw.when(condition).then(nw.lit(1)).otherwise(nw.lit(0)).cast(nw.Int64)


def ratio(numerator: str | nw.Expr, denominator: str | nw.Expr) -> nw.Expr:
    """Divide two columns; missing where the denominator is not above 0."""
    top = nw.col(numerator) if isinstance(numerator, str) else numerator
    bottom = nw.col(denominator) if isinstance(denominator, str) else denominator
    return nw.when(bottom > 0).then(top / bottom)


def over_usual(column: nw.Expr, usual: float | None) -> nw.Expr:
    """Divide by what is usual in the shop; missing where nothing is yet."""
    # By a column: Polars divides by a constant through its reciprocal, which differs in the last bit.
    return column / (column * 0 + (usual or float("nan")))


def change(newer: str, older: str) -> nw.Expr:
    """Compare two windows: (newer - older) / (newer + older) in [-1, 1], 0 where both are empty."""
    total = nw.col(newer) + nw.col(older)
    return nw.when(total > 0).then((nw.col(newer) - nw.col(older)) / total).otherwise(nw.lit(0.0))


def recorded(column: nw.Expr, *, is_recorded: bool) -> nw.Expr:
    """Keep a column where the shop records what it is made of, else make it missing for everybody."""
    return column if is_recorded else column * float("nan")
