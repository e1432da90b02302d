"""The balance in plain Python: the specification in code that the kernels are held to.

It keeps every reading for ever and works every total out anew from the rules as they are written. It is slow, and it is
the one to believe when the two differ.
"""

from bisect import bisect
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.balance.changes import (
    BOUNDARY,
    BOUNDARY_KNOWN,
    ESTIMATED,
    EXCLUDED,
    MEASURED,
    POOL_DRAWN,
    POOL_INJECTED,
    SUMS,
)
from shared.limits import BRACKET_S_MAX, MEASURED_BRACKET_S_MAX, MEMORY_S, QUARTER_S
from shared.words import RENEWABLE_KINDS, MeterKind, Outcome, Register


@dataclass(frozen=True)
class ReferencePlace:
    """Where a series counts in windows that start in [valid_from, valid_to)."""

    zone: int
    kind: MeterKind
    pool: bool
    energy_wh_max: int
    valid_from_s: int = -(2**62)
    valid_to_s: int = 2**62


@dataclass(frozen=True)
class ReferenceExchange:
    """An exchange of the meter (rule 13); both values None: nothing is carried over."""

    at_s: int
    last_wh: int | None
    first_wh: int | None


@dataclass
class ReferenceSeries:
    """A series with all its readings: instant → (value, version)."""

    register: Register
    places: tuple[ReferencePlace, ...]
    exchanges: tuple[ReferenceExchange, ...] = ()
    readings: dict[int, tuple[int, int]] = field(default_factory=dict)

    def counted(self) -> dict[int, int]:
        """Instant → value with exchanges counted in, the records standing as readings (rule 13)."""
        values = {}
        shift = 0
        carried = [exchange for exchange in self.exchanges if exchange.last_wh is not None]
        for exchange in carried:
            assert exchange.last_wh is not None and exchange.first_wh is not None
            values[exchange.at_s] = exchange.last_wh + shift
            shift += exchange.last_wh - exchange.first_wh
        for instant_s, (value, _version) in self.readings.items():
            added = 0
            for exchange in carried:
                assert exchange.last_wh is not None and exchange.first_wh is not None
                if exchange.at_s <= instant_s:
                    added += exchange.last_wh - exchange.first_wh
            values[instant_s] = value + added
        return values

    def broken(self, after_s: int, until_s: int) -> bool:
        """Whether nothing is carried over an instant in (after, until]."""
        return any(e.last_wh is None and after_s < e.at_s <= until_s for e in self.exchanges)


def edge_value(
    values: dict[int, int], instants_s: list[int], series: ReferenceSeries, edge_s: int
) -> tuple[int, int] | None:
    """R at an edge and its bracket's width, or None while it is unknown (rule 2); `instants_s` is `values` in order."""
    if edge_s in values:
        return values[edge_s], 0
    after = bisect(instants_s, edge_s)
    if after in (0, len(instants_s)):
        return None
    t0_s, t1_s = instants_s[after - 1], instants_s[after]
    if t1_s - t0_s > BRACKET_S_MAX or series.broken(t0_s, t1_s):
        return None
    v0, v1 = values[t0_s], values[t1_s]
    return v0 + (v1 - v0) * (edge_s - t0_s) // (t1_s - t0_s), t1_s - t0_s


def window_energies(series: ReferenceSeries) -> Iterator[tuple[int, int, bool]]:
    """Each window of which the series' energy is known: its start, the energy in Wh, whether measured (rules 3, 5)."""
    values = series.counted()
    if not values or not series.readings:
        return
    first_s = min(values) // QUARTER_S * QUARTER_S
    instants_s = sorted(values)
    edges = {e: edge_value(values, instants_s, series, e) for e in range(first_s, max(values) + 1, QUARTER_S)}
    for start_s, start in edges.items():
        end = edges.get(start_s + QUARTER_S)
        if start is None or end is None or series.broken(start_s, start_s + QUARTER_S):
            continue
        measured = max(start[1], end[1]) <= MEASURED_BRACKET_S_MAX
        yield start_s, end[0] - start[0], measured


class ReferenceBalance:
    """A partition's balance from all that ever came. Zones are numbered; `zone_parent[z]` is −1 at the root."""

    def __init__(self, series: list[ReferenceSeries], zone_parent: list[int], memory_s: int = MEMORY_S) -> None:
        """Takes series without readings, by slot."""
        self.series = series
        self.zone_parent = zone_parent
        self.memory_s = memory_s

    def apply(self, slot: int, instant_s: int, value: int, version: int) -> Outcome:
        """Takes a reading and says what became of it (rules 1, 10, 11). A pending one is not counted in."""
        series = self.series[slot]
        readings = series.readings
        newest_s = max(readings, default=None)
        if series.register not in (Register.WITHDRAWN, Register.INJECTED):
            if newest_s is not None and (
                instant_s < newest_s or (instant_s == newest_s and version <= readings[newest_s][1])
            ):
                return Outcome.UNCHANGED
            readings[instant_s] = (value, version)
            return Outcome.APPLIED
        if newest_s is None or instant_s > newest_s:
            readings[instant_s] = (value, version)
            return Outcome.APPLIED
        if instant_s < newest_s - self.memory_s:
            return Outcome.PENDING
        return self.take(slot, instant_s, value, version)

    def take(self, slot: int, instant_s: int, value: int, version: int) -> Outcome:
        """Takes a reading of an energy register however old it is: a late one when its turn has come (rule 11)."""
        readings = self.series[slot].readings
        decides = instant_s == max(readings) or self._decides(readings, instant_s)
        if instant_s not in readings:
            readings[instant_s] = (value, version)
            return Outcome.APPLIED if decides else Outcome.UNCHANGED
        known_value, known_version = readings[instant_s]
        if version < known_version:
            return Outcome.UNCHANGED
        if version == known_version:
            return Outcome.CONFLICT if decides and value != known_value else Outcome.UNCHANGED
        readings[instant_s] = (value, version)
        return Outcome.APPLIED if decides else Outcome.UNCHANGED

    @staticmethod
    def _decides(readings: dict[int, tuple[int, int]], instant_s: int) -> bool:
        """Whether a reading at `instant_s` brackets an edge: one lies between it and a neighbour, or on it."""
        before = max((r for r in readings if r < instant_s), default=None)
        after = min((r for r in readings if r > instant_s), default=None)
        if before is None or after is None:
            return True
        return any(before < e <= instant_s or instant_s <= e < after for e in _edges(before, after))

    def totals(self) -> dict[tuple[int, int], list[int]]:
        """(zone, window start) → sums, in the columns of `changes.py` (rules 4 to 6 and 8)."""
        totals: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0] * SUMS)
        for series in self.series:
            if series.register not in (Register.WITHDRAWN, Register.INJECTED):
                continue
            for start_s, energy_wh, measured in window_energies(series):
                for place in series.places:
                    if place.valid_from_s <= start_s < place.valid_to_s:
                        self._count(totals, series, place, start_s, energy_wh, measured)
        return dict(totals)

    def _count(
        self,
        totals: dict[tuple[int, int], list[int]],
        series: ReferenceSeries,
        place: ReferencePlace,
        start_s: int,
        energy_wh: int,
        measured: bool,
    ) -> None:
        plausible = 0 <= energy_wh <= place.energy_wh_max
        withdrawn = series.register is Register.WITHDRAWN
        if place.kind is MeterKind.BOUNDARY:
            if plausible:
                totals[place.zone, start_s][BOUNDARY] += energy_wh if withdrawn else -energy_wh
                totals[place.zone, start_s][BOUNDARY_KNOWN] += 1
            return
        zone = place.zone
        while zone >= 0:
            sums = totals[zone, start_s]
            zone = self.zone_parent[zone]
            if not plausible:
                sums[EXCLUDED] += 1
                continue
            sums[MEASURED if measured else ESTIMATED] += 1
            sums[2 * place.kind.code + series.register.code] += energy_wh
            if place.pool and withdrawn:
                sums[POOL_DRAWN] += energy_wh
            elif place.pool and place.kind in RENEWABLE_KINDS:
                sums[POOL_INJECTED] += energy_wh


def _edges(after_s: int, before_s: int) -> range:
    """The edges in (after − 1, before]."""
    return range(-(-after_s // QUARTER_S) * QUARTER_S, before_s + 1, QUARTER_S)
