"""What a segment's condition means, in a sentence of the reader's language; traits of a profile in words."""

from datetime import date, timedelta
from typing import Any, Final

from features.condition_phrases import (
    Among,
    Bought,
    Compared,
    Days,
    Either,
    Every,
    Not,
    Phrase,
    Top,
    Value,
    read_phrases,
)
from features.condition_values import read_day
from serving.console.attribute_words import named
from serving.console.figures import NOTHING, Figures
from serving.console.tongues import Tongue
from serving.console.words import BANDS, GROUPS, STAGES, marked
from serving.segments.profile import ProfileTrait
from serving.segments.traits import ATTRIBUTES
from serving.segments.words import SEGMENTS
from serving.store.records import RunMeta

_LISTED_MAX: Final = 6
_WHOLE_FROM: Final = 100
_COLUMNS: Final = {column.name: column for column in ATTRIBUTES}
_TABLES: Final = {
    "risk_band": BANDS,
    "lifecycle_stage": STAGES,
    "clock_stage": STAGES,
    "clock_stage_before": STAGES,
    "rfm_segment": GROUPS,
    "rfm_segment_before": GROUPS,
}
_NUMBER: Final = {
    ">": marked("%(what)s: more than %(value)s"),
    ">=": marked("%(what)s: %(value)s or more"),
    "<": marked("%(what)s: less than %(value)s"),
    "<=": marked("%(what)s: %(value)s or less"),
    "==": marked("%(what)s: %(value)s"),
    "!=": marked("%(what)s: anything but %(value)s, or unknown"),
}
_TIME: Final = {
    ">": marked("%(what)s: after %(value)s"),
    ">=": marked("%(what)s: on or after %(value)s"),
    "<": marked("%(what)s: before %(value)s"),
    "<=": marked("%(what)s: on or before %(value)s"),
    "==": marked("%(what)s: on %(value)s"),
    "!=": marked("%(what)s: not on %(value)s, or unknown"),
}
_AGO: Final = marked("%(day)s (%(days)s days before the run)")
_AHEAD: Final = marked("%(day)s (%(days)s days after the run)")
_UNKNOWN: Final = marked("%(what)s: unknown")
_KNOWN: Final = marked("%(what)s: known")
_NEVER: Final = marked("nobody at all")
_IS_TOP: Final = marked("%(what)s: among the highest %(percent)s %% (more than %(value)s)")
_IS_LOW: Final = marked("%(what)s: among the lowest %(percent)s %% (%(value)s or less), or unknown")
_IS_LOWEST: Final = marked("%(what)s: among the lowest %(percent)s %% (%(value)s or less)")
_NO_TOP: Final = marked("%(what)s: among the highest %(percent)s %%, which nobody is")
_BOUGHT: Final = marked("bought %(names)s")
_BOUGHT_WITHIN: Final = marked("bought %(names)s within %(days)s days")
_FROM: Final = marked("bought from the category %(names)s")
_FROM_WITHIN: Final = marked("bought from the category %(names)s within %(days)s days")
_NOT: Final = marked("not: %(part)s")
_AND: Final = marked("and")
_OR: Final = marked("or")
_MORE: Final = marked("%(count)s more")
_CUSTOMERS: Final = marked("Customers: %(what)s.")
_YES_NO: Final = {"yes": marked("yes"), "no": marked("no")}
_BETWEEN: Final = marked("%(what)s: more than %(above)s, up to %(value)s")


class Speaker:
    """Says conditions and traits of one run in one language."""

    def __init__(self, spoken: Tongue, meta: RunMeta) -> None:
        self._tongue = spoken
        self._figures = Figures(spoken.locale)
        self._meta = meta

    def sentence(self, text: str) -> str:
        """Say what a condition that is accepted means; raises `FilterError` for any other."""
        return self._say(_CUSTOMERS, what=self._phrase(read_phrases(text, SEGMENTS)))

    def trait(self, trait: ProfileTrait) -> str:
        """Say a trait: what it is of, and its value or between which values it lies."""
        what = self._label(trait.name)
        if trait.value is not None:
            word = _YES_NO.get(trait.value)
            value = self._say(word) if word else self._value(trait.name, trait.value)
            return self._say(_NUMBER["=="], what=what, value=value)
        above, up_to = (self._edge(trait.name, edge) for edge in (trait.above, trait.up_to))
        if trait.up_to is None:
            return self._say(_NUMBER[">"], what=what, value=above)
        if trait.above is None:
            return self._say(_NUMBER["<="], what=what, value=up_to)
        return self._say(_BETWEEN, what=what, above=above, value=up_to)

    def _phrase(self, phrase: Phrase, *, is_inner: bool = False) -> str:
        if isinstance(phrase, Every | Either):
            between = f" {self._say(_AND if isinstance(phrase, Every) else _OR)} "
            joined = between.join(self._parts(phrase))
            return f"({joined})" if is_inner else joined
        if isinstance(phrase, Not):
            if isinstance(phrase.part, Top):
                return self._top(phrase.part, is_not=True)
            return self._say(_NOT, part=self._phrase(phrase.part, is_inner=True))
        if isinstance(phrase, Top):
            return self._top(phrase, is_not=False)
        if isinstance(phrase, Bought):
            return self._bought(phrase)
        return self._among(phrase) if isinstance(phrase, Among) else self._compared(phrase)

    def _parts(self, phrase: Every | Either) -> list[str]:
        """Say the parts; of "known, and not among the highest" the first is left out, the second says it."""
        known = set[str]()
        if isinstance(phrase, Every):
            known = {part.name for part in phrase.parts if isinstance(part, Compared) and _is_known(part)}
        low = {
            part.part.name
            for part in phrase.parts
            if isinstance(part, Not) and isinstance(part.part, Top) and self._meta.cuts.get(part.part.name)
        } & known
        said = []
        for part in phrase.parts:
            if isinstance(part, Not) and isinstance(part.part, Top) and part.part.name in low:
                said.append(self._top(part.part, is_not=True, is_known=True))
            elif not (isinstance(part, Compared) and _is_known(part) and part.name in low):
                said.append(self._phrase(part, is_inner=True))
        return said

    def _compared(self, phrase: Compared) -> str:
        what, operator, value = self._label(phrase.name), phrase.operator, phrase.value
        if value is None:
            return self._say(_UNKNOWN if operator == "==" else _KNOWN, what=what)
        if value is True:
            return what if operator == "==" else self._say(_NOT, part=what)
        kind = _COLUMNS[phrase.name].kind
        table = _TIME if kind in ("date", "datetime") else _NUMBER
        return self._say(table[operator], what=what, value=self._value(phrase.name, value))

    def _among(self, phrase: Among) -> str:
        # Not `==`: the number 1 is equal to True.
        if len(phrase.values) == 1 and phrase.values[0] is True:
            return self._label(phrase.name)
        if not phrase.values:
            return self._say(_NEVER)
        values = [self._value(phrase.name, each) for each in phrase.values]
        return self._say(_NUMBER["=="], what=self._label(phrase.name), value=self._listed(values))

    def _top(self, phrase: Top, *, is_not: bool, is_known: bool = False) -> str:
        cuts, what = self._meta.cuts.get(phrase.name), self._label(phrase.name)
        if not cuts:
            part = self._say(_NO_TOP, what=what, percent=phrase.percent)
            return self._say(_NOT, part=part) if is_not else part
        value = self._value(phrase.name, cuts[(100 - phrase.percent) // 5 - 1])
        if is_not:
            sentence = _IS_LOWEST if is_known else _IS_LOW
            return self._say(sentence, what=what, percent=100 - phrase.percent, value=value)
        return self._say(_IS_TOP, what=what, percent=phrase.percent, value=value)

    def _bought(self, phrase: Bought) -> str:
        names = self._listed([_quoted(each) for each in phrase.names])
        ever, within = (_FROM, _FROM_WITHIN) if phrase.is_category else (_BOUGHT, _BOUGHT_WITHIN)
        if phrase.within_days is None:
            return self._say(ever, names=names)
        return self._say(within, names=names, days=self._figures.count(phrase.within_days))

    def _edge(self, name: str, edge: float | None) -> str:
        # The cuts are the shop's own: their last digits say nothing to a reader.
        if edge is None or _COLUMNS[name].unit in ("probability", "share", "money"):
            return self._value(name, edge)
        return self._figures.number(edge, 0 if abs(edge) >= _WHOLE_FROM else 1)

    def _listed(self, values: list[str]) -> str:
        shown = values[:_LISTED_MAX]
        if len(values) > len(shown):
            shown.append(self._say(_MORE, count=len(values) - len(shown)))
        return f" {self._say(_OR)} ".join(shown)

    def _label(self, name: str) -> str:
        sentence, values = named(name)
        return self._say(sentence, **values)

    def _value(self, name: str, value: Value) -> str:
        """Write a value as its attribute's unit has it."""
        if isinstance(value, Days):
            day = self._figures.day(self._meta.as_of + timedelta(days=value.ahead))
            return self._say(
                _AHEAD if value.ahead > 0 else _AGO, day=day, days=self._figures.count(abs(value.ahead))
            )
        if isinstance(value, bool):
            return self._say(_YES_NO["yes" if value else "no"])
        if isinstance(value, str):
            return self._text(name, value)
        return NOTHING if value is None else self._amount(name, value)

    def _amount(self, name: str, value: float) -> str:
        unit = _COLUMNS[name].unit
        if unit in ("probability", "share"):
            return self._figures.percent(value)
        if unit == "money":
            return self._figures.money(value, self._meta.currency)
        return self._figures.number(value, 2)

    def _text(self, name: str, value: str) -> str:
        day: date | None = read_day(value)
        if day is not None and _COLUMNS[name].kind in ("date", "datetime"):
            return self._figures.day(day)
        word = _TABLES.get(name, {}).get(value)
        return self._say(word) if word else _quoted(value)

    def _say(self, sentence: str, **values: Any) -> str:  # noqa: ANN401 - whatever stands in the gaps
        return self._tongue.say(sentence, **values)


def _is_known(part: Compared) -> bool:
    return part.operator == "!=" and part.value is None


def _quoted(text: str) -> str:
    return f"“{text}”"
