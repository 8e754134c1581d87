"""Where everything that the program writes lies."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything that the program writes lies, under one root (`var/`; `VAR=` moves it)."""

    root: Path

    @property
    def history(self) -> Path:
        """Canonical order history (generations and manifest)."""
        return self.root / "history"

    @property
    def portions(self) -> Path:
        """Lines of a large load on their way into the history; nothing is there when no load runs."""
        return self.root / "ingest.portions"

    @property
    def headline(self) -> Path:
        """The headline horizon that the first training settled on; forgotten when the history is replaced."""
        return self.root / "headline.json"

    @property
    def private(self) -> Path:
        """Identities and secrets, mode 0700; never read by features, models or MLflow."""
        return self.root / "private"

    @property
    def reports(self) -> Path:
        """Usability reports and scorecards."""
        return self.root / "reports"

    @property
    def backtest(self) -> Path:
        """Stored per-origin predictions of the last back-test."""
        return self.root / "backtest"

    @property
    def mlflow(self) -> Path:
        """MLflow's database and artefacts, unless `MLFLOW_TRACKING_URI` points elsewhere."""
        return self.root / "mlflow"

    @property
    def scores(self) -> Path:
        """Score runs and the pointer to the live one."""
        return self.root / "scores"

    @property
    def state(self) -> Path:
        """What outlives score runs: API keys; mode 0700."""
        return self.root / "state"

    @property
    def exports(self) -> Path:
        """Files that export jobs made, a folder a job, mode 0700."""
        return self.root / "exports"

    @property
    def setup(self) -> Path:
        """The file that the console's set-up works on, and how far it is; mode 0700."""
        return self.root / "setup"

    @property
    def outcomes(self) -> Path:
        """Who was on lists that left, until it is known what came of them; mode 0700."""
        return self.root / "outcomes"

    @property
    def ledger(self) -> Path:
        """What every published run said of every customer, until it is graded."""
        return self.root / "ledger"
