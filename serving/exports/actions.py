"""What usually helps a customer, as files and pages say it: a code for tools, and words.

It follows from the lifecycle stage. Of those who lapsed it goes on to win back whom that may reach: where
nine in ten of such customers order nothing for a year, they are let rest, as the list Dormant has them.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from serving.console.tongues import tongue
from serving.console.words import ACTIONS


class SuggestedAction(NamedTuple):
    """An action as the columns `suggested_action` and `suggested_action_text` have it."""

    code: str | None
    text: str | None


CODES: Final = {
    "new": "welcome",
    "onboarding": "ease_next_order",
    "active": "leave_alone",
    "loyal": "thank",
    "slipping": "remind",
    "at_risk": "write_now",
    "lapsed": "win_back",
    "lost": "let_rest",
    "won_back": "welcome_back",
}
"""The action by lifecycle stage."""

REST_FROM: Final = 0.9
"""`churn_probability_365` from which a lapsed customer is let rest: the edge of the list Dormant."""
NOTHING: Final = SuggestedAction(None, None)
"""Of a customer without a stage."""


def action_code(stage: str | None, churn_probability_365: float | None) -> str | None:
    """Return the code of what usually helps a customer; None without a stage, or for a prospect.

    >>> action_code("lapsed", 0.4), action_code("lapsed", 0.95), action_code("lost", 0.4)
    ('win_back', 'let_rest', 'let_rest')
    """
    if stage == "lapsed" and churn_probability_365 is not None and churn_probability_365 >= REST_FROM:
        return "let_rest"
    return CODES.get(stage or "")


def suggester(language: str) -> Callable[[str | None, float | None], SuggestedAction]:
    """Return what suggests an action in a language, from a stage and `churn_probability_365`.

    >>> suggester("en")("at_risk", None).code
    'write_now'
    """
    say = tongue(language).say
    actions = {code: SuggestedAction(code, say(text)) for code, text in ACTIONS.items()}
    return lambda stage, risk: actions.get(action_code(stage, risk) or "", NOTHING)
