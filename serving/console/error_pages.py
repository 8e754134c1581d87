"""Errors as pages: whoever reads the console gets the menu and a sentence; programs get problem+json."""

from typing import Final

from fastapi import Request, Response

from serving.console.pages import PageRoute, page
from serving.console.words import marked
from serving.web.problems import NO_SCORES, ProblemError, problem_response

TITLES: Final = {
    401: marked("A key is needed"),
    403: marked("Not allowed"),
    404: marked("There is nothing at this address"),
    405: marked("There is nothing at this address"),
    410: marked("This page is no longer kept"),
    422: marked("This cannot be read"),
    429: marked("Too many calls"),
    503: marked("Not at the moment"),
}
OTHER_TITLE: Final = marked("This did not work")
SENTENCES: Final = {
    401: marked("Reload the page, and give the key as the user name; the password stays empty."),
    403: marked("The key may not do this, or the form came from another site."),
    404: marked("The address is written wrong, or what stood here is gone. The menu leads to what there is."),
    405: marked("The address is written wrong, or what stood here is gone. The menu leads to what there is."),
    410: marked("Newer scores have come since. Begin again from the menu."),
    422: marked(
        "Something in the address or in a field is too long, missing, or not of the right kind. Go back and "
        "change it."
    ),
    429: marked("Wait a minute, and try again."),
    503: marked("Something that is needed for this cannot be read right now. Try again in a moment."),
}
OTHER_SENTENCE: Final = marked("Try again. If it stays so, tell whoever looks after this installation.")
KNOWN: Final = {
    "unknown-audience": marked("There is no such list"),
    "unknown-segment": marked("There is no such segment"),
}
"""Titles of problems that can be said more exactly than their status."""


def answer_problem(problem: ProblemError, request: Request) -> Response:
    """Return a problem as a page to whoever reads the console, else as problem+json."""
    if not _is_for_readers(request):
        return problem_response(problem, request)
    if problem.slug == NO_SCORES:
        answer = page(request, "empty.html", status=problem.status)
    else:
        answer = page(
            request,
            "error.html",
            status=problem.status,
            title=KNOWN.get(problem.slug) or TITLES.get(problem.status, OTHER_TITLE),
            sentence=SENTENCES.get(problem.status, OTHER_SENTENCE),
            request_id=request.scope.get("request_id", ""),
            here="",
        )
    answer.headers.update(problem.headers)
    return answer


def _is_for_readers(request: Request) -> bool:
    """Say whether a browser asked for a page: of an address of the console, or of one that does not exist."""
    if f"{request.scope['path']}/".startswith("/v1/"):
        return False
    route = request.scope.get("route")
    is_ours = route is None or isinstance(route, PageRoute)
    return is_ours and "text/html" in request.headers.get("accept", "").lower()
