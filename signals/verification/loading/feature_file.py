"""Reading files of on-chain features, CSV or Parquet; each line is validated and known by its number."""

import csv
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

from signals.choices import WINDOW_MINUTES
from signals.verification.errors import ConfigurationError
from signals.verification.tokens import CHAIN_NAME

MAX_INTEGER: Final = 2**31 - 1
PARQUET_BATCH: Final = 10_000

_ADDRESS: Final = re.compile(r"[^\s:]{1,200}")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_YEARS: Final = (1970, 9998)
_DIGITS: Final = re.compile(r"[0-9]{1,10}")


class UnreadableFile(Exception):
    """A file of features cannot be read as a whole; nothing was loaded."""


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """A line of a file: its number, and for each column the text of the value, None if it is empty."""

    line: int
    values: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be loaded, and why. In a Parquet file it is the number of the row."""

    line: int
    problem: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.problem}"


def _chain(text: str) -> str | None:
    return None if CHAIN_NAME.fullmatch(text) else "is not the name of a chain"


def _address(text: str) -> str | None:
    return None if _ADDRESS.fullmatch(text) else "is not an address"


def _time(text: str) -> str | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return "is not a time (write it as 2026-03-01T12:00:00Z)"
    if not _YEARS[0] <= time.year <= _YEARS[1]:
        return f"is not in the years {_YEARS[0]} to {_YEARS[1]}"
    return None if time.tzinfo else "has no time zone (write it as 2026-03-01T12:00:00Z)"


def _window(text: str) -> str | None:
    known = text in map(str, WINDOW_MINUTES)
    return None if known else f"is not a window (one of {', '.join(map(str, WINDOW_MINUTES))})"


def _count(text: str) -> str | None:
    if _DIGITS.fullmatch(text) and int(text) <= MAX_INTEGER:
        return None
    return f"is not a whole number from 0 to {MAX_INTEGER}"


def _version(text: str) -> str | None:
    if _DIGITS.fullmatch(text) and 1 <= int(text) <= MAX_INTEGER:
        return None
    return f"is not a whole number from 1 to {MAX_INTEGER}"


def _decimal(text: str) -> str | None:
    return None if len(text) <= 200 and _NUMBER.fullmatch(text) else "is not a finite number"  # noqa: PLR2004 - longer than any measurement


REQUIRED: Final[Mapping[str, Callable[[str], str | None]]] = MappingProxyType(
    {
        "chain": _chain,
        "address": _address,
        "as_of_ts": _time,
        "window_minutes": _window,
        "calc_version": _version,
    }
)
"""The columns that a file must have and each line must fill, with what finds the fault of a text."""

OPTIONAL: Final[Mapping[str, Callable[[str], str | None]]] = MappingProxyType(
    {
        "addr_active": _count,
        "tx_count": _count,
        "growth_ratio": _decimal,
        "top10_share": _decimal,
        "self_loop_ratio": _decimal,
    }
)
"""The columns that a file may have; an empty value is NULL."""

COLUMNS: Final = (*REQUIRED, *OPTIONAL)
"""The columns of a row, in its order."""


def read_feature_file(file: Path) -> Iterator[FeatureRow | BadLine]:
    """Yield the lines of the file, each as a row or with its problem.

    Raise UnreadableFile if the file cannot be opened, is of no known kind or lacks a column, and
    ConfigurationError if it is Parquet and pyarrow is not installed.
    """
    read = {".csv": _read_csv, ".parquet": _read_parquet}.get(file.suffix.lower())
    if read is None:
        raise UnreadableFile(f"{str(file)!r} is neither .csv nor .parquet (rename it)")
    with _opened(file) as stream:
        yield from read(file, stream)


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    """Open a regular file; opening a FIFO would wait for somebody who writes to it."""
    try:
        with open(
            file, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)
        ) as it:
            if not stat.S_ISREG(os.fstat(it.fileno()).st_mode):
                raise UnreadableFile(f"{str(file)!r} is not a regular file")
            yield it
    except OSError as error:
        raise UnreadableFile(f"{str(file)!r} cannot be read: {error.strerror or error}") from None


def _read_csv(file: Path, stream: IO[bytes]) -> Iterator[FeatureRow | BadLine]:
    lines = (
        line.decode("utf-8-sig" if number == 0 else "utf-8") for number, line in enumerate(stream)
    )
    reader = csv.reader(lines, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        places = _places(file, header)
        first = reader.line_num + 1
        for fields in reader:
            if fields:  # else the line is empty
                yield _row(first, fields, places, len(header))
            first = reader.line_num + 1
    except UnicodeDecodeError:
        where = f"line {reader.line_num + 1}"
        raise UnreadableFile(f"{str(file)!r} is not UTF-8 at {where} (save it as UTF-8)") from None
    except csv.Error as error:
        where = f"line {reader.line_num}"
        raise UnreadableFile(f"{str(file)!r} is not CSV at {where}: {error}") from None


def _row(
    line: int, fields: Sequence[str], places: Sequence[int | None], width: int
) -> FeatureRow | BadLine:
    if len(fields) != width:
        return BadLine(line, f"has {len(fields)} values, and the header has {width}")
    return _validated(
        line, [None if place is None else fields[place].strip() or None for place in places]
    )


def _read_parquet(file: Path, stream: IO[bytes]) -> Iterator[FeatureRow | BadLine]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ConfigurationError(
            "a Parquet file needs the package pyarrow (pip install pyarrow, or load a CSV file)"
        ) from None
    try:
        source = parquet.ParquetFile(stream)
        places = _places(file, source.schema_arrow.names)
        names = [None if place is None else source.schema_arrow.names[place] for place in places]
        line = 0
        for batch in source.iter_batches(PARQUET_BATCH, columns=[name for name in names if name]):
            for values in batch.to_pylist():
                line += 1
                yield _validated(line, [_as_text(values[name]) if name else None for name in names])
    except (pa.ArrowException, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UnreadableFile(f"{str(file)!r} is not Parquet: {reason}") from None


def _as_text(value: Any) -> str | None:
    """Return a value of Parquet as it would stand in a CSV file."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else repr(value)


def _places(file: Path, header: Sequence[str]) -> list[int | None]:
    """Return where the file has each column of COLUMNS."""
    if missing := [name for name in REQUIRED if name not in header]:
        raise UnreadableFile(f"{str(file)!r} has no column {', '.join(missing)}")
    if unknown := [name for name in header if name not in COLUMNS]:
        known = ", ".join(COLUMNS)
        raise UnreadableFile(
            f"{str(file)!r} has the unknown column {unknown[0][:100]!r} (known: {known})"
        )
    if len(set(header)) < len(header):
        raise UnreadableFile(f"{str(file)!r} has a column twice")
    return [header.index(name) if name in header else None for name in COLUMNS]


def _validated(line: int, values: Sequence[str | None]) -> FeatureRow | BadLine:
    for name, value in zip(COLUMNS, values, strict=True):
        if value is None:
            if name in REQUIRED:
                return BadLine(line, f"{name} is empty")
        elif problem := _FAULTS[name](value):
            return BadLine(line, f"{name} {value[:100]!r} {problem}")
    # Python reads more forms of ISO 8601 than PostgreSQL.
    time = datetime.fromisoformat(values[_TIME_PLACE] or "").isoformat()
    return FeatureRow(line, (*values[:_TIME_PLACE], time, *values[_TIME_PLACE + 1 :]))


_FAULTS: Final = {**REQUIRED, **OPTIONAL}
_TIME_PLACE: Final = COLUMNS.index("as_of_ts")
