"""Rolling origins: the past dates on which a recipe is refitted and judged.

Worked example: AS_OF 2011-09-10, headline 90 days, snapshot step 22 days, orders since 2010-12-01:

    last origin   2011-06-12    the newest whose 90-day outcome is over on AS_OF
    before it     2011-05-21, 2011-04-29, 2011-04-07    one step apart, since 44 days apart only two would fit
"""

from datetime import date, timedelta

from features.snapshot import snapshot_step_days


def rolling_origins(
    as_of: date, *, first_order_date: date, headline_days: int, origin_count: int, history_days_min: int
) -> list[date]:
    """Return the origins of a back-test, oldest first; empty where the history is too short.

    Origins lie a multiple of the snapshot step apart, so that they share snapshots: half a headline horizon
    where the history allows `origin_count` of them, else as little as one step. An origin needs
    `history_days_min` days of history before it, and one headline horizon on top, so that a training
    snapshot with a finished outcome exists.

    >>> rolling_origins(date(2011, 9, 10), first_order_date=date(2010, 12, 1), headline_days=30,
    ...                 origin_count=2, history_days_min=30)
    [datetime.date(2011, 7, 26), datetime.date(2011, 8, 11)]
    """
    step = snapshot_step_days(headline_days)
    newest = as_of - timedelta(days=headline_days)
    earliest = first_order_date + timedelta(days=history_days_min + headline_days)
    for multiple in range(max(1, round(headline_days / 2 / step)), 0, -1):
        spacing = timedelta(days=step * multiple)
        candidates = [newest - spacing * k for k in range(origin_count)]
        if candidates[-1] >= earliest:
            break
    return sorted(origin for origin in candidates if origin >= earliest)
