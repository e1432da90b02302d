"""The envelope: the power that assets can hold up or down for so long (design section 4). Whole W and Wh.

Up is towards injection, down towards withdrawal. What is rounded is rounded towards less: an envelope is a promise.
"""

import numpy as np
import numpy.typing as npt

from shared.flexibility.assets import Assets

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]

DURATIONS_S = (15 * 60, 60 * 60, 240 * 60)
"""For how long an envelope is told: one window, four, sixteen."""

NO_LIMIT_W = np.int64(2**62)
"""The headroom of a zone without a limit."""


def held_up_w(assets: Assets, duration_s: int) -> Int64Array:
    """[A] The power that each asset can give for all of `duration_s`: min(up, energy / t)."""
    return np.minimum(assets.up_w, assets.up_ws // duration_s)


def held_down_w(assets: Assets, duration_s: int) -> Int64Array:
    """[A] The power that each asset can take for all of `duration_s`: min(down, energy / t)."""
    return np.minimum(assets.down_w, assets.down_ws // duration_s)


def zone_envelope_w(assets: Assets, held_w: Int64Array, zone_parent: Int32Array, headroom_w: Int64Array) -> Int64Array:
    """[Z] What the assets in and below each zone can hold together, clipped by every zone on their paths.

    `held_w` [A] is what each asset can hold; `headroom_w` [Z] the room that each zone has in that direction, not
    negative, NO_LIMIT_W without a limit: export for up, import for down. Parents stand before their children.
    """
    total_w = np.zeros(len(zone_parent), np.int64)
    np.add.at(total_w, assets.zone, held_w)
    for zone in range(len(zone_parent) - 1, -1, -1):
        total_w[zone] = min(total_w[zone], headroom_w[zone])
        if zone_parent[zone] >= 0:
            total_w[zone_parent[zone]] += total_w[zone]
    above_w = headroom_w.copy()  # the least headroom on the way from the root
    for zone, parent in enumerate(zone_parent.tolist()):
        if parent >= 0:
            above_w[zone] = min(above_w[zone], above_w[parent])
    return np.minimum(total_w, above_w)
