"""What the archive has of series, and the messages of a stretch of the log that it gives back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial as bound
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from shared.archive.cover import Piece
from shared.archive.files import Archive
from shared.archive.message import ArchivedMessage
from shared.archive.rows import PLACE_COLUMNS
from shared.balance.memory import Int32Array, Int64Array
from shared.readings_message import ReadingColumns


@dataclass(frozen=True, slots=True)
class ArchivedReadings:
    """Readings of one partition out of the archive, a column each, all of the same length."""

    slot: Int32Array
    ts_s: Int64Array
    value: Int64Array
    version: Int32Array
    log_offset: Int64Array
    """The message's place in the log …"""
    position: Int32Array
    """… and the reading's in the message."""

    def __len__(self) -> int:
        """How many readings."""
        return len(self.slot)

    def take(self, order: npt.NDArray[Any]) -> "ArchivedReadings":
        """The readings at the places in `order`, or where it is true."""
        return ArchivedReadings(
            self.slot[order],
            self.ts_s[order],
            self.value[order],
            self.version[order],
            self.log_offset[order],
            self.position[order],
        )


@dataclass(frozen=True, slots=True)
class Stretch:
    """Messages of the log, in its order: all that the archive keeps from where the stretch before it ended."""

    end_offset: int
    messages: list[ArchivedMessage]


def read_history(archive: Archive, partition: int, slots: Int32Array | None, end_offset: int) -> ArchivedReadings:
    """All archived readings of `slots` (sorted, each once; None: of all) in messages before `end_offset`.

    They come in the order of slot, log offset and position. Of a compacted file only the row groups that may have one
    of the slots are read.
    """
    return archive.with_cover(partition, bound(_history, archive, slots), end_offset)


def read_messages(archive: Archive, partition: int, first_offset: int, end_offset: int) -> Iterator[Stretch]:
    """The messages in [first_offset, end_offset), stretch by stretch; ends before the first offset that is missing.

    Of readings that compaction found to be doubles only the first comes back (services/balancer/compaction.py says why
    that makes no difference); a message of doubles only is left out, so go on from `Stretch.end_offset`. A stretch has
    fewer than two million readings, as a file has.
    """
    while first_offset < end_offset:
        stretch = archive.with_cover(partition, bound(_first_stretch, archive, first_offset), end_offset, first_offset)
        if stretch is None:
            return
        yield stretch
        first_offset = stretch.end_offset


def read_piece(archive: Archive, piece: Piece, slots: Int32Array | None = None) -> ArchivedReadings:
    """The readings of a piece, of `slots` only unless None, in the order of its file.

    Raises FileNotFoundError when the file is gone.
    """
    with archive.open(piece.file.path) as file:
        groups = _row_groups(file.metadata, slots)
        table = file.read_row_groups(groups, columns=list(PLACE_COLUMNS))
    readings = ArchivedReadings(
        _column(table, "slot", pa.int32()),
        _column(table, "ts", pa.timestamp("s", tz="UTC"), pa.int64()),  # Parquet knows no seconds: it has milliseconds
        _column(table, "value", pa.int64()),
        _column(table, "version", pa.int32()),
        _column(table, "log_offset", pa.int64()),
        _column(table, "position", pa.int32()),
    )
    wanted = np.ones(len(readings), np.bool_)
    if not piece.whole:
        wanted &= (readings.log_offset >= piece.first_offset) & (readings.log_offset < piece.end_offset)
    if slots is not None:
        wanted &= _among(readings.slot, slots)
    return readings if wanted.all() else readings.take(wanted)


def _column(table: pa.Table, name: str, *kinds: pa.DataType) -> Any:
    column = table.column(name)
    for kind in kinds:
        column = column.cast(kind)
    return column.to_numpy()


def _row_groups(metadata: pq.FileMetaData, slots: Int32Array | None) -> list[int]:
    """The row groups that may have one of the slots, by the statistics of their slots."""
    if slots is None:
        return list(range(metadata.num_row_groups))
    column = metadata.schema.names.index("slot")
    groups = []
    for group in range(metadata.num_row_groups):
        statistics = metadata.row_group(group).column(column).statistics
        if statistics is None or not statistics.has_min_max:
            groups.append(group)
            continue
        first = np.searchsorted(slots, statistics.min)
        if first < len(slots) and slots[first] <= statistics.max:
            groups.append(group)
    return groups


def _among(slot: Int32Array, slots: Int32Array) -> npt.NDArray[np.bool_]:
    if len(slots) == 0 or len(slot) == 0:
        return np.zeros(len(slot), np.bool_)
    chosen = np.zeros(max(int(slots[-1]), int(slot.max())) + 1, np.bool_)
    chosen[slots] = True
    return chosen[slot]


def join(parts: Sequence[ArchivedReadings]) -> ArchivedReadings:
    """The readings of all parts, one after another."""

    def joined(column: Callable[[ArchivedReadings], Any], of: type) -> Any:
        return np.concatenate([column(part) for part in parts]) if parts else np.empty(0, of)

    return ArchivedReadings(
        joined(lambda part: part.slot, np.int32),
        joined(lambda part: part.ts_s, np.int64),
        joined(lambda part: part.value, np.int64),
        joined(lambda part: part.version, np.int32),
        joined(lambda part: part.log_offset, np.int64),
        joined(lambda part: part.position, np.int32),
    )


def _history(archive: Archive, slots: Int32Array | None, pieces: Sequence[Piece]) -> ArchivedReadings:
    readings = join([read_piece(archive, piece, slots) for piece in pieces])
    return readings.take(np.lexsort((readings.position, readings.log_offset, readings.slot)))


def _first_stretch(archive: Archive, first_offset: int, pieces: Sequence[Piece]) -> Stretch | None:
    """The messages of the first piece; None when it does not go on from `first_offset`."""
    if not pieces or pieces[0].first_offset > first_offset:
        return None
    readings = read_piece(archive, pieces[0])
    readings = readings.take(np.lexsort((readings.position, readings.log_offset)))
    begins = np.flatnonzero(np.diff(readings.log_offset, prepend=-1))
    ends = [*begins[1:].tolist(), len(readings)]
    return Stretch(
        pieces[0].end_offset,
        [_message(readings, begin, end) for begin, end in zip(begins.tolist(), ends, strict=False)],
    )


def _message(readings: ArchivedReadings, begin: int, end: int) -> ArchivedMessage:
    return ArchivedMessage(
        int(readings.log_offset[begin]),
        ReadingColumns(
            readings.slot[begin:end], readings.ts_s[begin:end], readings.value[begin:end], readings.version[begin:end]
        ),
    )
