"""The envelope: the power that assets can hold up or down for so long (design section 4). Whole W and Wh.

Up is towards injection, down towards withdrawal. What is rounded is rounded towards less: an envelope is a promise.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.limits import KW_MAX

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]

DURATIONS_S = (15 * 60, 60 * 60, 240 * 60)
"""For how long an envelope is told: one window, four, sixteen."""

UNLIMITED_WH = 2**40
"""The energy of an asset that has no limit of energy: more than one can take or give in a day."""

WHOLE_PPM = 1_000_000
"""An efficiency of 1, in parts per million."""

NO_LIMIT_W = np.int64(2**62)
"""The headroom of a zone without a limit."""

_WHOLE_MAX = 10**12
"""More than any asset's power asks for: a larger quotient may be taken for this one."""

# No product passes 63 bits, and the quotient that is cut off is beyond the greatest power of a topology.
assert UNLIMITED_WH * 3600 < 2**63
assert (_WHOLE_MAX + 1) * WHOLE_PPM < 2**63
assert _WHOLE_MAX * WHOLE_PPM // DURATIONS_S[-1] > KW_MAX * 1000


@dataclass(frozen=True, slots=True)
class Assets:
    """A assets, a column each; one that was not heard holds nothing."""

    zone: Int32Array
    """[A] index of the zone that the asset's meter is in."""
    up_w: Int64Array
    """[A] the most it can give, W, not negative."""
    down_w: Int64Array
    """[A] the most it can take, W, not negative."""
    content_wh: Int64Array
    """[A] what it holds now, Wh."""
    energy_wh: Int64Array
    """[A] what it can hold, Wh."""
    reserve_wh: Int64Array
    """[A] what it must not go below, Wh."""
    efficiency_ppm: Int64Array
    """[A] of the round trip, above 0, parts per million; lost on charging."""
    heard: npt.NDArray[np.bool_]
    """[A] whether its meter is heard."""


def held_up_w(assets: Assets, duration_s: int) -> Int64Array:
    """[A] The power that each asset can give for all of `duration_s`: min(up, (content − reserve) / t)."""
    spare_wh = np.maximum(assets.content_wh - assets.reserve_wh, 0)
    return np.where(assets.heard, np.minimum(assets.up_w, spare_wh * 3600 // duration_s), 0)


def held_down_w(assets: Assets, duration_s: int) -> Int64Array:
    """[A] The power that each asset can take for all of `duration_s`: min(down, (energy − content) / (efficiency · t)).

    Of what is taken only `efficiency` is stored, so a store of little efficiency can take longer.
    """
    room_wh = np.maximum(assets.energy_wh - assets.content_wh, 0)
    # The exact floor of room · 3600 · 10^6 / (efficiency · t), quotient and remainder first.
    whole, rest = np.divmod(room_wh * 3600, assets.efficiency_ppm)
    whole = np.minimum(whole, _WHOLE_MAX)
    power_w = (whole * WHOLE_PPM + rest * WHOLE_PPM // assets.efficiency_ppm) // duration_s
    return np.where(assets.heard, np.minimum(assets.down_w, power_w), 0)


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
