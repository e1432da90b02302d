"""All totals of a partition from its archived readings, by the topology that it follows.

Nothing of the stream is used but its rules: of each series' whole history what stands is found (rule 1), and its energy
in every window counted by the kernels of the balance, once, without memory, late lane or recounts. Slices of series
bound the readings held at a time; the totals of one partition, some 250 bytes for each zone and window, are held whole.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from deploy.verify.totals import Totals, totals
from services.balancer.differences import Differences
from shared.archive.cover import Piece
from shared.archive.files import Archive
from shared.archive.history import ArchivedReadings, read_history
from shared.archive.merge import count_deliveries
from shared.balance.changes import Changes
from shared.balance.history import History as SeriesHistory
from shared.balance.history import count_ranges, narrow_placement, whole_memory
from shared.balance.memory import Int32Array, Int64Array, SeriesMemory
from shared.balance.placement import Placement, place
from shared.topology.index import Topology
from shared.words import ENERGY_REGISTERS

_READINGS_MAX = 4_000_000
"""Readings held at a time, some 400 MB with what sorting them needs."""
_ROWS = 2**12
"""Room for sums at first; it is doubled as the windows ask for it."""
_ALL_ROWS = 2**62
"""Nothing is put off: there is no transaction to hold it."""
_ALWAYS = (np.array([-(2**62)], np.int64), np.array([2**62], np.int64))
"""The range of all windows."""


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


def recompute(archive: Archive, extent: Extent, topology: Topology, advance: Callable[[int], None]) -> Totals:
    """The totals of the partition's zones, those above them included; `advance` hears of each slice's series."""
    placement = place(topology, extent.partition)
    differences = Differences(_ROWS, flush_rows_max=_ALL_ROWS)
    for slots in _slices(archive, extent, placement):
        readings = read_history(archive, extent.partition, slots, extent.end_offset)
        for slot, history in _histories(_published(readings, extent)):
            _count(whole_memory(history), narrow_placement(placement, slot), differences)
        advance(len(slots))
    differences.roll_up(placement)
    all_rows, _ = differences.summed()
    return totals(all_rows.zone_id.astype(np.int64), all_rows.window_s, all_rows.sums)


def _count(memory: SeriesMemory, narrow: Placement, differences: Differences) -> None:
    """Adds what one series holds in all its windows."""

    def kernel(leaves: Changes) -> int:
        return int(count_ranges(memory, narrow, leaves, *_ALWAYS, 1))

    differences.count(kernel)


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


def _slices(archive: Archive, extent: Extent, placement: Placement) -> Iterator[Int32Array]:
    """The slots of energy registers, a slice at a time, so that no slice has many more readings than may be held."""
    energy = (placement.register >= 0) & (placement.register < ENERGY_REGISTERS)
    slots: Int32Array = np.flatnonzero(energy).astype(np.int32)
    if len(slots) == 0:
        return

    def rows(pieces: Sequence[Piece]) -> int:
        return sum(archive.row_count(piece.file.path) for piece in pieces)

    held = archive.with_cover(extent.partition, rows, extent.end_offset)
    yield from np.array_split(slots, min(len(slots), -(-held // _READINGS_MAX) or 1))


def _one_number(high: Int64Array, low: Int32Array) -> Int64Array:
    """Offset, and position below 2^31, as one number."""
    return (high.astype(np.int64) << 31) | low


def _published(readings: ArchivedReadings, extent: Extent) -> ArchivedReadings:
    """Those whose effect is in the published rows: a message that changes very many is published in parts."""
    in_part = (readings.log_offset == extent.next_offset) & (readings.position < extent.next_position)
    kept = (readings.log_offset < extent.next_offset) | in_part
    if len(extent.waiting_offset):
        waiting = _one_number(extent.waiting_offset, extent.waiting_position)
        kept &= ~np.isin(_one_number(readings.log_offset, readings.position), waiting)
    return readings if kept.all() else readings.take(kept)


def _histories(readings: ArchivedReadings) -> Iterator[tuple[int, SeriesHistory]]:
    """Each series' slot and what stands of it: of an instant the highest version, of equals the first in the log."""
    # The readings are in the order of the log within a slot, and the sort keeps equals in their order.
    readings = readings.take(np.lexsort((-readings.version.astype(np.int64), readings.ts_s, readings.slot)))
    first = np.ones(len(readings), np.bool_)
    first[1:] = (readings.slot[1:] != readings.slot[:-1]) | (readings.ts_s[1:] != readings.ts_s[:-1])
    readings = readings.take(first)
    begins = np.flatnonzero(np.diff(readings.slot, prepend=-1))
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(readings)], strict=False):
        yield (
            int(readings.slot[begin]),
            SeriesHistory(readings.ts_s[begin:end], readings.value[begin:end], readings.version[begin:end]),
        )
