"""The balance of whole histories, many series at once: what a recomputation counts with.

A series without exchanges whose readings are in the order of time is walked once from edge to edge (rules 2 to 6), for
each of its places: nearly all its steps are quarters of an hour on edges, and those are added as vectors. Any other
series is `history.py`'s. That both come to the same is tested against the plain reference.
"""

from typing import NamedTuple

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
)
from shared.balance.edges import between
from shared.balance.kernel_types import PLACEMENT_TYPE, kernel
from shared.balance.memory import UNKNOWN, Int8Array, Int32Array, Int64Array
from shared.balance.placement import RENEWABLE, Placement
from shared.balance.zone_sums import BLOCK, NO_PAGE, SUMS_TYPE, WANTED, ZoneSums, block_of
from shared.limits import BRACKET_S_MAX, EARLIEST_INSTANT_S, INSTANT_S_MAX, MEASURED_BRACKET_S_MAX, QUARTER_S
from shared.words import MeterKind, Register

PLAIN, UNORDERED, OTHER = range(3)
"""What a series is: to be counted here; so, too, once it is in the order of time; to be counted by `history.py`."""


class SeriesRuns(NamedTuple):
    """Readings of S series of energy, those of each in one run or more. N readings, R runs."""

    slot: Int32Array
    """[S] ascending"""
    first_run: Int64Array
    """[S + 1] series k has the runs first_run[k] … first_run[k + 1] − 1, in the order of the log."""
    begin: Int64Array
    """[R] where a run begins in the columns, …"""
    end: Int64Array
    """[R] … and where it ends."""
    ts_s: Int64Array
    """[N]"""
    value: Int64Array
    """[N]"""
    version: Int32Array
    """[N]"""


class _Target(NamedTuple):
    """Where the energy of a series goes while it counts at one of its places."""

    valid_from_s: int
    valid_to_s: int
    energy_wh_max: int
    sign: int
    """−1 where the energy is taken from the column."""
    zone: int
    column: int
    pool_column: int
    """NOWHERE: not of the pool."""
    measured: int
    """The column that counts measured windows, …"""
    estimated: int
    """… estimated ones …"""
    excluded: int
    """… and implausible ones; NOWHERE: they are not counted."""


NOWHERE = -1
_BOUNDARY_KIND = MeterKind.BOUNDARY.code
_WITHDRAWN = Register.WITHDRAWN.code
_RUNS_TYPE = nb.typeof(SeriesRuns(*(np.zeros(1, of) for of in ("i4", "i8", "i8", "i8", "i8", "i8", "i4"))))
_TARGET_TYPE = nb.types.NamedTuple([nb.int32 if name == "zone" else nb.int64 for name in _Target._fields], _Target)
_BLOCK_MASK = BLOCK - 1
_ONE = np.uint64(1)
_STRIDE = 64
"""Readings of one block are passed over so many at a time."""


@kernel(_TARGET_TYPE(PLACEMENT_TYPE, nb.int64, nb.int64))
def _target(placement: Placement, slot: int, place: int) -> _Target:
    """Where a series' energy goes at one of its places (rules 6 and 8)."""
    kind, register = int(placement.kind[place]), int(placement.register[slot])
    pool_column, sign = NOWHERE, 1
    column, measured, estimated, excluded = 2 * kind + register, MEASURED, ESTIMATED, EXCLUDED
    if kind == _BOUNDARY_KIND:
        column, measured, estimated, excluded = BOUNDARY, BOUNDARY_KNOWN, BOUNDARY_KNOWN, NOWHERE
        sign = 1 if register == _WITHDRAWN else -1
    elif placement.pool[place] == 1 and register == _WITHDRAWN:
        pool_column = POOL_DRAWN
    elif placement.pool[place] == 1 and RENEWABLE[kind] == 1:
        pool_column = POOL_INJECTED
    return _Target(
        int(placement.valid_from_s[place]),
        int(placement.valid_to_s[place]),
        int(placement.energy_wh_max[place]),
        sign,
        int(placement.zone[place]),
        column,
        pool_column,
        measured,
        estimated,
        excluded,
    )


@kernel(nb.boolean(_RUNS_TYPE, nb.int64))
def _in_order(runs: SeriesRuns, k: int) -> bool:
    """Whether each reading of a series is later than the one before it."""
    last_s = -1
    for run in range(runs.first_run[k], runs.first_run[k + 1]):
        for i in range(runs.begin[run], runs.end[run]):
            if runs.ts_s[i] <= last_s:
                return False
            last_s = int(runs.ts_s[i])
    return True


@kernel(nb.boolean(_RUNS_TYPE, nb.int64))
def _in_range(runs: SeriesRuns, k: int) -> bool:
    """Whether pages reach as far as the readings of an ordered series."""
    first, end = runs.first_run[k], runs.first_run[k + 1]
    if first == end:
        return True
    return runs.ts_s[runs.begin[first]] >= EARLIEST_INSTANT_S and runs.ts_s[runs.end[end - 1] - 1] <= INSTANT_S_MAX


@kernel(nb.void(_RUNS_TYPE, nb.int64, nb.int32[::1]))
def _want_pages(runs: SeriesRuns, k: int, page: Int32Array) -> None:
    """Wants a page for each block of its zone in which an ordered series may have energy."""
    last_s = -1
    for run in range(runs.first_run[k], runs.first_run[k + 1]):
        i = int(runs.begin[run])
        while i < runs.end[run]:
            ts_s = int(runs.ts_s[i])
            block = block_of(ts_s)
            first = block_of(last_s) if last_s >= 0 and ts_s - last_s <= BRACKET_S_MAX else block
            for between_them in range(first, block + 1):
                if page[between_them] == NO_PAGE:
                    page[between_them] = WANTED
            last_s = ts_s
            i += 1
            while i + _STRIDE < runs.end[run] and block_of(int(runs.ts_s[i + _STRIDE - 1])) == block:
                i += _STRIDE  # they are in order: all of these are in the block
                last_s = int(runs.ts_s[i - 1])


@kernel(nb.void(_RUNS_TYPE, PLACEMENT_TYPE, SUMS_TYPE, nb.int8[::1]))
def look_through(runs: SeriesRuns, placement: Placement, sums: ZoneSums, kind: Int8Array) -> None:
    """Says of each series what it is, and wants the pages that plain ones need."""
    for k in range(len(runs.slot)):
        slot = runs.slot[k]
        if placement.first_exchange[slot] != placement.first_exchange[slot + 1]:
            kind[k] = OTHER
        elif not _in_order(runs, k):
            kind[k] = UNORDERED
        elif not _in_range(runs, k):
            kind[k] = OTHER
        else:
            kind[k] = PLAIN
            for place in range(placement.first_place[slot], placement.first_place[slot + 1]):
                _want_pages(runs, k, sums.page[placement.zone[place]])


@kernel(nb.void(SUMS_TYPE, _TARGET_TYPE, nb.int64, nb.int64, nb.int64, nb.int64))
def _add(sums: ZoneSums, target: _Target, window_s: int, energy_wh: int, start_width_s: int, end_width_s: int) -> None:
    """Adds a series' energy in a window (rules 3 to 6); the widths are those of its edges' brackets."""
    if start_width_s == UNKNOWN or window_s < target.valid_from_s or window_s >= target.valid_to_s:
        return
    page = sums.sums[sums.page[target.zone, block_of(window_s)]]
    place = (window_s // QUARTER_S) & _BLOCK_MASK
    if energy_wh < 0 or energy_wh > target.energy_wh_max:
        if target.excluded != NOWHERE:
            page[target.excluded, place] += 1
        return
    page[target.column, place] += target.sign * energy_wh
    if target.pool_column != NOWHERE:
        page[target.pool_column, place] += energy_wh
    measured = start_width_s <= MEASURED_BRACKET_S_MAX and end_width_s <= MEASURED_BRACKET_S_MAX
    page[target.measured if measured else target.estimated, place] += 1


@kernel(nb.boolean(nb.int64[::1], nb.int64, nb.int64, nb.int64))
def _plausible(value: Int64Array, first: int, count: int, energy_wh_max: int) -> bool:
    """Whether all the energies are (rule 4)."""
    least, most = 0, 0
    for i in range(np.uint64(first), np.uint64(first + count)):
        energy_wh = int(value[i + _ONE] - value[i])
        least, most = min(least, energy_wh), max(most, energy_wh)
    return least >= 0 and most <= energy_wh_max


@kernel(nb.void(nb.int64[::1], nb.int64, nb.int64[::1], nb.int64, nb.int64, nb.int64))
def _add_energies(column: Int64Array, place: int, value: Int64Array, first: int, count: int, sign: int) -> None:
    """Adds energies to a column, or takes them away."""
    for i in range(np.uint64(count)):
        here = np.uint64(first) + i
        column[np.uint64(place) + i] += sign * (value[here + _ONE] - value[here])


@kernel(nb.void(nb.int64[::1], nb.int64, nb.int64))
def _add_ones(column: Int64Array, place: int, count: int) -> None:
    """Adds 1 to so many windows of a column."""
    for i in range(np.uint64(place), np.uint64(place + count)):
        column[i] += 1


@kernel(nb.void(SUMS_TYPE, _TARGET_TYPE, nb.int64, nb.int64[::1], nb.int64, nb.int64))
def _add_steps(sums: ZoneSums, target: _Target, window_s: int, value: Int64Array, begin: int, steps: int) -> None:
    """Adds the energies between so many readings from number `begin` on, each in a window, from `window_s` on."""
    done = 0
    while done < steps:
        first_s, first = window_s + done * QUARTER_S, begin + done
        place = (first_s // QUARTER_S) & _BLOCK_MASK
        count = min(steps - done, BLOCK - place)
        valid = target.valid_from_s <= first_s and first_s + (count - 1) * QUARTER_S < target.valid_to_s
        if valid and _plausible(value, first, count, target.energy_wh_max):
            page = sums.sums[sums.page[target.zone, block_of(first_s)]]
            _add_energies(page[target.column], place, value, first, count, target.sign)
            _add_ones(page[target.measured], place, count)
            if target.pool_column != NOWHERE:
                _add_energies(page[target.pool_column], place, value, first, count, 1)
        else:
            for i in range(count):
                _add(sums, target, first_s + i * QUARTER_S, value[first + i + 1] - value[first + i], 0, 0)
        done += count


@kernel(nb.int64(nb.int64[::1], nb.int64, nb.int64))
def _regular_steps(ts_s: Int64Array, begin: int, end: int) -> int:
    """How many readings after number `begin` come a quarter of an hour after one another."""
    i = begin + 1
    while i < end and ts_s[i] - ts_s[i - 1] == QUARTER_S:
        i += 1
    return i - 1 - begin


@kernel(nb.void(_RUNS_TYPE, nb.int64, _TARGET_TYPE, SUMS_TYPE))
def _count_series(runs: SeriesRuns, k: int, target: _Target, sums: ZoneSums) -> None:
    """Walks one series from edge to edge.

    `edge_s`, `edge_wh` and `width_s` are the last edge before or at the reading (t0, v0), R there, and the width of the
    bracket that gave it.
    """
    t0_s, v0 = -1, 0
    edge_s, edge_wh, width_s = 0, 0, UNKNOWN
    for run in range(runs.first_run[k], runs.first_run[k + 1]):
        i, end = int(runs.begin[run]), int(runs.end[run])
        while i < end:
            t1_s, v1 = int(runs.ts_s[i]), int(runs.value[i])
            if t0_s < 0 or t1_s - t0_s > BRACKET_S_MAX:
                width_s = UNKNOWN
            else:
                next_s = (t0_s // QUARTER_S + 1) * QUARTER_S
                while next_s < t1_s:
                    next_wh, next_width_s = between(t0_s, v0, t1_s, v1, next_s)
                    _add(sums, target, edge_s, next_wh - edge_wh, width_s, next_width_s)
                    edge_s, edge_wh, width_s = next_s, next_wh, next_width_s
                    next_s += QUARTER_S
                if next_s == t1_s:
                    _add(sums, target, edge_s, v1 - edge_wh, width_s, 0)
            if t1_s % QUARTER_S == 0:
                steps = _regular_steps(runs.ts_s, i, end)
                _add_steps(sums, target, t1_s, runs.value, i, steps)
                i += steps
                edge_s, edge_wh, width_s = int(runs.ts_s[i]), int(runs.value[i]), 0
            t0_s, v0 = int(runs.ts_s[i]), int(runs.value[i])
            i += 1


@kernel(nb.void(_RUNS_TYPE, PLACEMENT_TYPE, SUMS_TYPE, nb.int8[::1]))
def count_plain(runs: SeriesRuns, placement: Placement, sums: ZoneSums, kind: Int8Array) -> None:
    """Adds all that the plain series hold; the pages that `look_through` wanted are there."""
    for k in range(len(runs.slot)):
        if kind[k] == PLAIN:
            slot = runs.slot[k]
            for place in range(placement.first_place[slot], placement.first_place[slot + 1]):
                _count_series(runs, k, _target(placement, slot, place), sums)
