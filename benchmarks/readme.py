"""Fill the README's printed blocks from a running demo, so that every output shown there was printed.

python -m benchmarks.readme [--base http://127.0.0.1:8000] [--var var]
"""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Annotated

import typer

from features.console import run_command

README = Path("README.md")
CSV_LINES = 6
LINE_LENGTH = 112


def filled(text: str, blocks: dict[str, tuple[str, str]]) -> str:
    """Return a page with each `<!-- printed:name -->` block replaced by (language, output) of that name."""
    for name, (language, output) in blocks.items():
        text = placed(text, name, f"```{language}\n{output.rstrip()}\n```")
    return text


def placed(text: str, name: str, body: str) -> str:
    r"""Return a page with what stands between the marks of a name replaced by a body.

    Raises `ValueError` where the page has not exactly one place of that name.

    >>> placed("a\n<!-- printed:x -->\nold\n<!-- end -->\nb", "x", "new")
    'a\n<!-- printed:x -->\nnew\n<!-- end -->\nb'
    """
    found = re.findall(rf"<!-- printed:{name} -->.*?<!-- end -->", text, flags=re.DOTALL)
    if len(found) != 1:
        raise ValueError(f"the page has {len(found)} blocks named {name}")
    return text.replace(found[0], f"<!-- printed:{name} -->\n{body}\n<!-- end -->")


def beginnings(scorecard: str) -> str:
    r"""Return what a scorecard's text begins with, and the verdict and table that each task begins with.

    >>> beginnings("Scorecard\n\nIn one minute\n\nchurn · origins\n* m\n\n  more")
    'Scorecard\n\nIn one minute\n\nchurn · origins\n* m'
    """
    first, minute, *others = scorecard.split("\n\n")
    tasks = [part for part in others if "· origins" in part.split("\n", 1)[0]]
    return "\n\n".join([first, minute, *tasks])


def wrapped(body: str) -> str:
    """Return a JSON body with line breaks before keys, and nothing else changed.

    >>> wrapped('{"a":1,"b":"x,y"}')
    '{"a":1,"b":"x,y"}'
    """
    lines = [""]
    for part in re.split(r'(?<=,)(?=["{])', body):
        if len(lines[-1]) + len(part) > LINE_LENGTH:
            lines.append(" ")
        lines[-1] += part
    return "\n".join(lines)


def own_lists(explanation: str) -> str:
    r"""Return the part of `make explain` that holds the lists that are the customer's own.

    >>> own_lists("curve\n\nfor you:\n  1. a\n\nupsell:\n  1. b\n\npopular:\n  1. c")
    'for you:\n  1. a\n\nupsell:\n  1. b'
    """
    return explanation[explanation.index("for you:") : explanation.index("popular:")].rstrip()


def _explanation(customer_id: str, var: Path) -> str:
    command = [sys.executable, "-m", "serving.explain", "--id", customer_id, "--var", str(var)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _get(url: str) -> str:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own server
        body: bytes = answer.read()
    return body.decode()


def _command(
    *,
    base: Annotated[str, typer.Option(help="where the demo serves")] = "http://127.0.0.1:8000",
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Fill the README from a running demo."""
    members = json.loads(_get(f"{base}/v1/audiences/at-risk/members?limit=1"))
    customer_id = members["members"][0]["customer_id"]
    customer = _get(f"{base}/v1/customers/{customer_id}/predictions?include=reasons")
    csv_lines = _get(f"{base}/v1/audiences/at-risk/export.csv").splitlines()[:CSV_LINES]
    blocks = {
        "customer": ("json", wrapped(customer)),
        "lists": ("text", own_lists(_explanation(customer_id, var))),
        "csv": ("csv", "\n".join(csv_lines)),
        "scorecard": ("text", beginnings((var / "reports" / "scorecard.txt").read_text(encoding="utf-8"))),
    }
    README.write_text(filled(README.read_text(encoding="utf-8"), blocks), encoding="utf-8")


if __name__ == "__main__":
    run_command(_command)
