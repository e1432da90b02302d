"""The seasonal naive forecasts: what was at the same time of the newest day, or week, that is known. The honest bar."""

import numpy as np

from shared.forecast.history import DAY_QUARTERS, History, Mask, Real, Whole

DAILY = DAY_QUARTERS
WEEKLY = 7 * DAY_QUARTERS
_COMPARED = 28 * DAY_QUARTERS
"""Four weeks decide which of the two is the better."""


def newest_known(history: History, season: int) -> Real:
    """[Z, T] net energy at a quarter or, where it is not known, a season before, and so on; nan where none is known."""
    newest = np.where(history.known, history.net_wh.astype(np.float64), np.nan)
    for begin in range(season, history.quarters, season):
        end = min(begin + season, history.quarters)
        here, before = newest[:, begin:end], newest[:, begin - season : end - season]
        np.copyto(here, before, where=np.isnan(here))
    return newest


def seasonal_naive_wh(newest: Real, season: int, origin: Whole, target: Whole) -> Real:
    """[Z, n, m] the forecast for the quarters `target` [n, m] from what is known before `origin` [n]; nan: nothing is.

    `newest` is `newest_known` of the same season.
    """
    ahead = target - origin[:, None]
    assert (ahead >= 0).all()
    same = target - (ahead // season + 1) * season
    return np.where(same >= 0, newest[:, np.maximum(same, 0)], np.nan)


def weekly_is_better(history: History, origin: int) -> Mask:
    """[Z] which zones the weekly one has served better than the daily one over the four weeks before `origin`."""
    net_wh = np.where(history.known, history.net_wh.astype(np.float64), np.nan)
    begin = max(WEEKLY, origin - _COMPARED)
    if origin <= begin:
        return np.zeros(history.zones, np.bool_)
    came = net_wh[:, begin:origin]
    daily, weekly = (np.abs(came - net_wh[:, begin - season : origin - season]) for season in (DAILY, WEEKLY))
    compared = ~np.isnan(daily) & ~np.isnan(weekly)
    better: Mask = np.where(compared, weekly, 0.0).sum(axis=1) < np.where(compared, daily, 0.0).sum(axis=1)
    return better
