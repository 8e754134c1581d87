"""The families of features, in the order of the feature table's columns."""

from features.declare import Family, Feature
from features.families import breadth, calendar, engagement, returns, rfm, rhythm, spend

FAMILIES: tuple[Family, ...] = (
    rfm.FAMILY,
    rhythm.FAMILY,
    spend.FAMILY,
    breadth.FAMILY,
    returns.FAMILY,
    engagement.FAMILY,
    calendar.FAMILY,
)
FEATURES: tuple[Feature, ...] = tuple(feature for family in FAMILIES for feature in family.features)
FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
