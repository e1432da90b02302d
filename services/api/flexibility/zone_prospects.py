"""What will flow through each zone in the windows ahead: by the forecast, and where there is none, as much as now."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from services.api.live_view import LiveView
from services.api.signals.live_table import zones_now
from services.api.topology_terms import TopologyTerms
from shared.flexibility.promises import BoolArray, Int64Array
from shared.limits import QUARTER_S


class MiddleForecast(Protocol):
    """A zone's forecast of net power, a row for each window in the order of time."""

    @property
    def window_start_s(self) -> Int64Array:
        """Seconds since 1970."""

    @property
    def p50_w(self) -> Int64Array:
        """Positive for import."""


ForecastOf = Callable[[str], MiddleForecast | None]
"""The newest forecast of a zone."""


@dataclass(frozen=True, slots=True)
class ZoneProspects:
    """Some zones in some windows, a row a zone."""

    net_w: Int64Array
    """[Z, W] positive for import."""
    known: BoolArray
    """[Z, W] False where there is neither a forecast nor a zone that is heard."""


def zone_prospects(
    view: LiveView, terms: TopologyTerms, zones: list[int], forecast_of: ForecastOf, *, from_s: int, windows: int
) -> ZoneProspects:
    """Of the zones with the indices `zones`, in the `windows` windows from `from_s` on."""
    now = zones_now(view, terms)
    heard = now.known & ~now.stale
    net_w = np.repeat(now.net_w[zones][:, None], windows, axis=1)
    known = np.repeat(heard[zones][:, None], windows, axis=1)
    for row, zone in enumerate(zones):
        forecast = forecast_of(terms.topology.zone[zone])
        if forecast is not None:
            window = (forecast.window_start_s - from_s) // QUARTER_S
            inside = (window >= 0) & (window < windows)
            net_w[row, window[inside]] = forecast.p50_w[inside]
            known[row, window[inside]] = True
    return ZoneProspects(net_w, known)
