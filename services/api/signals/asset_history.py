"""What is known of assets: how often each did what it was asked, and what is promised of it already."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from services.api.signals.asset_list import AssetList
from shared.flexibility.availability import availability
from shared.limits import QUARTER_S

_Whole = npt.NDArray[np.int64]

UP, DOWN = "up", "down"


@dataclass(frozen=True, slots=True)
class Promised:
    """Power of an asset in a window that is held for an offer or ordered."""

    asset: str
    direction: str
    window_start_s: int
    power_w: int


@dataclass(frozen=True, slots=True)
class AssetHistory:
    """The newest that was read; answers are counted once for each order."""

    answers: dict[str, tuple[int, int]] = field(default_factory=dict)
    """How many orders an asset has accepted and refused."""
    promised: tuple[Promised, ...] = ()
    """Of windows that have not ended."""

    def available(self, listed: AssetList) -> npt.NDArray[np.float64]:
        """[A] How likely each asset does what it is asked."""
        counts = np.array([self.answers.get(asset.asset, (0, 0)) for asset in listed.assets], np.int64).reshape(-1, 2)
        return availability(counts[:, 0], counts[:, 1])

    def promised_of(self, listed: AssetList, direction: str, now_s: int, duration_s: int) -> tuple[_Whole, _Whole]:
        """[A] The greatest power promised within `duration_s` from now on, W, and all energy still promised, Ws."""
        power_w: dict[tuple[int, int], int] = {}
        for row in self.promised:
            index = listed.index.get(row.asset)
            if index is not None and row.direction == direction and row.window_start_s + QUARTER_S > now_s:
                key = index, row.window_start_s
                power_w[key] = power_w.get(key, 0) + row.power_w
        greatest_w, energy_ws = np.zeros(len(listed.assets), np.int64), np.zeros(len(listed.assets), np.int64)
        for (index, window_start_s), one_w in power_w.items():
            energy_ws[index] += one_w * QUARTER_S
            if window_start_s < now_s + duration_s:
                greatest_w[index] = max(greatest_w[index], one_w)
        return greatest_w, energy_ws
