"""What is usual at a quarter of the day: its level on workdays, and what Saturdays and rest days add to it.

Exponential smoothing from day to day with additive seasons (Holt 1957, Winters 1960), each quarter of the day by
itself: the level moves on quickly, what a kind of day adds slowly.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.forecast.calendar import DAY_KINDS, WORKDAY
from shared.forecast.history import DAY_QUARTERS, Mask, Real

_LEVEL_KEPT = 0.5 ** (1 / 5)
"""A half-life of 5 days: weather and season move on, and single days say little; 3 to 7 days do nearly as well."""
_KIND_KEPT = 0.5 ** (1 / 8)
"""A half-life of 8 days of the kind: how Saturdays differ changes slowly, and each one says little."""
_SPREAD_KEPT = 0.5 ** (1 / 28)
_DOUBT = 2.0
"""What a kind of day adds is believed as far as it stands out from chance, of which this many times as much as quarters
that know nothing of each other would show is granted: those of one day share their weather."""

_EVERY = np.ones(1, np.bool_)

Kinds = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Usual:
    """Z zones, D days; Wh a quarter."""

    level_wh: Real
    """[Z, D, 96] the weighted mean over the days up to this one; nan where nothing is known yet."""
    kind_wh: Real
    """[DAY_KINDS, Z, D, 96] what days of a kind add, by the days up to this one; 0 on workdays."""
    off_wh: Real
    """[Z, D, 96] how far the quarter was off what was usual the day before; nan where either is not known."""

    def less(self, other: "Usual") -> "Usual":
        """What is usual of the difference."""
        return Usual(self.level_wh - other.level_wh, self.kind_wh - other.kind_wh, self.off_wh - other.off_wh)


class _Mean:
    """Means that forget, one a quarter of the day: [Z, 96]."""

    def __init__(self, zones: int, kept: float) -> None:
        self._kept = kept
        self.total = np.zeros((zones, DAY_QUARTERS))
        self.weight = np.zeros((zones, DAY_QUARTERS))
        self.squares = np.zeros((zones, DAY_QUARTERS))

    def add(self, values: Real, counts: Mask, forgets: Mask) -> None:
        """Takes in the values that count; the older ones lose weight where it `forgets`."""
        loss = np.where(forgets, self._kept, 1.0)
        self.total = loss * self.total + np.where(counts, values, 0.0)
        self.weight = loss * self.weight + counts
        self.squares = loss**2 * self.squares + counts

    def mean(self, unknown: float) -> Real:
        """The means; `unknown` where nothing has counted."""
        mean: Real = np.divide(self.total, self.weight, out=np.full_like(self.total, unknown), where=self.weight > 0)
        return mean

    def chance(self) -> Real:
        """[Z, 96] the variance of each mean, for values of variance 1: 1 / how many values it is worth."""
        chance: Real = np.divide(self.squares, self.weight**2, out=np.zeros_like(self.total), where=self.weight > 0)
        return chance


def find_usual(values: Real, known: Mask, kinds: Kinds) -> Usual:
    """What was usual of `values` [Z, D, 96], as far as `known`; `kinds` [D, 96] are those of the quarters' days."""
    zones, days, _ = values.shape
    level, off = np.empty_like(values), np.full_like(values, np.nan)
    kind_wh = np.zeros((DAY_KINDS, *values.shape))
    levels = _Mean(zones, _LEVEL_KEPT)
    adds = {kind: _Mean(zones, _KIND_KEPT) for kind in range(DAY_KINDS) if kind != WORKDAY}
    part = dict.fromkeys(adds, np.zeros((zones, 1)))
    spread, spread_weight = np.zeros(zones), np.zeros(zones)
    for day in range(days):
        before = levels.mean(np.nan)
        added = _chosen(kind_wh[:, :, day - 1], kinds[day]) if day else np.zeros_like(before)
        off[:, day] = np.where(known[:, day], values[:, day] - before - added, np.nan)
        held = ~np.isnan(off[:, day])
        spread = _SPREAD_KEPT * spread + (np.where(held, off[:, day], 0.0) ** 2).sum(axis=1)
        spread_weight = _SPREAD_KEPT * spread_weight + held.sum(axis=1)
        for kind, mean in adds.items():
            counts = held & (kinds[day] == kind)
            mean.add(values[:, day] - before, counts, counts)
            kind_wh[kind, :, day] = part[kind] * mean.mean(0.0)
            # From the next day on: what later quarters of a day say may not be known at the earlier ones.
            part[kind] = _believed_part(mean, spread / np.maximum(spread_weight, 1.0))
        levels.add(values[:, day] - _chosen(kind_wh[:, :, day], kinds[day]), known[:, day], _EVERY)
        level[:, day] = levels.mean(np.nan)
    return Usual(level, kind_wh, off)


def _chosen(kind_wh: Real, kinds: Kinds) -> Real:
    """[Z, 96] of [DAY_KINDS, Z, 96] the kind of each quarter."""
    chosen: Real = np.take_along_axis(kind_wh, kinds[None, None].astype(np.int64), axis=0)[0]
    return chosen


def _believed_part(mean: _Mean, variance: Real) -> Real:
    """[Z, 1] which part of the means is more than chance (James and Stein 1961, the positive part)."""
    chance = _DOUBT * variance * mean.chance().mean(axis=1)
    shown = (mean.mean(0.0) ** 2).mean(axis=1)
    by_chance = np.ones_like(shown)
    np.divide(chance, shown, out=by_chance, where=shown > 0)
    part: Real = np.clip(1 - by_chance, 0.0, 1.0)[:, None]
    return part
