"""The set-up's files: what was uploaded, what it seems to be, and the process that works on it."""

import asyncio
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

from features.layout import Layout
from serving.setup_run import MAPPING, STATUS, SetupStatus, read_status, uploaded

SUFFIXES: Final = (".csv", ".tsv", ".txt", ".xlsx", ".xls", ".ods", ".parquet")
UPLOAD_BYTES_MAX: Final = 4 * 1024**3
_GUESS: Final = "guess.json"
_CHOSEN: Final = "chosen.json"
_LOG: Final = "log.txt"
_GUESS_SECONDS: Final = 300.0
_FORMAT: Final = re.compile(r"[a-z-]{1,32}")


class SetupError(Exception):
    """What a person has to mend: a code that the page has words for, and what the program said."""

    def __init__(self, code: str, said: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.said = said


def can_train() -> bool:
    """Say whether this installation can load and train, or only serve."""
    return importlib.util.find_spec("polars") is not None and importlib.util.find_spec("mlflow") is not None


class SetupDesk:
    """The set-up of one data set; there is one at a time."""

    def __init__(self, layout: Layout) -> None:
        self._root = layout.root
        self._folder = layout.setup

    @property
    def status(self) -> SetupStatus | None:
        """How far the work is; None before it began."""
        return read_status(self._folder)

    @property
    def guess(self) -> dict[str, Any] | None:
        """What the uploaded file seems to be; None without one."""
        found = None if uploaded(self._folder) is None else self._read(_GUESS)
        # One of an earlier version says less: the file is uploaded anew.
        return found if found is not None and "encoding" in found else None

    @property
    def chosen(self) -> dict[str, Any] | None:
        """What was chosen last, of a form that was refused, too; None before anything was."""
        return self._read(_CHOSEN)

    def choose(self, choices: Mapping[str, Any]) -> None:
        """Keep what was chosen, so that nobody has to choose again what was right."""
        (self._folder / _CHOSEN).write_text(json.dumps(choices, ensure_ascii=False), encoding="utf-8")

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self._folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found

    async def keep(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Keep an uploaded file and look at it; raises `SetupError`, and then nothing is kept."""
        suffix = Path(name).suffix.lower()
        if suffix not in SUFFIXES:
            raise SetupError("suffix")
        self.clear()
        self._folder.mkdir(mode=0o700, parents=True)
        path = self._folder / f"orders{suffix}"
        try:
            await self._write(path, chunks)
            await self._look(path, name)
        except SetupError:
            self.clear()
            raise

    async def _write(self, path: Path, chunks: AsyncIterator[bytes]) -> None:
        byte_count = 0
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            async for chunk in chunks:
                byte_count += len(chunk)
                if byte_count > UPLOAD_BYTES_MAX:
                    raise SetupError("too_large")
                await asyncio.to_thread(stream.write, chunk)
        if byte_count == 0:
            raise SetupError("empty")

    async def _look(self, path: Path, name: str) -> None:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "features.guess",
            str(path),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            found, complaint = await asyncio.wait_for(child.communicate(), _GUESS_SECONDS)
        except TimeoutError:
            child.kill()
            raise SetupError("unreadable", "no answer in time") from None
        if child.returncode != 0:
            raise SetupError("unreadable", complaint.decode("utf-8", "replace").strip())
        described = json.loads(found) | {"name": Path(name).name[:128]}
        if described["row_count"] == 0:
            raise SetupError("no_rows")
        (self._folder / _GUESS).write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")

    def start(self, mapping: Mapping[str, Any], *, mode: str) -> None:
        """Begin the work with a mapping (of the mapping file); raises `SetupError`."""
        guess, status = self.guess, self.status
        if guess is None:
            raise SetupError("no_file")
        if status is not None and status.state == "running":
            raise SetupError("running")
        words = ["--mode", "replace" if mode == "replace" else "upsert"]
        if guess["format"] in ("csv", "parquet", "xlsx"):
            (self._folder / MAPPING).write_text(mapping_text(mapping), encoding="utf-8")
        elif _FORMAT.fullmatch(guess["format"]):
            words += ["--format", guess["format"]]
            written = {"encoding": guess["encoding"], "columns": {}}
            (self._folder / MAPPING).write_text(mapping_text(written), encoding="utf-8")
        with (self._folder / _LOG).open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "serving.setup_run", *words, "--var", str(self._root)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # It goes on where this process ends.
                start_new_session=True,
            )
        # Waited for, so that one that was killed is seen to be gone.
        threading.Thread(target=child.wait, daemon=True).start()
        begun = SetupStatus(state="running", pid=child.pid)
        (self._folder / STATUS).write_text(begun.model_dump_json(), encoding="utf-8")

    def clear(self) -> None:
        """Forget the set-up and the uploaded file; raises `SetupError` while it works."""
        status = self.status
        if status is not None and status.state == "running":
            raise SetupError("running")
        shutil.rmtree(self._folder, ignore_errors=True)


def mapping_text(mapping: Mapping[str, Any]) -> str:
    r"""Return a mapping as the TOML of a mapping file.

    >>> mapping_text({"currency": "EUR", "columns": {"Kunde \"x\"": "customer_id"}})
    'currency = "EUR"\n\n[columns]\n"Kunde \\"x\\"" = "customer_id"\n'
    """
    # A JSON string is a TOML string, too: the same quotes and escapes (but DEL, which TOML wants escaped).
    lines = [f"{name} = {_text(value)}" for name, value in mapping.items() if name != "columns" and value]
    columns = [f"{_text(name)} = {_text(canonical)}" for name, canonical in mapping["columns"].items()]
    return "\n".join([*lines, "", "[columns]", *columns]) + "\n"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
