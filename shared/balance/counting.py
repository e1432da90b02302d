"""What a series' energy adds to its zone's sums in a window (rules 3 to 6 and 8). Compiled, integers only."""

import numba as nb

from shared.balance.changes import (
    BOUNDARY,
    BOUNDARY_KNOWN,
    ESTIMATED,
    EXCLUDED,
    MEASURED,
    POOL_DRAWN,
    POOL_INJECTED,
    Changes,
)
from shared.balance.edges import broken_between, edge
from shared.balance.held import held_s, newest_held_s
from shared.balance.kernel_types import CHANGES_TYPE, MEMORY_TYPE, PLACEMENT_TYPE, kernel
from shared.balance.memory import COMPLETE_S, UNKNOWN, SeriesMemory
from shared.balance.placement import RENEWABLE, Placement
from shared.limits import MEASURED_BRACKET_S_MAX, QUARTER_S
from shared.words import ENERGY_REGISTERS, MeterKind, Register

_BOUNDARY_KIND = MeterKind.BOUNDARY.code
_WITHDRAWN = Register.WITHDRAWN.code


@kernel(nb.int64(CHANGES_TYPE, nb.int64, nb.int64), inline=True)
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


@kernel(nb.void(PLACEMENT_TYPE, CHANGES_TYPE, nb.int64, nb.int64, nb.int64, nb.boolean, nb.int64), inline=True)
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
        elif RENEWABLE[kind] == 1:
            sums[POOL_INJECTED] += sign * energy_wh
    if measured:
        sums[MEASURED] += sign
    else:
        sums[ESTIMATED] += sign


@kernel(nb.void(MEMORY_TYPE, PLACEMENT_TYPE, CHANGES_TYPE, nb.int64, nb.int64, nb.int64, nb.int64))
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


@kernel(nb.int64(MEMORY_TYPE, PLACEMENT_TYPE, nb.int64, nb.int64))
def last_settled(memory: SeriesMemory, placement: Placement, slot: int, newest_s: int) -> int:
    """The last instant whose edges the series may know: its newest reading, or a record of an exchange after it."""
    last_s = newest_s
    if placement.first_exchange[slot] != placement.first_exchange[slot + 1]:
        last_s = max(last_s, placement.exchange_at_s[placement.first_exchange[slot + 1] - 1])
    return last_s


@kernel(nb.int64(MEMORY_TYPE, PLACEMENT_TYPE, CHANGES_TYPE, nb.int64, nb.int64, nb.int64))
def count_memory(
    memory: SeriesMemory, placement: Placement, changes: Changes, slot: int, since_s: int, sign: int
) -> int:
    """Adds or takes back all that a series holds in windows in memory that start at or after `since_s`.

    Used when a topology changes where the series counts. Returns 1, or 0 when `changes` has no room.
    """
    if memory.series[slot].holds == 0 or placement.register[slot] >= ENERGY_REGISTERS:
        return 1
    first_s = held_s(memory, slot, 0) // QUARTER_S * QUARTER_S
    if placement.first_exchange[slot] != placement.first_exchange[slot + 1] and memory.since_s[slot] == COMPLETE_S:
        first_s = min(first_s, placement.exchange_at_s[placement.first_exchange[slot]] // QUARTER_S * QUARTER_S)
    first_s = max(first_s, since_s // QUARTER_S * QUARTER_S)
    newest_s = newest_held_s(memory, slot)
    last_s = last_settled(memory, placement, slot, newest_s) // QUARTER_S * QUARTER_S
    if last_s < first_s:
        return 1
    if changes.used[0] + (last_s - first_s) // QUARTER_S + 1 > len(changes.zone):
        return 0
    count_windows(memory, placement, changes, slot, first_s, last_s, sign)
    return 1


@kernel(nb.int64(PLACEMENT_TYPE, CHANGES_TYPE, CHANGES_TYPE))
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


@kernel(nb.void(CHANGES_TYPE, CHANGES_TYPE))
def pour(changes: Changes, larger: Changes) -> None:
    """Adds all rows to those of `larger`, which has room for them."""
    for row in range(changes.used[0]):
        target = larger.sums[row_of(larger, changes.zone[row], changes.window_s[row])]
        for column in range(changes.sums.shape[1]):
            target[column] += changes.sums[row, column]
