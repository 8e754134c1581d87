"""The formula that every shop knows beside the model, group by group: what the back-test found, in words.

The figures are those of the champion's own scorecard (`training.tiers`): each customer's order value ×
frequency × days, frequency over the whole past, against what came. The words say only what these figures
show; why people left or came they do not know.
"""

from typing import Any, Final, NamedTuple

from serving.console.figures import Figures
from serving.console.tongues import Tongue
from serving.console.words import GROUPS, marked
from serving.store.records import RunMeta

CUSTOMERS_MIN: Final = 30
_CLOSE: Final = 0.1
_ALIKE: Final = 0.02
_MOST: Final = 0.5

_ALL: Final = marked("All customers")
_FEW: Final = marked("Too few customers to tell.")
_NOBODY: Final = marked(
    "Nobody spent anything within %(days)s days: the formula goes on as if nobody left, and pays them "
    "all the same."
)
_HIGH_LEFT: Final = marked(
    "The formula says %(off)s too much: only %(ordered)s of them ordered within %(days)s days, and it "
    "goes on as if nobody left."
)
_HIGH_ONCE: Final = marked(
    "The formula says %(off)s too much: %(once)s of them had ordered once. One order shows no pace yet,"
    " so it lends them the shop’s, and %(ordered)s of them ordered."
)
_HIGH_SLOWER: Final = marked(
    "The formula says %(off)s too much: %(ordered)s of them still ordered, but spent less than the pace"
    " of their whole past, which it goes on with."
)
_LOW_ONCE: Final = marked(
    "The formula says %(off)s too little: %(once)s of them had ordered once, and one order cannot show "
    "that %(ordered)s of them would order."
)
_LOW_GROWTH: Final = marked(
    "The formula says %(off)s too little: they spent more than the pace of their whole past. It does "
    "not know growth."
)
_RIGHT: Final = marked(
    "The formula’s total is right to %(off)s: together these customers went on as they were."
)
_CLOSER: Final = marked(
    "Customer by customer the model is closer: off by %(model)s on average, the formula by %(formula)s."
)
_FARTHER: Final = marked(
    "Customer by customer the formula is closer: off by %(formula)s on average, the model by %(model)s."
)
_EQUAL: Final = marked(
    "Customer by customer both are equally far off: %(model)s on average, the formula %(formula)s."
)
_SERVES: Final = marked("The formula is what serves here: no model did better.")


class Bridge(NamedTuple):
    """One group: its name, what came, both predictions with their errors, and sentences on them."""

    name: str
    is_known: bool
    figures: dict[str, Any]
    sentences: list[str]


def bridges(meta: RunMeta, spoken: Tongue) -> list[Bridge]:
    """Return every group that the value champion was judged on, all customers last; [] without any."""
    card = meta.models.get("clv")
    groups = (card.scorecard.get("groups") or []) if card is not None else []
    days = card.scorecard.get("horizon_days") if card is not None else None
    teller = _Teller(spoken, meta, days, serves=card is not None and card.method == "formula")
    return [
        Bridge(
            spoken.say(GROUPS.get(group["name"], _ALL)),
            group["customer_count"] >= CUSTOMERS_MIN,
            group,
            teller.sentences(group),
        )
        for group in groups
    ]


class _Teller:
    """Says one group after another."""

    def __init__(self, spoken: Tongue, meta: RunMeta, days: int | None, *, serves: bool) -> None:
        self._tongue = spoken
        self._figures = Figures(spoken.locale)
        self._currency = meta.currency
        self._days = days
        self._serves = serves

    def sentences(self, group: dict[str, Any]) -> list[str]:
        if group["customer_count"] < CUSTOMERS_MIN:
            return [self._tongue.say(_FEW)]
        # Where more came back than was spent, no share of the total says how far off one is.
        is_told = group["formula_bias"] is not None or not group["actual_mean"]
        found = [self._level(group)] if group["formula_mean"] is not None and is_told else []
        return [*found, *self._errors(group)]

    def _level(self, group: dict[str, Any]) -> str:
        off, ordered, once = (group[name] for name in ("formula_bias", "ordered_share", "once_share"))
        if off is None:
            return self._tongue.say(_NOBODY, days=self._days)
        return self._tongue.say(
            _reason(off, ordered, once),
            off=self._figures.percent(abs(off)),
            ordered=self._figures.percent(ordered),
            once=self._figures.percent(once),
            days=self._days,
        )

    def _errors(self, group: dict[str, Any]) -> list[str]:
        if self._serves:
            return [self._tongue.say(_SERVES)]
        model, formula = group["winner_mae"], group["formula_mae"]
        if model is None or formula is None:
            return []
        sentence = _CLOSER if model < formula else _FARTHER
        if abs(model - formula) <= _ALIKE * formula:
            sentence = _EQUAL
        said = {"model": model, "formula": formula}
        return [
            self._tongue.say(
                sentence, **{name: self._figures.money(value, self._currency) for name, value in said.items()}
            )
        ]


def _reason(off: float, ordered: float | None, once: float | None) -> str:
    if abs(off) <= _CLOSE:
        return _RIGHT
    if once is not None and once >= _MOST:
        return _HIGH_ONCE if off > 0 else _LOW_ONCE
    if off < 0:
        return _LOW_GROWTH
    return _HIGH_LEFT if ordered is not None and ordered < _MOST else _HIGH_SLOWER
