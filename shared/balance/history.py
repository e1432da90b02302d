"""The balance beside the stream: a series' whole history, late readings taken into it, and its energy taken over.

The stream's kernel holds two days of a series. What concerns older windows is worked out on the series' history from
the archive by the same `edges.py` and `counting.py`: a history is a SeriesMemory of one series that has forgotten
nothing. Integers only; the late lane's rules are 1, 2 and 11.
"""

from typing import NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

from shared.balance.changes import Changes
from shared.balance.counting import count_windows, last_settled
from shared.balance.held import (
    decides,
    forget,
    held_s,
    held_until,
    keep_before,
    make_room,
    newest_held_s,
    put_in,
    set_held,
    take_out,
)
from shared.balance.kernel_types import CHANGES_TYPE, MEMORY_TYPE, PLACEMENT_TYPE, kernel
from shared.balance.memory import (
    COMPLETE_S,
    HELD_RECORD,
    SERIES_RECORD,
    Int8Array,
    Int32Array,
    Int64Array,
    SeriesMemory,
    empty_memory,
)
from shared.balance.placement import Placement
from shared.limits import QUARTER_S
from shared.words import ENERGY_REGISTERS, Outcome

_APPLIED, _UNCHANGED, _PENDING, _CONFLICT = (int(outcome) for outcome in Outcome)
_NONE = empty_memory(1)
Flags = npt.NDArray[np.bool_]


class History(NamedTuple):
    """All readings of a series that count, one an instant, in the order of time."""

    ts_s: Int64Array
    value: Int64Array
    version: Int32Array


def standing(ts_s: Int64Array, value: Int64Array, version: Int32Array) -> History:
    """Of readings in the order of the log those that stand: of an instant the highest version, its first (rule 1)."""
    order = np.argsort(ts_s, kind="stable")  # equals stay in the order of the log; what is in order already is quick
    ts_s = ts_s[order]
    first = np.diff(ts_s, prepend=-1) != 0
    if first.all():
        return History(ts_s, value[order], version[order])
    if version.min() != version.max():
        order = order[np.lexsort((-version[order].astype(np.int64), ts_s))]
    return History(ts_s[first], value[order][first], version[order][first])


def whole_memory(history: History) -> SeriesMemory:
    """The history as the memory of one series, slot 0, that has forgotten nothing."""
    series = np.zeros(1, SERIES_RECORD)
    series["holds"] = len(history.ts_s)
    held = np.zeros((1, len(history.ts_s), 1), HELD_RECORD)
    held[0, :, 0]["ts_s"], held[0, :, 0]["value"] = history.ts_s, history.value
    held[0, :, 0]["version"] = history.version
    return _NONE._replace(series=series, held=held)


def narrow_placement(placement: Placement, slot: int) -> Placement:
    """The placement of one series, as slot 0."""
    place = slice(placement.first_place[slot], placement.first_place[slot + 1])
    exchange = slice(placement.first_exchange[slot], placement.first_exchange[slot + 1])
    return Placement(
        regular=placement.regular[slot : slot + 1],
        register=placement.register[slot : slot + 1],
        meter=placement.meter[slot : slot + 1],
        first_place=np.array([0, place.stop - place.start], np.int32),
        zone=placement.zone[place],
        kind=placement.kind[place],
        pool=placement.pool[place],
        energy_wh_max=placement.energy_wh_max[place],
        valid_from_s=placement.valid_from_s[place],
        valid_to_s=placement.valid_to_s[place],
        zone_parent=placement.zone_parent,
        zone_id=placement.zone_id,
        first_exchange=np.array([0, exchange.stop - exchange.start], np.int32),
        exchange_at_s=placement.exchange_at_s[exchange],
        exchange_last_wh=placement.exchange_last_wh[exchange],
        exchange_first_wh=placement.exchange_first_wh[exchange],
        exchange_blank=placement.exchange_blank[exchange],
    )


@kernel(nb.boolean(nb.int64, nb.int64, nb.int64, nb.boolean, nb.boolean))
def _brackets(before_s: int, instant_s: int, after_s: int, is_first: bool, is_last: bool) -> bool:
    """Whether a reading between two others, or at an end of all, brackets an edge."""
    if is_first or is_last:
        return True
    edge_before_s = instant_s // QUARTER_S * QUARTER_S
    edge_after_s = -(-instant_s // QUARTER_S) * QUARTER_S
    return before_s < edge_before_s or edge_after_s < after_s


@nb.njit(nb.void(nb.int64[::1], nb.int64[::1], nb.boolean[::1], nb.int64[::1], nb.boolean[::1]), nogil=True, cache=True)
def find_deciding(
    union_s: Int64Array, node: Int64Array, known: Flags, inserted_by: Int64Array, deciding: Flags
) -> None:
    """Of each late reading whether it brackets an edge among those that stood when its turn came.

    union_s[U]: all instants, ascending; known[U]: whether it stood before any late one; node[M]: each late reading's
    instant in union_s; inserted_by[U]: the first late reading of an instant that was not known. The answer goes to
    deciding[M]. Worked out from the last to the first, taking each inserted instant out of a linked list again.
    """
    count = len(union_s)
    before = np.arange(-1, count - 1)
    after = np.arange(1, count + 1)
    for m in range(len(node) - 1, -1, -1):
        n = node[m]
        b, a = before[n], after[n]
        is_first, is_last = b < 0, a >= count
        deciding[m] = _brackets(
            0 if is_first else union_s[b], union_s[n], 0 if is_last else union_s[a], is_first, is_last
        )
        if not known[n] and inserted_by[n] == m:
            if not is_first:
                after[b] = a
            if not is_last:
                before[a] = b


@kernel(
    nb.int64(
        nb.int64[::1],
        nb.boolean[::1],
        nb.int64[::1],
        nb.int32[::1],
        nb.boolean[::1],
        nb.int64[::1],
        nb.int32[::1],
        nb.boolean[::1],
        nb.int8[::1],
    )
)
def take_late(
    node: Int64Array,
    deciding: Flags,
    late_value: Int64Array,
    late_version: Int32Array,
    stands: Flags,
    value: Int64Array,
    version: Int32Array,
    changed: Flags,
    outcome: Int8Array,
) -> int:
    """Takes late readings in the order of the log into what stands at each instant (rule 1); how many changed it.

    node[M], deciding[M], late_value[M], late_version[M] are the late readings; stands[U], value[U] and version[U] what
    stands at each instant, changed in place; changed[U] notes where; outcome[M] becomes an Outcome each.
    """
    changes = 0
    for m in range(len(node)):
        n = node[m]
        if stands[n] and late_version[m] <= version[n]:
            conflict = late_version[m] == version[n] and late_value[m] != value[n] and deciding[m]
            outcome[m] = _CONFLICT if conflict else _UNCHANGED
            continue
        stands[n] = True
        value[n] = late_value[m]
        version[n] = late_version[m]
        changed[n] = True
        changes += 1
        outcome[m] = _APPLIED if deciding[m] else _UNCHANGED
    return changes


class LateResult(NamedTuple):
    """A series' history with its late readings, and what became of them."""

    history: History
    outcome: Int8Array
    """[M] an Outcome for each late reading."""
    changed: Int64Array
    """[C] where in `history` a reading is new or another one stands."""


def with_late(history: History, late: History) -> LateResult:
    """Takes `late` readings of one series, in the order of the log, into its history (rules 1, 10 and 11)."""
    both_s = np.sort(np.concatenate([history.ts_s, late.ts_s]))
    union_s = both_s[np.diff(both_s, prepend=both_s[:1] - 1) != 0]
    at = np.searchsorted(union_s, history.ts_s)
    known = np.zeros(len(union_s), np.bool_)
    known[at] = True
    value, version = np.zeros(len(union_s), np.int64), np.zeros(len(union_s), np.int32)
    value[at], version[at] = history.value, history.version
    node = np.searchsorted(union_s, late.ts_s).astype(np.int64)
    inserted_by = np.full(len(union_s), -1, np.int64)
    inserted_by[node[::-1]] = np.arange(len(node))[::-1]  # of several at an instant the first one's is written last
    deciding = np.zeros(len(node), np.bool_)
    find_deciding(union_s, node, known, inserted_by, deciding)
    changed, outcome = np.zeros(len(union_s), np.bool_), np.zeros(len(node), np.int8)
    late_value, late_version = np.ascontiguousarray(late.value), np.ascontiguousarray(late.version)
    take_late(node, deciding, late_value, late_version, known, value, version, changed, outcome)
    return LateResult(History(union_s, value, version), outcome, np.flatnonzero(changed))


def touched_ranges(history: History, placement: Placement, changed: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Ranges of windows (the starts of their first and last) that readings at the places `changed` may touch.

    Those of a reading are the ones with an edge between its neighbours; ranges that meet are one. The placement is
    narrow.
    """
    instants = history.ts_s
    first_s = instants[np.maximum(changed - 1, 0)]
    last_s = np.where(
        changed + 1 < len(instants), instants[np.minimum(changed + 1, len(instants) - 1)] - 1, instants[-1]
    )
    if len(placement.exchange_at_s):  # records stand as readings, also before the first and after the last
        first_s = np.where(changed == 0, np.minimum(first_s, placement.exchange_at_s[0]), first_s)
        is_last = changed + 1 == len(instants)
        last_s = np.where(is_last, np.maximum(last_s, placement.exchange_at_s[-1]), last_s)
    first_s, last_s = first_s // QUARTER_S * QUARTER_S, last_s // QUARTER_S * QUARTER_S
    reached_s = np.maximum.accumulate(last_s)
    begins = np.flatnonzero(np.r_[True, first_s[1:] > reached_s[:-1]])
    return first_s[begins], reached_s[np.r_[begins[1:] - 1, len(changed) - 1]]


@kernel(nb.int64(MEMORY_TYPE, PLACEMENT_TYPE, CHANGES_TYPE, nb.int64[::1], nb.int64[::1], nb.int64))
def count_ranges(
    memory: SeriesMemory, placement: Placement, changes: Changes, first_s: Int64Array, last_s: Int64Array, sign: int
) -> int:
    """Adds or takes back what one series' history holds in ranges of windows (the starts of their first and last).

    Returns 1, or 0 when `changes` has no room for all of it: nothing is done then.
    """
    count = memory.series[0].holds
    if count == 0 or placement.register[0] >= ENERGY_REGISTERS:
        return 1
    oldest_s = held_s(memory, 0, 0)
    if placement.first_exchange[0] != placement.first_exchange[1]:
        oldest_s = min(oldest_s, placement.exchange_at_s[0])
    oldest_s = oldest_s // QUARTER_S * QUARTER_S
    newest_s = last_settled(memory, placement, 0, newest_held_s(memory, 0)) // QUARTER_S * QUARTER_S
    room = len(changes.zone) - changes.used[0]
    for i in range(len(first_s)):
        room -= max(0, (min(last_s[i], newest_s) - max(first_s[i], oldest_s)) // QUARTER_S + 1)
    if room < 0:
        return 0
    for i in range(len(first_s)):
        if max(first_s[i], oldest_s) <= min(last_s[i], newest_s):
            count_windows(memory, placement, changes, 0, max(first_s[i], oldest_s), min(last_s[i], newest_s), sign)
    return 1


@kernel(nb.int64(MEMORY_TYPE, nb.int64, nb.int64, nb.int64[::1], nb.int64[::1], nb.int32[::1], nb.int64))
def remember_late(
    memory: SeriesMemory,
    slot: int,
    memory_s: int,
    ts_s: Int64Array,
    value: Int64Array,
    version: Int32Array,
    begin: int,
) -> int:
    """Lets a series' memory hold late readings from `begin` on that have been taken, where it reaches so far back.

    The readings stand in the series' history; nothing is counted. Returns how many are done: fewer than all when the
    memory has to be made larger for the next one.
    """
    keep_before(memory, slot)
    for i in range(begin, len(ts_s)):
        if memory.series[slot].holds == memory.held.shape[1] and not make_room(memory, slot, memory_s):
            return i
        if memory.since_s[slot] != COMPLETE_S and ts_s[i] < held_s(memory, slot, 0):
            continue
        k = held_until(memory, slot, ts_s[i])
        if k > 0 and held_s(memory, slot, k - 1) == ts_s[i]:
            set_held(memory, slot, k - 1, ts_s[i], value[i], version[i])
            continue
        put_in(memory, slot, k, ts_s[i], value[i], version[i])
        for j in range(k + 1, k - 2, -1):  # it, and the two beside it, may bracket no edge now
            if 0 < j < memory.series[slot].holds - 1 and not decides(memory, slot, j):
                take_out(memory, slot, j)
    forget(memory, slot, memory_s)
    return len(ts_s)
