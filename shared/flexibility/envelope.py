"""The envelope: the power that assets can hold up or down for so long (design section 4). Whole W and Wh.

Up is towards injection, down towards withdrawal. What is rounded is rounded towards less: an envelope is a promise.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.flexibility.assets import Assets
from shared.flexibility.merit_tree import Level, MeritTree, least_above

Int64Array = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

DURATIONS_S = (15 * 60, 60 * 60, 240 * 60)
"""For how long an envelope is told: one window, four, sixteen."""

NO_LIMIT_W = 2**62
"""The headroom of a zone without a limit."""


def held_up_w(assets: Assets, duration_s: int) -> Int64Array:
    """[A] The power that each asset can give for all of `duration_s`: min(up, energy / t)."""
    return np.minimum(assets.up_w, assets.up_ws // duration_s)


def held_down_w(assets: Assets, duration_s: int) -> Int64Array:
    """[A] The power that each asset can take for all of `duration_s`: min(down, energy / t)."""
    return np.minimum(assets.down_w, assets.down_ws // duration_s)


def headroom_w(limit_w: Int64Array, flow_w: Int64Array, known: npt.NDArray[np.bool_]) -> Int64Array:
    """[Z] How much more may flow in a direction: limit (negative: none) less what flows in it, not below 0.

    Where it is not known what flows now nothing is clipped: a number that is not known would be a guess. Who is told
    the envelope is told which limits were left out.
    """
    return np.where((limit_w >= 0) & known, np.maximum(limit_w - flow_w, 0), NO_LIMIT_W)


@dataclass(frozen=True, slots=True)
class LevelShare:
    """What the zones of a level can hold, and the share of each asset in it, in merit order."""

    level: Level
    share_w: Int64Array
    """[a] in the order of `level.asset`."""
    total_w: Int64Array
    """[n] of each zone of the level."""

    def sums(self, amounts: FloatArray) -> FloatArray:
        """[n] the sum of `amounts` [a], in the order of `level.asset`, over each zone's assets."""
        sums: FloatArray = np.add.reduceat(amounts, self.level.first)
        return sums


def shares_by_level(tree: MeritTree, held_w: Int64Array, room_w: Int64Array) -> Iterator[LevelShare]:
    """What the assets in and below each zone can hold together, clipped by every zone on their paths, level by level.

    `held_w` [A] is what each asset can hold; `room_w` [Z] the headroom of each zone in that direction: export for up,
    import for down. Zones below a zone clip what comes up to it, zones above it what it can pass on.
    """
    above_w = least_above(tree, room_w, NO_LIMIT_W)
    left_w = held_w.copy()
    for level in tree.levels:
        running_w = _running_sums(level, left_w[level.asset])
        left_w[level.asset] = _differences(level, np.minimum(running_w, room_w[level.zone][level.place]))
        passable_w = np.minimum(room_w, above_w)[level.zone]
        reached_w = np.minimum(running_w, passable_w[level.place])
        yield LevelShare(level, _differences(level, reached_w), reached_w[level.last])


def _running_sums(level: Level, power_w: Int64Array) -> Int64Array:
    """[a] Sums from each zone's cheapest asset on."""
    sums = np.cumsum(power_w)
    before = np.append(0, sums)[level.first]
    running_w: Int64Array = sums - before[level.place]
    return running_w


def _differences(level: Level, running_w: Int64Array) -> Int64Array:
    """[a] What each asset adds to its zone's running sum."""
    differences = np.diff(running_w, prepend=0)
    differences[level.first] = running_w[level.first]
    return differences


@dataclass(frozen=True, slots=True)
class Envelope:
    """What each zone can hold for one duration in one direction; zones without assets have 0."""

    held_w: Int64Array
    """[Z]"""
    expected_w: Int64Array
    """[Z] what of it is expected to come, by the assets' availability."""
    firm_w: Int64Array
    """[Z] what comes of it in nine of ten cases, or more (P10)."""
    cost_per_kwh: FloatArray
    """[Z] the mean cost of the power held, from the cheapest on; nan where nothing is held."""


P10_DEVIATIONS = 1.2816
"""So many standard deviations below the mean lies a normal distribution's tenth percentile."""

_FLOAT_W = 1e-3
"""Forgiven to a float before it is rounded down to whole W."""


def zone_envelope(
    tree: MeritTree, held_w: Int64Array, room_w: Int64Array, available: FloatArray, cost_per_kwh: FloatArray
) -> Envelope:
    """The envelope of all zones. `available` [A] is how likely each asset does what it is asked, 0 to 1.

    Assets fail or not each by itself, all or nothing, so the mean is Σ p·h and the variance Σ p·(1 − p)·h²; of their
    sum the normal approximation is taken. A spare asset that another could stand in for is not counted.
    """
    zones = len(tree.zone_parent)
    envelope = Envelope(
        np.zeros(zones, np.int64), np.zeros(zones, np.int64), np.zeros(zones, np.int64), np.full(zones, np.nan)
    )
    for share in shares_by_level(tree, held_w, room_w):
        level, power_w = share.level, share.share_w.astype(np.float64)
        likely = available[level.asset]
        mean_w = share.sums(likely * power_w)
        deviation_w = np.sqrt(share.sums(likely * (1 - likely) * power_w**2))
        envelope.held_w[level.zone] = share.total_w
        envelope.expected_w[level.zone] = np.floor(mean_w + _FLOAT_W)
        envelope.firm_w[level.zone] = np.maximum(np.floor(mean_w - P10_DEVIATIONS * deviation_w + _FLOAT_W), 0)
        costs = share.sums(power_w * cost_per_kwh[level.asset])
        envelope.cost_per_kwh[level.zone] = np.divide(
            costs, share.total_w, out=np.full(len(costs), np.nan), where=share.total_w > 0
        )
    return envelope


def never_more_when_longer(shorter: Envelope, longer: Envelope) -> Envelope:
    """`longer` with no more expected or firm than for the shorter time: what can be held long can be held short."""
    return Envelope(
        longer.held_w,
        np.minimum(longer.expected_w, shorter.expected_w),
        np.minimum(longer.firm_w, shorter.firm_w),
        longer.cost_per_kwh,
    )
