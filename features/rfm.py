"""RFM: scores for recency, frequency and money, and the names of what they make together.

A scheme says what is scored, how (`features.scales`) and how the scores are named. Two are ready:

`quintile_11`   scores 1 to 5 by fifths over all history, and the eleven group names that Shopify uses
`shopify_2021`  scores 1 to 3 over a window of a year: recency by parts of equal width of the window (0-4
                months 3, 4-8 months 2, 8-12 months 1), frequency and money by thirds of the customers; their
                sum, 3 to 9, makes three tiers
`own`           as `[rfm.own]` of `regulars.toml` says; named by the eleven groups where each of the three has
                five scores, else by three tiers of their sum

Any event can be scored in an order's place (`scheme_of_event`): since when, how often, and its value.

The eleven groups come from R and FM = (F + M) / 2:

    R      FM < 2     2 to 2.5      3 to 3.5          4              4.5 to 5
    5      NEW        NEW           ACTIVE            CHAMPIONS      CHAMPIONS
    4      PROMISING  PROMISING     ACTIVE            LOYAL          LOYAL
    3      PROMISING  PROMISING     NEEDS_ATTENTION   LOYAL          LOYAL
    1, 2   DORMANT    ALMOST_LOST   AT_RISK           AT_RISK        PREVIOUSLY_LOYAL

Whoever has never ordered is in PROSPECTS. The tiers are the mean score, rounded: `bottom` for a sum of 3 or
4, `middle` for 5 to 7, `top` for 8 or 9.

Edges are measured on the customers who ordered within the scheme's window. Whoever did not has the lowest
scores: counted among the others, a shop's many sleepers would lift everybody else into the best third.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import narwhals as nw

from features.rfm_scales import Edges, find_edges, score_by
from features.scales import Axis, EqualWidth, Quantile, RfmError, read_method, tier_cuts
from features.settings import RfmSettings

GROUPS: Final = (
    "CHAMPIONS",
    "LOYAL",
    "ACTIVE",
    "NEW",
    "PROMISING",
    "NEEDS_ATTENTION",
    "AT_RISK",
    "ALMOST_LOST",
    "PREVIOUSLY_LOYAL",
    "DORMANT",
    "PROSPECTS",
)
TIERS: Final = ("top", "middle", "bottom")
SCORES: Final = ("rfm_recency", "rfm_frequency", "rfm_monetary")
_DIGITS_BIN_COUNT_MAX = 9
_GROUP_SCORES: Final = 5
_EVENT_COLUMNS: Final = {
    "order_count": "event_count",
    "spend_total": "value_total",
    "order_count_in_window": "event_count_in_window",
    "spend_in_window": "value_in_window",
}

Frame = nw.LazyFrame[Any]


@dataclass(frozen=True, slots=True)
class RfmScheme:
    """What is scored, how, and how the scores are named.

    `axes`         recency, frequency and money, in this order
    `window_days`  24-hour days before the snapshot that the scores look at; None is all history
    `tier_cuts`    the least sums of scores of the tiers `middle` and `top`; None gives the eleven groups,
                   which need five scores on every axis
    `subject`      what is counted: orders, or events of one type
    """

    name: str
    axes: tuple[Axis, Axis, Axis]
    window_days: int | None = None
    tier_cuts: tuple[int, int] | None = None
    subject: str = "order"

    def __post_init__(self) -> None:
        counts = [axis.method.bin_count for axis in self.axes]
        if self.tier_cuts is None and counts != [_GROUP_SCORES] * 3:
            raise RfmError(f"the eleven groups need five scores each, not {counts}; name tier_cuts instead")

    @property
    def columns(self) -> tuple[str, str, str]:
        """The columns that are scored."""
        recency, frequency, monetary = self.axes
        return recency.value, frequency.value, monetary.value

    @property
    def segments(self) -> tuple[str, ...]:
        """The names that a customer can have, the best first."""
        return GROUPS if self.tier_cuts is None else TIERS

    @property
    def bin_count_max(self) -> int:
        """The most scores that an axis has; fewer customers than that cannot be told apart."""
        return max(axis.method.bin_count for axis in self.axes)


def quintile_11() -> RfmScheme:
    """Return the scheme of fifths and eleven groups, over all history."""
    recency = Axis("recency_days", "rfm_recency", Quantile(5), low_is_best=True)
    frequency = Axis("order_count", "rfm_frequency", Quantile(5))
    return RfmScheme("quintile_11", (recency, frequency, Axis("spend_total", "rfm_monetary", Quantile(5))))


def shopify_2021(window_days: int = 365) -> RfmScheme:
    """Return the scheme of thirds and three tiers, over a window."""
    months = EqualWidth(3, low=0.0, high=float(window_days))
    axes = (
        Axis("recency_days", "rfm_recency", months, low_is_best=True),
        Axis("order_count_in_window", "rfm_frequency", Quantile(3)),
        Axis("spend_in_window", "rfm_monetary", Quantile(3)),
    )
    return RfmScheme("shopify_2021", axes, window_days, tier_cuts([axis.method for axis in axes]))


def own_scheme(settings: RfmSettings) -> RfmScheme:
    """Return the scheme that a shop wrote for itself, over all history or the window of its settings."""
    own = settings.own
    methods = [read_method(text) for text in (own.recency, own.frequency, own.monetary)]
    counted = (
        ("order_count", "spend_total") if own.all_history else ("order_count_in_window", "spend_in_window")
    )
    columns = ("recency_days", *counted)
    recency, frequency, monetary = (
        Axis(column, score, method, low_is_best=column == "recency_days")
        for column, score, method in zip(columns, SCORES, methods, strict=True)
    )
    has_groups = all(method.bin_count == _GROUP_SCORES for method in methods)
    cuts = None if has_groups else tier_cuts(methods)
    window_days = None if own.all_history else settings.window_days
    return RfmScheme("own", (recency, frequency, monetary), window_days, cuts)


PRESETS: Final[dict[str, Callable[[RfmSettings], RfmScheme]]] = {
    "quintile_11": lambda _: quintile_11(),
    "shopify_2021": lambda settings: shopify_2021(settings.window_days),
    "own": own_scheme,
}
"""The schemes that `rfm.preset` names."""


def scheme_of(settings: RfmSettings, preset: str | None = None) -> RfmScheme:
    """Return the scheme of a preset, the settings' one unless named; raises `RfmError` for an unknown one."""
    name = settings.preset if preset is None else preset
    if name not in PRESETS:
        raise RfmError(f"there is no RFM preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name](settings)


def scheme_of_event(scheme: RfmScheme, event_type: str, *, has_value: bool) -> RfmScheme:
    """Return a scheme that scores events of a type (`features.event_totals`) in place of orders.

    Where such events carry no value, the money axis scores how often they came as well.
    """
    recency, frequency, monetary = scheme.axes
    counted = replace(frequency, value=_EVENT_COLUMNS[frequency.value])
    valued = replace(monetary, value=_EVENT_COLUMNS[monetary.value])
    if not has_value:
        valued = replace(counted, score=monetary.score)
    axes = (recency, counted, valued)
    cuts = None if scheme.tier_cuts is None else tier_cuts([axis.method for axis in axes])
    return replace(scheme, axes=axes, subject=event_type, tier_cuts=cuts)


@dataclass(frozen=True, slots=True)
class RfmCuts:
    """A scheme and the edges that were found for it: all that is needed to score anybody."""

    scheme: RfmScheme
    edges: tuple[Edges, Edges, Edges]

    def score(self, customers: Frame) -> Frame:
        """Add the three scores, `rfm_score` (their sum), `rfm_cell` (such as "543") and `rfm_segment`."""
        ordered = has_ordered(self.scheme)
        scored = customers.with_columns(
            nw.when(ordered).then(score_by(axis, edges)).otherwise(nw.lit(1)).cast(nw.Int64).alias(axis.score)
            for axis, edges in zip(self.scheme.axes, self.edges, strict=True)
        )
        total = nw.sum_horizontal(*SCORES).cast(nw.Int64).alias("rfm_score")
        return scored.with_columns(total, self._cell()).with_columns(self._segment().alias("rfm_segment"))

    def _cell(self) -> nw.Expr:
        digits = [nw.col(score).cast(nw.String) for score in SCORES]
        between = "" if self.scheme.bin_count_max <= _DIGITS_BIN_COUNT_MAX else "-"
        return nw.concat_str(digits, separator=between).alias("rfm_cell")

    def _segment(self) -> nw.Expr:
        if self.scheme.tier_cuts is None:
            return nw.when(has_ordered(self.scheme)).then(_group()).otherwise(nw.lit("PROSPECTS"))
        middle, top = self.scheme.tier_cuts
        total = nw.col("rfm_score")
        return _first(("top", total >= top), ("middle", total >= middle), last="bottom")


def has_ordered(scheme: RfmScheme) -> nw.Expr:
    """Say of each customer whether there was an order within the scheme's window."""
    return nw.col(scheme.columns[1]) > 0


def find_cuts(customers: Frame, scheme: RfmScheme) -> RfmCuts:
    """Measure the edges of a scheme on the customers who ordered within its window."""
    ordered = customers.filter(has_ordered(scheme))
    recency, frequency, monetary = (find_edges(ordered, axis) for axis in scheme.axes)
    return RfmCuts(scheme, (recency, frequency, monetary))


def build_rfm(customers: Frame, scheme: RfmScheme | None = None) -> Frame:
    """Add the scores and names of a scheme (`quintile_11` unless given) to a customer table.

    Needs the scheme's columns, without nulls for whoever ordered. Adds `rfm_recency`, `rfm_frequency`,
    `rfm_monetary`, `rfm_score`, `rfm_cell` and `rfm_segment`.
    """
    return find_cuts(customers, scheme or quintile_11()).score(customers)


def _group() -> nw.Expr:
    """Say the group; the table in the module's first lines is its whole definition."""
    recency, both = nw.col("rfm_recency"), nw.col("rfm_frequency") + nw.col("rfm_monetary")
    strong, some, few = both >= 8, both >= 6, both >= 4
    silent = _first(("PREVIOUSLY_LOYAL", both >= 9), ("AT_RISK", some), ("ALMOST_LOST", few), last="DORMANT")
    middle = _first(("LOYAL", strong), ("NEEDS_ATTENTION", some), last="PROMISING")
    recent = _first(("LOYAL", strong), ("ACTIVE", some), last="PROMISING")
    newest = _first(("CHAMPIONS", strong), ("ACTIVE", some), last="NEW")
    by_recency = nw.when(recency == 4).then(recent).otherwise(newest)
    not_silent = nw.when(recency == 3).then(middle).otherwise(by_recency)
    return nw.when(recency <= 2).then(silent).otherwise(not_silent)


def _first(*choices: tuple[str, nw.Expr], last: str) -> nw.Expr:
    answer: nw.Expr = nw.lit(last)
    for name, condition in reversed(choices):
        answer = nw.when(condition).then(nw.lit(name)).otherwise(answer)
    return answer
