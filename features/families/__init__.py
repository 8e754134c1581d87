"""The families of features, in the order of the feature table's columns."""

from features.declare import Family, Feature
from features.families import rfm, rhythm, spend

FAMILIES: tuple[Family, ...] = (rfm.FAMILY, rhythm.FAMILY, spend.FAMILY)
FEATURES: tuple[Feature, ...] = tuple(feature for family in FAMILIES for feature in family.features)
FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
