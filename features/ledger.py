"""The ledger of scores: what every published run said of every customer, kept until it can be graded.

    ledger/2026-07-01_20260701T001000Z_s_0042.parquet      as of, scored at, score run

A file a run and a row a customer, written whole and never changed, except that a customer can be forgotten
(`forget`). Scoring a date again adds a file: both runs stay, and the newer one is graded. Serving writes,
training reads; this module is all they share. (The ledger of `features.orders` is another: what each instant
added to a customer's orders.)

Columns: `customer_id`; `as_of`, `score_run_id`, `method`, `churn_model_version`, `clv_method` and
`clv_model_version`, so that any tool can read the folder as one table; `churn_probability_h` for every served
horizon h (days) and the headline, to five decimals; `predicted_clv_h` for every served horizon and that of
`predicted_clv`, whose 10th and 90th percentile are `predicted_clv_low` and `predicted_clv_high`, in cents.
They are kept as Float32 and read back as the numbers that were said, amounts up to 131,072.00; a larger one
keeps seven digits. A row takes 25 to 40 bytes beside its id, which costs next to nothing if it is a number.
"""

import fcntl
import os
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from features.basis import Basis, BasisName
from features.errors import UserError

GRACE_DAYS = 90
PROBABILITY_DIGITS = 5
_CENT_DIGITS = 2
_CONSTANTS = ("as_of", "score_run_id", "method", "churn_model_version", "clv_method", "clv_model_version")
_ROWS_AT_ONCE = 20_000
_OLDEST = pl.CompatLevel.oldest()
_BOUNDS = ("predicted_clv_low", "predicted_clv_high")
_RUN_KEY, _SUM_KEY = b"regulars_ledger_run", b"regulars_ledger_run_crc32"


class LedgerError(UserError):
    """A file of the ledger cannot be written or read."""


class LedgerRun(BaseModel):
    """What is the same for every customer of a run; it lies in the file's metadata.

    `churn_horizons_days`  ascending, the headline among them
    `clv_horizons_days`    ascending, `clv_horizon_days` among them: there `predicted_clv` has its interval
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    score_run_id: Annotated[str, Field(pattern=r"^[\w-]+$")]
    as_of: date
    scored_at: AwareDatetime
    time_zone: str
    currency: str
    clv_basis: BasisName
    margin_share: float = 0.0
    churn_horizon_days: int
    churn_horizons_days: tuple[int, ...]
    clv_horizon_days: int
    clv_horizons_days: tuple[int, ...]
    method: str
    churn_model_version: int
    clv_method: str
    clv_model_version: int
    customer_count: int

    @property
    def basis(self) -> Basis:
        """The money basis of what was said."""
        return Basis(self.clv_basis, self.margin_share)

    @property
    def file_name(self) -> str:
        """The run's file; sorted by name, files are sorted by as_of and then by age."""
        return f"{self.as_of}_{self.scored_at.astimezone(UTC):%Y%m%dT%H%M%SZ}_{self.score_run_id}.parquet"

    @property
    def horizons_days(self) -> tuple[int, ...]:
        """Every horizon of the run, ascending."""
        return tuple(sorted({*self.churn_horizons_days, *self.clv_horizons_days}))


def write_run(folder: Path, run: LedgerRun, parts: Iterable[pl.DataFrame], *, keep_days: int = 0) -> Path:
    """Write a run's file, and remove the files of runs that are older than `keep_days`.

    `parts` have one row a customer and the columns of the module's docstring (further ones are left out);
    those of the run are added. Each is a group of rows of the file; their customers come one after another,
    sorted. Age is counted between dates of `as_of`; 0 days stand for the run's longest horizon and 90 days,
    so that late orders can still be told. Raises `LedgerError` where the disk does not let it.
    """
    path = folder / run.file_name
    try:
        with _only_one(folder):
            _write(path, run, parts)
            _remove_older(folder, run.as_of - timedelta(keep_days or run.horizons_days[-1] + GRACE_DAYS))
    except OSError as error:
        raise LedgerError(f"{path} cannot be written: {error.strerror or error}") from None
    return path


def list_files(folder: Path) -> list[Path]:
    """Return the files of a ledger, the oldest `as_of` first, and of one `as_of` the oldest run first."""
    return sorted(folder.glob("*.parquet"))


def read_run(path: Path) -> LedgerRun:
    """Read what is true of a whole run, and none of its rows; raises `LedgerError` for a damaged file."""
    with _readable(path):
        metadata = pq.read_schema(path).metadata
        if _sum_of(metadata[_RUN_KEY]) != metadata[_SUM_KEY]:
            raise ValueError
        return LedgerRun.model_validate_json(metadata[_RUN_KEY])


def read_rows(path: Path, run: LedgerRun) -> pl.DataFrame:
    """Read a run's rows, sorted by customer: `customer_id`, probabilities and money as they were said.

    Every page is checked against its sum; raises `LedgerError` for a damaged file.
    """
    found = list(iterate_rows(path, run, [*_churn_names(run), *_clv_names(run)]))
    return pl.concat(found)


def iterate_rows(path: Path, run: LedgerRun, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield `customer_id` and some of a run's numbers, sorted by customer, as `read_rows` does, in parts.

    The first part has no row, so that there is always one.
    """
    columns = ["customer_id", *names]
    rounded = [
        pl.col(name).cast(pl.Float64).round(PROBABILITY_DIGITS if name in _churn_names(run) else _CENT_DIGITS)
        for name in names
    ]
    with _readable(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        yield pl.DataFrame(schema={"customer_id": pl.String, **dict.fromkeys(names, pl.Float64)})
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=columns, use_threads=False):
            # Without the schema's metadata: where they are damaged, Polars panics instead of raising.
            rows = pl.DataFrame(batch.replace_schema_metadata(None).select(columns))
            yield rows.with_columns(rounded)


def forget(folder: Path, customers: Collection[str]) -> int:
    """Remove customers from every run, rewriting the files that hold them; return the rows removed.

    Raises `LedgerError` for a damaged file, after the others were cleaned: who stands in it cannot be told.
    """
    if not folder.exists():
        return 0
    removed, damaged = 0, []
    with _only_one(folder):
        for path in list_files(folder):
            try:
                removed += _forget_in(path, customers)
            except LedgerError as error:
                damaged.append(error)
    if damaged:
        raise damaged[0]
    return removed


def _forget_in(path: Path, customers: Collection[str]) -> int:
    run = read_run(path)
    rows = read_rows(path, run)
    left = rows.filter(~pl.col("customer_id").is_in(list(customers)))
    if left.height < rows.height:
        _write(path, run.model_copy(update={"customer_count": left.height}), [left])
    return rows.height - left.height


def _churn_names(run: LedgerRun) -> list[str]:
    return [f"churn_probability_{days}" for days in run.churn_horizons_days]


def _clv_names(run: LedgerRun) -> list[str]:
    return [*(f"predicted_clv_{days}" for days in run.clv_horizons_days), *_BOUNDS]


def _write(path: Path, run: LedgerRun, parts: Iterable[pl.DataFrame]) -> None:
    text = run.model_dump_json().encode()
    floats = [*_churn_names(run), *_clv_names(run)]
    schema = _stored(run, pl.DataFrame(schema=["customer_id", *floats])).to_arrow(compat_level=_OLDEST).schema
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as stream:
            with pq.ParquetWriter(
                stream,
                schema.with_metadata({_RUN_KEY: text, _SUM_KEY: _sum_of(text)}),
                compression="zstd",
                use_dictionary=list(_CONSTANTS),
                column_encoding={
                    "customer_id": "DELTA_BYTE_ARRAY",
                    **dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
                },
                write_page_checksum=True,
            ) as writer:
                for rows in parts:
                    writer.write_table(_stored(run, rows).to_arrow(compat_level=_OLDEST))
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _stored(run: LedgerRun, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort("customer_id").select(
        pl.col("customer_id").cast(pl.String),
        *(pl.lit(getattr(run, name)).alias(name) for name in _CONSTANTS),
        pl.col(_churn_names(run)).cast(pl.Float64).round(PROBABILITY_DIGITS).cast(pl.Float32),
        pl.col(_clv_names(run)).cast(pl.Float64).round(_CENT_DIGITS).cast(pl.Float32),
    )


def _sum_of(text: bytes) -> bytes:
    """Return a sum that shows damage; Parquet has one for every page, but none for the file's metadata."""
    return f"{zlib.crc32(text):08x}".encode()


def _remove_older(folder: Path, oldest: date) -> None:
    for path in list_files(folder):
        # ISO dates sort as text, and a file of another name is not ours to remove.
        if path.name[4:5] == path.name[7:8] == "-" and path.name[:10] < oldest.isoformat():
            path.unlink(missing_ok=True)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let one process at a time change the ledger; what a killed one left half-written is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "ledger.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for path in folder.glob("*.partial"):
            path.unlink(missing_ok=True)
        yield


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn everything that a damaged file can raise into one line that names it."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        what = "cannot be read" if isinstance(error, PermissionError | FileNotFoundError) else "is damaged"
        raise LedgerError(
            f"{path} {what}: its run cannot be graded; remove the file if it stays so"
        ) from None
