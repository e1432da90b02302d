"""What is usual at each quarter of the day, and how far each quarter was off it: the past as a forecast looks at it.

Every figure of a quarter is made from that quarter and earlier ones alone, so one set of profiles serves every instant
at which a forecast may be issued: what it may look at are the places before its origin.
"""

from dataclasses import dataclass

import numpy as np

from shared.forecast.calendar import Calendar
from shared.forecast.history import DAY_QUARTERS, History, Mask, Real
from shared.forecast.usual import Usual, find_usual

_ENVELOPE_KEPT = 0.97
"""What is left of a clear day's supply a day later: in autumn the sun sinks about that fast."""


@dataclass(frozen=True, slots=True)
class Deviations:
    """How far a quantity was off what was usual the day before, as sums from which means over any stretch follow."""

    total: Real
    """[Z, T + 1] the sum of all deviations before a quarter, Wh."""
    count: Real
    """[Z, T + 1] how many there are before it."""

    def of(self, zones: slice | Mask) -> "Deviations":
        """Those of some zones."""
        return Deviations(self.total[zones], self.count[zones])


@dataclass(frozen=True, slots=True)
class Profiles:
    """Z zones, T quarters; energies in Wh a quarter."""

    net_wh: Real
    known: Mask
    """[Z, T]"""
    level_wh: Real
    """[Z, T] what net energy usually is on a workday at this quarter of the day; nan where nothing is known yet."""
    kind_wh: Real
    """[DAY_KINDS, Z, T] what is usually added on days of a kind."""
    dimming_wh: Real
    """[Z, T] the supply of a clear day less the usual one: what clouds have been taking."""
    net: Deviations
    demand: Deviations
    supply: Deviations

    def of(self, zones: slice | Mask) -> "Profiles":
        """The profiles of some zones."""
        return Profiles(
            self.net_wh[zones],
            self.known[zones],
            self.level_wh[zones],
            self.kind_wh[:, zones],
            self.dimming_wh[zones],
            self.net.of(zones),
            self.demand.of(zones),
            self.supply.of(zones),
        )


def make_profiles(history: History, calendar: Calendar) -> Profiles:
    """The profiles of a history; `calendar` begins with its first quarter."""
    shape = history.zones, -1, DAY_QUARTERS
    known = history.known.reshape(shape)
    kinds = calendar.day_kind[: history.quarters].reshape(-1, DAY_QUARTERS)
    demand, supply = (column.astype(np.float64).reshape(shape) for column in (history.demand_wh, history.supply_wh))
    demand_usual, supply_usual = (find_usual(values, known, kinds) for values in (demand, supply))
    net_usual = demand_usual.less(supply_usual)
    return Profiles(
        net_wh=_flat(demand - supply),
        known=history.known,
        level_wh=_flat(net_usual.level_wh),
        kind_wh=net_usual.kind_wh.reshape(len(net_usual.kind_wh), history.zones, -1),
        dimming_wh=_flat(_envelope(supply, known) - supply_usual.level_wh),
        net=_deviations(net_usual),
        demand=_deviations(demand_usual),
        supply=_deviations(supply_usual),
    )


def _flat(days: Real) -> Real:
    return days.reshape(len(days), -1)


def _envelope(values: Real, known: Mask) -> Real:
    """[Z, D, 96] the greatest of this day and those before, which count less from day to day."""
    envelope = np.empty_like(values)
    greatest = np.zeros_like(values[:, 0])
    for day in range(values.shape[1]):
        greatest = np.maximum(_ENVELOPE_KEPT * greatest, np.where(known[:, day], values[:, day], 0.0))
        envelope[:, day] = greatest
    return envelope


def _deviations(usual: Usual) -> Deviations:
    known = ~np.isnan(usual.off_wh)
    return Deviations(_sums_before(np.where(known, usual.off_wh, 0.0)), _sums_before(known.astype(np.float64)))


def _sums_before(days: Real) -> Real:
    """[Z, T + 1] the sums of all quarters before each."""
    flat = _flat(days)
    sums = np.zeros((len(flat), flat.shape[1] + 1))
    np.cumsum(flat, axis=1, out=sums[:, 1:])
    return sums
