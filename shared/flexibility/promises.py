"""What is left of assets and zones when what is promised already is taken off: the same energy is never sold twice.

Pure, whole W and Ws. Promises of the opposite direction give nothing back: neither the energy that they would bring nor
the room that they would make is certain. An asset that is promised one way in a window is not offered the other way.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.flexibility.envelope import NO_LIMIT_W
from shared.limits import QUARTER_S

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Promises:
    """N powers promised, each of an asset in a window that has not ended: held for an offer, or ordered."""

    asset: Int64Array
    """[N] asset index."""
    window_start_s: Int64Array
    power_w: Int64Array
    up: BoolArray

    def window(self, from_s: int, windows: int) -> tuple[BoolArray, Int64Array]:
        """[N] which are in the `windows` windows from `from_s` on, and in which one."""
        place = (self.window_start_s - from_s) // QUARTER_S
        return (place >= 0) & (place < windows), place


def power_left_w(most_w: Int64Array, promises: Promises, *, up: bool, from_s: int, windows: int) -> Int64Array:
    """[A, W] what each asset may still be asked for, of `most_w` [A]."""
    left_w = np.repeat(most_w[:, None], windows, axis=1)
    inside, window = promises.window(from_s, windows)
    same, other = inside & (promises.up == up), inside & (promises.up != up)
    np.subtract.at(left_w, (promises.asset[same], window[same]), promises.power_w[same])
    left_w[promises.asset[other], window[other]] = 0
    return np.maximum(left_w, 0)


def energy_left_ws(most_ws: Int64Array, promises: Promises, *, up: bool) -> Int64Array:
    """[A] the energy that is not promised, of `most_ws` [A].

    A running window is taken off as a whole, though some of it is delivered: the newest content may be older than that.
    """
    left_ws = most_ws.copy()
    same = promises.up == up
    np.subtract.at(left_ws, promises.asset[same], promises.power_w[same] * QUARTER_S)
    return np.maximum(left_ws, 0)


def headroom_left_w(limit_w: Int64Array, flow_w: Int64Array, known: BoolArray, promised_w: Int64Array) -> Int64Array:
    """[Z, W] how much more may flow: limit less flow less what is promised, not below 0; NO_LIMIT_W without a limit.

    `limit_w` [Z] of the direction (negative: none), `flow_w` [Z, W] what is expected to flow in it, negative the other
    way. A zone with a limit of which nothing is `known` [Z, W] has none left: a promise must not rest on a guess.
    """
    left_w = np.where(known, np.maximum(limit_w[:, None] - flow_w - promised_w, 0), 0)
    return np.where(limit_w[:, None] < 0, NO_LIMIT_W, left_w)


def promised_in_zones_w(
    promises: Promises, asset_zone: Int32Array, zone_parent: Int32Array, *, up: bool, from_s: int, windows: int
) -> Int64Array:
    """[Z, W] what the assets in and below each zone are promised for in that direction."""
    own_w = np.zeros((len(zone_parent), windows), np.int64)
    inside, window = promises.window(from_s, windows)
    same = inside & (promises.up == up)
    np.add.at(own_w, (asset_zone[promises.asset[same]], window[same]), promises.power_w[same])
    return summed_up(own_w, zone_parent)


def summed_up(own_w: Int64Array, zone_parent: Int32Array) -> Int64Array:
    """[Z, W] the sum of `own_w` [Z, W] over each zone and those below it; parents stand before their children."""
    sums_w = own_w.copy()
    for zone in range(len(zone_parent) - 1, -1, -1):  # children before parents
        if zone_parent[zone] >= 0:
            sums_w[zone_parent[zone]] += sums_w[zone]
    return sums_w
