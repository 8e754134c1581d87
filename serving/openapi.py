"""What the API's description shares, and how it is written.

python -m serving.openapi > docs/openapi.json
"""

import json
import sys
from typing import Any, Final

from fastapi import FastAPI

from serving.problems import MEDIA_TYPE
from serving.schemas import Problem

_WHEN: Final = {404: "unknown", 410: "the cursor's run is gone", 422: "malformed", 503: "no score run"}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {
        "description": f"Problem: {when}",
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
    }
    for status, when in _WHEN.items()
}


def describe(app: FastAPI) -> str:
    """Return the API's description as it is committed: sorted keys, two spaces, a newline at the end."""
    return json.dumps(app.openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    from serving.api import create_app
    from serving.environment import Environment

    sys.stdout.write(describe(create_app(Environment())))
