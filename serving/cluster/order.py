"""What is shipped to the workers of a cluster: an order, and the champions and our code as plain files.

The order is JSON. The champions are a zip of their bundles; a worker checks every file of them against its
manifest, and each manifest against the digest in the order, before it loads anything. No customer's data is
shipped but the ids of those who are left out: workers read the history where it lies.
"""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from features.history import History, Manifest
from features.settings import Settings
from features.shop import ShopFacts
from features.snapshot import Snapshot
from models.bundle import MANIFEST_FILE
from models.registry_names import REGISTERED, Task

PACKAGES: Final = ("features", "models", "serving")
"""Our packages that a worker runs."""


class Order(BaseModel):
    """What a worker must know to score any bucket of a shop.

    `left_out` are the suppressed customers of each bucket that has some; `digests` the sha256 of each
    champion's manifest; `folder` is where a bucket's rows and lists are written, on storage that the workers
    share with whoever asks.
    """

    model_config = ConfigDict(frozen=True)

    root: Path
    manifest: Manifest
    snapshot: Snapshot
    settings: Settings
    shop: ShopFacts
    headline_days: int
    folder: Path
    digests: dict[Task, str]
    left_out: dict[int, frozenset[str]] = {}

    @property
    def history(self) -> History:
        """The very generation that was opened by whoever asks."""
        return History(self.root, self.manifest)


def digest_of(bundle: Path) -> str:
    """Return the sha256 of a bundle's manifest, which names the sha256 of each of its files."""
    return hashlib.sha256((bundle / MANIFEST_FILE).read_bytes()).hexdigest()


def pack_bundles(bundles: Mapping[Task, Path], archive: Path) -> None:
    """Write a zip of champions' bundles, one folder a task."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
        for task, bundle in bundles.items():
            for path in sorted(bundle.rglob("*")):
                if path.is_file():
                    target.write(path, f"{task}/{path.relative_to(bundle).as_posix()}")


def unpack_bundles(archive: Path, folder: Path) -> dict[Task, Path]:
    """Unpack what `pack_bundles` packed into an empty folder; return the bundle of each task."""
    with zipfile.ZipFile(archive) as source:
        source.extractall(folder)
    return {task: folder / task for task in REGISTERED if (folder / task).is_dir()}


def pack_code(archive: Path) -> None:
    """Write a zip of our own modules, as they are here, that Python can import from."""
    home = Path(__file__).resolve().parent.parent.parent
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for package in PACKAGES:
            for path in sorted((home / package).rglob("*.py")):
                target.write(path, path.relative_to(home).as_posix())
