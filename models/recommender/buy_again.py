"""`buy_again`: what a customer owns and is about to need again.

An item is due from half its usual gap on, if its gap ends within the outcome window. Score = P(bought again
at all) × P(its turn comes within the window | exponential gaps) × ½ for every two gaps that it is overdue.
"""

import numpy as np

from models.recommender.catalogue import Catalogue
from models.recommender.lists import Picks
from models.recommender.rhythm import repeat_probabilities, usual_gaps_days
from models.recommender.shoppers import Shoppers

_OVERDUE_HALF_LIFE_GAPS = 2.0


def buy_again(shoppers: Shoppers, catalogue: Catalogue, *, outcome_days: int, depth: int) -> Picks:
    """Return owned, repeatable, offered items that fall due; never one bought on the day before.

    `value` is the number of days until the item is due, negative when overdue; `spread` how far off such days
    usually are (half of them less), where the catalogue knows.
    """
    gaps = usual_gaps_days(shoppers, catalogue)
    ages = shoppers.ages_days
    is_due = (ages > 1.0) & (ages >= gaps / 2) & (gaps - ages <= outcome_days)
    due = np.flatnonzero(is_due & shoppers.repeats & catalogue.is_offered[shoppers.items])
    overdue_gaps = np.maximum(ages[due] / gaps[due] - 1, 0)
    scores = (
        repeat_probabilities(shoppers, catalogue)[due]
        * -np.expm1(-outcome_days / gaps[due])
        * 0.5 ** (overdue_gaps / _OVERDUE_HALF_LIFE_GAPS)
    )
    picks = Picks.of(
        shoppers.rows[due], shoppers.items[due], scores, reason="due_again", source="personalised"
    )
    picks.values[:] = np.round(gaps[due] - ages[due])
    picks.spreads[:] = np.round(gaps[due] * catalogue.gap_error_shares[shoppers.items[due]])
    return picks.best(depth)
