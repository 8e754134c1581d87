"""What a recipe may learn from at an origin: features at past snapshots, outcomes as far as known."""

from dataclasses import dataclass

import pandas as pd

from features.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Examples:
    """Training material of one origin; nothing in it is dated on or after the origin.

    `features`  index (customer_id, as_of), one float column a feature, one row per customer and past snapshot
    `labels`    same index and order; `churned_h`, `spend_h`, `order_count_h` per horizon h of
                `horizons_days`, NaN where the outcome window `[as_of, as_of + h)` ends after the origin
                (censored, not thrown away)
    `current`   index customer_id: the cohort's features at the origin itself, which has no outcome yet
    """

    origin: Snapshot
    headline_days: int
    horizons_days: tuple[int, ...]
    features: pd.DataFrame
    labels: pd.DataFrame
    current: pd.DataFrame
