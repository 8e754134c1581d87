"""Files of exports: rows as CSV, NDJSON or Parquet, and how a file appears whole or not at all."""

import gzip
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final, Protocol, Self

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from serving.exports.csv_lines import csv_lines
from serving.rows import BY_NAME
from serving.schemas.export_request import Form
from serving.store.sqlite_control import replace_durably

_FLAGS: Final[dict[Any, str]] = {True: "true", False: "false"}
_TYPES: Final = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us", tz="UTC"),
}
_OWN_TYPES: Final = {"control_group": pa.bool_(), "control_group_share": pa.float64()}
_TEXT_FIRST: Final = (pa.date32(), pa.timestamp("us", tz="UTC"))


class RowWriter(Protocol):
    """Writes rows of one width; `close` ends the file."""

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows."""
        ...

    def close(self) -> None:
        """End the file; its stream stays open."""
        ...


def row_writer(form: Form, stream: IO[bytes], names: Sequence[str]) -> RowWriter:
    """Return the writer of a form, which has written the names already."""
    if form == "parquet":
        return _Parquet(stream, names)
    return _Ndjson(stream, names) if form == "ndjson" else _Csv(stream, names, excel=form == "excel")


class _Csv:
    def __init__(self, stream: IO[bytes], names: Sequence[str], *, excel: bool) -> None:
        self._stream = stream
        self._excel = excel
        stream.write(csv_lines([names], excel=excel, mark=excel))

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        worded = [[_FLAGS[cell] if isinstance(cell, bool) else cell for cell in row] for row in rows]
        self._stream.write(csv_lines(worded, excel=self._excel))

    def close(self) -> None:
        pass


class _Ndjson:
    def __init__(self, stream: IO[bytes], names: Sequence[str]) -> None:
        self._stream = stream
        self._names = names

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        lines = (orjson.dumps(dict(zip(self._names, row, strict=True))) for row in rows)
        self._stream.write(b"".join(line + b"\n" for line in lines))

    def close(self) -> None:
        pass


class _Parquet:
    def __init__(self, stream: IO[bytes], names: Sequence[str]) -> None:
        self._schema = pa.schema([(name, _type_of(name)) for name in names])
        self._writer = pq.ParquetWriter(stream, self._schema, compression="zstd")

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        columns = [
            pa.array(values, pa.string()).cast(field.type)
            if field.type in _TEXT_FIRST
            else pa.array(values, field.type)
            for values, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _type_of(name: str) -> pa.DataType:
    if name.startswith("item") and name.endswith("_price"):
        return pa.float64()
    column = BY_NAME.get(name)
    return _OWN_TYPES.get(name, pa.string()) if column is None else _TYPES.get(column.kind, pa.string())


class OutFile:
    """A file that gets its name when all of it is on the disk; readable for its owner alone.

    Leaving the block by an error removes it.
    """

    def __init__(self, folder: Path, name: str, *, packed: bool = False) -> None:
        self._path = folder / name
        self._partial = folder / f".{name}.partial"
        self._partial.unlink(missing_ok=True)
        descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        # No time in the head of a packed file: the same rows are the same bytes.
        self._gzip = gzip.GzipFile("", "wb", fileobj=self._file, mtime=0) if packed else None
        self.stream: IO[bytes] = self._gzip or self._file  # type: ignore[assignment]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        try:
            if self._gzip is not None:
                self._gzip.close()
            self._file.close()
            if kind is None:
                replace_durably(self._partial, self._path)
        finally:
            self._file.close()
            self._partial.unlink(missing_ok=True)


def describe_file(path: Path) -> dict[str, Any]:
    """Return the name, size and SHA-256 of a file."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}
