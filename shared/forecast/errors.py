"""The running error: what day-ahead forecasts were worth, local day by local day, beside the seasonal naive one's."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from shared.forecast.history import History, Mask, Real, Whole
from shared.forecast.naive import DAILY, WEEKLY, newest_known, seasonal_naive_wh, weekly_is_better

BEFORE_MIDNIGHT_S = 12 * 3600
"""A forecast this long before a local day is a day-ahead one of it: it reaches over all of the day."""
_QUARTERS_AN_HOUR = 4


@dataclass(frozen=True, slots=True)
class DayErrors:
    """Z zones; sums over the windows of a day that are known by now."""

    windows: Whole
    error_wh: Whole
    """The absolute errors of P50."""
    naive_error_wh: Whole
    """Those of the seasonal naive forecast that was the better one over the four weeks before, daily or weekly."""
    covered: Whole
    """How many windows came within P10 … P90."""


class NaiveForecasts:
    """The naive forecasts of one history."""

    def __init__(self, history: History) -> None:
        """Finds what is the newest known one of each quarter, once for all days."""
        self._history = history
        self._newest = {season: newest_known(history, season) for season in (DAILY, WEEKLY)}

    def forecast_wh(self, origin: int, target: Whole) -> Real:
        """[Z, n] the better one's net energy in the quarters `target`, from what is known before `origin`."""
        daily, weekly = (
            seasonal_naive_wh(newest, season, np.array([origin]), target[None])[:, 0]
            for season, newest in self._newest.items()
        )
        return np.where(weekly_is_better(self._history, origin)[:, None] & ~np.isnan(weekly), weekly, daily)


def day_ahead_issue(issues: Iterable[int], midnight_s: int) -> int | None:
    """Of the instants at which forecasts were issued the one whose forecast is the day-ahead one of a local day."""
    return max((at_s for at_s in issues if midnight_s - BEFORE_MIDNIGHT_S <= at_s <= midnight_s), default=None)


def day_errors(
    history: History, naive: NaiveForecasts, power_w: Whole, forecast_there: Mask, issued: int, day: range
) -> DayErrors:
    """What a forecast [Z, n, 3] issued at quarter `issued` was worth in the quarters of `day`, all within it.

    Zones without a forecast (`forecast_there`) count nothing.
    """
    target = np.arange(day.start, day.stop)
    came_w = history.net_wh[:, target] * _QUARTERS_AN_HOUR
    low_w, middle_w, high_w = np.moveaxis(power_w[:, target - issued], -1, 0)
    naive_w = naive.forecast_wh(issued, target) * _QUARTERS_AN_HOUR
    counts = history.known[:, target] & forecast_there[:, None] & ~np.isnan(naive_w)
    error_w = np.abs(middle_w - came_w)
    naive_error_w = np.abs(np.nan_to_num(naive_w).astype(np.int64) - came_w)
    return DayErrors(
        windows=counts.sum(axis=1),
        error_wh=(error_w * counts).sum(axis=1) // _QUARTERS_AN_HOUR,
        naive_error_wh=(naive_error_w * counts).sum(axis=1) // _QUARTERS_AN_HOUR,
        covered=((low_w <= came_w) & (came_w <= high_w) & counts).sum(axis=1),
    )
