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

_KEYWORDS: Final = frozenset({"and", "or", "not", "in", "is", "null", "true", "false"})
_TOKEN: Final = re.compile(
    r"""(?P<string>'(?:\\[^\r\n]|[^'\\\r\n])*'|"(?:\\[^\r\n]|[^"\\\r\n])*")
    |(?P<days>(?<![\w.])\d{1,6}d(?!\w))
    |(?P<word>[^\W\d]\w*)
    |(?P<space>\s)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_SUGGESTIONS_MAX: Final = 3
_COMPARED_LENGTH_MAX: Final = 64
_CLOSENESS_MIN: Final = 0.6


class Span(NamedTuple):
    """A part of a text: where it begins, counted in characters from 0, and how many it has."""

    offset: int
    length: int


class FilterError(Exception):
    """A condition that cannot be understood: a code, what is allowed, and where; it repeats nothing sent.

    `seen` is the name that is no attribute, for whoever wrote the settings; no request gets to see it.
    `suggestions` are names that may have been meant.
    """

    def __init__(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        seen: str | None = None,
        suggestions: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.span = span
        self.seen = seen
        self.suggestions = tuple(suggestions)


class Source:
    """A text that was read: its tree, and the place of every part."""

    def __init__(self, text: str, *, syntax: str) -> None:
        """Read a text; raises `FilterError`, whose message is `syntax`."""
        self._length = len(text)
        self._durations: dict[int, int] = {}
        self._syntax = syntax
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
        return FilterError("syntax", self._syntax, Span(begin, end - begin))


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
