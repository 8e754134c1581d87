"""Reading the text of a condition: into a syntax tree of which every part knows its place in the text.

Python's own parser reads it, after words that a person may write have become Python's, each as long as it
was: AND as `and`, NULL as `null`, 180d as a name that stands for 180 days. So places stay what they are.
"""

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Final, NamedTuple

from features.condition_reasons import REASONS, ReasonValues, reason_words

_KEYWORDS: Final = frozenset({"and", "or", "not", "in", "is", "null", "true", "false"})
_TOKEN: Final = re.compile(
    r"""(?P<string>'(?:\\[^\r\n]|[^'\\\r\n])*'|"(?:\\[^\r\n]|[^"\\\r\n])*")
    |(?P<days>(?<![\w.])\d{1,6}d(?!\w))
    |(?P<word>[^\W\d]\w*)
    |(?P<space>\s)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED: Final = re.compile(r"""'(?:\\[^\r\n]|[^'\\\r\n])*'|"(?:\\[^\r\n]|[^"\\\r\n])*\"""")
_OFTEN: Final = {
    "thousands": re.compile(r"[<>=]\s*-?(?P<wrong>\d{1,3}(?:,\d{3})+(?:\.\d+)?)(?![\w,])", re.ASCII),
    "one_equals_sign": re.compile(r"\w\s*(?P<wrong>(?<![<>=!:])=(?![=>]))"),
}
"""Mistakes that are often made where a text is no condition."""
_SUGGESTIONS_MAX: Final = 3
_COMPARED_LENGTH_MAX: Final = 64
_CLOSENESS_MIN: Final = 0.6


class Span(NamedTuple):
    """A part of a text: where it begins, counted in characters from 0, and how many it has."""

    offset: int
    length: int


class FilterError(Exception):
    """A condition that cannot be understood: why, and where; its words repeat nothing that was sent.

    `reason` is one of `features.condition_reasons.REASONS`; of it and of `values` the code and the English
    message are made. `seen` is the name that is no attribute, for whoever wrote the settings; no request gets
    to see it. `suggestions` are names that may have been meant.
    """

    def __init__(
        self,
        reason: str,
        span: Span,
        *,
        values: ReasonValues | None = None,
        seen: str | None = None,
        suggestions: Sequence[str] = (),
    ) -> None:
        self.reason = reason
        self.values = values or {}
        self.code = REASONS[reason].code
        self.message = reason_words(reason, self.values)
        super().__init__(self.message)
        self.span = span
        self.seen = seen
        self.suggestions = tuple(suggestions)


class Source:
    """A text that was read: its tree, and the place of every part."""

    def __init__(self, text: str, *, example: str) -> None:
        """Read a text; raises `FilterError`, which shows an example of a condition."""
        self._length = len(text)
        self._durations: dict[int, int] = {}
        self._text = text
        self._example = example
        written = "".join(self._rewritten(text))
        self._lead = len(written) - len(written.lstrip(" "))
        self._parsed = written.strip(" ")
        self._encoded = self._parsed.encode()
        self.tree = self._tree()

    def span(self, node: ast.expr) -> Span:
        """Return the place of a part."""
        begin = self._characters(node.col_offset)
        return Span(self._lead + begin, self._characters(node.end_col_offset or 0) - begin)

    def duration(self, node: ast.expr) -> int | None:
        """Return the days of a duration such as 180d, None for anything else."""
        return self._durations.get(self.span(node).offset) if isinstance(node, ast.Name) else None

    def refused(self, node: ast.expr) -> FilterError:
        """Return why a part is no condition."""
        return not_read(self._text, self.span(node), example=self._example)

    def _characters(self, byte_count: int) -> int:
        return len(self._encoded[:byte_count].decode(errors="ignore"))

    def _rewritten(self, text: str) -> Iterator[str]:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise self._refused(error.start, error.end) from None
        for found in _TOKEN.finditer(text):
            token, at = found.group(), found.start()
            if found.lastgroup == "string" and len(token) == 2 and text[at + 2 : at + 3] == token[0]:
                raise self._refused(at, self._length)  # three quotes begin a text over several lines
            if found.lastgroup == "other" and token in {"'", '"', "#"}:
                raise self._refused(at, self._length)
            if found.lastgroup == "days":
                self._durations[at] = int(token[:-1])
                token = "d" + token[:-1]
            if found.lastgroup == "word" and token.isascii() and token.lower() in _KEYWORDS:
                token = token.lower()
            yield " " if found.lastgroup == "space" else token

    def _tree(self) -> ast.expr:
        try:
            with warnings.catch_warnings():
                # The parser would warn of odd escapes on the server's own standard error.
                warnings.simplefilter("ignore")
                return ast.parse(self._parsed, mode="eval").body
        except SyntaxError as error:
            # Where something is missing at the end, Python names no place.
            begin = error.offset - 1 if error.offset else len(self._parsed)
            raise self._refused(self._lead + begin, self._lead + (error.end_offset or 0) - 1) from None
        except (ValueError, RecursionError, MemoryError):
            raise self._refused(0, self._length) from None

    def _refused(self, begin: int, end: int) -> FilterError:
        begin = min(begin, self._length)
        end = min(max(end, begin + 1), self._length)
        return not_read(self._text, Span(begin, end - begin), example=self._example)


def not_read(text: str, span: Span, *, example: str) -> FilterError:
    """Return why a text is no condition: a mistake that is often made, at its own place, or an example."""
    # Texts in quotes may hold anything; blanks instead of them keep every place.
    outside = _QUOTED.sub(lambda quoted: " " * len(quoted.group()), text)
    for reason, pattern in _OFTEN.items():
        found = pattern.search(outside)
        if found:
            begin, end = found.span("wrong")
            return FilterError(reason, Span(begin, end - begin))
    return FilterError("syntax", span, values={"example": example})


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three known names that a mistaken one may have meant, the likeliest first.

    >>> near_names("churn_probabilty", ["churn_probability", "predicted_clv", "country"])
    ['churn_probability']
    """
    if len(name) > _COMPARED_LENGTH_MAX:
        return []
    names = list(known)
    lowered = name.lower()
    close = get_close_matches(lowered, names, n=_SUGGESTIONS_MAX, cutoff=_CLOSENESS_MIN)
    holding = [each for each in names if len(lowered) > 2 and lowered in each]
    return list(dict.fromkeys([*close, *holding]))[:_SUGGESTIONS_MAX]
