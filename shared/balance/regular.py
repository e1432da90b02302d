"""The kernel of the regular quarter of an hour: a reading on an edge, a quarter after the newest, which is on one too.

Nearly all readings are of this kind, and what they need is little: the energy is the difference of two values, in one
window. Memory decides how long it takes, not arithmetic, so the lines that readings further on will touch are asked for
beforehand. Everything else is `kernel.py`'s.
"""

import numba as nb
import numpy as np

from shared.balance.changes import EXCLUDED, MEASURED, RECENT_BITS, Changes
from shared.balance.counting import row_of
from shared.balance.held import remember_pace
from shared.balance.kernel_types import CHANGES_TYPE, MEMORY_TYPE, PLACEMENT_TYPE, READING_TYPES, kernel
from shared.balance.memory import (
    BEFORE_HELD,
    HELD_RECORD,
    LANE_BITS,
    LANES,
    SERIES_RECORD,
    STEADY,
    Int8Array,
    Int32Array,
    Int64Array,
    SeriesMemory,
)
from shared.balance.placement import REGULAR_RECORD, Placement
from shared.balance.prefetch import prefetch
from shared.limits import QUARTER_S
from shared.words import Outcome

assert int(Outcome.APPLIED) == 0, "what is not written is applied"
# Unsigned, so that no index could be counted from the end: a branch less at each.
_SERIES_BYTES = np.uint64(SERIES_RECORD.itemsize)
_HELD_BYTES = np.uint64(HELD_RECORD.itemsize)
_REGULAR_BYTES = np.uint64(REGULAR_RECORD.itemsize)
_LANES, _LANE_BITS, _LANE_MASK = np.uint64(LANES), np.uint64(LANE_BITS), np.uint64(LANES - 1)
_RECENT_MASK = np.uint64((1 << RECENT_BITS) - 1)
_QUARTER_S, _ONE = np.uint32(QUARTER_S), np.uint32(1)
_USUAL = BEFORE_HELD | STEADY
_AHEAD, _TWICE_AHEAD = np.uint64(16), np.uint64(32)
"""So many readings ahead the newest held reading is asked for, and twice as many the series' own records: a miss of
about 100 ns is hidden behind readings of 6 ns each (`bilans bench kernel`)."""


@kernel(nb.void(MEMORY_TYPE, PLACEMENT_TYPE, READING_TYPES[0], nb.uint64), inline=True)
def _ask_ahead(memory: SeriesMemory, placement: Placement, slot: Int32Array, i: np.uint64) -> None:
    """Asks for the memory of the readings that come `_AHEAD` and twice as many after reading `i`."""
    if i + _TWICE_AHEAD >= np.uint64(len(slot)):
        return
    later = np.uint64(slot[i + _TWICE_AHEAD])
    prefetch(np.uint64(memory.series.ctypes.data) + later * _SERIES_BYTES)
    prefetch(np.uint64(placement.regular.ctypes.data) + later * _REGULAR_BYTES)
    sooner = np.uint64(slot[i + _AHEAD])
    series = memory.series[sooner]
    capacity = np.uint32(memory.held.shape[1])
    place = np.uint32(series.start) + np.uint32(series.holds)
    if place >= capacity:
        place -= capacity
    line = ((sooner >> _LANE_BITS) * capacity + place) * _LANES + (sooner & _LANE_MASK)
    address = np.uint64(memory.held.ctypes.data) + line * _HELD_BYTES
    prefetch(address)
    prefetch(address - _LANES * _HELD_BYTES)


@kernel(nb.int64(CHANGES_TYPE, nb.int64, nb.int64), inline=True)
def _row(changes: Changes, zone: int, window_s: int) -> int:
    """The row of (zone, window), made when there is none; −1 when there is no room for one."""
    recent = changes.recent[np.uint64(zone) & _RECENT_MASK]
    if recent.zone != zone or recent.window_s != window_s:
        if changes.used[0] == len(changes.zone):
            return -1
        recent.row = row_of(changes, zone, window_s)
        recent.zone = zone
        recent.window_s = window_s
    return int(recent.row)


@kernel(nb.void(MEMORY_TYPE, nb.int64))
def _note(memory: SeriesMemory, slot: int) -> None:
    """Notes what a regular reading changes of a series that was not regular before."""
    memory.series[slot].flags |= BEFORE_HELD
    if memory.series[slot].flags & STEADY == 0:
        remember_pace(memory, slot, QUARTER_S)


@kernel(nb.int64(MEMORY_TYPE, PLACEMENT_TYPE, CHANGES_TYPE, *READING_TYPES, nb.int64, nb.int8[::1]))
def apply_regular(
    memory: SeriesMemory,
    placement: Placement,
    changes: Changes,
    slot: Int32Array,
    ts_s: Int64Array,
    value: Int64Array,
    version: Int32Array,
    begin: int,
    outcome: Int8Array,
) -> int:
    """Applies readings from `begin` on while they are regular; returns the first that is not, or their number.

    The memory has LANES series side by side; the arrays are those of `kernel.apply_readings`, and outcomes are zeros.
    """
    capacity = np.uint32(memory.held.shape[1])
    for i in range(np.uint64(begin), np.uint64(len(slot))):
        _ask_ahead(memory, placement, slot, np.uint64(i))
        s = np.uint64(slot[i])
        series, where = memory.series[s], placement.regular[s]
        holds = np.uint32(series.holds)
        if where.special != 0 or holds == 0 or holds == capacity:
            return int(i)
        block, lane = s >> _LANE_BITS, s & _LANE_MASK
        place = np.uint32(series.start) + holds
        place = place - capacity if place >= capacity else place
        newest = memory.held[block, place - _ONE if place > 0 else capacity - _ONE, lane]
        window_s = newest.ts_s
        if ts_s[i] != np.int64(window_s) + QUARTER_S or window_s % _QUARTER_S != 0:
            return int(i)
        if where.valid_from_s <= window_s < where.valid_to_s:
            row = _row(changes, where.zone, window_s)
            if row < 0:
                return int(i)
            sums, energy_wh = changes.sums[np.uint64(row)], value[i] - newest.value
            # A measured quarter of an hour of one series (rules 3 to 6).
            if 0 <= energy_wh <= where.energy_wh_max:
                sums[np.uint64(where.column)] += energy_wh
                sums[MEASURED] += 1
                if where.pool_column != 0:
                    sums[np.uint64(where.pool_column)] += energy_wh
            else:
                sums[EXCLUDED] += 1
        reading = memory.held[block, place, lane]
        reading.ts_s = np.uint32(ts_s[i])
        reading.value = value[i]
        reading.version = version[i]
        series.holds = np.int32(holds + _ONE)
        if series.flags != _USUAL:
            _note(memory, int(s))
    return len(slot)
