"""Forms of the console: only its own pages may send them."""

from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from serving.web.problems import ProblemError

_PARTS_MAX: Final = 2_000


def check_same_origin(request: Request) -> None:
    """Refuse what another site's page sends: a browser adds the key by itself, whoever wrote the form."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        # Said by the browser itself; the origin of a page without a referrer is "null".
        is_own = site in ("same-origin", "none")
    else:
        is_own = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if not is_own:
        raise ProblemError(403, "cross-site", "Forms of other sites are not taken.", title="Not allowed")


async def read_form(request: Request) -> FormData:
    """Return a form that was sent; raises a 400 problem."""
    try:
        return await request.form(max_files=1, max_fields=_PARTS_MAX)
    except HTTPException:
        raise ProblemError(400, "malformed-form", "The form cannot be read.") from None
