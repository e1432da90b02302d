"""What a selection of assets is asked: how much power each can give in each window, at what cost, through which zones.

Pure, whole W and Ws. Power is counted in the direction asked for, up or down: never negative.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import numpy as np
import numpy.typing as npt

from shared.flexibility.envelope import NO_LIMIT_W
from shared.limits import QUARTER_S

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]

COST_PARTS = 1_000_000
"""Costs of a MWh are kept in whole millionths of the currency unit, so that no sum of them is rounded."""

_WINDOWS_IN_HOUR = 3600 // QUARTER_S
_W_IN_MW = 1_000_000


@dataclass(frozen=True)
class SelectionProblem:
    """A assets that may hold a constant power over W windows, together at most `target_w`, in and below one zone.

    Z zones, a parent before its children; each zone below the root takes no more than its headroom. What limits the
    root or a zone above it is in `target_w` already.
    """

    name: Sequence[str]
    """[A] decides between assets of the same cost."""
    power_w: Int64Array
    """[A, W] the most in each window."""
    energy_ws: Int64Array
    """[A] the most over all windows, watt-seconds."""
    cost: Int64Array
    """[A] of a MWh, in millionths."""
    zone: Int32Array
    """[A] index of the zone that each asset is in."""
    zone_parent: Int32Array
    """[Z] index of the zone above, -1 at the root."""
    headroom_w: Int64Array
    """[Z, W] what each zone takes, not negative, NO_LIMIT_W without a limit."""
    target_w: int

    @property
    def windows(self) -> int:
        """How many windows the power is to be held in."""
        return int(self.power_w.shape[1])

    @cached_property
    def energy_w(self) -> Int64Array:
        """[A] the most that the powers of all windows may sum up to: a sum below it is within the energy, exactly."""
        return self.energy_ws // QUARTER_S

    @cached_property
    def merit(self) -> Int64Array:
        """[A] the assets from the cheapest on; of the same cost, by name."""
        order = sorted(range(len(self.name)), key=lambda asset: (int(self.cost[asset]), self.name[asset]))
        return np.array(order, np.int64)

    @cached_property
    def below(self) -> dict[int, BoolArray]:
        """Of each zone but the root that has a limit in any window: which assets are in it or below it, [A]."""
        limited = np.flatnonzero((self.headroom_w < NO_LIMIT_W).any(axis=1) & (self.zone_parent >= 0))
        inside = np.zeros((len(self.zone_parent), len(limited)), np.bool_)
        inside[limited, np.arange(len(limited))] = True
        for zone, parent in enumerate(self.zone_parent.tolist()):  # parents stand before children
            if parent >= 0:
                inside[zone] |= inside[parent]
        return {zone: inside[self.zone, place] for place, zone in enumerate(limited.tolist())}

    def path_of(self, zone: int) -> list[int]:
        """`zone` and the zones above it, the root last."""
        path = [zone]
        while (parent := int(self.zone_parent[path[-1]])) >= 0:
            path.append(parent)
        return path

    def broken(self, power_w: Int64Array) -> list[str]:
        """The limits that the selection `power_w` [A, W] breaks, in words; none when it can be held."""
        found = []
        if (power_w < 0).any():
            found.append("a power is negative")
        if (power_w > self.power_w).any():
            found.append("an asset is asked for more power than it has")
        if (power_w.sum(axis=1) > self.energy_w).any():
            found.append("an asset is asked for more energy than it has")
        if any((power_w[members].sum(axis=0) > self.headroom_w[zone]).any() for zone, members in self.below.items()):
            found.append("a zone is asked for more than it has room for")
        sums = power_w.sum(axis=0)
        if len(sums) and not (sums == sums[0]).all():
            found.append("the windows do not hold the same power")
        if (sums > self.target_w).any():
            found.append("more is held than was asked for")
        return found


@dataclass(frozen=True, slots=True)
class Selection:
    """Which assets hold how much."""

    held_w: int
    """The power that is held in every window."""
    power_w: Int64Array
    """[A, W] of each asset; each window sums up to `held_w`."""
    method: str
    """How it was found: `linear programme`, or `merit order` where that could not be solved in time."""


def cost_of(power_w: Int64Array, cost: Sequence[int]) -> Decimal:
    """What the powers [A, W] cost over their windows, exact, in the currency of the costs (millionths a MWh, [A])."""
    parts = sum(held_w * int(part) for held_w, part in zip(power_w.sum(axis=1).tolist(), cost, strict=True))
    return Decimal(parts) / (_WINDOWS_IN_HOUR * _W_IN_MW * COST_PARTS)
