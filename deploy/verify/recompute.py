"""All totals of a partition from its archived readings, by the topology that it follows.

Nothing of the stream is used but its rules: of each series' whole history what stands is found (rule 1), and its energy
in every window counted once, without memory, late lane or recounts. Slices of series bound the readings held at a time,
and while one is counted the next is read; the totals of one partition, some 250 bytes for each zone and window, are
held whole.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deploy.verify.count import Counting
from deploy.verify.totals import Totals
from shared.archive.cover import Piece
from shared.archive.files import Archive
from shared.archive.merge import count_deliveries
from shared.archive.series_reader import SeriesReader
from shared.balance.memory import Int32Array, Int64Array
from shared.balance.placement import Placement, place
from shared.balance.whole_series import SeriesRuns
from shared.topology.index import Topology
from shared.words import ENERGY_REGISTERS

_SLICE_READINGS = 1_500_000
"""Readings of a slice: 40 MB, and two slices are held at a time."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What of a partition's log is in the published rows."""

    partition: int
    next_offset: int
    """All messages before it …"""
    next_position: int
    """… and of that message so many readings …"""
    waiting_offset: Int64Array
    """… without these readings of the late queue: their messages' offsets"""
    waiting_position: Int32Array
    """and positions."""

    @property
    def end_offset(self) -> int:
        """Where the archive must have got to."""
        return self.next_offset + (self.next_position > 0)

    def is_certain(self, first_offset: int, end_offset: int) -> bool:
        """Whether all readings of these messages are in the published rows."""
        waiting = (self.waiting_offset >= first_offset) & (self.waiting_offset < end_offset)
        return end_offset <= self.next_offset and not waiting.any()

    def taken(self, log_offset: Int64Array, position: Int32Array) -> npt.NDArray[np.bool_]:
        """Which readings' effect is in the published rows: a message that changes very many is published in parts."""
        in_part = (log_offset == self.next_offset) & (position < self.next_position)
        waiting = _one_number(self.waiting_offset, self.waiting_position)
        taken: npt.NDArray[np.bool_] = (log_offset < self.next_offset) | in_part
        return taken & ~np.isin(_one_number(log_offset, position), waiting)


@dataclass(slots=True)
class Spent:
    """Where the time of recomputing went, in seconds by the clock."""

    reading_s: float = 0.0
    """Reading the archive and putting it in order, which goes on beside the counting."""
    counting_s: float = 0.0
    """Counting, and summing up."""


def recompute(
    archive: Archive,
    extent: Extent,
    topology: Topology,
    advance: Callable[[int], None],
    spent: Spent | None = None,
) -> Totals:
    """The totals of the partition's zones, those above them included; `advance` hears of each slice's series."""
    spent = spent or Spent()
    placement = place(topology, extent.partition)
    counting = Counting(placement)
    slices = _slices(archive, extent, placement)
    cores = len(os.sched_getaffinity(0))
    with SeriesReader(archive, extent.partition, extent.end_offset, extent, cores) as reader:
        for runs in _read_ahead(reader, slices, spent):
            began_s = time.perf_counter()
            counting.add(runs)
            spent.counting_s += time.perf_counter() - began_s
            advance(len(runs.slot))
    began_s = time.perf_counter()
    totals = counting.totals()
    spent.counting_s += time.perf_counter() - began_s
    return totals


def _read_ahead(reader: SeriesReader, slices: Sequence[Int32Array], spent: Spent) -> Iterator[SeriesRuns]:
    """What `reader` has of each slice; while one is worked on, the next is read."""

    def read(slots: Int32Array) -> SeriesRuns:
        began_s = time.perf_counter()
        runs = reader.read(slots)
        spent.reading_s += time.perf_counter() - began_s
        return runs

    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as thread:
        ahead = [thread.submit(read, slots) for slots in slices[:1]]
        for number in range(len(slices)):
            runs = ahead.pop().result()
            ahead += [thread.submit(read, slots) for slots in slices[number + 1 : number + 2]]
            yield runs


def count_archived(archive: Archive, extent: Extent) -> tuple[int, bool]:
    """How many deliveries the archive has in the extent, and whether that is exact.

    It is not where the extent ends inside a compacted file, or a hand-over cut one: doubles are then not all counted.
    """

    def count(pieces: Sequence[Piece]) -> tuple[int, bool]:
        counts = [count_deliveries(archive, piece) for piece in pieces]
        return sum(number for number in counts if number is not None), None not in counts

    number, exact = archive.with_cover(extent.partition, count, extent.next_offset)
    return number + extent.next_position, exact


def energy_series(topology: Topology, partition: int) -> int:
    """How many series of the partition count energy: what `recompute` advances by in all."""
    mine = topology.series_partition == partition
    return int(np.count_nonzero(mine & (topology.series_register < ENERGY_REGISTERS)))


def _slices(archive: Archive, extent: Extent, placement: Placement) -> list[Int32Array]:
    """The slots of energy registers, in slices that have about as many readings as may be held at a time."""
    energy = (placement.register >= 0) & (placement.register < ENERGY_REGISTERS)
    slots: Int32Array = np.flatnonzero(energy).astype(np.int32)
    if len(slots) == 0:
        return []

    def rows(pieces: Sequence[Piece]) -> int:
        return sum(archive.row_count(piece.file.path) for piece in pieces)

    held = archive.with_cover(extent.partition, rows, extent.end_offset)
    return np.array_split(slots, min(len(slots), -(-held // _SLICE_READINGS) or 1))


def _one_number(high: Int64Array, low: Int32Array) -> Int64Array:
    """Offset, and position below 2^31, as one number."""
    return (high.astype(np.int64) << 31) | low
