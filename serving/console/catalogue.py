"""The catalogues of the console's languages, brought up to date with what the pages say.

    python -m serving.console.catalogue

Sentences that are new get an empty translation to fill in, those that are gone are dropped; a test fails as
long as a language lacks one.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from serving.console.tongues import CATALOGUES, DEFAULT, LOCALES, NAMES

_METHODS: Final = [("templates/**.html", "jinja2.ext:babel_extract"), ("**.py", "python")]
_OPTIONS: Final = {"templates/**.html": {"extensions": "jinja2.ext.i18n", "newstyle_gettext": "true"}}
_NO_DATE: Final = datetime(2026, 1, 1, tzinfo=UTC)
_KEYWORDS: Final = {"_": None, "gettext": None, "ngettext": (1, 2), "marked": None, "say": None}


def said() -> Catalog:
    """Return everything that the console says, in English."""
    found = Catalog(project="Regulars")
    extracted = extract_from_dir(
        Path(__file__).parent, method_map=_METHODS, options_map=_OPTIONS, keywords=_KEYWORDS
    )
    for _, _, sentence, _, _ in extracted:
        found.add(sentence)
    return found


def read(code: str) -> Catalog:
    """Return the catalogue of a language as it is committed."""
    with (CATALOGUES / f"{code}.po").open("rb") as stream:
        return read_po(stream, locale=LOCALES[code])


def renewed(code: str) -> Catalog:
    """Return a language's catalogue with exactly the sentences that the console says."""
    path = CATALOGUES / f"{code}.po"
    catalogue = read(code) if path.exists() else Catalog(locale=LOCALES[code], project="Regulars")
    catalogue.update(said(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    return catalogue


def missing(catalogue: Catalog) -> list[str]:
    """Return the sentences of a catalogue that are not translated."""
    return [
        str(message.id)
        for message in catalogue
        if message.id and not (all(message.string) if isinstance(message.string, tuple) else message.string)
    ]


def write(catalogue: Catalog, code: str) -> None:
    """Write a language's catalogue: the same sentences make the same bytes."""
    catalogue.header_comment = f"# {NAMES[code]}: what the console says. English stands in the code."
    catalogue.creation_date = catalogue.revision_date = _NO_DATE
    catalogue.fuzzy = False
    with (CATALOGUES / f"{code}.po").open("wb") as stream:
        write_po(stream, catalogue, no_location=True, sort_output=True, width=110)


def main() -> None:
    """Write every catalogue anew, and say how much each lacks."""
    for code in LOCALES:
        if code == DEFAULT:
            continue
        catalogue = renewed(code)
        write(catalogue, code)
        sys.stdout.write(f"{code}: {len(catalogue)} sentences, {len(missing(catalogue))} to translate\n")


if __name__ == "__main__":
    main()
