"""Files of exports that name somebody: they are deleted, since who fetched them holds their sums."""

import gzip
import re
import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from serving.state.database import State
from serving.state.places import text_forms
from serving.state.tables import JOBS

_CHUNK_BYTES: Final = 1 << 22


def erase_exports(exports: Path, state: State, customer_ids: Collection[str]) -> int | None:
    """Delete the folders of jobs with a file that names people; return how many files, None while a job runs.

    A job that runs may have read its list before they were suppressed.
    """
    if not exports.exists() or not state.exists():
        return 0
    if _is_running(state):
        return None
    removed = 0
    for folder in sorted(path for path in exports.iterdir() if path.is_dir()):
        files = [path for path in folder.rglob("*") if path.is_file()]
        if any(_names(path, customer_ids) for path in files):
            shutil.rmtree(folder)
            removed += len(files)
            with state.writing() as connection:
                done = sa.and_(JOBS.c.job_id == folder.name, JOBS.c.status == "done")
                connection.execute(sa.update(JOBS).where(done).values(status="expired"))
    return removed


def _is_running(state: State) -> bool:
    running = sa.and_(JOBS.c.status == "running", JOBS.c.leased_until > time.time())
    with state.reading() as connection:
        return connection.execute(sa.select(JOBS.c.job_id).where(running).limit(1)).first() is not None


def _names(path: Path, customer_ids: Collection[str]) -> bool:
    """Say whether a file names somebody; of one that cannot be read nobody knows, so it counts as if."""
    try:
        if ".parquet" in path.suffixes or path.name.endswith(".parquet.partial"):
            return _in_parquet(path, customer_ids)
        return _in_text(path, customer_ids)
    except (OSError, EOFError, ValueError):
        return True


def _in_parquet(path: Path, customer_ids: Collection[str]) -> bool:
    ids = pq.read_table(path, columns=["customer_id"])["customer_id"]
    return any(pc.any(pc.equal(ids, each)).as_py() for each in customer_ids)


def _in_text(path: Path, customer_ids: Collection[str]) -> bool:
    """Look for ids as CSV and JSON write them, not as parts of longer words."""
    forms = {form.encode() for form in text_forms(customer_ids)}
    forms |= {form.replace(b'"', b'""') for form in forms}
    words = re.compile(
        b"(?<![0-9A-Za-z])(?:" + b"|".join(map(re.escape, sorted(forms))) + b")(?![0-9A-Za-z])"
    )
    overlap = max(map(len, forms)) + 2
    before = b""
    for chunk in _chunks(path):
        if words.search(before + chunk):
            return True
        before = chunk[-overlap:]
    return False


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as head:
        is_packed = head.read(2) == b"\x1f\x8b"
    with gzip.open(path) if is_packed else path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk
