"""The balance kernel: readings in, changes of the zones' sums out (rules 1, 10 to 12). Integers only.

The kernels do no I/O, never raise and allocate nothing: what does not fit is said in the return value, and the caller
makes room and calls again. They are compiled when this module is imported (explicit signatures) and release the
interpreter's lock. `edges.py` has the register at an edge, `counting.py` what energy adds to a zone;
`reference.py` says all of it in plain Python, and the tests hold both equal.
"""

import numba as nb

from shared.balance.changes import Changes
from shared.balance.counting import count_energy, count_windows, last_settled
from shared.balance.edges import CHANGES_TYPE, MEMORY_TYPE, PLACEMENT_TYPE, held_until
from shared.balance.memory import GAPS, Int8Array, Int32Array, Int64Array, SeriesMemory
from shared.balance.placement import Placement
from shared.limits import BRACKET_S_MAX, EARLIEST_INSTANT_S, QUARTER_S
from shared.words import ENERGY_REGISTERS, Outcome

_APPLIED, _UNCHANGED, _PENDING, _CONFLICT = (int(outcome) for outcome in Outcome)


@nb.njit(nb.void(MEMORY_TYPE, nb.int64, nb.int64), nogil=True, cache=True)
def forget(memory: SeriesMemory, slot: int, memory_s: int) -> None:
    """Lets go of what no window needs any more that the stream may still change (rule 12).

    What comes in the stream from here on lies at or after the oldest edge in memory. So it changes R after the last
    reading before that edge at most, and with it the energy since the edge before that reading: R stays known there.
    """
    newest_s = memory.held_s[slot, memory.holds[slot] - 1]
    oldest_edge_s = (newest_s - memory_s) // QUARTER_S * QUARTER_S
    last = held_until(memory, slot, oldest_edge_s - 1) - 1
    if last <= 0:
        return
    drop = held_until(memory, slot, memory.held_s[slot, last] // QUARTER_S * QUARTER_S) - 1
    if drop <= 0:
        return
    memory.since_s[slot] = memory.held_s[slot, drop]
    stay = memory.holds[slot] - drop
    for k in range(stay):
        memory.held_s[slot, k] = memory.held_s[slot, k + drop]
        memory.held_value[slot, k] = memory.held_value[slot, k + drop]
        memory.held_version[slot, k] = memory.held_version[slot, k + drop]
    memory.holds[slot] = stay


@nb.njit(nb.boolean(MEMORY_TYPE, nb.int64, nb.int64), nogil=True, cache=True)
def decides(memory: SeriesMemory, slot: int, k: int) -> bool:
    """Whether held reading `k`, not the newest, brackets an edge: one lies in (previous, it] or in [it, next)."""
    instant_s = memory.held_s[slot, k]
    if k == 0:
        return True
    edge_before_s = instant_s // QUARTER_S * QUARTER_S
    edge_after_s = -(-instant_s // QUARTER_S) * QUARTER_S
    return memory.held_s[slot, k - 1] < edge_before_s or edge_after_s < memory.held_s[slot, k + 1]


@nb.njit(nb.void(MEMORY_TYPE, nb.int64, nb.int64), nogil=True, cache=True)
def take_out(memory: SeriesMemory, slot: int, k: int) -> None:
    """Takes held reading `k` out."""
    for j in range(k, memory.holds[slot] - 1):
        memory.held_s[slot, j] = memory.held_s[slot, j + 1]
        memory.held_value[slot, j] = memory.held_value[slot, j + 1]
        memory.held_version[slot, j] = memory.held_version[slot, j + 1]
    memory.holds[slot] -= 1


@nb.njit(nb.void(MEMORY_TYPE, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64), nogil=True, cache=True)
def put_in(memory: SeriesMemory, slot: int, k: int, instant_s: int, value: int, version: int) -> None:
    """Makes a reading the held one number `k`; there is room for it."""
    for j in range(memory.holds[slot], k, -1):
        memory.held_s[slot, j] = memory.held_s[slot, j - 1]
        memory.held_value[slot, j] = memory.held_value[slot, j - 1]
        memory.held_version[slot, j] = memory.held_version[slot, j - 1]
    memory.held_s[slot, k] = instant_s
    memory.held_value[slot, k] = value
    memory.held_version[slot, k] = version
    memory.holds[slot] += 1


@nb.njit(nb.void(MEMORY_TYPE, nb.int64, nb.int64, nb.int64), nogil=True, cache=True, inline="always")
def remember_pace(memory: SeriesMemory, slot: int, before_s: int, instant_s: int) -> None:
    """Notes the gap between the newest reading and the one before it, for the series' cadence (design section 3)."""
    memory.gap_s[slot, memory.gaps[slot] % GAPS] = min(instant_s - before_s, 2**31 - 1)
    memory.gaps[slot] += 1


@nb.njit(nb.int64(MEMORY_TYPE, PLACEMENT_TYPE, CHANGES_TYPE, nb.int64, nb.int64), nogil=True, cache=True)
def recount_first(memory: SeriesMemory, placement: Placement, changes: Changes, slot: int, instant_s: int) -> int:
    """Counts what a series' first reading settles: nothing, unless records of exchanges stand beside it (rule 13).

    Records alone settle nothing: they count from the first reading on. Returns 1, or 0 when `changes` has no room: the
    reading is taken out again.
    """
    if placement.first_exchange[slot] == placement.first_exchange[slot + 1]:
        return 1
    first_s = min(instant_s, placement.exchange_at_s[placement.first_exchange[slot]]) // QUARTER_S * QUARTER_S
    last_s = last_settled(memory, placement, slot, instant_s) // QUARTER_S * QUARTER_S
    if changes.used[0] + (last_s - first_s) // QUARTER_S + 2 > len(changes.zone):
        memory.holds[slot] = 0
        return 0
    count_windows(memory, placement, changes, slot, first_s, last_s, 1)
    return 1


@nb.njit(
    nb.int64(MEMORY_TYPE, PLACEMENT_TYPE, CHANGES_TYPE, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64),
    nogil=True,
    cache=True,
)
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

    Returns 1, or 0 when `changes` has no room for it: nothing is changed then.
    """
    count = memory.holds[slot]
    if count == memory.held_s.shape[1]:
        forget(memory, slot, memory_s)
        count = memory.holds[slot]
    if count == 0:
        put_in(memory, slot, 0, instant_s, value, version)
        return recount_first(memory, placement, changes, slot, instant_s)
    newest_s = memory.held_s[slot, count - 1]
    newest_value = memory.held_value[slot, count - 1]
    exchanged = placement.first_exchange[slot] != placement.first_exchange[slot + 1]
    first_edge_s = (newest_s // QUARTER_S + 1) * QUARTER_S
    last_edge_s = last_settled(memory, placement, slot, instant_s) // QUARTER_S * QUARTER_S
    windows = (last_edge_s - first_edge_s) // QUARTER_S + 2
    if changes.used[0] + windows > len(changes.zone):
        return 0
    if exchanged:
        count_windows(memory, placement, changes, slot, first_edge_s - QUARTER_S, last_edge_s, -1)
    put_in(memory, slot, count, instant_s, value, version)
    if exchanged or instant_s - newest_s <= BRACKET_S_MAX:
        count_windows(memory, placement, changes, slot, first_edge_s - QUARTER_S, last_edge_s, 1)
    if not decides(memory, slot, count - 1):
        take_out(memory, slot, count - 1)
    remember_pace(memory, slot, newest_s, instant_s)
    memory.before_s[slot] = newest_s
    memory.before_value[slot] = newest_value
    return 1


@nb.njit(
    nb.types.UniTuple(nb.int64, 2)(MEMORY_TYPE, PLACEMENT_TYPE, nb.int64, nb.int64, nb.int64), nogil=True, cache=True
)
def touched_windows(memory: SeriesMemory, placement: Placement, slot: int, k: int, instant_s: int) -> tuple[int, int]:
    """The first and last window (their starts) that a reading at `instant_s`, between held ones k − 1 and k, touches.

    They are those with an edge between its neighbours; `k` is the first held reading after `instant_s`.
    """
    count = memory.holds[slot]
    before = k - 1
    if before >= 0 and memory.held_s[slot, before] == instant_s:
        before -= 1
    exchanged = placement.first_exchange[slot] != placement.first_exchange[slot + 1]
    if before >= 0:
        first_edge_s = (memory.held_s[slot, before] // QUARTER_S + 1) * QUARTER_S
    else:
        first_s = instant_s
        if exchanged:
            first_s = min(first_s, placement.exchange_at_s[placement.first_exchange[slot]])
        first_edge_s = -(-first_s // QUARTER_S) * QUARTER_S
    if k < count:
        last_edge_s = (memory.held_s[slot, k] - 1) // QUARTER_S * QUARTER_S
    else:
        last_edge_s = last_settled(memory, placement, slot, instant_s) // QUARTER_S * QUARTER_S
    return first_edge_s - QUARTER_S, last_edge_s


@nb.njit(
    nb.int64(MEMORY_TYPE, PLACEMENT_TYPE, CHANGES_TYPE, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64),
    nogil=True,
    cache=True,
)
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

    Returns an Outcome, or −1 when `changes` has no room.
    """
    if version < memory.held_version[slot, k]:
        return _UNCHANGED
    if version == memory.held_version[slot, k]:
        if value != memory.held_value[slot, k] and register < ENERGY_REGISTERS:
            return _CONFLICT
        return _UNCHANGED
    instant_s = memory.held_s[slot, k]
    if register < ENERGY_REGISTERS:
        first_s, last_s = touched_windows(memory, placement, slot, k + 1, instant_s)
        if changes.used[0] + (last_s - first_s) // QUARTER_S + 1 > len(changes.zone):
            return -1
        count_windows(memory, placement, changes, slot, first_s, last_s, -1)
        memory.held_value[slot, k] = value
        memory.held_version[slot, k] = version
        count_windows(memory, placement, changes, slot, first_s, last_s, 1)
    memory.held_value[slot, k] = value
    memory.held_version[slot, k] = version
    if instant_s == memory.before_s[slot]:
        memory.before_value[slot] = value
    return _APPLIED


@nb.njit(
    nb.int64(MEMORY_TYPE, PLACEMENT_TYPE, CHANGES_TYPE, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64),
    nogil=True,
    cache=True,
)
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

    Returns an Outcome, or −1 when `changes` has no room.
    """
    k = held_until(memory, slot, instant_s)
    if k > 0 and memory.held_s[slot, k - 1] == instant_s:
        return replace(memory, placement, changes, slot, k - 1, value, version, 0)
    edge_before_s = instant_s // QUARTER_S * QUARTER_S
    edge_after_s = -(-instant_s // QUARTER_S) * QUARTER_S
    if instant_s > memory.before_s[slot]:
        memory.before_s[slot] = instant_s
        memory.before_value[slot] = value
    if k > 0 and memory.held_s[slot, k - 1] >= edge_before_s and edge_after_s >= memory.held_s[slot, k]:
        return _UNCHANGED  # no edge between it and either neighbour: it decides nothing
    if memory.holds[slot] == memory.held_s.shape[1]:
        forget(memory, slot, memory_s)
        k = held_until(memory, slot, instant_s)
    first_s, last_s = touched_windows(memory, placement, slot, k, instant_s)
    if changes.used[0] + (last_s - first_s) // QUARTER_S + 1 > len(changes.zone):
        return -1
    count_windows(memory, placement, changes, slot, first_s, last_s, -1)
    put_in(memory, slot, k, instant_s, value, version)
    count_windows(memory, placement, changes, slot, first_s, last_s, 1)
    if k + 1 < memory.holds[slot] - 1 and not decides(memory, slot, k + 1):
        take_out(memory, slot, k + 1)
    if k > 0 and not decides(memory, slot, k - 1):
        take_out(memory, slot, k - 1)
    return _APPLIED


@nb.njit(nb.int64(MEMORY_TYPE, nb.int64, nb.int64, nb.int64, nb.int64), nogil=True, cache=True)
def take_momentary(memory: SeriesMemory, slot: int, instant_s: int, value: int, version: int) -> int:
    """Takes a reading of 1.7.0, 2.7.0 or soc: only the newest stands; never pending, never in conflict (rule 11)."""
    if memory.holds[slot] == 0 or instant_s > memory.held_s[slot, 0]:
        if memory.holds[slot] > 0:
            remember_pace(memory, slot, memory.held_s[slot, 0], instant_s)
        memory.held_s[slot, 0] = instant_s
    elif instant_s < memory.held_s[slot, 0] or version <= memory.held_version[slot, 0]:
        return _UNCHANGED
    memory.held_value[slot, 0] = value
    memory.held_version[slot, 0] = version
    memory.holds[slot] = 1
    return _APPLIED


@nb.njit(
    nb.int64(
        MEMORY_TYPE,
        PLACEMENT_TYPE,
        CHANGES_TYPE,
        nb.types.Array(nb.int32, 1, "C", readonly=True),
        nb.types.Array(nb.int64, 1, "C", readonly=True),
        nb.types.Array(nb.int64, 1, "C", readonly=True),
        nb.types.Array(nb.int32, 1, "C", readonly=True),
        nb.int64,
        nb.int64,
        nb.int8[::1],
    ),
    nogil=True,
    cache=True,
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
) -> int:
    """Applies readings begin … end in the order of the log; outcome[k] becomes an Outcome each (rule 10).

    Arrays of n readings: slot, ts_s (seconds since 1970), value (Wh, W), version; `memory_s` is the reach of the
    memory, 48 hours. Slots lie inside the memory. Returns how many of the n were applied: fewer when `changes` is full.
    """
    for i in range(begin, len(slot)):
        s = slot[i]
        instant_s = ts_s[i]
        if placement.register[s] >= ENERGY_REGISTERS:
            outcome[i] = take_momentary(memory, s, instant_s, value[i], version[i])
            continue
        count = memory.holds[s]
        newest_s = memory.held_s[s, count - 1] if count > 0 else EARLIEST_INSTANT_S - 1
        if (
            instant_s == newest_s + QUARTER_S
            and newest_s % QUARTER_S == 0
            and count < memory.held_s.shape[1]
            and changes.used[0] < len(changes.zone)
            and placement.first_exchange[s] == placement.first_exchange[s + 1]
        ):
            # The regular quarter of an hour, in place: passing the arrays to `append` would cost ten times as much.
            newest_value = memory.held_value[s, count - 1]
            count_energy(placement, changes, s, newest_s, value[i] - newest_value, True, 1)
            memory.held_s[s, count] = instant_s
            memory.held_value[s, count] = value[i]
            memory.held_version[s, count] = version[i]
            memory.holds[s] = count + 1
            remember_pace(memory, s, newest_s, instant_s)
            memory.before_s[s] = newest_s
            memory.before_value[s] = newest_value
            outcome[i] = _APPLIED
        elif instant_s > newest_s:
            if append(memory, placement, changes, s, instant_s, value[i], version[i], memory_s) == 0:
                return i
            outcome[i] = _APPLIED
        elif instant_s < newest_s - memory_s:
            outcome[i] = _PENDING
        else:
            result = insert(memory, placement, changes, s, instant_s, value[i], version[i], memory_s)
            if result < 0:
                return i
            outcome[i] = result
    return len(slot)
