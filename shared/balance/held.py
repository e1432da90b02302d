"""The readings that a series holds, by their number in the order of time: rings, read and changed by kernels."""

import numba as nb
import numpy as np

from shared.balance.kernel_types import MEMORY_TYPE, kernel
from shared.balance.memory import (
    BEFORE_HELD,
    CAPACITIES,
    GAPS,
    HELD_RECORD,
    LANE_BITS,
    LANES,
    STEADY,
    Int64Array,
    Records,
    SeriesMemory,
    held_max,
)
from shared.limits import MEMORY_S, QUARTER_S

_FREE_MIN = 8
"""So many readings at least come between two times that a series has to forget: it costs as much as thirty readings."""
_READINGS_TYPE = nb.types.Array(nb.from_dtype(HELD_RECORD), 1, "C")


@kernel(nb.int64(MEMORY_TYPE, nb.int64, nb.int64))
def ring_place(memory: SeriesMemory, slot: int, k: int) -> int:
    """Where held reading number `k` of `slot` stands in its ring."""
    place = int(memory.series[slot].start) + k
    return place if place < memory.held.shape[1] else place - memory.held.shape[1]


@kernel(nb.types.UniTuple(nb.int64, 2)(MEMORY_TYPE, nb.int64))
def block_and_lane(memory: SeriesMemory, slot: int) -> tuple[int, int]:
    """Which block of `held` has `slot`, and where in it."""
    if memory.held.shape[2] == 1:
        return slot, 0
    return slot >> LANE_BITS, slot & (LANES - 1)


@kernel(nb.int64(MEMORY_TYPE, nb.int64, nb.int64))
def held_s(memory: SeriesMemory, slot: int, k: int) -> int:
    """The instant of held reading number `k`."""
    block, lane = block_and_lane(memory, slot)
    return int(memory.held[block, ring_place(memory, slot, k), lane].ts_s)


@kernel(nb.int64(MEMORY_TYPE, nb.int64, nb.int64))
def held_value(memory: SeriesMemory, slot: int, k: int) -> int:
    """The value of held reading number `k`."""
    block, lane = block_and_lane(memory, slot)
    return int(memory.held[block, ring_place(memory, slot, k), lane].value)


@kernel(nb.int64(MEMORY_TYPE, nb.int64, nb.int64))
def held_version(memory: SeriesMemory, slot: int, k: int) -> int:
    """The version of held reading number `k`."""
    block, lane = block_and_lane(memory, slot)
    return int(memory.held[block, ring_place(memory, slot, k), lane].version)


@kernel(nb.void(MEMORY_TYPE, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64))
def set_held(memory: SeriesMemory, slot: int, k: int, instant_s: int, value: int, version: int) -> None:
    """Makes held reading number `k` this one; the place is the series' own."""
    block, lane = block_and_lane(memory, slot)
    reading = memory.held[block, ring_place(memory, slot, k), lane]
    reading.ts_s = np.uint32(instant_s)
    reading.value = value
    reading.version = np.int32(version)


@kernel(nb.void(MEMORY_TYPE, nb.int64, nb.int64, nb.int64))
def move_held(memory: SeriesMemory, slot: int, k: int, to: int) -> None:
    """Copies held reading number `k` to number `to`."""
    block, lane = block_and_lane(memory, slot)
    source = memory.held[block, ring_place(memory, slot, k), lane]
    target = memory.held[block, ring_place(memory, slot, to), lane]
    target.ts_s = source.ts_s
    target.value = source.value
    target.version = source.version


@kernel(nb.int64(MEMORY_TYPE, nb.int64))
def newest_held_s(memory: SeriesMemory, slot: int) -> int:
    """The instant of the newest reading of a series that holds one."""
    return held_s(memory, slot, memory.series[slot].holds - 1)


@kernel(nb.int64(MEMORY_TYPE, nb.int64, nb.int64))
def held_until(memory: SeriesMemory, slot: int, instant_s: int) -> int:
    """How many held readings of `slot` lie at or before `instant_s`."""
    low = 0
    high = int(memory.series[slot].holds)
    while low < high:
        middle = (low + high) // 2
        if held_s(memory, slot, middle) <= instant_s:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(nb.boolean(MEMORY_TYPE, nb.int64, nb.int64))
def decides(memory: SeriesMemory, slot: int, k: int) -> bool:
    """Whether held reading `k`, not the newest, brackets an edge: one lies in (previous, it] or in [it, next)."""
    instant_s = held_s(memory, slot, k)
    if k == 0:
        return True
    edge_before_s = instant_s // QUARTER_S * QUARTER_S
    edge_after_s = -(-instant_s // QUARTER_S) * QUARTER_S
    return held_s(memory, slot, k - 1) < edge_before_s or edge_after_s < held_s(memory, slot, k + 1)


@kernel(nb.void(MEMORY_TYPE, nb.int64, nb.int64))
def take_out(memory: SeriesMemory, slot: int, k: int) -> None:
    """Takes held reading `k` out."""
    for j in range(k, memory.series[slot].holds - 1):
        move_held(memory, slot, j + 1, j)
    memory.series[slot].holds -= 1


@kernel(nb.void(MEMORY_TYPE, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64))
def put_in(memory: SeriesMemory, slot: int, k: int, instant_s: int, value: int, version: int) -> None:
    """Makes a reading the held one number `k`; there is room for it."""
    for j in range(memory.series[slot].holds, k, -1):
        move_held(memory, slot, j - 1, j)
    set_held(memory, slot, k, instant_s, value, version)
    memory.series[slot].holds += 1


@kernel(nb.void(MEMORY_TYPE, nb.int64, nb.int64))
def forget(memory: SeriesMemory, slot: int, memory_s: int) -> None:
    """Lets go of what no window needs any more that the stream may still change (rule 12).

    What comes in the stream from here on lies at or after the oldest edge in memory. So it changes R after the last
    reading before that edge at most, and with it the energy since the edge before that reading: R stays known there.
    The newest two always stay.
    """
    if memory.series[slot].holds < 3:
        return
    oldest_edge_s = (newest_held_s(memory, slot) - memory_s) // QUARTER_S * QUARTER_S
    last = held_until(memory, slot, oldest_edge_s - 1) - 1
    if last <= 0:
        return
    drop = held_until(memory, slot, held_s(memory, slot, last) // QUARTER_S * QUARTER_S) - 1
    if drop <= 0:
        return
    memory.since_s[slot] = held_s(memory, slot, drop)
    memory.series[slot].start = np.int32(ring_place(memory, slot, drop))
    memory.series[slot].holds -= drop


@kernel(nb.boolean(MEMORY_TYPE, nb.int64, nb.int64))
def make_room(memory: SeriesMemory, slot: int, memory_s: int) -> bool:
    """Forgets what a full series need not hold; False when `with_more_room` has to make the memory larger first.

    That is asked for also when hardly anything could be forgotten: else the next readings would ask again and again.
    """
    forget(memory, slot, memory_s)
    capacity = memory.held.shape[1]
    free = capacity - memory.series[slot].holds
    return free >= max(_FREE_MIN, capacity // 8) or capacity >= held_max(memory_s)


@kernel(nb.void(MEMORY_TYPE, nb.int64[::1], _READINGS_TYPE, nb.boolean))
def _move_all(memory: SeriesMemory, slots: Int64Array, readings: Records, out: bool) -> None:
    """Copies all that `slots` hold to `readings` (out), or from there, one series after the other."""
    i = 0
    for slot in slots:
        block, lane = block_and_lane(memory, slot)
        for k in range(memory.series[slot].holds):
            held = memory.held[block, ring_place(memory, slot, k), lane]
            reading = readings[i]
            source, target = (held, reading) if out else (reading, held)
            target.ts_s = source.ts_s
            target.value = source.value
            target.version = source.version
            i += 1


def held_readings(memory: SeriesMemory, slots: Int64Array) -> Records:
    """All held readings (HELD_RECORD) of `slots`, one series after the other, each in the order of time: a copy."""
    readings = np.zeros(int(memory.holds[slots].sum()), HELD_RECORD)
    _move_all(memory, slots, readings, True)
    return readings


def put_held(memory: SeriesMemory, slots: Int64Array, readings: Records) -> None:
    """Writes what `held_readings` gave; the series' records say how many each holds, and from where on."""
    _move_all(memory, slots, readings, False)


@kernel(nb.void(MEMORY_TYPE, MEMORY_TYPE))
def _copy_held(memory: SeriesMemory, larger: SeriesMemory) -> None:
    """Copies all held readings; the series in `larger` begin their rings anew."""
    for slot in range(len(memory.series)):
        larger.series[slot].start = 0
        for k in range(memory.series[slot].holds):
            set_held(
                larger, slot, k, held_s(memory, slot, k), held_value(memory, slot, k), held_version(memory, slot, k)
            )


def with_more_room(memory: SeriesMemory, memory_s: int = MEMORY_S) -> SeriesMemory:
    """The same memory with room for more readings a series, up to what rule 12 may need."""
    larger_ones = [capacity for capacity in CAPACITIES if memory.capacity < capacity < held_max(memory_s)]
    capacity = min(larger_ones, default=held_max(memory_s))
    held = np.zeros((memory.held.shape[0], capacity, memory.held.shape[2]), memory.held.dtype)
    larger = memory._replace(series=memory.series.copy(), held=held)
    _copy_held(memory, larger)
    return larger


@kernel(nb.void(MEMORY_TYPE, nb.int64, nb.int64))
def remember_pace(memory: SeriesMemory, slot: int, gap_s: int) -> None:
    """Notes the gap between the newest reading and the one before it, for the series' cadence (design section 3)."""
    series = memory.series[slot]
    memory.gap_s[slot, series.gaps % GAPS] = min(gap_s, 2**31 - 1)
    series.gaps += 1
    steady = series.gaps >= GAPS
    for k in range(GAPS):
        steady = steady and memory.gap_s[slot, k] == QUARTER_S
    series.flags = (series.flags | STEADY) if steady else (series.flags & ~STEADY)


@kernel(nb.types.UniTuple(nb.int64, 2)(MEMORY_TYPE, nb.int64))
def before_newest(memory: SeriesMemory, slot: int) -> tuple[int, int]:
    """Instant and value of the reading before the newest, whether it decides an edge or not; (-1, 0): none."""
    series = memory.series[slot]
    if series.flags & BEFORE_HELD:
        return held_s(memory, slot, series.holds - 2), held_value(memory, slot, series.holds - 2)
    return memory.before_s[slot], memory.before_value[slot]


@kernel(nb.void(MEMORY_TYPE, nb.int64, nb.int64, nb.int64))
def set_before(memory: SeriesMemory, slot: int, instant_s: int, value: int) -> None:
    """Keeps the reading before the newest by itself."""
    memory.before_s[slot] = instant_s
    memory.before_value[slot] = value
    memory.series[slot].flags &= ~BEFORE_HELD


@kernel(nb.void(MEMORY_TYPE, nb.int64))
def keep_before(memory: SeriesMemory, slot: int) -> None:
    """Keeps the reading before the newest by itself, since the held readings are about to be changed."""
    if memory.series[slot].flags & BEFORE_HELD:
        before_s, value = before_newest(memory, slot)
        set_before(memory, slot, before_s, value)
