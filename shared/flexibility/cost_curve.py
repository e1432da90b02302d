"""The cost curve of a zone: how much power can be had at which cost, from the cheapest on (merit order)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from shared.flexibility.envelope import LevelShare

Int64Array = npt.NDArray[np.int64]

_Step = TypeVar("_Step")

STEPS_MAX = 100
"""Steps of a curve; of more, neighbours are told as one step at the cost of the dearest of them."""


@dataclass(frozen=True, slots=True)
class CostSteps:
    """The steps of all zones of a level, zone by zone."""

    zone: Int64Array
    """[n] zone index."""
    first: Int64Array
    """[n + 1] where each zone's steps begin; the last is the end."""
    rank: Int64Array
    """[s] the place of the step's cost among the distinct costs, ascending within a zone."""
    up_to_w: Int64Array
    """[s] the power that can be had up to this cost."""


def cost_steps(share: LevelShare, cost_rank: Int64Array) -> CostSteps:
    """The steps of a level: assets of equal cost are one; what nothing can be had of is none.

    `cost_rank` [A] orders the costs of the assets.
    """
    level = share.level
    used = np.flatnonzero(share.share_w)
    place, rank = level.place[used], cost_rank[level.asset[used]]
    begins = np.flatnonzero((np.diff(place, prepend=-1) != 0) | (np.diff(rank, prepend=-1) != 0))
    step_w = np.add.reduceat(share.share_w[used], begins) if len(begins) else np.zeros(0, np.int64)
    step_place = place[begins]
    first = np.searchsorted(step_place, np.arange(len(level.zone) + 1))
    sums = np.cumsum(step_w)
    return CostSteps(level.zone, first, rank[begins], sums - np.append(0, sums)[first[step_place]])


def thinned(steps: Sequence[_Step]) -> Sequence[_Step]:
    """A zone's steps, STEPS_MAX at most: of each run of neighbours the last, which has its power and highest cost."""
    if len(steps) <= STEPS_MAX:
        return steps
    return [steps[number * len(steps) // STEPS_MAX - 1] for number in range(1, STEPS_MAX + 1)]
