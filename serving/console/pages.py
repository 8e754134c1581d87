"""Pages from templates, in the reader's language, with the headers that let nothing foreign in."""

from collections.abc import Callable, Coroutine
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from serving.console import charts, words
from serving.console.figures import Figures
from serving.console.tongues import LOCALES, NAMES, Tongue, tongue, tongue_of
from serving.console.words import marked
from serving.rows import HORIZONS_DAYS
from serving.web.problems import NO_SCORES, ProblemError
from serving.web.scopes import ScopedRoute

_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "vary": "accept-language, cookie",
}
NEXT_LENGTH_MAX: Final = 16_384
"""The longest address that a change of the language leads back to: it holds 1,000 signs of any script."""
NAVIGATION: Final = (
    ("/", marked("Overview")),
    ("/lists/at-risk", marked("At risk")),
    ("/lists", marked("Lists")),
    ("/segments", marked("Segments")),
    ("/micro-segments", marked("Micro-segments")),
    ("/rfm", marked("Groups")),
    ("/moves", marked("Moves")),
    ("/retention", marked("Retention")),
    ("/value", marked("Value")),
    ("/recommendations", marked("Offers")),
    ("/exports", marked("Results")),
    ("/scorecard", marked("Scorecard")),
)
"""The pages of the console, in the order of its menu."""


def page(request: Request, template: str, /, *, status: int = 200, **values: object) -> Response:
    """Return a page; `values` are what its template needs beside what every page has."""
    spoken = tongue_of(request)
    common = {
        "here": request.scope["path"],
        # A page that is an error repeats nothing of what was asked.
        "address": _local_address(request) if status < 400 and request.method == "GET" else "/",
        "language": spoken.code,
        "languages": NAMES,
        "navigation": NAVIGATION,
    }
    html = _templates(spoken.code).get_template(template).render(common | values)
    return Response(html, status, _HEADERS, "text/html; charset=utf-8")


class PageRoute(ScopedRoute):
    """A route of the console; where there are no scores yet, it shows the way to the set-up."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler behind the check of the caller's key."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except ProblemError as problem:
                if problem.slug != NO_SCORES:
                    raise
                return page(request, "empty.html", status=problem.status)

        return handle


def _local_address(request: Request) -> str:
    query = request.scope["query_string"].decode("latin-1")
    path = request.scope["raw_path"].partition(b"?")[0].decode("latin-1")
    whole = f"{path}?{query}" if query else path
    return whole if len(whole) <= NEXT_LENGTH_MAX else path


@lru_cache(maxsize=len(LOCALES))
def _templates(code: str) -> Environment:
    spoken = tongue(code)
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
    )
    templates.install_gettext_translations(spoken.sentences, newstyle=True)  # type: ignore[attr-defined]
    templates.filters.update(Figures(spoken.locale).filters(), word=partial(_word, spoken))
    templates.globals.update(charts=charts, words=words, horizons_days=HORIZONS_DAYS)
    return templates


def _word(spoken: Tongue, value: Any, table: dict[str, str] | None = None) -> str:  # noqa: ANN401 - whatever is in the data
    """Return a word of `words` in the reader's language; a table's unknown word stays itself, null a dash."""
    if value is None:
        return "–"
    sentence = (table or {}).get(value, value)
    return spoken.say(sentence) if sentence else ""
