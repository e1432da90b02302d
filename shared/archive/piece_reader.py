"""One file of the archive, or a part of it, read row group by row group for the series that are asked for."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from shared.archive.cover import Piece
from shared.archive.files import Archive
from shared.archive.take_rows import Flags, take_rows
from shared.balance.memory import Int32Array, Int64Array

Taken = Callable[[Int64Array, Int32Array], Flags]


class Columns:
    """Room for readings, a column each."""

    def __init__(self, rows: int) -> None:
        """So many rows; nothing is in them yet."""
        self.slot: Int32Array = np.empty(rows, np.int32)
        self.ts_s: Int64Array = np.empty(rows, np.int64)
        self.value: Int64Array = np.empty(rows, np.int64)
        self.version: Int32Array = np.empty(rows, np.int32)


class Runs(NamedTuple):
    """Runs of readings of one slot: where each begins and ends in the columns."""

    slot: Int32Array
    begin: Int64Array
    end: Int64Array


class _Extents(NamedTuple):
    """What a file's metadata says of its row groups, an element each."""

    slot_min: Int64Array
    """No slot is less …"""
    slot_max: Int64Array
    """… and none is greater."""
    rows: Int64Array
    version: list[int | None]
    """The version of all readings, where there is but one."""


class _Group(NamedTuple):
    """A decoded row group."""

    slot: Int32Array
    ts_ms: Int64Array
    value: Int64Array
    version: Int32Array
    """One for all, where there is but one."""


class PieceReader:
    """Reads a piece for slices of slots that follow on one another."""

    def __init__(self, archive: Archive, piece: Piece, taken: Taken | None) -> None:
        """`taken` says of readings by their place in the log which are to be read; None: all of the piece's are."""
        self._archive = archive
        self._piece = piece
        self._taken = taken
        self._file: pq.ParquetFile | None = None
        self._extents = _extents(self._opened().metadata)
        self._chosen: list[int] = []
        self._chosen_rows = 0
        self._kept: dict[int, _Group] = {}

    def close(self) -> None:
        """Closes the file; it is opened again when it is needed."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def choose(self, slots: Int32Array) -> int:
        """Chooses the row groups that may have one of `slots`; how many rows they have."""
        least, most = self._extents.slot_min, self._extents.slot_max
        next_slot = slots[np.minimum(np.searchsorted(slots, least), len(slots) - 1)]
        chosen = (least <= next_slot) & (next_slot <= most)
        self._chosen = np.flatnonzero(chosen).tolist()
        self._chosen_rows = int(self._extents.rows[chosen].sum())
        return self._chosen_rows

    def read(self, columns: Columns, begin: int, wanted: Flags, *, keep: bool) -> Runs:
        """Puts the readings of wanted slots, among the chosen row groups, into `columns` from `begin` on.

        Returns where they are. A file that is not by slot is brought in that order, and of a slot its readings stay in
        the order of the file. `keep`: row groups that have later slots too are kept for them.
        """
        kept: dict[int, _Group] = {}
        at, runs, run_begin = begin, 0, np.empty(self._chosen_rows, np.int64)
        to = columns.slot, columns.ts_s, columns.value, columns.version
        for number in self._chosen:
            group = self._kept[number] if number in self._kept else self._decoded(number)
            at, runs = take_rows(*group, wanted, *to, at, run_begin, runs)
            if keep and self._extents.slot_max[number] >= len(wanted):
                kept[number] = group
        self._kept = kept
        found = _runs(columns.slot, run_begin[:runs], at)
        if (found.slot[1:] > found.slot[:-1]).all():
            return found
        order = np.argsort(columns.slot[begin:at], kind="stable")
        for column in to:
            column[begin:at] = column[begin:at][order]
        return _runs(columns.slot, begin + np.flatnonzero(np.diff(columns.slot[begin:at], prepend=-1)), at)

    def _opened(self) -> pq.ParquetFile:
        if self._file is None:
            self._file = self._archive.open(self._piece.file.path)
        return self._file

    def _decoded(self, number: int) -> _Group:
        """A row group's readings of this piece."""
        version = self._extents.version[number]
        places = not self._piece.whole or self._taken is not None
        names = ["slot", "ts", "value"]
        names += (["version"] if version is None else []) + (["log_offset", "position"] if places else [])
        table = self._opened().read_row_group(number, columns=names, use_threads=False)
        group = _Group(
            _column(table, "slot", pa.int32()),
            _column(table, "ts", pa.timestamp("ms", tz="UTC")),
            _column(table, "value", pa.int64()),
            _column(table, "version", pa.int32()) if version is None else np.array([version], np.int32),
        )
        if not places:
            return group
        taken = self._taken_of(_column(table, "log_offset", pa.int64()), _column(table, "position", pa.int32()))
        return _Group(
            group.slot[taken],
            group.ts_ms[taken],
            group.value[taken],
            group.version[taken] if version is None else group.version,
        )

    def _taken_of(self, log_offset: Int64Array, position: Int32Array) -> Flags:
        taken: Flags = (log_offset >= self._piece.first_offset) & (log_offset < self._piece.end_offset)
        return taken if self._taken is None else taken & self._taken(log_offset, position)


def _runs(slot: Int32Array, begin: npt.NDArray[np.int64], end: int) -> Runs:
    """Runs that follow on one another up to `end`."""
    return Runs(slot[begin], begin, np.append(begin[1:], end)[: len(begin)])


def _column(table: pa.Table, name: str, kind: pa.DataType) -> Any:
    """A column as NumPy has it, instants as whole numbers; nothing is copied where its type is right already."""
    column = table.column(name).cast(kind)
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return (array.view(pa.int64()) if pa.types.is_timestamp(kind) else array).to_numpy()


def _extents(metadata: pq.FileMetaData) -> _Extents:
    """The row groups' extents, as far as their statistics say."""
    names = metadata.schema.names
    slots, versions, rows = [], [], []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        slots.append(_range(group.column(names.index("slot"))) or (-1, 2**31))
        least, most = _range(group.column(names.index("version"))) or (0, 1)
        versions.append(least if least == most else None)
        rows.append(group.num_rows)
    slot_min, slot_max = np.array(slots, np.int64).reshape(-1, 2).T
    return _Extents(slot_min, slot_max, np.array(rows, np.int64), versions)


def _range(column: pq.ColumnChunkMetaData) -> tuple[int, int] | None:
    """The least and the greatest of a row group's column; None where the file does not say."""
    statistics = column.statistics
    return (statistics.min, statistics.max) if statistics is not None and statistics.has_min_max else None
