"""The arrays in which a partition keeps its series: flat, so that kernels may walk them without Python.

A *slot* is a series' permanent index in its home partition. All instants are seconds since 1970, all values whole Wh
(1.8.0, 2.8.0, soc) or W (1.7.0, 2.7.0). The arrays are a pure function of the log's prefix.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from shared.limits import MEMORY_S, QUARTER_S

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
Int8Array = npt.NDArray[np.int8]

UNKNOWN = -1
"""The width of a bracket of an edge whose R is unknown."""

COMPLETE_S = -(2**62)
"""What `since_s` holds while a series has forgotten nothing."""

GAPS = 8
"""How many gaps between readings a series' cadence is the median of (design section 3)."""


class SeriesMemory(NamedTuple):
    """What a partition remembers of its series (rule 12). S slots, C readings held a series at most.

    The readings held are in the order of time: the newest, those that bracket an edge of the last 48 hours, and those
    that bracket the last edge before all that the stream may still change. What lies before is settled, and the archive
    alone needs to know it.
    """

    holds: Int32Array
    """[S] how many readings are held."""
    held_s: Int64Array
    """[S, C] their instants, ascending."""
    held_value: Int64Array
    """[S, C] their values as the register showed them."""
    held_version: Int32Array
    """[S, C] their versions."""
    since_s: Int64Array
    """[S] the instant of the oldest reading held where older ones were forgotten, else COMPLETE_S. Windows that start
    before it are the archive's."""
    before_s: Int64Array
    """[S] the instant of the reading before the newest (-1: none): a series' power is the slope between the two."""
    before_value: Int64Array
    """[S] its value."""
    gap_s: Int32Array
    """[S, GAPS] the last gaps between readings, a ring."""
    gaps: Int64Array
    """[S] how many gaps were seen."""


def held_max(memory_s: int = MEMORY_S) -> int:
    """How many readings a series may have to hold: two an edge in memory, three before, the newest, one coming in.

    The edges in memory are those of the last `memory_s` seconds and the edge before them (rule 12).
    """
    edges = memory_s // QUARTER_S + 2
    return 2 * edges + 5


def empty_memory(slots: int, memory_s: int = MEMORY_S) -> SeriesMemory:
    """Memory of `slots` series of which nothing is known; pages of rows never touched cost no memory."""
    held = held_max(memory_s)
    return SeriesMemory(
        holds=np.zeros(slots, np.int32),
        held_s=np.zeros((slots, held), np.int64),
        held_value=np.zeros((slots, held), np.int64),
        held_version=np.zeros((slots, held), np.int32),
        since_s=np.full(slots, COMPLETE_S, np.int64),
        before_s=np.full(slots, -1, np.int64),
        before_value=np.zeros(slots, np.int64),
        gap_s=np.zeros((slots, GAPS), np.int32),
        gaps=np.zeros(slots, np.int64),
    )


def grown_memory(memory: SeriesMemory, slots: int) -> SeriesMemory:
    """The same memory with room for `slots` series; slots are never taken away."""
    before = len(memory.holds)
    if slots <= before:
        return memory
    # held_max the other way round: the new rows get the same capacity.
    memory_s = ((memory.held_s.shape[1] - 5) // 2 - 2) * QUARTER_S
    larger = empty_memory(slots, memory_s)
    for name, array in larger._asdict().items():
        array[:before] = getattr(memory, name)
    return larger
