"""The balance kernel: readings in, changes of the zones' sums out (rules 1 to 6, 8, 11 to 13). Integers only.

The kernels do no I/O, never raise and allocate nothing: what does not fit is said in the return value, and the caller
makes room and calls again. They are compiled when this module is imported (explicit signatures) and release the
interpreter's lock. `reference.py` says the same in plain Python; the tests hold both equal.
"""

import numba as nb
import numpy as np

from shared.balance.changes import (
    BOUNDARY,
    BOUNDARY_KNOWN,
    ESTIMATED,
    EXCLUDED,
    MEASURED,
    POOL_DRAWN,
    POOL_INJECTED,
    Changes,
    empty_changes,
)
from shared.balance.memory import GAPS, UNKNOWN, Int8Array, Int32Array, Int64Array, SeriesMemory, empty_memory
from shared.balance.placement import Placement
from shared.limits import BRACKET_S_MAX, EARLIEST_INSTANT_S, MEASURED_BRACKET_S_MAX, QUARTER_S
from shared.words import ENERGY_REGISTERS, RENEWABLE_KINDS, MeterKind, Outcome, Register

_APPLIED, _UNCHANGED, _PENDING, _CONFLICT = (int(outcome) for outcome in Outcome)
_BOUNDARY_KIND = MeterKind.BOUNDARY.code
_WITHDRAWN, _INJECTED = Register.WITHDRAWN.code, Register.INJECTED.code
_RENEWABLE = np.array([kind in RENEWABLE_KINDS for kind in MeterKind], np.int8)


def _sample_placement() -> Placement:
    int8, int32, int64 = np.zeros(1, np.int8), np.zeros(1, np.int32), np.zeros(1, np.int64)
    return Placement(
        register=int8,
        meter=int32,
        first_place=int32,
        zone=int32,
        kind=int8,
        pool=int8,
        energy_wh_max=int64,
        valid_from_s=int64,
        valid_to_s=int64,
        zone_parent=int32,
        zone_id=int32,
        first_exchange=int32,
        exchange_at_s=int64,
        exchange_last_wh=int64,
        exchange_first_wh=int64,
        exchange_blank=int8,
    )


_memory = nb.typeof(empty_memory(1))
_placement = nb.typeof(_sample_placement())
_changes = nb.typeof(empty_changes(1))
_edge = nb.types.UniTuple(nb.int64, 2)


@nb.njit(nb.int64(_memory, nb.int64, nb.int64), nogil=True, cache=True)
def held_until(memory: SeriesMemory, slot: int, instant_s: int) -> int:
    """How many held readings of `slot` lie at or before `instant_s`."""
    low = 0
    high = memory.holds[slot]
    while low < high:
        middle = (low + high) // 2
        if memory.held_s[slot, middle] <= instant_s:
            low = middle + 1
        else:
            high = middle
    return low


@nb.njit(nb.int64(_placement, nb.int64, nb.int64), nogil=True, cache=True)
def shift_at(placement: Placement, slot: int, instant_s: int) -> int:
    """What exchanges up to `instant_s` add to the register's value (rule 13): Σ (last − first)."""
    shift = 0
    for k in range(placement.first_exchange[slot], placement.first_exchange[slot + 1]):
        if placement.exchange_at_s[k] <= instant_s and placement.exchange_blank[k] == 0:
            shift += placement.exchange_last_wh[k] - placement.exchange_first_wh[k]
    return shift


@nb.njit(nb.boolean(_placement, nb.int64, nb.int64, nb.int64), nogil=True, cache=True)
def broken_between(placement: Placement, slot: int, after_s: int, until_s: int) -> bool:
    """Whether an exchange that carries nothing over lies in (after, until] (rule 13)."""
    for k in range(placement.first_exchange[slot], placement.first_exchange[slot + 1]):
        if placement.exchange_blank[k] == 1 and after_s < placement.exchange_at_s[k] <= until_s:
            return True
    return False


@nb.njit(_edge(nb.int64, nb.int64, nb.int64, nb.int64, nb.int64), nogil=True, cache=True)
def between(t0_s: int, v0: int, t1_s: int, v1: int, edge_s: int) -> tuple[int, int]:
    """R at an edge inside the bracket and the bracket's width; quotient and remainder first (rule 2)."""
    width_s = t1_s - t0_s
    if width_s > BRACKET_S_MAX:
        return 0, UNKNOWN
    quotient = (v1 - v0) // width_s
    remainder = (v1 - v0) - quotient * width_s
    since_s = edge_s - t0_s
    return v0 + quotient * since_s + remainder * since_s // width_s, width_s


@nb.njit(_edge(_memory, _placement, nb.int64, nb.int64, nb.int64), nogil=True, cache=True)
def exchanged_edge(memory: SeriesMemory, placement: Placement, slot: int, edge_s: int, held: int) -> tuple[int, int]:
    """R at an edge of a series with exchanges, each record standing as a reading (rule 13).

    `held` is the number of readings held at or before the edge.
    """
    t0_s, v0 = UNKNOWN, 0
    t1_s, v1 = UNKNOWN, 0
    if held > 0:
        t0_s = memory.held_s[slot, held - 1]
        v0 = memory.held_value[slot, held - 1] + shift_at(placement, slot, t0_s)
    if held < memory.holds[slot]:
        t1_s = memory.held_s[slot, held]
        v1 = memory.held_value[slot, held] + shift_at(placement, slot, t1_s)
    shift = 0
    for k in range(placement.first_exchange[slot], placement.first_exchange[slot + 1]):
        if placement.exchange_blank[k] == 1:
            continue
        at_s = placement.exchange_at_s[k]
        last = placement.exchange_last_wh[k] + shift
        shift += placement.exchange_last_wh[k] - placement.exchange_first_wh[k]
        if at_s <= edge_s and at_s > t0_s:
            t0_s, v0 = at_s, last
        elif at_s > edge_s and (t1_s == UNKNOWN or at_s < t1_s):
            t1_s, v1 = at_s, last
    if t0_s == edge_s:
        return v0, 0
    if t0_s == UNKNOWN or t1_s == UNKNOWN or broken_between(placement, slot, t0_s, t1_s):
        return 0, UNKNOWN
    return between(t0_s, v0, t1_s, v1, edge_s)


@nb.njit(_edge(_memory, _placement, nb.int64, nb.int64), nogil=True, cache=True)
def edge(memory: SeriesMemory, placement: Placement, slot: int, edge_s: int) -> tuple[int, int]:
    """R of a series at an edge and the width of the bracket that gave it (0: a reading on it; UNKNOWN), rule 2."""
    if memory.base_width_s[slot] != UNKNOWN and edge_s <= memory.base_edge_s[slot]:
        if edge_s == memory.base_edge_s[slot]:
            return memory.base_value[slot], memory.base_width_s[slot]
        return 0, UNKNOWN
    held = held_until(memory, slot, edge_s)
    if placement.first_exchange[slot] != placement.first_exchange[slot + 1]:
        return exchanged_edge(memory, placement, slot, edge_s, held)
    if held == 0:
        return 0, UNKNOWN
    if memory.held_s[slot, held - 1] == edge_s:
        return memory.held_value[slot, held - 1], 0
    if held == memory.holds[slot]:
        return 0, UNKNOWN
    return between(
        memory.held_s[slot, held - 1],
        memory.held_value[slot, held - 1],
        memory.held_s[slot, held],
        memory.held_value[slot, held],
        edge_s,
    )


@nb.njit(nb.int64(_changes, nb.int64, nb.int64), nogil=True, cache=True, inline="always")
def row_of(changes: Changes, zone: int, window_s: int) -> int:
    """The row of (zone, window), made when there is none. The caller has seen to room for one more."""
    mask = len(changes.bucket) - 1
    place = ((zone * 0x9E3779B1) ^ ((window_s // QUARTER_S) * 0x85EBCA77)) & mask
    while True:
        row = changes.bucket[place]
        if row < 0:
            row = changes.used[0]
            changes.bucket[place] = row
            changes.zone[row] = zone
            changes.window_s[row] = window_s
            changes.used[0] = row + 1
            return row
        if changes.zone[row] == zone and changes.window_s[row] == window_s:
            return row
        place = (place + 1) & mask


@nb.njit(
    nb.void(_placement, _changes, nb.int64, nb.int64, nb.int64, nb.boolean, nb.int64),
    nogil=True,
    cache=True,
    inline="always",
)
def count_energy(
    placement: Placement, changes: Changes, slot: int, window_s: int, energy_wh: int, measured: bool, sign: int
) -> None:
    """Adds (sign 1) or takes back (−1) a series' known energy in a window where it counts (rules 4 to 6, 8)."""
    place = placement.first_place[slot]
    end = placement.first_place[slot + 1]
    while place < end and placement.valid_to_s[place] <= window_s:
        place += 1
    if place == end or placement.valid_from_s[place] > window_s:
        return
    register = placement.register[slot]
    kind = placement.kind[place]
    plausible = 0 <= energy_wh <= placement.energy_wh_max[place]
    row = row_of(changes, placement.zone[place], window_s)
    sums = changes.sums[row]
    if kind == _BOUNDARY_KIND:
        if plausible:
            sums[BOUNDARY] += sign * (energy_wh if register == _WITHDRAWN else -energy_wh)
            sums[BOUNDARY_KNOWN] += sign
        return
    if not plausible:
        sums[EXCLUDED] += sign
        return
    sums[2 * kind + register] += sign * energy_wh
    if placement.pool[place] == 1:
        if register == _WITHDRAWN:
            sums[POOL_DRAWN] += sign * energy_wh
        elif _RENEWABLE[kind] == 1:
            sums[POOL_INJECTED] += sign * energy_wh
    if measured:
        sums[MEASURED] += sign
    else:
        sums[ESTIMATED] += sign


@nb.njit(nb.void(_memory, _placement, _changes, nb.int64, nb.int64, nb.int64, nb.int64), nogil=True, cache=True)
def count_windows(
    memory: SeriesMemory, placement: Placement, changes: Changes, slot: int, first_s: int, last_s: int, sign: int
) -> None:
    """Adds or takes back what the series holds in the windows that start at first, …, last."""
    start, start_width_s = edge(memory, placement, slot, first_s)
    for window_s in range(first_s, last_s + 1, QUARTER_S):
        end_s = window_s + QUARTER_S
        end, end_width_s = edge(memory, placement, slot, end_s)
        if start_width_s != UNKNOWN and end_width_s != UNKNOWN and not broken_between(placement, slot, window_s, end_s):
            measured = start_width_s <= MEASURED_BRACKET_S_MAX and end_width_s <= MEASURED_BRACKET_S_MAX
            count_energy(placement, changes, slot, window_s, end - start, measured, sign)
        start, start_width_s = end, end_width_s


@nb.njit(nb.void(_memory, _placement, nb.int64, nb.int64), nogil=True, cache=True)
def forget(memory: SeriesMemory, placement: Placement, slot: int, memory_s: int) -> None:
    """Lets go of readings that bracket no edge in memory, and keeps R at the last edge before what stays (rule 12)."""
    newest_s = memory.held_s[slot, memory.holds[slot] - 1]
    oldest_edge_s = (newest_s - memory_s) // QUARTER_S * QUARTER_S
    drop = held_until(memory, slot, oldest_edge_s) - 1
    if drop <= 0:
        return
    base_edge_s = memory.held_s[slot, drop] // QUARTER_S * QUARTER_S
    base, width_s = edge(memory, placement, slot, base_edge_s)
    memory.base_edge_s[slot] = base_edge_s
    memory.base_value[slot] = base
    memory.base_width_s[slot] = width_s
    stay = memory.holds[slot] - drop
    for k in range(stay):
        memory.held_s[slot, k] = memory.held_s[slot, k + drop]
        memory.held_value[slot, k] = memory.held_value[slot, k + drop]
        memory.held_version[slot, k] = memory.held_version[slot, k + drop]
    memory.holds[slot] = stay


@nb.njit(nb.boolean(_memory, nb.int64, nb.int64), nogil=True, cache=True)
def decides(memory: SeriesMemory, slot: int, k: int) -> bool:
    """Whether held reading `k`, not the newest, brackets an edge: one lies in (previous, it] or in [it, next)."""
    instant_s = memory.held_s[slot, k]
    if k == 0:
        return True
    edge_before_s = instant_s // QUARTER_S * QUARTER_S
    edge_after_s = -(-instant_s // QUARTER_S) * QUARTER_S
    return memory.held_s[slot, k - 1] < edge_before_s or edge_after_s < memory.held_s[slot, k + 1]


@nb.njit(nb.void(_memory, nb.int64, nb.int64), nogil=True, cache=True)
def take_out(memory: SeriesMemory, slot: int, k: int) -> None:
    """Takes held reading `k` out."""
    for j in range(k, memory.holds[slot] - 1):
        memory.held_s[slot, j] = memory.held_s[slot, j + 1]
        memory.held_value[slot, j] = memory.held_value[slot, j + 1]
        memory.held_version[slot, j] = memory.held_version[slot, j + 1]
    memory.holds[slot] -= 1


@nb.njit(nb.void(_memory, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64), nogil=True, cache=True)
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


@nb.njit(nb.void(_memory, nb.int64, nb.int64, nb.int64), nogil=True, cache=True, inline="always")
def remember_pace(memory: SeriesMemory, slot: int, before_s: int, instant_s: int) -> None:
    """Notes the gap between the newest reading and the one before it, for the series' cadence (design section 3)."""
    memory.gap_s[slot, memory.gaps[slot] % GAPS] = min(instant_s - before_s, 2**31 - 1)
    memory.gaps[slot] += 1


@nb.njit(nb.int64(_memory, _placement, nb.int64, nb.int64), nogil=True, cache=True)
def last_settled(memory: SeriesMemory, placement: Placement, slot: int, newest_s: int) -> int:
    """The last instant whose edges the series may know: its newest reading, or a record of an exchange after it."""
    last_s = newest_s
    if placement.first_exchange[slot] != placement.first_exchange[slot + 1]:
        last_s = max(last_s, placement.exchange_at_s[placement.first_exchange[slot + 1] - 1])
    return last_s


@nb.njit(nb.int64(_memory, _placement, _changes, nb.int64, nb.int64), nogil=True, cache=True)
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
    nb.int64(_memory, _placement, _changes, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64), nogil=True, cache=True
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
        forget(memory, placement, slot, memory_s)
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


@nb.njit(nb.types.UniTuple(nb.int64, 2)(_memory, _placement, nb.int64, nb.int64, nb.int64), nogil=True, cache=True)
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
    nb.int64(_memory, _placement, _changes, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64), nogil=True, cache=True
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
    nb.int64(_memory, _placement, _changes, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64), nogil=True, cache=True
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
        forget(memory, placement, slot, memory_s)
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


@nb.njit(nb.int64(_memory, nb.int64, nb.int64, nb.int64, nb.int64), nogil=True, cache=True)
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
        _memory,
        _placement,
        _changes,
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


@nb.njit(nb.int64(_placement, _changes, _changes), nogil=True, cache=True)
def roll_up(placement: Placement, leaves: Changes, total: Changes) -> int:
    """Adds each change of a zone to it and to all zones above it; boundary sums stay in their own zone (rule 8).

    `leaves` is keyed by the zones' indices, `total` by their permanent numbers. Returns 1, or 0 when `total` has no
    room for all of it: nothing is added then.
    """
    room = len(total.zone) - total.used[0]
    for row in range(leaves.used[0]):
        zone = leaves.zone[row]
        while zone >= 0:
            room -= 1
            zone = placement.zone_parent[zone]
    if room < 0:
        return 0
    for row in range(leaves.used[0]):
        zone = leaves.zone[row]
        own = True
        while zone >= 0:
            target = total.sums[row_of(total, placement.zone_id[zone], leaves.window_s[row])]
            for column in range(leaves.sums.shape[1]):
                if own or (column != BOUNDARY and column != BOUNDARY_KNOWN):
                    target[column] += leaves.sums[row, column]
            own = False
            zone = placement.zone_parent[zone]
    return 1


@nb.njit(nb.void(_changes, _changes), nogil=True, cache=True)
def pour(changes: Changes, larger: Changes) -> None:
    """Adds all rows to those of `larger`, which has room for them."""
    for row in range(changes.used[0]):
        target = larger.sums[row_of(larger, changes.zone[row], changes.window_s[row])]
        for column in range(changes.sums.shape[1]):
            target[column] += changes.sums[row, column]


@nb.njit(nb.int64(_memory, _placement, _changes, nb.int64, nb.int64, nb.int64), nogil=True, cache=True)
def count_memory(
    memory: SeriesMemory, placement: Placement, changes: Changes, slot: int, since_s: int, sign: int
) -> int:
    """Adds or takes back all that a series holds in windows in memory that start at or after `since_s`.

    Used when a topology changes where the series counts. Returns 1, or 0 when `changes` has no room.
    """
    if memory.holds[slot] == 0 or placement.register[slot] >= ENERGY_REGISTERS:
        return 1
    first_s = memory.held_s[slot, 0] // QUARTER_S * QUARTER_S
    if placement.first_exchange[slot] != placement.first_exchange[slot + 1] and memory.base_width_s[slot] == UNKNOWN:
        first_s = min(first_s, placement.exchange_at_s[placement.first_exchange[slot]] // QUARTER_S * QUARTER_S)
    first_s = max(first_s, since_s // QUARTER_S * QUARTER_S)
    newest_s = memory.held_s[slot, memory.holds[slot] - 1]
    last_s = last_settled(memory, placement, slot, newest_s) // QUARTER_S * QUARTER_S
    if last_s < first_s:
        return 1
    if changes.used[0] + (last_s - first_s) // QUARTER_S + 1 > len(changes.zone):
        return 0
    count_windows(memory, placement, changes, slot, first_s, last_s, sign)
    return 1
