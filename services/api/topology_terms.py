"""What answers need of a topology: who is in a zone or below it, and how many series and meters count there when."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from shared.topology.index import FOREVER_S, NEVER_S, Topology
from shared.words import ENERGY_REGISTERS, SUMMED_KINDS, MeterKind

Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_ENERGY_BITS = (1 << ENERGY_REGISTERS) - 1


@dataclass(frozen=True, slots=True)
class StepCounts:
    """A count that changes at certain instants: `counts[k]` holds before `instants_s[k]`, the last one after all."""

    instants_s: Counts
    counts: Counts

    def at(self, instants_s: Counts) -> Counts:
        """The count at each of `instants_s`; a change counts from its own instant on."""
        return self.counts[np.searchsorted(self.instants_s, instants_s, side="right")]


@dataclass(frozen=True, slots=True)
class ZoneTerms:
    """A zone in one topology: what its balance is held against."""

    zone: str
    zone_id: int
    kinds: Sequence[MeterKind]
    """The kinds of meters that ever have an energy series in the zone or below, in the order of their codes."""
    expected: StepCounts
    """Series 1.8.0 and 2.8.0 that are valid in the zone or below, boundary meters apart (design rule 6)."""
    boundary_registers: StepCounts
    """Registers of the zone's own boundary meters (design rule 8)."""


class TopologyTerms:
    """One topology with what was worked out from it; zones are worked out when first asked for."""

    def __init__(self, topology: Topology) -> None:
        """`topology` is not copied and must not change."""
        self.topology = topology
        self.zone_index = {zone: index for index, zone in enumerate(topology.zone)}
        self._terms: dict[str, ZoneTerms] = {}
        self._meters_from_s, self._meters_to_s = FOREVER_S, FOREVER_S
        self._meters: Counts = np.empty(0, np.int64)

    def below(self, zone_index: int) -> Mask:
        """Which zones are the zone itself or below it, by zone index."""
        inside = np.zeros(len(self.topology.zone), np.bool_)
        inside[zone_index] = True
        parents = self.topology.zone_parent
        for index in range(zone_index + 1, len(inside)):  # parents stand before children
            inside[index] = inside[parents[index]]
        return inside

    def zone_terms(self, zone: str) -> ZoneTerms:
        """The terms of `zone`. Raises KeyError when the topology has no such zone."""
        found = self._terms.get(zone)
        if found is None:
            found = self._terms[zone] = self._work_out(self.zone_index[zone])
        return found

    def rows_valid_at(self, instant_s: int) -> Mask:
        """Which meter rows count at `instant_s` (a meter has at most one of them)."""
        topology = self.topology
        valid: Mask = (topology.row_valid_from_s <= instant_s) & (instant_s < topology.row_valid_to_s)
        return valid

    def meters_at(self, instant_s: int) -> Counts:
        """How many meters count in each zone or below it at `instant_s`, boundary meters apart; by zone index."""
        if not self._meters_from_s <= instant_s < self._meters_to_s:
            self._meters_from_s, self._meters_to_s = self.unchanged_around(instant_s)
            self._meters = self._count_meters(self.rows_valid_at(instant_s))
        return self._meters

    def unchanged_around(self, instant_s: int) -> tuple[int, int]:
        """From when (included) to when the same meter rows count as at `instant_s`."""
        changes = self._change_instants
        place = int(np.searchsorted(changes, instant_s, side="right"))
        return int(changes[place - 1]), int(changes[place])

    @cached_property
    def _change_instants(self) -> Counts:
        topology = self.topology
        ends = np.array([NEVER_S, FOREVER_S], np.int64)
        return np.unique(np.concatenate([topology.row_valid_from_s, topology.row_valid_to_s, ends]))

    @cached_property
    def _row_is_boundary(self) -> Mask:
        boundary: Mask = self.topology.row_kind == MeterKind.BOUNDARY.code
        return boundary

    @cached_property
    def _row_energy_registers(self) -> Counts:
        registers: Counts = np.bitwise_count(self.topology.row_registers & _ENERGY_BITS).astype(np.int64)
        return registers

    def _count_meters(self, valid: Mask) -> Counts:
        topology = self.topology
        counted = topology.row_zone[valid & ~self._row_is_boundary]
        meters = np.bincount(counted, minlength=len(topology.zone)).astype(np.int64)
        for index in range(len(meters) - 1, 0, -1):  # children before parents
            parent = topology.zone_parent[index]
            if parent >= 0:
                meters[parent] += meters[index]
        return meters

    def _work_out(self, zone_index: int) -> ZoneTerms:
        topology = self.topology
        inside = self.below(zone_index)[topology.row_zone] & ~self._row_is_boundary
        boundary = (topology.row_zone == zone_index) & self._row_is_boundary
        codes = np.unique(topology.row_kind[inside & (self._row_energy_registers > 0)])
        return ZoneTerms(
            zone=topology.zone[zone_index],
            zone_id=int(topology.zone_id[zone_index]),
            kinds=[SUMMED_KINDS[code] for code in codes],
            expected=self._registers_over_time(inside),
            boundary_registers=self._registers_over_time(boundary),
        )

    def _registers_over_time(self, rows: Mask) -> StepCounts:
        topology = self.topology
        registers = self._row_energy_registers[rows]
        instants = np.concatenate([topology.row_valid_from_s[rows], topology.row_valid_to_s[rows]])
        changes, place = np.unique(instants, return_inverse=True)
        steps = np.zeros(len(changes), np.int64)
        np.add.at(steps, place, np.concatenate([registers, -registers]))
        return StepCounts(changes, np.concatenate([[0], np.cumsum(steps)]))
