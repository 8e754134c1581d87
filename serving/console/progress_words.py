"""What the steps of the set-up say of their progress, in the reader's language."""

import re
from typing import Final

from serving.console.tongues import Tongue
from serving.console.words import marked

_LINES: Final = {
    r"reading": marked("reading the file"),
    r"checking": marked("checking the rows"),
    r"writing": marked("saving"),
    r"checking and writing, a bucket at a time": marked("checking and saving the rows, a part at a time"),
    r"features at the past snapshots": marked("what was known of customers on past days"),
    r"purchases by customer and item": marked("who bought which product"),
    r"churn: (?P<model>.+)": marked("model of the churn risk: %(model)s"),
    r"clv: (?P<model>.+)": marked("model of the expected spend: %(model)s"),
    r"recommender: (?P<model>.+)": marked("model of the recommendations: %(model)s"),
    r"churn as of (?P<day>.+)": marked("churn risk as of %(day)s"),
    r"value as of (?P<day>.+)": marked("expected spend as of %(day)s"),
    r"recommendations as of (?P<day>.+)": marked("recommendations as of %(day)s"),
    r"scorecard": marked("writing the scorecard"),
    r"champions": marked("reading the chosen models"),
    r"bucket (?P<number>\d+) of (?P<count>\d+)": marked("customers, part %(number)s of %(count)s"),
    r"the shop as a whole": marked("working out the shop as a whole"),
    r"the rows of the run": marked("putting the scores together"),
    r"recommendations, bucket (?P<number>\d+) of (?P<count>\d+)": marked(
        "making the recommendations, part %(number)s of %(count)s"
    ),
    r"publishing": marked("publishing the results"),
    r"changes": marked("what changed since the last run"),
}
"""What a step prints, and what is said instead."""


def say_progress(spoken: Tongue, line: str) -> str:
    """Say a line of progress in a language; one that is not known stays as it is."""
    for pattern, sentence in _LINES.items():
        found = re.fullmatch(pattern, line)
        if found:
            return spoken.say(sentence, **found.groupdict())
    return line
