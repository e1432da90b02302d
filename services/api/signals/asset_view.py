"""The assets now: what each may give and take, from the topology and the newest readings in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from services.api.live_view import LiveView
from services.api.newest_readings import NewestColumns, NewestReadings
from services.api.signals.asset_list import AssetList, list_assets
from services.api.topology_shelf import TopologyShelf
from shared.flexibility.assets import Assets, MetersNow, assets_now
from shared.topology.index import Topology
from shared.topology.rows import Asset
from shared.words import Register

_WITHDRAWN, _INJECTED = Register.WITHDRAWN.code, Register.INJECTED.code
_POWER_WITHDRAWN, _POWER_INJECTED = Register.POWER_WITHDRAWN.code, Register.POWER_INJECTED.code
_CONTENT = Register.STATE_OF_CHARGE.code


@dataclass(frozen=True, slots=True)
class AssetsNow:
    """A assets at an instant, by name: those whose meter is valid then."""

    now_s: int | None
    """The service's now; None before the first reading, when nothing is heard."""
    listed: AssetList
    meters: MetersNow
    """What goes through the assets' meters, and what they hold."""
    columns: Assets
    """What each may give and take: zone, W, Ws, and whether it is heard."""

    @property
    def topology(self) -> Topology:
        """The topology that the assets are of."""
        return self.listed.topology

    @property
    def assets(self) -> Sequence[Asset]:
        """[A] what the topology says of each."""
        return self.listed.assets

    @property
    def cost_per_mwh(self) -> Sequence[Decimal]:
        """[A] what a MWh of each costs; 0 where blank."""
        return self.listed.cost_per_mwh

    def index_of(self, asset: str) -> int | None:
        """The place of the asset `asset`; None when there is none now."""
        return self.listed.index.get(asset)


class AssetView:
    """Tells the assets now, from memory."""

    def __init__(self, shelf: TopologyShelf, newest: NewestReadings, view: LiveView) -> None:
        """Reads all three whenever it is asked."""
        self._shelf = shelf
        self._newest = newest
        self._view = view
        self._listed: AssetList | None = None
        self._listed_from_s, self._listed_to_s = 0, 0
        self._found: NewestColumns | None = None
        self._found_at: tuple[AssetList, int] | None = None

    @property
    def changes(self) -> int:
        """Grows when new readings have come."""
        return self._newest.changes

    def now(self) -> AssetsNow:
        """All assets that count now, by name."""
        now_s = self._view.now_s()
        listed = self._list(int(self._view.wall_s) if now_s is None else now_s)
        found = self._find(listed)
        meters = _meters_now(listed, found, self._series_heard(listed, found, now_s))
        due_in_s = listed.due.due_in_s(now_s or 0)
        return AssetsNow(now_s, listed, meters, assets_now(listed.terms, meters, listed.zone, due_in_s))

    def _list(self, instant_s: int) -> AssetList:
        """The list, worked out anew with a new topology or when a meter's term begins or ends."""
        terms = self._shelf.newest
        listed = self._listed
        current = self._listed_from_s <= instant_s < self._listed_to_s
        if listed is None or listed.topology is not terms.topology or not current:
            self._listed_from_s, self._listed_to_s = terms.unchanged_around(instant_s)
            listed = self._listed = list_assets(terms, instant_s)
        return listed

    def _find(self, listed: AssetList) -> NewestColumns:
        """The newest readings, looked up anew when some have come."""
        place = listed, self._newest.changes
        if self._found is None or self._found_at is None or self._found_at[0] is not listed or place != self._found_at:
            self._found, self._found_at = self._newest.find(listed.sought), place
        return self._found

    def _series_heard(self, listed: AssetList, found: NewestColumns, now_s: int | None) -> npt.NDArray[np.bool_]:
        """Which series are heard, by the rule of the live view: not those of a partition that nobody tells of."""
        if now_s is None:
            return np.zeros(len(found.slot), np.bool_)
        heard = found.in_time(now_s)
        for partition, (places, _) in listed.sought.places.items():
            if not self._view.awake(partition):
                heard[places] = False
        return heard


def _meters_now(listed: AssetList, found: NewestColumns, series_heard: npt.NDArray[np.bool_]) -> MetersNow:
    """A meter is heard when any of its series is; its power is its x.7.0 where that is heard, else the slope."""
    has = listed.series >= 0
    heard = has & np.append(series_heard, False)[listed.series]
    value = np.append(found.value, 0)[listed.series]
    slope_w = np.append(found.power_w, 0)[listed.series]

    def power_w(momentary: int, energy: int) -> npt.NDArray[np.int64]:
        return np.where(heard[:, momentary], value[:, momentary], slope_w[:, energy])

    return MetersNow(
        heard=heard.any(axis=1),
        withdrawn_w=power_w(_POWER_WITHDRAWN, _WITHDRAWN),
        injected_w=power_w(_POWER_INJECTED, _INJECTED),
        content_wh=value[:, _CONTENT],
        content_heard=heard[:, _CONTENT],
        content_sent=has[:, _CONTENT],
        max_w=listed.max_w,
    )
