"""The real data sets of the benchmarks, loaded through the ordinary importers into a folder of their own.

Complete Journey and CDNOW come from installed distributions; Online Retail is a file that `ONLINE_RETAIL`
names (by default one beside the checkout), and is left out where it is absent.
"""

import csv
import os
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path

ONLINE_RETAIL = Path(os.environ.get("ONLINE_RETAIL", "../shared/data/online_retail.parquet"))


def load_set(name: str, folder: Path) -> Path | None:
    """Load one set (cj, cdnow, or) under `folder/name`, once; None where its file is absent."""
    var = folder / name
    if (var / "history" / "manifest.json").exists():
        return var
    var.mkdir(parents=True, exist_ok=True)
    if name == "cj":
        _ingest(var, "--format", "complete-journey")
    elif name == "or":
        if not ONLINE_RETAIL.exists():
            return None
        _ingest(var, "--file", str(ONLINE_RETAIL), "--format", "online-retail")
    else:
        _ingest(var, "--file", str(_write_cdnow(var / "cdnow.csv")), "--format", "csv")
    return var


def _write_cdnow(path: Path) -> Path:
    """Turn the CDNOW master file (customer, date, CDs, dollars in fixed columns) into a canonical CSV."""
    names = [name for name in files("lifetimes") or [] if name.name == "CDNOW_master.txt"]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["customer_id", "ordered_at", "quantity", "amount"])
        for line in names[0].read_text().splitlines()[1:]:
            if line.strip():
                customer, day, quantity, amount = line.split()
                writer.writerow([customer, f"{day[:4]}-{day[4:6]}-{day[6:]}", quantity, amount])
    return path


def _ingest(var: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "features.ingest", *arguments, "--mode", "replace", "--var", str(var)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
