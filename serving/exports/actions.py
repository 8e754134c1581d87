"""What usually helps a customer, by lifecycle stage, as files say it: a code for tools, and words."""

from typing import Final, NamedTuple

from serving.console.tongues import tongue
from serving.console.words import ACTIONS


class SuggestedAction(NamedTuple):
    """An action as the columns `suggested_action` and `suggested_action_text` have it."""

    code: str | None
    text: str | None


CODES: Final = {
    "new": "welcome",
    "onboarding": "ease_second_order",
    "active": "leave_alone",
    "loyal": "thank",
    "slipping": "remind",
    "at_risk": "write_now",
    "lapsed": "win_back",
    "lost": "let_rest",
    "won_back": "welcome_back",
}
NOTHING: Final = SuggestedAction(None, None)
"""Of a customer without a stage."""


def suggested_in(language: str) -> dict[str | None, SuggestedAction]:
    """Return the actions by `lifecycle_stage`, in a language: the craft's advice, not a prediction.

    >>> suggested_in("en")["at_risk"].code
    'write_now'
    """
    say = tongue(language).say
    return {stage: SuggestedAction(code, say(ACTIONS[stage])) for stage, code in CODES.items()}
