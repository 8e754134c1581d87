"""Take the pictures of the console that the documents show, from a running demo.

    python -m benchmarks.screenshots [--base http://127.0.0.1:8000]

Needs the packages for development and a Chromium.
"""

import json
import shutil
import urllib.request
from pathlib import Path
from typing import Annotated, Final

import typer

from features.console import run_command
from features.errors import UserError

_FOLDER: Final = Path("docs/images")
_WIDTH: Final = 1280
_HEIGHT: Final = 860
PICTURES: Final = {
    "overview": "/",
    "at-risk": "/lists/at-risk",
    "plan": "/lists/at-risk/plan?offer_cost=2&contact_cost=0.1&response_share=0.3",
    "segments": "/segments",
    "customer": "/customers/{id}",
    "groups": "/rfm",
    "moves": "/moves",
    "retention": "/retention",
    "value": "/value?clv=100&cac=20&conversion_rate=0.1",
}
"""The page of each picture; `{id}` is whoever comes first on the list at risk."""


class NoBrowserError(UserError):
    """There is nothing to take pictures with."""


def _command(
    *, base: Annotated[str, typer.Option(help="where the demo serves")] = "http://127.0.0.1:8000"
) -> None:
    """Write the pictures into docs/images, in English, and the list at risk in Korean."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - for development only

    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise NoBrowserError("no Chromium is on this machine; install one (Debian: apt-get install chromium)")
    with urllib.request.urlopen(f"{base}/v1/audiences/at-risk/members?limit=1") as answer:  # noqa: S310 - our own server
        first = json.loads(answer.read())["members"][0]["customer_id"]
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        size = {"width": _WIDTH, "height": _HEIGHT}
        shots = [(name, address, "en-GB", "light") for name, address in PICTURES.items()]
        shots += [("at-risk-ko", PICTURES["at-risk"], "ko-KR", "light")]
        for name, address, locale, scheme in shots:
            page = browser.new_page(viewport=size, locale=locale, color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(base + address.format(id=first))
            page.screenshot(path=_FOLDER / f"console-{name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    run_command(_command)
