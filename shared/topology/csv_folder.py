"""Reads the CSV files of a topology folder into columns, each row with the line on which it begins."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shared.errors import BilansError
from shared.topology.rows import FILES, FileColumns, TopologyError

if TYPE_CHECKING:
    from _csv import Reader

_ROWS_AT_ONCE = 65_536
"""Rows held as Python lists before they become columns: bounds the memory that a large file takes."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows of one file, a column each; `line` says where a row begins.

    Rows whose `spoilt` is set are reported already (too few cells, not UTF-8): what they name is known to exist,
    but no further error is looked for in them.
    """

    file: str
    columns: dict[str, pa.Array]
    line: npt.NDArray[np.int64]
    spoilt: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        """How many rows."""
        return len(self.line)


def read_folder(folder: Path, errors: list[TopologyError]) -> dict[str, Sheet]:
    """The files of `folder` by name; what cannot be read is added to `errors`, its file is left out.

    Raises BilansError when there is no such folder.
    """
    if not folder.is_dir():
        raise BilansError(f"There is no folder {folder}.", "Name a folder that holds zones.csv and meters.csv.")
    sheets = {}
    for wanted in FILES:
        sheet = _read_file(folder / wanted.file, wanted, errors)
        if sheet is not None:
            sheets[wanted.file] = sheet
    return sheets


def _read_file(path: Path, wanted: FileColumns, errors: list[TopologyError]) -> Sheet | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if wanted.must_exist:
            errors.append(TopologyError(wanted.file, 0, "the file is missing"))
        return None
    except OSError as error:
        errors.append(TopologyError(wanted.file, 0, f"the file cannot be read: {error.strerror}"))
        return None
    text, bad_lines = _decode(content, wanted.file, errors)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = _header(reader, wanted, errors)
    if header is None:
        return None
    return _rows(reader, header, wanted, bad_lines, errors)


def _decode(content: bytes, file: str, errors: list[TopologyError]) -> tuple[str, frozenset[int]]:
    """The text of a file, a byte order mark left out, and the lines that are not UTF-8."""
    try:
        return content.decode("utf-8-sig"), frozenset()
    except UnicodeDecodeError:
        pass
    bad_lines = set()
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            bad_lines.add(number)
            what = f"not UTF-8: byte 0x{line[error.start]:02x} at place {error.start + 1} of the line"
            errors.append(TopologyError(file, number, what))
    return content.decode("utf-8-sig", errors="replace"), frozenset(bad_lines)


def _header(reader: "Reader", wanted: FileColumns, errors: list[TopologyError]) -> list[str] | None:
    """The names of the columns, or None (and the errors) when the file cannot be understood by them."""
    try:
        header: list[str] = next(reader, [])
    except csv.Error as error:
        errors.append(TopologyError(wanted.file, 1, f"not CSV: {error}"))
        return None
    missing = [name for name in wanted.needed if name not in header]
    twice = sorted({name for name in header if name in wanted.columns and header.count(name) > 1})
    for name in missing:
        hint = "" if len(header) > 1 else " (columns are separated by commas)"
        errors.append(TopologyError(wanted.file, 1, f"column {name} is missing{hint}"))
    errors.extend(TopologyError(wanted.file, 1, f"column {name} is there twice") for name in twice)
    return None if missing or twice else header


def _rows(
    reader: "Reader",
    header: list[str],
    wanted: FileColumns,
    bad_lines: frozenset[int],
    errors: list[TopologyError],
) -> Sheet:
    """All rows after the header; an empty line is no row."""
    width = len(header)
    chunks: dict[str, list[pa.Array]] = {name: [] for name in wanted.columns if name in header}
    rows: list[list[str]] = []
    lines: list[int] = []
    spoilt: list[int] = []

    def keep() -> None:
        cells = list(zip(*rows, strict=True))
        for name, column in chunks.items():
            column.append(pa.array(cells[header.index(name)], pa.string()))
        rows.clear()

    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            errors.append(TopologyError(wanted.file, line, f"not CSV: {error}"))
            continue
        if not row:
            continue
        if len(row) != width:
            errors.append(TopologyError(wanted.file, line, f"{len(row)} cells where the header has {width}"))
            spoilt.append(len(lines))
            row = (row + [""] * width)[:width]
        elif bad_lines and not bad_lines.isdisjoint(range(line, reader.line_num + 1)):
            spoilt.append(len(lines))
        lines.append(line)
        rows.append(row)
        if len(rows) == _ROWS_AT_ONCE:
            keep()
    if rows:
        keep()
    spoilt_rows = np.zeros(len(lines), np.bool_)
    spoilt_rows[spoilt] = True
    columns = {
        name: pa.concat_arrays(chunks[name]) if chunks.get(name) else pa.repeat("", len(lines))
        for name in wanted.columns
    }
    return Sheet(wanted.file, columns, np.array(lines, np.int64), spoilt_rows)
