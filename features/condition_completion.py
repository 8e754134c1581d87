"""Completions of a condition while it is written: names, functions, words, and known values of texts."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from features.condition_functions import FUNCTIONS
from features.conditions import TEXT_LENGTH_MAX, Vocabulary

COMPLETIONS_MAX: Final = 20
_WORDS: Final = ("and", "or", "not", "in", "not in", "is null", "is not null")
_QUOTED: Final = r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\""
_OPEN: Final = re.compile(
    rf"(?:{_QUOTED}|[^'\"])*(?P<quote>['\"])(?P<begun>(?:\\.|(?!(?P=quote))[^\\])*)\Z", re.DOTALL
)
_WORD: Final = re.compile(r"[^\W\d]\w*\Z")
_COMPARED: Final = re.compile(r"(?P<name>[^\W\d]\w*)\s*(?:==|!=|<=|>=|<|>)\s*\Z")
_LISTED: Final = re.compile(
    rf"(?P<name>[^\W\d]\w*)\s+(?:not\s+)?in\s*[\[(]\s*(?:(?:{_QUOTED})\s*,\s*)*\Z", re.IGNORECASE
)
_CALLED: Final = re.compile(rf"\bbought_category\s*\(\s*\[?\s*(?:(?:{_QUOTED})\s*,\s*)*\Z")
_BEHIND: Final = {
    "boolean": ("true", "false"),
    "date": ("days_ago(", "days_ahead("),
    "instant": ("days_ago(",),
}


class Completion(NamedTuple):
    """What may stand instead of `length` characters from `offset` on; `meaning` says what it is."""

    offset: int
    length: int
    text: str
    kind: str
    meaning: str = ""


def complete(
    text: str,
    cursor: int,
    vocabulary: Vocabulary,
    *,
    values: Mapping[str, Sequence[str]] | None = None,
    meanings: Mapping[str, str] | None = None,
) -> list[Completion]:
    """Return up to 20 completions of what stands before a cursor, the likeliest first.

    `values` are known values by attribute, and by `category` those of `bought_category`; `kind` is attribute,
    function, word or value.

    >>> [each.text for each in complete("in_stock and pri", 16, Vocabulary({"price": "number"}, ""))]
    ['price']
    """
    before, at, opened = _begun(text, cursor)
    begun = before[at + opened :]
    known = values or {}
    name = _text_before(before[:at], vocabulary)
    found: Iterator[tuple[str, str]]
    if opened or (name is not None and name in known):
        found = (("value", json.dumps(each, ensure_ascii=False)) for each in known.get(name or "", ()))
    else:
        found = _names(before[:at], vocabulary)
    ranked = sorted(_fitting(found, begun), key=lambda each: each[0])
    told = meanings or {}
    return [
        Completion(at, len(before) - at, word, kind, told.get(word.rstrip("("), ""))
        for _, kind, word in ranked[:COMPLETIONS_MAX]
    ]


def values_wanted(text: str, cursor: int, vocabulary: Vocabulary) -> str | None:
    """Return the text attribute, or `category`, of which a value is being written at a cursor.

    >>> values_wanted("country == 'K", 13, Vocabulary({"country": "text"}, ""))
    'country'
    """
    before, at, _ = _begun(text, cursor)
    return _text_before(before[:at], vocabulary)


def _begun(text: str, cursor: int) -> tuple[str, int, bool]:
    """Return what stands before a cursor, where its last word or open text begins, and which it is."""
    before = text[: max(cursor, 0)][:TEXT_LENGTH_MAX]
    opened = _OPEN.fullmatch(before)
    if opened:
        return before, opened.start("quote"), True
    word = _WORD.search(before)
    return before, word.start() if word else len(before), False


def _text_before(before: str, vocabulary: Vocabulary) -> str | None:
    """Return the text attribute whose value comes next, None where no such value does."""
    if "bought_category" in vocabulary.functions and _CALLED.search(before):
        return "category"
    found = _COMPARED.search(before) or _LISTED.search(before)
    name = found["name"] if found else None
    return name if name is not None and vocabulary.attributes.get(name) == "text" else None


def _names(before: str, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """Yield (kind, text) of what may follow."""
    compared = _COMPARED.search(before)
    if compared:
        for word in _BEHIND.get(vocabulary.attributes.get(compared["name"], ""), ()):
            kind = "function" if word.endswith("(") else "word"
            if kind == "word" or word.rstrip("(") in vocabulary.functions:
                yield kind, word
        return
    yield from (("attribute", name) for name in vocabulary.attributes)
    yield from (
        ("function", f"{name}(")
        for name in FUNCTIONS
        if name in vocabulary.functions and FUNCTIONS[name].is_condition
    )
    yield from (("word", word) for word in _WORDS)


def _fitting(found: Iterator[tuple[str, str]], begun: str) -> Iterator[tuple[int, str, str]]:
    """Yield (rank, kind, text) of what fits the beginning of a word: by its own beginning, then anywhere."""
    wanted = begun.lower()
    for kind, text in found:
        lowered = text.strip('"').lower()
        if lowered.startswith(wanted):
            yield 0, kind, text
        elif wanted and wanted in lowered:
            yield 1, kind, text
