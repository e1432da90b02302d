"""The arrays in which a partition keeps its series: flat, so that kernels may walk them without Python.

A *slot* is a series' permanent index in its home partition. All instants are seconds since 1970, all values whole Wh
(1.8.0, 2.8.0, soc) or W (1.7.0, 2.7.0). The arrays are a pure function of the log's prefix.

What the regular quarter of an hour touches is small and lies together, since cache misses decide the kernel's speed: 16
bytes of a series' own, and a held reading of 16 bytes whose neighbours are the same quarter's readings of the series
beside it (`held`).
"""

from typing import NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

from shared.limits import INSTANT_S_MAX, QUARTER_S

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
Int8Array = npt.NDArray[np.int8]
Records = npt.NDArray[np.void]

UNKNOWN = -1
"""The width of a bracket of an edge whose R is unknown."""

COMPLETE_S = -(2**62)
"""What `since_s` holds while a series has forgotten nothing."""

GAPS = 8
"""How many gaps between readings a series' cadence is the median of (design section 3)."""

LANES = 64
"""So many neighbouring series keep their readings of the same number side by side: 1 KB, sixteen cache lines."""
LANE_BITS = 6
assert LANES == 1 << LANE_BITS

BEFORE_HELD = 1
"""Flag: the reading before the newest is the held one before it, and `before_s`, `before_value` are not kept up."""
STEADY = 2
"""Flag: all the last gaps are a quarter of an hour, and another one need not be noted."""

CAPACITIES = (8, 64, 256)
"""Room for held readings a series: at first, from the third hour on, and for 48 hours of quarters. The next larger one
is taken when a series needs more (`held.with_more_room`); after the last of them it is held_max."""

SERIES_RECORD = np.dtype(
    [("start", np.int32), ("holds", np.int32), ("gaps", np.int32), ("flags", np.int32)], align=True
)
"""Of a series: where its oldest held reading stands in the ring, how many are held, how many gaps were noted, flags."""
HELD_RECORD = np.dtype([("ts_s", np.uint32), ("version", np.int32), ("value", np.int64)], align=True)
"""A held reading; the instant in 32 bits reaches to the year 2106 (shared/limits.py)."""
assert np.iinfo(np.uint32).max == INSTANT_S_MAX


class SeriesMemory(NamedTuple):
    """What a partition remembers of its series (rule 12). S slots, C readings held a series at most.

    The readings held are in the order of time: the newest, those that bracket an edge of the last 48 hours, and those
    that bracket the last edge before all that the stream may still change. What lies before is settled, and the archive
    alone needs to know it.
    """

    series: Records
    """[S] a SERIES_RECORD each."""
    held: Records
    """[⌈S / L⌉, C, L] rings of HELD_RECORD: number k of slot s at [s // L, (start + k) mod C, s mod L]; L is LANES, or
    1 in the memory of a single series."""
    since_s: Int64Array
    """[S] the instant of the oldest reading held where older ones were forgotten, else COMPLETE_S. Windows that start
    before it are the archive's."""
    before_s: Int64Array
    """[S] the instant of the reading before the newest (-1: none): a series' power is the slope between the two."""
    before_value: Int64Array
    """[S] its value."""
    gap_s: Int32Array
    """[S, GAPS] the last gaps between readings, a ring."""

    @property
    def holds(self) -> Int32Array:
        """[S] how many readings are held, a view."""
        return self.series["holds"]

    @property
    def capacity(self) -> int:
        """How many readings a series may hold."""
        return int(self.held.shape[1])


@nb.njit(nb.int64(nb.int64), nogil=True, cache=True)
def held_max(memory_s: int) -> int:
    """How many readings a series may have to hold: two an edge in memory, three before, the newest, one coming in.

    The edges in memory are those of the last `memory_s` seconds and the edge before them (rule 12).
    """
    edges = memory_s // QUARTER_S + 2
    return 2 * edges + 5


def empty_memory(slots: int, capacity: int = CAPACITIES[0]) -> SeriesMemory:
    """Memory of `slots` series of which nothing is known; pages never touched cost no memory."""
    return SeriesMemory(
        series=np.zeros(slots, SERIES_RECORD),
        held=np.zeros((-(-slots // LANES), capacity, LANES), HELD_RECORD),
        since_s=np.full(slots, COMPLETE_S, np.int64),
        before_s=np.full(slots, -1, np.int64),
        before_value=np.zeros(slots, np.int64),
        gap_s=np.zeros((slots, GAPS), np.int32),
    )


def grown_memory(memory: SeriesMemory, slots: int) -> SeriesMemory:
    """The same memory with room for `slots` series; slots are never taken away."""
    if slots <= len(memory.series):
        return memory
    larger = empty_memory(slots, memory.capacity)
    for name, array in larger._asdict().items():
        kept = getattr(memory, name)
        array[: len(kept)] = kept
    return larger


def newest_readings(memory: SeriesMemory, slots: npt.NDArray[np.int64]) -> Records:
    """The newest held reading (HELD_RECORD) of each of `slots`, which hold one at least: a copy."""
    series = memory.series[slots]
    place = (series["start"].astype(np.int64) + series["holds"] - 1) % memory.capacity
    return memory.held[slots >> LANE_BITS, place, slots & (LANES - 1)]
