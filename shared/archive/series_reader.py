"""Whole histories of many series out of one partition's archive, a slice of neighbouring slots after the other.

Of a compacted file a slice needs one row group or two. Each is decoded by itself, only the columns that are needed, and
put at its place in arrays that all slices use in turn, while it is still in the processor's cache: decoding into new
memory costs twice as much. Files are decoded side by side.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from shared.archive.cover import Piece
from shared.archive.files import Archive
from shared.archive.piece_reader import Columns, PieceReader, Runs
from shared.balance.memory import Int32Array, Int64Array
from shared.balance.whole_series import SeriesRuns

_OPEN_FILES_MAX = 128
"""Files kept open from slice to slice; others are opened for each."""
_KEPT_ROWS_MAX = 12_000_000
"""Rows of row groups that the next slice needs too, kept decoded: 20 bytes each. Files that compaction has not made
final need be read once then: a partition has eight million rows in them at most (services/balancer/compaction.py)."""


class Choice(Protocol):
    """Which readings are taken."""

    def is_certain(self, first_offset: int, end_offset: int) -> bool:
        """Whether all readings of these messages are."""

    def taken(self, log_offset: Int64Array, position: Int32Array) -> npt.NDArray[np.bool_]:
        """Which of the readings at these places are."""


class SeriesReader:
    """Reads slices of a partition's series. A context manager: it holds files and threads."""

    def __init__(self, archive: Archive, partition: int, end_offset: int, choice: Choice, threads: int) -> None:
        """Reads messages before `end_offset`, and of them what `choice` takes, in so many threads."""
        self._archive = archive
        self._partition = partition
        self._end_offset = end_offset
        self._choice = choice
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="archive-reader")
        self._readers: dict[Piece, PieceReader] = {}
        self._columns = [Columns(0), Columns(0)]

    def __enter__(self) -> "SeriesReader":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._threads.shutdown(cancel_futures=True)
        for reader in self._readers.values():
            reader.close()

    def read(self, slots: Int32Array) -> SeriesRuns:
        """All readings of `slots` (ascending), each series' in runs that follow on one another as in the log.

        In a run they are in the order of time or of the log. The arrays are used again by the slice after the next one.
        """

        def work(pieces: Sequence[Piece]) -> SeriesRuns:
            return self._read(slots, pieces)

        return self._archive.with_cover(self._partition, work, self._end_offset)

    def _read(self, slots: Int32Array, pieces: Sequence[Piece]) -> SeriesRuns:
        self._open(pieces)
        wanted = np.zeros(int(slots[-1]) + 1, np.bool_)
        wanted[slots] = True
        readers = [self._readers[piece] for piece in pieces]
        rows = [reader.choose(slots) for reader in readers]
        ends = np.cumsum([0, *rows]).tolist()
        columns = self._room(ends[-1])

        def read(k: int) -> Runs:
            try:
                return readers[k].read(columns, ends[k], wanted, keep=ends[k + 1] <= _KEPT_ROWS_MAX)
            finally:
                if k >= _OPEN_FILES_MAX:
                    readers[k].close()

        return _in_series(slots, list(self._threads.map(read, range(len(readers)))), columns)

    def _open(self, pieces: Sequence[Piece]) -> None:
        """Brings the readers to `pieces`: compaction may have merged files since the last slice."""
        for piece in set(self._readers) - set(pieces):
            self._readers.pop(piece).close()
        for number, piece in enumerate(pieces):
            if piece not in self._readers:
                certain = self._choice.is_certain(piece.first_offset, piece.end_offset)
                self._readers[piece] = PieceReader(self._archive, piece, None if certain else self._choice.taken)
                if number >= _OPEN_FILES_MAX:
                    self._readers[piece].close()

    def _room(self, rows: int) -> Columns:
        """Arrays with room for so many rows, those that were used the slice before the last one if they do."""
        columns = self._columns.pop(0)
        if len(columns.slot) < rows:
            columns = Columns(rows + rows // 8)
        self._columns.append(columns)
        return columns


def _in_series(slots: Int32Array, found: Sequence[Runs], columns: Columns) -> SeriesRuns:
    """The runs of all pieces by series; those of a series stay in the order of the pieces."""
    slot = np.concatenate([np.zeros(0, np.int32), *(runs.slot for runs in found)])
    begin = np.concatenate([np.zeros(0, np.int64), *(runs.begin for runs in found)])
    end = np.concatenate([np.zeros(0, np.int64), *(runs.end for runs in found)])
    order = np.argsort(slot, kind="stable")
    first_run = np.searchsorted(slot[order], np.append(slots, slots[-1] + 1)).astype(np.int64)
    return SeriesRuns(slots, first_run, begin[order], end[order], columns.ts_s, columns.value, columns.version)
