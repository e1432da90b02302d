"""The live view of a partition's zones: power now, energy so far in the running window, freshness (design section 3).

A live figure is an estimate that runs ahead of the exact balance; it never enters a total. Integers only.
"""

from enum import IntEnum

import numba as nb
import numpy as np

from shared.balance.edges import edge, shift_at
from shared.balance.held import before_newest, held_value, newest_held_s
from shared.balance.kernel_types import MEMORY_TYPE, PLACEMENT_TYPE, kernel
from shared.balance.memory import (
    GAPS,
    STEADY,
    UNKNOWN,
    Int8Array,
    Int32Array,
    Int64Array,
    SeriesMemory,
)
from shared.balance.placement import Placement
from shared.limits import QUARTER_S
from shared.words import ENERGY_REGISTERS, MeterKind, Register


class LiveColumn(IntEnum):
    """The columns of a zone's live sums; a pair's second is the injected or discharged side."""

    METERS = 0
    HEARD = 1
    NEWEST_S = 2
    WITHDRAWN_W = 3
    INJECTED_W = 4
    CHARGED_W = 5
    DISCHARGED_W = 6
    SOC_WH = 7
    SOC_KNOWN = 8
    WITHDRAWN_WH = 9
    INJECTED_WH = 10
    CHARGED_WH = 11
    DISCHARGED_WH = 12
    WITHDRAWN_EXPECTED_WH = 13
    INJECTED_EXPECTED_WH = 14
    CHARGED_EXPECTED_WH = 15
    DISCHARGED_EXPECTED_WH = 16


LIVE_COLUMNS = len(LiveColumn)
_METERS, _HEARD, _NEWEST = int(LiveColumn.METERS), int(LiveColumn.HEARD), int(LiveColumn.NEWEST_S)
_POWER, _SOC, _SOC_KNOWN = int(LiveColumn.WITHDRAWN_W), int(LiveColumn.SOC_WH), int(LiveColumn.SOC_KNOWN)
_SO_FAR, _EXPECTED = int(LiveColumn.WITHDRAWN_WH), int(LiveColumn.WITHDRAWN_EXPECTED_WH)
_STORAGE, _BOUNDARY = MeterKind.STORAGE.code, MeterKind.BOUNDARY.code
_STATE_OF_CHARGE = Register.STATE_OF_CHARGE.code
_CADENCE_DEFAULT_S, _CADENCE_S_MIN, _CADENCE_S_MAX = 900, 10, 86_400
_HEARD_GRACE_S = 60
_SEEN, _FRESH, _COUNTED = 1, 2, 4


@kernel(nb.int64(MEMORY_TYPE, nb.int64))
def cadence_s(memory: SeriesMemory, slot: int) -> int:
    """The median of the series' last 8 gaps, between 10 s and 24 h; 15 minutes before there are two."""
    series = memory.series[slot]
    if series.flags & STEADY:
        return QUARTER_S
    known = min(series.gaps, GAPS)
    if known < 2:
        return _CADENCE_DEFAULT_S
    middle = 0
    for i in range(known):  # its rank among the gaps, equals by their place
        rank = 0
        for j in range(known):
            gap_s, other_s = memory.gap_s[slot, i], memory.gap_s[slot, j]
            rank += other_s < gap_s or (other_s == gap_s and j < i)
        middle += int(memory.gap_s[slot, i]) * ((rank == (known - 1) // 2) + int(rank == known // 2))
    median = middle // 2
    if median < _CADENCE_S_MIN:
        return _CADENCE_S_MIN
    return min(_CADENCE_S_MAX, median)


@kernel(nb.int64(PLACEMENT_TYPE, nb.int64, nb.int64))
def place_at(placement: Placement, slot: int, instant_s: int) -> int:
    """The slot's place that holds `instant_s`, or −1."""
    for place in range(placement.first_place[slot], placement.first_place[slot + 1]):
        if placement.valid_from_s[place] <= instant_s < placement.valid_to_s[place]:
            return place
    return -1


@kernel(nb.int64(MEMORY_TYPE, PLACEMENT_TYPE, nb.int64))
def slope_w(memory: SeriesMemory, placement: Placement, slot: int) -> int:
    """The power between a register's last two readings, W; 0 before there are two or where it ran backwards."""
    before_s, before_value = before_newest(memory, slot)
    newest_s = newest_held_s(memory, slot)
    if before_s < 0 or newest_s <= before_s:
        return 0
    energy_wh = held_value(memory, slot, memory.series[slot].holds - 1) - before_value
    energy_wh += shift_at(placement, slot, newest_s) - shift_at(placement, slot, before_s)
    return max(energy_wh, 0) * 3600 // (newest_s - before_s)


@kernel(nb.void(MEMORY_TYPE, PLACEMENT_TYPE, nb.int64, nb.int8[::1], nb.int64[:, ::1]))
def hear(memory: SeriesMemory, placement: Placement, now_s: int, meter_state: Int8Array, meter_w: Int64Array) -> None:
    """Notes which meters are heard (within two of their own cadences and a minute) and the power that they send.

    Arrays by meter [M] and [M, 2]; `meter_w` is −1 where a meter sends no fresh 1.7.0 or 2.7.0.
    """
    for slot in range(len(memory.series)):
        meter = placement.meter[slot]
        if meter < 0 or memory.series[slot].holds == 0:
            continue
        newest_s = newest_held_s(memory, slot)
        meter_state[meter] |= _SEEN
        if newest_s < now_s - 2 * cadence_s(memory, slot) - _HEARD_GRACE_S:
            continue
        meter_state[meter] |= _FRESH
        register = placement.register[slot]
        if ENERGY_REGISTERS <= register < _STATE_OF_CHARGE:
            meter_w[meter, register - ENERGY_REGISTERS] = held_value(memory, slot, 0)


@kernel(nb.int64(MEMORY_TYPE, PLACEMENT_TYPE, nb.int64, nb.int64, nb.int64))
def energy_so_far(memory: SeriesMemory, placement: Placement, slot: int, now_s: int, power_w: int) -> int:
    """A series' energy since the running window began, Wh: what is known of it, and `power_w` from there on to now."""
    window_s = now_s // QUARTER_S * QUARTER_S
    newest_s = newest_held_s(memory, slot)
    since_s, known_wh = window_s, 0
    if newest_s >= window_s:
        start, start_width_s = edge(memory, placement, slot, window_s)
        if start_width_s != UNKNOWN:
            end_s = window_s + QUARTER_S
            if newest_s >= end_s:
                end, end_width_s = edge(memory, placement, slot, end_s)
                return max(end - start, 0) if end_width_s != UNKNOWN else 0
            newest = held_value(memory, slot, memory.series[slot].holds - 1) + shift_at(placement, slot, newest_s)
            since_s, known_wh = newest_s, max(newest - start, 0)
    return known_wh + max(now_s - since_s, 0) * power_w // 3600


@kernel(nb.void(MEMORY_TYPE, PLACEMENT_TYPE, nb.int64, nb.int8[::1], nb.int64[:, ::1], nb.int64[:, ::1]))
def sum_zones(
    memory: SeriesMemory,
    placement: Placement,
    now_s: int,
    meter_state: Int8Array,
    meter_w: Int64Array,
    zones: Int64Array,
) -> None:
    """Adds every valid series' share to its zone's row of `zones` [Z, LIVE_COLUMNS]; `hear` has filled the rest."""
    window_end_s = now_s // QUARTER_S * QUARTER_S + QUARTER_S
    for slot in range(len(memory.series)):
        meter = placement.meter[slot]
        if meter < 0:
            continue
        place = place_at(placement, slot, now_s)
        if place < 0 or placement.kind[place] == _BOUNDARY:
            continue
        row = zones[placement.zone[place]]
        if meter_state[meter] & _COUNTED == 0:
            meter_state[meter] |= _COUNTED
            row[_METERS] += 1
            row[_HEARD] += (meter_state[meter] & _FRESH) // _FRESH
            for flow in range(2):
                if meter_w[meter, flow] >= 0:
                    row[_POWER + 2 * (placement.kind[place] == _STORAGE) + flow] += meter_w[meter, flow]
        if memory.series[slot].holds == 0:
            continue
        row[_NEWEST] = max(row[_NEWEST], newest_held_s(memory, slot))
        if meter_state[meter] & _FRESH == 0:
            continue
        register = placement.register[slot]
        if register == _STATE_OF_CHARGE:
            row[_SOC] += held_value(memory, slot, 0)
            row[_SOC_KNOWN] += 1
        elif register < ENERGY_REGISTERS:
            column = 2 * (placement.kind[place] == _STORAGE) + register
            power_w = meter_w[meter, register]
            if power_w < 0:
                power_w = slope_w(memory, placement, slot)
                row[_POWER + column] += power_w
            so_far_wh = energy_so_far(memory, placement, slot, now_s, power_w)
            row[_SO_FAR + column] += so_far_wh
            row[_EXPECTED + column] += so_far_wh + (window_end_s - now_s) * power_w // 3600


@kernel(nb.void(nb.int32[::1], nb.int64[:, ::1]))
def sum_upwards(zone_parent: Int32Array, zones: Int64Array) -> None:
    """Adds each zone's row to its parent's; parents come before their children in the topology."""
    for zone in range(len(zone_parent) - 1, -1, -1):
        parent = zone_parent[zone]
        if parent < 0:
            continue
        for column in range(zones.shape[1]):
            if column == _NEWEST:
                zones[parent, column] = max(zones[parent, column], zones[zone, column])
            else:
                zones[parent, column] += zones[zone, column]


def live_zones(memory: SeriesMemory, placement: Placement, now_s: int) -> Int64Array:
    """The live sums of every zone [Z, LIVE_COLUMNS], zones below counted in, at `now_s`."""
    # A partition's meters stand together in the topology: notes are made of these, not of all that there are.
    meter = placement.meter
    last = int(meter.max(initial=-1))
    first = int(meter.min(initial=last, where=meter >= 0))
    placement = placement._replace(meter=meter - np.int32(max(first, 0)))
    meter_state = np.zeros(last - first + 1, np.int8)
    meter_w = np.full((last - first + 1, 2), -1, np.int64)
    zones = np.zeros((len(placement.zone_parent), LIVE_COLUMNS), np.int64)
    hear(memory, placement, now_s, meter_state, meter_w)
    sum_zones(memory, placement, now_s, meter_state, meter_w, zones)
    sum_upwards(placement.zone_parent, zones)
    return zones


@nb.njit(nb.int64[::1](MEMORY_TYPE, PLACEMENT_TYPE, nb.int64[::1]), nogil=True, cache=True)
def slopes_w(memory: SeriesMemory, placement: Placement, slots: Int64Array) -> Int64Array:
    """The power between the last two readings of each of `slots`, W; 0 where the register counts no energy."""
    powers = np.zeros(len(slots), np.int64)
    for k in range(len(slots)):
        if placement.register[slots[k]] < ENERGY_REGISTERS:
            powers[k] = slope_w(memory, placement, slots[k])
    return powers


@nb.njit(nb.int32[::1](MEMORY_TYPE, nb.int64[::1]), nogil=True, cache=True)
def cadences_s(memory: SeriesMemory, slots: Int64Array) -> Int32Array:
    """The cadence of each of `slots`, in seconds."""
    cadences = np.zeros(len(slots), np.int32)
    for k in range(len(slots)):
        cadences[k] = cadence_s(memory, slots[k])
    return cadences
