"""What a run of the ingest command left behind, for the tests of what it tells and does."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from features.history import History

HEAD = "customer_id,ordered_at,amount\n"
THREE = (
    "customer_id,ordered_at,amount\nc1,2026-01-05 10:00:00,10\nc1,2026-02-05 10:00:00,20.5\nc2,2026-01-06,5\n"
)


@dataclass(frozen=True)
class Run:
    """What a command left behind."""

    code: int
    out: str
    err: str
    var: Path

    @property
    def report(self) -> dict[str, object]:
        return dict(json.loads((self.var / "reports/usability.json").read_text(encoding="utf-8")))

    @property
    def history(self) -> History:
        return History.open(self.var / "history")


Ingest = Callable[..., Run]


def names(run: Run, severity: str) -> list[str]:
    return [found["name"] for found in run.report["findings"] if found["severity"] == severity]  # type: ignore[attr-defined]
