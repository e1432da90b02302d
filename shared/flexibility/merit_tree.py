"""Assets laid out for the zones' tree: at each level, by zone and in merit order, so that whole levels are summed.

Limits of a tree of zones are nested, so taking assets in merit order, and letting each zone cut off what is beyond its
limit, gives the most that can be held at every cost: there is nothing that another choice could make better.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Level:
    """The n zones at one depth that have assets in or below them, with those a assets."""

    zone: Int64Array
    """[n] zone index, ascending."""
    first: Int64Array
    """[n] where each zone's assets begin in `asset`."""
    asset: Int64Array
    """[a] asset index: zone by zone, from the cheapest on."""
    place: Int64Array
    """[a] the place of each one's zone in `zone`."""

    @property
    def last(self) -> Int64Array:
        """[n] where each zone's assets end in `asset`: the place of the last one."""
        return np.append(self.first[1:], len(self.asset)) - 1


@dataclass(frozen=True, slots=True)
class MeritTree:
    """The levels of a tree of Z zones with A assets."""

    zone_parent: Int32Array
    """[Z] the parent's index, −1 at a root; parents stand before their children."""
    depths: Sequence[Int64Array]
    """The zones at each depth, from the roots on."""
    levels: Sequence[Level]
    """From the deepest on; none without assets."""
    level_of: Int64Array
    """[Z] the place in `levels` at which a zone stands, −1 without assets in or below it."""
    number_of: Int64Array
    """[Z] its place in that level."""
    last_below: Int64Array
    """[Z] the last zone of each zone's own tree: a zone is followed at once by the zones below it."""

    def sums(self, amounts: Int64Array) -> Int64Array:
        """[Z] the sum of `amounts` [A] over the assets in and below each zone."""
        sums = np.zeros(len(self.zone_parent), np.int64)
        for level in self.levels:
            sums[level.zone] = np.add.reduceat(amounts[level.asset], level.first)
        return sums


def merit_tree(zone_parent: Int32Array, asset_zone: Int32Array, merit: Int64Array) -> MeritTree:
    """The tree; `asset_zone` [A] is the zone of each asset, `merit` the assets from the cheapest on."""
    depth = zone_depths(zone_parent)
    rank = np.empty(len(merit), np.int64)
    rank[merit] = np.arange(len(merit))
    ancestor = asset_zone.astype(np.int64)  # of each asset, at the level at hand
    levels = []
    for level_depth in range(int(depth.max(initial=-1)), -1, -1):
        ancestor = (
            np.where(depth[ancestor] > level_depth, zone_parent[ancestor], ancestor) if len(ancestor) else ancestor
        )
        inside = np.flatnonzero(depth[ancestor] == level_depth)
        if not len(inside):
            continue
        ordered = inside[np.lexsort((rank[inside], ancestor[inside]))]
        zone, first, place = np.unique(ancestor[ordered], return_index=True, return_inverse=True)
        levels.append(Level(zone, first.astype(np.int64), ordered, place.astype(np.int64)))
    depths = [np.flatnonzero(depth == number) for number in range(int(depth.max(initial=-1)) + 1)]
    level_of, number_of = np.full(len(depth), -1, np.int64), np.full(len(depth), -1, np.int64)
    for number, level in enumerate(levels):
        level_of[level.zone], number_of[level.zone] = number, np.arange(len(level.zone))
    return MeritTree(zone_parent, depths, levels, level_of, number_of, _last_below(zone_parent))


def zone_depths(zone_parent: Int32Array) -> Int64Array:
    """[Z] how many zones lie above each."""
    depth = np.zeros(len(zone_parent), np.int64)
    for zone, parent in enumerate(zone_parent.tolist()):
        if parent >= 0:
            depth[zone] = depth[parent] + 1
    return depth


def _last_below(zone_parent: Int32Array) -> Int64Array:
    last = list(range(len(zone_parent)))
    for zone in range(len(last) - 1, -1, -1):
        parent = int(zone_parent[zone])
        if parent >= 0:
            last[parent] = max(last[parent], last[zone])
    return np.array(last, np.int64)


def least_above(tree: MeritTree, room_w: Int64Array, without: int) -> Int64Array:
    """[Z] the least of `room_w` of the zones above each; `without` where there is none."""
    above_w = np.full(len(room_w), without, np.int64)
    for zones in tree.depths[1:]:
        parents = tree.zone_parent[zones]
        above_w[zones] = np.minimum(above_w[parents], room_w[parents])
    return above_w
