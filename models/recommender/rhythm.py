"""When an owned item is due again, and how likely it is ever bought again."""

import numpy as np

from models.recommender.catalogue import Catalogue, Floats
from models.recommender.shoppers import Shoppers

# The item's own figures count as much as this many of the customer's gaps.
_PRIOR_GAPS = 2


def usual_gaps_days(shoppers: Shoppers, catalogue: Catalogue) -> Floats:
    """Return each pair's usual gap: the customer's mean gap, shrunk to the item's; NaN where unknown."""
    own_count = shoppers.order_counts - 1
    of_item = catalogue.repurchase_gaps_days[shoppers.items]
    shrunk = (shoppers.spans_days + _PRIOR_GAPS * of_item) / (own_count + _PRIOR_GAPS)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(own_count > 0, shoppers.spans_days / own_count, np.nan)
    gaps = np.where(np.isnan(of_item), own, shrunk)
    return np.where(gaps > 0, gaps, np.nan)


def repeat_probabilities(shoppers: Shoppers, catalogue: Catalogue) -> Floats:
    """Return each pair's chance of another order: the share of repeats so far, shrunk to the item's rate."""
    own_count = shoppers.order_counts - 1
    rates = catalogue.repurchase_rates[shoppers.items]
    return np.asarray((own_count + _PRIOR_GAPS * rates) / (own_count + _PRIOR_GAPS), dtype=np.float64)
