"""The traffic light of a zone: thresholds, and the hold times that keep it from flickering (design section 4). Pure.

Amber looks at the loading now and at the greatest that the forecast expects within four hours, red at now alone: a
forecast is no reason to stop anything. What has to be remembered is a plain value, so that it can be kept over a
restart.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.limits import QUARTER_S
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

AHEAD_S = 4 * 3600
"""So far ahead the forecast counts."""

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Loading:
    """Net power against a zone's limits, all in W; a limit is None where the zone has none."""

    import_w: int
    """Not negative."""
    export_w: int
    """Not negative."""
    import_limit_w: int | None
    export_limit_w: int | None

    @property
    def import_fraction(self) -> float | None:
        """1.0 at the limit; None without a limit."""
        return _fraction(self.import_w, self.import_limit_w)

    @property
    def export_fraction(self) -> float | None:
        """1.0 at the limit; None without a limit."""
        return _fraction(self.export_w, self.export_limit_w)

    def above(self, percent: int) -> bool:
        """Whether import or export is above `percent` of its limit, exact."""
        return any(100 * power_w > percent * limit_w for power_w, limit_w in self._limited())

    def below(self, percent: int) -> bool:
        """Whether both are below `percent` of their limits, exact."""
        return all(power_w == 0 or 100 * power_w < percent * limit_w for power_w, limit_w in self._limited())

    def _limited(self) -> list[tuple[int, int]]:
        sides = ((self.import_w, self.import_limit_w), (self.export_w, self.export_limit_w))
        return [(power_w, limit_w) for power_w, limit_w in sides if limit_w is not None]


def loading_of(net_w: int, import_limit_w: int | None, export_limit_w: int | None) -> Loading:
    """The loading by a net power, positive for import."""
    return Loading(max(net_w, 0), max(-net_w, 0), import_limit_w, export_limit_w)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a zone's forecast expects within four hours."""

    loading: Loading
    """By the greatest import (P90) and the greatest export (P10) of these hours."""
    passes_at_s: int | None
    """The start of the first window that passes the amber threshold; None where none does."""


def outlook(
    window_start_s: Int64Array,
    p10_w: Int64Array,
    p90_w: Int64Array,
    now_s: int,
    import_limit_w: int | None,
    export_limit_w: int | None,
) -> Outlook | None:
    """The outlook at `now_s`, from the window that runs to the last that begins within four hours; None without one.

    The forecast is net power, positive for import, a row for each window in the order of time.
    """
    if import_limit_w is None and export_limit_w is None:
        return None
    first, last = np.searchsorted(window_start_s, (now_s - QUARTER_S + 1, now_s + AHEAD_S))
    if first == last:
        return None
    import_w, export_w = np.maximum(p90_w[first:last], 0), np.maximum(-p10_w[first:last], 0)
    passes = np.zeros(last - first, np.bool_)
    for power_w, limit_w in ((import_w, import_limit_w), (export_w, export_limit_w)):
        if limit_w is not None:
            passes |= 100 * power_w > AMBER_PERCENT * limit_w
    where = np.flatnonzero(passes)
    return Outlook(
        Loading(int(import_w.max()), int(export_w.max()), import_limit_w, export_limit_w),
        int(window_start_s[first + where[0]]) if len(where) else None,
    )


@dataclass(frozen=True, slots=True)
class LightMemory:
    """What a zone's light must remember; instants are seconds since 1970 of the service's now."""

    amber: bool = False
    amber_low_since_s: int | None = None
    """Since when loading has been low enough to leave amber; None while it is not, or while it is off."""
    red: bool = False
    red_low_since_s: int | None = None

    @property
    def state(self) -> LightState:
        """What the light shows."""
        if self.red:
            return LightState.RED
        return LightState.AMBER if self.amber else LightState.GREEN


QUIET = LightMemory()
"""The memory of a zone that is green: there is nothing to remember."""


def advanced(memory: LightMemory, loading: Loading, expected: Outlook | None, now_s: int) -> LightMemory:
    """The memory after `loading` at `now_s`, with what the forecast expects, if there is one."""
    ahead = [] if expected is None else [expected.loading]
    amber, amber_low_since_s = _held(
        memory.amber,
        memory.amber_low_since_s,
        above=any(one.above(AMBER_PERCENT) for one in (loading, *ahead)),
        below=all(one.below(AMBER_BACK_PERCENT) for one in (loading, *ahead)),
        hold_s=AMBER_HOLD_S,
        now_s=now_s,
    )
    red, red_low_since_s = _held(
        memory.red,
        memory.red_low_since_s,
        above=loading.above(RED_PERCENT),
        below=loading.below(RED_BACK_PERCENT),
        hold_s=RED_HOLD_S,
        now_s=now_s,
    )
    return LightMemory(amber, amber_low_since_s, red, red_low_since_s)


def _held(
    on: bool, low_since_s: int | None, *, above: bool, below: bool, hold_s: int, now_s: int
) -> tuple[bool, int | None]:
    """On above one threshold; off once it has been below another for the hold time. What is off remembers nothing."""
    if above:
        return True, None
    if not on or not below:
        return on, None
    # A restart with another clock may find an instant that is still to come: the hold begins anew.
    since_s = now_s if low_since_s is None or low_since_s > now_s else low_since_s
    return (False, None) if now_s - since_s >= hold_s else (True, since_s)


def _fraction(power_w: int, limit_w: int | None) -> float | None:
    if not limit_w:  # none, or a limit of nothing: no fraction of it can be given
        return None
    return round(power_w / limit_w, 4)
