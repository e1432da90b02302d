"""Compaction of neighbouring files into one: the rows by series, and of doubles the first only.

Why a replay of compacted files ends in the same memory, the same totals and the same outcomes as one of all deliveries:

- Dropped is a reading whose slot, ts and version came before in the log. With the same value it is `unchanged` by rule
  1, with another a `conflict` or, where it decides no edge, `unchanged`: neither touches what a series remembers. Were
  the first no longer remembered, its instant would bracket no edge, and so it would for the double.
- Whether another reading is late, newest or a conflict hangs on the newest and on what stands at its instant; both are
  as they were without the double. A higher version between the two hides the double all the same.
- The outcomes of the doubles themselves stand in the books already: the archive is replayed only up to where the tables
  are (services/balancer/ownership.py), and nothing is counted again there. How many deliveries a file had before stays
  in its metadata, so the books can be held to it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shared.archive.cover import Piece, contained
from shared.archive.files import Archive
from shared.archive.history import ArchivedReadings, join, read_piece
from shared.archive.rows import DELIVERIES_KEY, named_slots, row_table
from shared.balance.memory import Int32Array
from shared.readings_message import ReadingColumns
from shared.topology.index import Topology


def merge(archive: Archive, partition: int, pieces: Sequence[Piece], topology: Topology) -> str:
    """Makes one file of `pieces` that follow on one another, deletes the files it replaces, and returns its path.

    Two who merge the same or overlapping pieces at once harm nothing: each writes whole files, and whoever comes later
    finds files gone. Raises FileNotFoundError then; nothing is lost, the other's file holds it.
    """
    pieces = [_from_its_begin(pieces[0]), *pieces[1:]]
    deliveries = [count_deliveries(archive, piece) for piece in pieces]
    readings = join([read_piece(archive, piece) for piece in pieces])
    readings = readings.take(_series_order(readings))
    readings = readings.take(_firsts(readings))
    unnamed = np.setdiff1d(readings.slot, named_slots(partition, topology)).astype(np.int32)
    table = row_table(
        partition,
        ReadingColumns(readings.slot, readings.ts_s, readings.value, readings.version),
        readings.log_offset,
        readings.position,
        topology,
        _remembered(archive, pieces, unnamed),
    )
    known = [count for count in deliveries if count is not None]
    path = archive.write_table(
        partition,
        pieces[0].first_offset,
        pieces[-1].end_offset,
        table,
        sum(known) if len(known) == len(pieces) else None,
    )
    remove_contained(archive, partition)
    return path


def remove_contained(archive: Archive, partition: int) -> None:
    """Deletes every file whose offsets another holds too: what a merge replaced, or a crash left beside its result."""
    for file in contained(archive.files(partition)):
        archive.remove(file)


def count_deliveries(archive: Archive, piece: Piece) -> int | None:
    """How many readings the piece's messages had, doubles included; None where a compacted file was cut.

    Raises FileNotFoundError when the file is gone.
    """
    with archive.open(piece.file.path) as file:
        rows = file.metadata.num_rows
        noted = (file.metadata.metadata or {}).get(DELIVERIES_KEY.encode(), str(rows).encode()).decode()
    if piece.whole:
        return int(noted) if noted else None
    return len(read_piece(archive, piece)) if noted == str(rows) else None


def _from_its_begin(piece: Piece) -> Piece:
    """The piece with what a piece before it holds too, so that the file made of it replaces the whole file."""
    return piece._replace(first_offset=piece.file.first_offset)


def _series_order(readings: ArchivedReadings) -> npt.NDArray[np.intp]:
    return np.lexsort((readings.position, readings.log_offset, readings.version, readings.ts_s, readings.slot))


def _firsts(readings: ArchivedReadings) -> npt.NDArray[np.bool_]:
    """Where a slot, ts and version stands for the first time, in series order."""
    first = np.ones(len(readings), np.bool_)
    first[1:] = (
        (readings.slot[1:] != readings.slot[:-1])
        | (readings.ts_s[1:] != readings.ts_s[:-1])
        | (readings.version[1:] != readings.version[:-1])
    )
    return first


def _remembered(archive: Archive, pieces: Sequence[Piece], slots: Int32Array) -> dict[int, tuple[str, str]]:
    """Meter and register of slots that the topology has not got any more, as the files have them."""
    found: dict[int, tuple[str, str]] = {}
    if len(slots) == 0:
        return found
    for piece in pieces:
        with archive.open(piece.file.path) as file:
            table = file.read(columns=["slot", "meter", "register"])
        table = table.filter(pc.and_(pc.is_in(table["slot"], value_set=pa.array(slots)), pc.is_valid(table["meter"])))
        for row in table.group_by(["slot", "meter", "register"]).aggregate([]).to_pylist():
            found[row["slot"]] = (row["meter"], row["register"])
    return found
