"""Rolling origins: the past dates on which a recipe is refitted and judged.

Worked example: AS_OF 2011-09-10, headline 90 days, snapshot step 22 days, orders since 2010-12-01:

    newest origin   2011-06-12    the last whose 90-day outcome is over on AS_OF
    earliest        2011-05-12    30 days of history, then snapshots 110 and 132 days before the origin whose
                                  90-day outcomes were over: two, as the support rule asks
    origins         2011-05-13, 2011-05-23, 2011-06-02, 2011-06-12
"""

from datetime import date, timedelta

from features.snapshot import snapshot_step_days

# Origins nearer than a week tell the same story twice.
_SPACING_DAYS_MIN = 7


def rolling_origins(
    as_of: date,
    *,
    first_order_date: date,
    headline_days: int,
    origin_count: int,
    history_days_min: int,
    snapshots_min: int,
    spacing_days: int | None = None,
) -> list[date]:
    """Return the origins of a back-test, oldest first; empty where the history is too short.

    Every origin has `snapshots_min` training snapshots whose headline outcome was over, each with
    `history_days_min` days of history: what was never learnt is not judged. Origins lie half a headline
    horizon apart where the history allows `origin_count` of them, else nearer: a multiple of the snapshot
    step, so that they share snapshots, or where even that is too much, at least a week. `spacing_days` asks
    for another distance, where the history allows it.

    >>> rolling_origins(date(2011, 9, 10), first_order_date=date(2010, 12, 1), headline_days=30,
    ...                 origin_count=2, history_days_min=30, snapshots_min=2)
    [datetime.date(2011, 7, 26), datetime.date(2011, 8, 11)]
    """
    step = snapshot_step_days(headline_days)
    newest = as_of - timedelta(days=headline_days)
    finished = -(-headline_days // step) + snapshots_min - 1
    earliest = first_order_date + timedelta(days=history_days_min + step * finished)
    span = (newest - earliest).days
    spacing = _spacing_days(span, headline_days=headline_days, origin_count=origin_count)
    if spacing_days is not None and spacing_days * (origin_count - 1) <= span:
        spacing = spacing_days
    origins = [newest - timedelta(days=spacing * number) for number in range(origin_count)]
    return sorted(origin for origin in origins if origin >= earliest)


def _spacing_days(span_days: int, *, headline_days: int, origin_count: int) -> int:
    step = snapshot_step_days(headline_days)
    wanted = step * max(1, round(headline_days / 2 / step))
    spacing = min(wanted, span_days // max(origin_count - 1, 1))
    return spacing - spacing % step if spacing >= step else max(spacing, min(step, _SPACING_DAYS_MIN))
