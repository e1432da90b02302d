"""The register at a window's edge: R(b) of rule 2, exchanges counted in (rule 13). Compiled, integers only."""

import numba as nb

from shared.balance.held import held_s, held_until, held_value
from shared.balance.kernel_types import MEMORY_TYPE, PLACEMENT_TYPE, kernel
from shared.balance.memory import UNKNOWN, SeriesMemory
from shared.balance.placement import Placement
from shared.limits import BRACKET_S_MAX

_EDGE_TYPE = nb.types.UniTuple(nb.int64, 2)


@kernel(nb.int64(PLACEMENT_TYPE, nb.int64, nb.int64))
def shift_at(placement: Placement, slot: int, instant_s: int) -> int:
    """What exchanges up to `instant_s` add to the register's value (rule 13): Σ (last − first)."""
    shift = 0
    for k in range(placement.first_exchange[slot], placement.first_exchange[slot + 1]):
        if placement.exchange_at_s[k] <= instant_s and placement.exchange_blank[k] == 0:
            shift += placement.exchange_last_wh[k] - placement.exchange_first_wh[k]
    return shift


@kernel(nb.boolean(PLACEMENT_TYPE, nb.int64, nb.int64, nb.int64))
def broken_between(placement: Placement, slot: int, after_s: int, until_s: int) -> bool:
    """Whether an exchange that carries nothing over lies in (after, until] (rule 13)."""
    for k in range(placement.first_exchange[slot], placement.first_exchange[slot + 1]):
        if placement.exchange_blank[k] == 1 and after_s < placement.exchange_at_s[k] <= until_s:
            return True
    return False


@kernel(_EDGE_TYPE(nb.int64, nb.int64, nb.int64, nb.int64, nb.int64))
def between(t0_s: int, v0: int, t1_s: int, v1: int, edge_s: int) -> tuple[int, int]:
    """R at an edge inside the bracket and the bracket's width; quotient and remainder first (rule 2)."""
    width_s = t1_s - t0_s
    if width_s > BRACKET_S_MAX:
        return 0, UNKNOWN
    quotient = (v1 - v0) // width_s
    remainder = (v1 - v0) - quotient * width_s
    since_s = edge_s - t0_s
    return v0 + quotient * since_s + remainder * since_s // width_s, width_s


@kernel(_EDGE_TYPE(MEMORY_TYPE, PLACEMENT_TYPE, nb.int64, nb.int64, nb.int64))
def exchanged_edge(memory: SeriesMemory, placement: Placement, slot: int, edge_s: int, held: int) -> tuple[int, int]:
    """R at an edge of a series with exchanges, each record standing as a reading (rule 13).

    `held` is the number of readings held at or before the edge.
    """
    t0_s, v0 = UNKNOWN, 0
    t1_s, v1 = UNKNOWN, 0
    if held > 0:
        t0_s = held_s(memory, slot, held - 1)
        v0 = held_value(memory, slot, held - 1) + shift_at(placement, slot, t0_s)
    if held < memory.series[slot].holds:
        t1_s = held_s(memory, slot, held)
        v1 = held_value(memory, slot, held) + shift_at(placement, slot, t1_s)
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


@kernel(_EDGE_TYPE(MEMORY_TYPE, PLACEMENT_TYPE, nb.int64, nb.int64))
def edge(memory: SeriesMemory, placement: Placement, slot: int, edge_s: int) -> tuple[int, int]:
    """R of a series at an edge and the width of the bracket that gave it (0: a reading on it; UNKNOWN), rule 2."""
    if edge_s < memory.since_s[slot]:
        return 0, UNKNOWN
    held = held_until(memory, slot, edge_s)
    if placement.first_exchange[slot] != placement.first_exchange[slot + 1]:
        return exchanged_edge(memory, placement, slot, edge_s, held)
    if held == 0:
        return 0, UNKNOWN
    if held_s(memory, slot, held - 1) == edge_s:
        return held_value(memory, slot, held - 1), 0
    if held == memory.series[slot].holds:
        return 0, UNKNOWN
    return between(
        held_s(memory, slot, held - 1),
        held_value(memory, slot, held - 1),
        held_s(memory, slot, held),
        held_value(memory, slot, held),
        edge_s,
    )
