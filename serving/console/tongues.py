"""Languages of the console: English is written in the code, the others are catalogues beside it.

`locales/<code>.po` holds every sentence of a language, as translators' tools read and write it. A reader's
language is the one they picked (a cookie keeps it), else the first of their browser's that there is.
"""

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from fastapi import Request

LOCALES: Final = {"en": "en_GB", "ko": "ko_KR"}
"""Every language of the console, and the locale that writes its numbers, money and dates."""
NAMES: Final = {"en": "English", "ko": "한국어"}
"""What each language calls itself."""
DEFAULT: Final = "en"
COOKIE: Final = "regulars_language"
CATALOGUES: Final = Path(__file__).parent / "locales"


@dataclass(frozen=True, slots=True)
class Tongue:
    """One language: its code, its locale, its sentences."""

    code: str
    locale: str
    sentences: NullTranslations

    def say(self, sentence: str, **values: object) -> str:
        """Return a sentence in this language, with `%(name)s` filled in."""
        text: str = self.sentences.gettext(sentence)
        return text % values if values else text


@lru_cache(maxsize=len(LOCALES))
def tongue(code: str) -> Tongue:
    """Return a language of `LOCALES`."""
    path = CATALOGUES / f"{code}.po"
    if not path.exists():
        return Tongue(code, LOCALES[code], NullTranslations())
    compiled = BytesIO()
    with path.open("rb") as stream:
        write_mo(compiled, read_po(stream, locale=LOCALES[code]))
    compiled.seek(0)
    return Tongue(code, LOCALES[code], Translations(compiled))


def tongue_of(request: Request) -> Tongue:
    """Return the reader's language."""
    picked = request.cookies.get(COOKIE)
    if picked in LOCALES:
        return tongue(picked)
    return tongue(_preferred(request.headers.get("accept-language", "")))


def _preferred(header: str) -> str:
    """Return the first language of a header that there is.

    >>> _preferred("fr, ko-KR;q=0.9, en;q=0.8"), _preferred("fr"), _preferred(";;q=x,")
    ('ko', 'en', 'en')
    """
    wishes = []
    for place, part in enumerate(header.split(",")[:20]):
        name, _, weight = part.strip().partition(";q=")
        wishes.append((-_weight(weight), place, name.partition("-")[0].lower()))
    return next((name for _, _, name in sorted(wishes) if name in LOCALES), DEFAULT)


def _weight(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0
