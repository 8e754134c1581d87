"""What the grades from A to F ask for: the rule that gives them and that pages tell. Plain Python.

The first step that a model reaches counts, by skill and by error; below the last it is an F.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

Grade = Literal["A", "B", "C", "D", "F"]


@dataclass(frozen=True, slots=True)
class Step:
    """What a grade asks for: at least so much skill, at most so much error."""

    grade: Grade
    skill_min: float
    error_max: float


CHURN_STEPS: Final = (
    Step("A", 0.20, 0.03),
    Step("B", 0.12, 0.06),
    Step("C", 0.06, 0.10),
    Step("D", 0.01, math.inf),
)
"""Skill is 1 - log-loss / log-loss of the base rate, the error that of calibration."""

CLV_STEPS: Final = (
    Step("A", 0.70, 0.10),
    Step("B", 0.60, 0.20),
    Step("C", 0.45, 0.35),
    Step("D", 0.20, math.inf),
)
"""Skill is normalised Gini, the error that of totals: of all customers, and of the tenths."""
