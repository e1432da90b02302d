"""The traffic light of a zone: thresholds, and the hold times that keep it from flickering (design section 4)."""

from dataclasses import dataclass

from shared.words import LightState

AMBER_PERCENT = 80
"""Amber when loading passes this."""
AMBER_BACK_PERCENT = 75
"""Green again once loading has been below this …"""
AMBER_HOLD_S = 180
"""… for this long."""
RED_PERCENT = 100
RED_BACK_PERCENT = 95
RED_HOLD_S = 60


@dataclass(frozen=True, slots=True)
class Loading:
    """Net power against a zone's limits, all in W; a limit is None where the zone has none."""

    net_w: int
    """Positive for import."""
    import_limit_w: int | None
    export_limit_w: int | None

    @property
    def import_fraction(self) -> float | None:
        """1.0 at the limit, 0 when the zone exports; None without a limit."""
        return _fraction(self.net_w, self.import_limit_w)

    @property
    def export_fraction(self) -> float | None:
        """1.0 at the limit, 0 when the zone imports; None without a limit."""
        return _fraction(-self.net_w, self.export_limit_w)

    def above(self, percent: int) -> bool:
        """Whether import or export is above `percent` of its limit, exact."""
        return any(100 * power_w > percent * limit_w for power_w, limit_w in self._limited())

    def below(self, percent: int) -> bool:
        """Whether both are below `percent` of their limits, exact."""
        return all(power_w == 0 or 100 * power_w < percent * limit_w for power_w, limit_w in self._limited())

    def _limited(self) -> list[tuple[int, int]]:
        sides = ((self.net_w, self.import_limit_w), (-self.net_w, self.export_limit_w))
        return [(max(power_w, 0), limit_w) for power_w, limit_w in sides if limit_w is not None]


class TrafficLight:
    """The light of one zone. It runs on the service's now, and remembers since when loading has been low."""

    def __init__(self) -> None:
        """Green."""
        self._amber = _Held(AMBER_PERCENT, AMBER_BACK_PERCENT, AMBER_HOLD_S)
        self._red = _Held(RED_PERCENT, RED_BACK_PERCENT, RED_HOLD_S)

    def update(self, loading: Loading, now_s: int) -> LightState:
        """The state with `loading` at `now_s`."""
        amber = self._amber.update(loading, now_s)
        red = self._red.update(loading, now_s)
        if red:
            return LightState.RED
        return LightState.AMBER if amber else LightState.GREEN


class _Held:
    """On above one threshold; off once loading has been below another for the hold time."""

    def __init__(self, on_percent: int, off_percent: int, hold_s: int) -> None:
        self._on_percent = on_percent
        self._off_percent = off_percent
        self._hold_s = hold_s
        self._on = False
        self._below_since_s: int | None = None

    def update(self, loading: Loading, now_s: int) -> bool:
        if loading.above(self._on_percent):
            self._on = True
        if not loading.below(self._off_percent):
            self._below_since_s = None
        elif self._below_since_s is None:
            self._below_since_s = now_s
        if self._below_since_s is not None and now_s - self._below_since_s >= self._hold_s:
            self._on = False
        return self._on


def _fraction(power_w: int, limit_w: int | None) -> float | None:
    if not limit_w:  # none, or a limit of nothing: no fraction of it can be given
        return None
    return round(max(power_w, 0) / limit_w, 4)
