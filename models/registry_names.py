"""The names under which models meet in the registry: the one truth that training writes and serving reads."""

from typing import Final, Literal

Task = Literal["churn", "clv", "recommender"]

REGISTERED: Final[dict[Task, str]] = {
    "churn": "regulars-churn",
    "clv": "regulars-clv",
    "recommender": "regulars-recommender",
}
"""The registered model of each task."""

CHAMPION: Final = "champion"
"""The alias of the version that serves; a version never promoted has no tag `passed`."""

CHALLENGER: Final = "challenger"
"""The alias of the newest version that was trained and not yet judged."""

BUNDLE_FOLDER: Final = "bundle"
"""The artifact folder of a version's run that holds the data-only bundle."""

TAG_CANDIDATE: Final = "candidate"
"""Version tag: the recipe's name in `models.candidates`."""

TAG_METHOD: Final = "method"
"""Version tag: ml, btyd, formula or baseline."""

TAG_DATA_UNTIL: Final = "data_until"
"""Version tag, an ISO date: nothing dated on or after it was read."""

TAG_CHURN_HORIZON_DAYS: Final = "churn_horizon_days"
"""Version tag: the headline horizon."""

TAG_SCORECARD: Final = "scorecard"
"""Version tag, JSON: `{"metrics": {name: value}, "baseline": {"candidate": name, "metrics": {name: value}},
"beats_baseline": bool, "origins": [ISO dates], "horizon_days": n}`; further keys are kept."""

TAG_PASSED: Final = "passed"
"""Version tag, "true" once a version was promoted."""
