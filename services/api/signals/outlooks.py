"""What the forecast expects of each zone in the hours ahead, worked out once a quarter of an hour."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from shared.flexibility.traffic_light import Outlook, outlook
from shared.limits import QUARTER_S

_Whole = npt.NDArray[np.int64]


class Forecast(Protocol):
    """A zone's forecast of net power, a row for each window in the order of time."""

    @property
    def window_start_s(self) -> _Whole:
        """Seconds since 1970."""

    @property
    def p10_w(self) -> _Whole:
        """Positive for import."""

    @property
    def p90_w(self) -> _Whole:
        """Positive for import."""


class _Known(NamedTuple):
    forecast: Forecast
    limits_w: tuple[int | None, int | None]
    quarters: tuple[int, int]
    outlook: Outlook | None


def no_forecast(zone: str) -> Forecast | None:
    """There is none."""
    del zone
    return None


class Outlooks:
    """Asks for a zone's forecast, and keeps what follows from it as long as that stands."""

    def __init__(self, forecast_of: Callable[[str], Forecast | None] = no_forecast) -> None:
        """`forecast_of` gives the newest forecast of a zone."""
        self._forecast_of = forecast_of
        self._known: dict[str, _Known] = {}

    def of(self, zone: str, now_s: int, import_limit_w: int | None, export_limit_w: int | None) -> Outlook | None:
        """The outlook of `zone` at `now_s`; None without a limit or a forecast."""
        forecast = self._forecast_of(zone)
        if forecast is None:
            return None
        # The windows that count change when now comes to a quarter of an hour, and when it has gone past it.
        limits_w, quarters = (import_limit_w, export_limit_w), (now_s // QUARTER_S, -(-now_s // QUARTER_S))
        known = self._known.get(zone)
        if known is None or known.forecast is not forecast or known[1:3] != (limits_w, quarters):
            found = outlook(forecast.window_start_s, forecast.p10_w, forecast.p90_w, now_s, *limits_w)
            known = self._known[zone] = _Known(forecast, limits_w, quarters, found)
        return known.outlook
