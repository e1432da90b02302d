"""The balance kernel: readings in, changes of the zones' sums out (rules 1, 10 to 12). Integers only.

The kernels do no I/O, never raise and allocate nothing: what does not fit is said in the return value, and the caller
makes room and calls again. They are compiled when this module is imported (explicit signatures) and release the
interpreter's lock. `regular.py` has the common case, `held.py` what a series holds, `edges.py` the register at an edge,
`counting.py` what energy adds to a zone; `reference.py` says all of it in plain Python, and the tests hold both equal.
"""

import numba as nb

from shared.balance.changes import Changes
from shared.balance.counting import count_windows, last_settled
from shared.balance.held import (
    decides,
    held_s,
    held_until,
    held_value,
    held_version,
    keep_before,
    make_room,
    newest_held_s,
    put_in,
    remember_pace,
    set_before,
    set_held,
    take_out,
)
from shared.balance.kernel_types import CHANGES_TYPE, MEMORY_TYPE, PLACEMENT_TYPE, READING_TYPES, kernel
from shared.balance.memory import BEFORE_HELD, Int8Array, Int32Array, Int64Array, SeriesMemory
from shared.balance.placement import Placement
from shared.balance.regular import apply_regular
from shared.limits import BRACKET_S_MAX, EARLIEST_INSTANT_S, QUARTER_S
from shared.words import ENERGY_REGISTERS, Outcome

_APPLIED, _UNCHANGED, _PENDING, _CONFLICT = (int(outcome) for outcome in Outcome)
CHANGES_FULL, MEMORY_FULL = -1, -2
"""Instead of an outcome: the table of changes must be emptied or made larger, or the memory (`with_more_room`)."""


@kernel(nb.int64(MEMORY_TYPE, PLACEMENT_TYPE, CHANGES_TYPE, nb.int64, nb.int64))
def recount_first(memory: SeriesMemory, placement: Placement, changes: Changes, slot: int, instant_s: int) -> int:
    """Counts what a series' first reading settles: nothing, unless records of exchanges stand beside it (rule 13).

    Records alone settle nothing: they count from the first reading on. Returns APPLIED, or CHANGES_FULL: the reading is
    taken out again.
    """
    if placement.first_exchange[slot] == placement.first_exchange[slot + 1]:
        return _APPLIED
    first_s = min(instant_s, placement.exchange_at_s[placement.first_exchange[slot]]) // QUARTER_S * QUARTER_S
    last_s = last_settled(memory, placement, slot, instant_s) // QUARTER_S * QUARTER_S
    if changes.used[0] + (last_s - first_s) // QUARTER_S + 2 > len(changes.zone):
        memory.series[slot].holds = 0
        return CHANGES_FULL
    count_windows(memory, placement, changes, slot, first_s, last_s, 1)
    return _APPLIED


@kernel(nb.int64(MEMORY_TYPE, PLACEMENT_TYPE, CHANGES_TYPE, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64))
def append(
    memory: SeriesMemory,
    placement: Placement,
    changes: Changes,
    slot: int,
    instant_s: int,
    value: int,
    version: int,
    memory_s: int,
) -> int:
    """Takes a reading newer than its series' newest: it settles every edge since that one (rule 11).

    Returns APPLIED, or CHANGES_FULL or MEMORY_FULL: nothing is changed then.
    """
    if memory.series[slot].holds == memory.held.shape[1] and not make_room(memory, slot, memory_s):
        return MEMORY_FULL
    count = memory.series[slot].holds
    if count == 0:
        put_in(memory, slot, 0, instant_s, value, version)
        return recount_first(memory, placement, changes, slot, instant_s)
    newest_s = held_s(memory, slot, count - 1)
    newest_value = held_value(memory, slot, count - 1)
    exchanged = placement.first_exchange[slot] != placement.first_exchange[slot + 1]
    first_edge_s = (newest_s // QUARTER_S + 1) * QUARTER_S
    last_edge_s = last_settled(memory, placement, slot, instant_s) // QUARTER_S * QUARTER_S
    windows = (last_edge_s - first_edge_s) // QUARTER_S + 2
    if changes.used[0] + windows > len(changes.zone):
        return CHANGES_FULL
    if exchanged:
        count_windows(memory, placement, changes, slot, first_edge_s - QUARTER_S, last_edge_s, -1)
    put_in(memory, slot, count, instant_s, value, version)
    if exchanged or instant_s - newest_s <= BRACKET_S_MAX:
        count_windows(memory, placement, changes, slot, first_edge_s - QUARTER_S, last_edge_s, 1)
    if not decides(memory, slot, count - 1):
        take_out(memory, slot, count - 1)
    remember_pace(memory, slot, instant_s - newest_s)
    set_before(memory, slot, newest_s, newest_value)
    return _APPLIED


@kernel(nb.types.UniTuple(nb.int64, 2)(MEMORY_TYPE, PLACEMENT_TYPE, nb.int64, nb.int64, nb.int64))
def touched_windows(memory: SeriesMemory, placement: Placement, slot: int, k: int, instant_s: int) -> tuple[int, int]:
    """The first and last window (their starts) that a reading at `instant_s`, between held ones k − 1 and k, touches.

    They are those with an edge between its neighbours; `k` is the first held reading after `instant_s`.
    """
    count = memory.series[slot].holds
    before = k - 1
    if before >= 0 and held_s(memory, slot, before) == instant_s:
        before -= 1
    exchanged = placement.first_exchange[slot] != placement.first_exchange[slot + 1]
    if before >= 0:
        first_edge_s = (held_s(memory, slot, before) // QUARTER_S + 1) * QUARTER_S
    else:
        first_s = instant_s
        if exchanged:
            first_s = min(first_s, placement.exchange_at_s[placement.first_exchange[slot]])
        first_edge_s = -(-first_s // QUARTER_S) * QUARTER_S
    if k < count:
        last_edge_s = (held_s(memory, slot, k) - 1) // QUARTER_S * QUARTER_S
    else:
        last_edge_s = last_settled(memory, placement, slot, instant_s) // QUARTER_S * QUARTER_S
    return first_edge_s - QUARTER_S, last_edge_s


@kernel(nb.int64(MEMORY_TYPE, PLACEMENT_TYPE, CHANGES_TYPE, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64))
def replace(
    memory: SeriesMemory,
    placement: Placement,
    changes: Changes,
    slot: int,
    k: int,
    value: int,
    version: int,
    register: int,
) -> int:
    """Takes another reading of held instant number `k`: the highest version stands, the first of equals (rule 1).

    Returns an Outcome, or CHANGES_FULL.
    """
    if version < held_version(memory, slot, k):
        return _UNCHANGED
    if version == held_version(memory, slot, k):
        if value != held_value(memory, slot, k) and register < ENERGY_REGISTERS:
            return _CONFLICT
        return _UNCHANGED
    instant_s = held_s(memory, slot, k)
    if register < ENERGY_REGISTERS:
        first_s, last_s = touched_windows(memory, placement, slot, k + 1, instant_s)
        if changes.used[0] + (last_s - first_s) // QUARTER_S + 1 > len(changes.zone):
            return CHANGES_FULL
        count_windows(memory, placement, changes, slot, first_s, last_s, -1)
        set_held(memory, slot, k, instant_s, value, version)
        count_windows(memory, placement, changes, slot, first_s, last_s, 1)
    else:
        set_held(memory, slot, k, instant_s, value, version)
    if memory.series[slot].flags & BEFORE_HELD == 0 and instant_s == memory.before_s[slot]:
        memory.before_value[slot] = value
    return _APPLIED


@kernel(nb.int64(MEMORY_TYPE, PLACEMENT_TYPE, CHANGES_TYPE, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64))
def insert(
    memory: SeriesMemory,
    placement: Placement,
    changes: Changes,
    slot: int,
    instant_s: int,
    value: int,
    version: int,
    memory_s: int,
) -> int:
    """Takes a reading of an energy register that is older than its series' newest, by 48 hours at most (rule 11).

    Returns an Outcome, or CHANGES_FULL or MEMORY_FULL: what stands is not changed then.
    """
    if memory.series[slot].holds == memory.held.shape[1] and not make_room(memory, slot, memory_s):
        return MEMORY_FULL
    k = held_until(memory, slot, instant_s)
    if k > 0 and held_s(memory, slot, k - 1) == instant_s:
        return replace(memory, placement, changes, slot, k - 1, value, version, 0)
    keep_before(memory, slot)
    edge_before_s = instant_s // QUARTER_S * QUARTER_S
    edge_after_s = -(-instant_s // QUARTER_S) * QUARTER_S
    if instant_s > memory.before_s[slot]:
        set_before(memory, slot, instant_s, value)
    if k > 0 and held_s(memory, slot, k - 1) >= edge_before_s and edge_after_s >= held_s(memory, slot, k):
        return _UNCHANGED  # no edge between it and either neighbour: it decides nothing
    first_s, last_s = touched_windows(memory, placement, slot, k, instant_s)
    if changes.used[0] + (last_s - first_s) // QUARTER_S + 1 > len(changes.zone):
        return CHANGES_FULL
    count_windows(memory, placement, changes, slot, first_s, last_s, -1)
    put_in(memory, slot, k, instant_s, value, version)
    count_windows(memory, placement, changes, slot, first_s, last_s, 1)
    if k + 1 < memory.series[slot].holds - 1 and not decides(memory, slot, k + 1):
        take_out(memory, slot, k + 1)
    if k > 0 and not decides(memory, slot, k - 1):
        take_out(memory, slot, k - 1)
    return _APPLIED


@kernel(nb.int64(MEMORY_TYPE, nb.int64, nb.int64, nb.int64, nb.int64))
def take_momentary(memory: SeriesMemory, slot: int, instant_s: int, value: int, version: int) -> int:
    """Takes a reading of 1.7.0, 2.7.0 or soc: only the newest stands; never pending, never in conflict (rule 11)."""
    if memory.series[slot].holds == 0 or instant_s > held_s(memory, slot, 0):
        if memory.series[slot].holds > 0:
            remember_pace(memory, slot, instant_s - held_s(memory, slot, 0))
    elif instant_s < held_s(memory, slot, 0) or version <= held_version(memory, slot, 0):
        return _UNCHANGED
    set_held(memory, slot, 0, instant_s, value, version)
    memory.series[slot].holds = 1
    return _APPLIED


@kernel(nb.int64(MEMORY_TYPE, PLACEMENT_TYPE, CHANGES_TYPE, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64))
def apply_one(
    memory: SeriesMemory,
    placement: Placement,
    changes: Changes,
    slot: int,
    instant_s: int,
    value: int,
    version: int,
    memory_s: int,
) -> int:
    """Applies any reading; returns an Outcome, or CHANGES_FULL or MEMORY_FULL."""
    if placement.register[slot] >= ENERGY_REGISTERS:
        return take_momentary(memory, slot, instant_s, value, version)
    newest_s = newest_held_s(memory, slot) if memory.series[slot].holds > 0 else EARLIEST_INSTANT_S - 1
    if instant_s > newest_s:
        return append(memory, placement, changes, slot, instant_s, value, version, memory_s)
    if instant_s < newest_s - memory_s:
        return _PENDING
    return insert(memory, placement, changes, slot, instant_s, value, version, memory_s)


@kernel(
    nb.int64(MEMORY_TYPE, PLACEMENT_TYPE, CHANGES_TYPE, *READING_TYPES, nb.int64, nb.int64, nb.int8[::1], nb.int64[::1])
)
def apply_readings(
    memory: SeriesMemory,
    placement: Placement,
    changes: Changes,
    slot: Int32Array,
    ts_s: Int64Array,
    value: Int64Array,
    version: Int32Array,
    begin: int,
    memory_s: int,
    outcome: Int8Array,
    outcomes: Int64Array,
) -> int:
    """Applies readings begin … end in the order of the log; outcome[k], 0 before, becomes an Outcome each (rule 10).

    Arrays of n readings: slot, ts_s (seconds since 1970), value (Wh, W), version; `memory_s` is the reach of the
    memory, 48 hours. Slots lie inside the memory. To outcomes[outcome] is added how many there were. Returns how many
    of the n were applied: fewer when `changes` or the memory is full, and then outcome[k] of the next says which:
    CHANGES_FULL or MEMORY_FULL.
    """
    i = begin
    while True:
        first = i
        i = apply_regular(memory, placement, changes, slot, ts_s, value, version, first, outcome)
        outcomes[_APPLIED] += i - first
        if i == len(slot):
            return i
        result = apply_one(memory, placement, changes, int(slot[i]), ts_s[i], value[i], version[i], memory_s)
        outcome[i] = result
        if result < 0:
            return i
        outcomes[result] += 1
        i += 1
