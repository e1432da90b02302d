"""Event time of a partition: the newest instant that one in a hundred of its series has reached (design section 3)."""

from typing import NamedTuple

import numba as nb
import numpy as np

from shared.balance.held import newest_held_s
from shared.balance.kernel_types import MEMORY_TYPE, kernel
from shared.balance.memory import Int64Array, SeriesMemory

_PAIR = nb.types.UniTuple(nb.int64, 2)


class EventTime(NamedTuple):
    """Where event time stands."""

    now_s: int | None = None
    """None before the first reading."""
    readings_to_go: int = 1
    """It cannot move before so many more readings are applied: a reading brings one series past it at most, and the
    hundredth that must be past it only grows. So all series need not be looked at again till then."""


def moved(memory: SeriesMemory, before: EventTime) -> EventTime:
    """Event time as the memory has it; it never goes back behind `before`."""
    begin_s = -1 if before.now_s is None else before.now_s
    heard, newer = _count(memory, begin_s)
    rank = max(1, -(-heard // 100))
    if newer < rank:
        return EventTime(before.now_s, rank - newer)
    instants = np.empty(newer, np.int64)
    _collect(memory, begin_s, instants)
    now_s = int(np.partition(instants, newer - rank)[newer - rank])
    return EventTime(now_s, rank - int(np.count_nonzero(instants > now_s)))


@kernel(_PAIR(MEMORY_TYPE, nb.int64))
def _count(memory: SeriesMemory, after_s: int) -> tuple[int, int]:
    """How many series were heard, and of how many the newest reading is after `after_s`."""
    heard, newer = 0, 0
    for slot in range(len(memory.series)):
        if memory.series[slot].holds > 0:
            heard += 1
            newer += int(newest_held_s(memory, slot) > after_s)
    return heard, newer


@kernel(nb.void(MEMORY_TYPE, nb.int64, nb.int64[::1]))
def _collect(memory: SeriesMemory, after_s: int, instants: Int64Array) -> None:
    """The newest instants after `after_s`, as many as `_count` says."""
    k = 0
    for slot in range(len(memory.series)):
        if memory.series[slot].holds > 0 and newest_held_s(memory, slot) > after_s:
            instants[k] = newest_held_s(memory, slot)
            k += 1
