"""Walk-forward evaluation: forecasts as they would have been issued over a stretch of the past, held to what came.

The model is learnt anew at each local midnight from what lies before it, as in the service; a forecast looks at nothing
from its own quarter on.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from shared.errors import BilansError
from shared.forecast.calendar import Calendar, calendar_of
from shared.forecast.history import DAY_QUARTERS, History, Mask, Real, Whole
from shared.forecast.issue import calendar_days
from shared.forecast.model import HORIZON_QUARTERS, forecast_wh, learn
from shared.forecast.naive import DAILY, WEEKLY, newest_known, seasonal_naive_wh
from shared.forecast.profiles import make_profiles
from shared.forecast.scores import bias, coverage, mean_absolute_error, pinball, skill

ISSUE_STEP = 12
"""A forecast every three hours of the local clock: midnight and noon, the day-ahead ones, are among them."""
LEARNT_FROM_MIN = 7 * DAY_QUARTERS
"""A week before the first forecast: so much the weekly naive forecast needs too."""
_KW = 4 / 1000
"""Wh in a quarter of an hour, as mean power in kW."""


@dataclass(frozen=True, slots=True)
class Walk:
    """What was forecast at n quarters for the 192 from each on, and what came; power in kW, nan where not known."""

    origin: Whole
    """[n] the quarters at which it was issued."""
    target_day: Whole
    """[n, 192] the local day of each target, since 1970."""
    origin_day: Whole
    """[n] the local day of each origin."""
    origin_hour: Whole
    """[n] the local hour of each origin."""
    forecast_kw: Real
    """[Z, n, 192, 3] P10, P50, P90."""
    daily_kw: Real
    """[Z, n, 192] the daily seasonal naive forecast."""
    weekly_kw: Real
    """[Z, n, 192]"""
    came_kw: Real
    """[Z, n, 192]"""


@dataclass(frozen=True, slots=True)
class Scores:
    """How good the forecasts of some horizons were; power in kW."""

    windows: int
    """How many forecasts of one window were held to what came."""
    mae_kw: float
    daily_mae_kw: float
    weekly_mae_kw: float
    skill_daily: float
    skill_weekly: float
    pinball_kw: tuple[float, float, float]
    """Of P10, P50 and P90."""
    coverage: float
    """Which part came within P10 … P90; 0.8 is right."""
    bias_kw: float


def walk_forward(
    history: History, first: int, end: int, follow: Callable[[Iterable[int]], Iterable[int]] = lambda days: days
) -> Walk:
    """Issues forecasts in the quarters first ≤ q < end; `follow` is handed the local days, and may show progress."""
    calendar = calendar_of(history.first_s, calendar_days(history))
    profiles = make_profiles(history, calendar)
    quarters = np.arange(first, end)
    quarters = quarters[calendar.local_quarter[first:end] % ISSUE_STEP == 0]
    issued, forecasts = [], []
    for day in follow(np.unique(calendar.local_day[quarters]).tolist()):
        origin = quarters[calendar.local_day[quarters] == day]
        model = learn(profiles, calendar, int(origin[0]))
        target = origin[:, None] + np.arange(HORIZON_QUARTERS)
        issued.append(origin)
        forecasts.append(forecast_wh(profiles, calendar, model, origin, target))
    return _held_to_what_came(history, calendar, np.concatenate(issued), np.concatenate(forecasts, axis=1))


def newest_weeks(history: History, weeks: int) -> tuple[int, int]:
    """The first quarter and the end of the newest `weeks` weeks of local days that are known and may be forecast.

    Both are local midnights but for the end, which is that of what is known. Raises BilansError where there are none.
    """
    calendar = calendar_of(history.first_s, calendar_days(history))
    known = np.flatnonzero(history.known.any(axis=0))
    if len(known) == 0:
        raise BilansError("Nothing is known of this zone.", "Has it meters, and have they been read?")
    end = int(known[-1]) + 1
    earliest = int(known[0]) + LEARNT_FROM_MIN
    begins = np.flatnonzero(calendar.local_quarter[:end] == 0)
    begins = begins[(begins >= earliest) & (begins >= end - weeks * 7 * DAY_QUARTERS)]
    if len(begins) == 0:
        raise BilansError(
            "There is too little history to evaluate forecasts.",
            f"There must be more than {LEARNT_FROM_MIN // DAY_QUARTERS} days of it.",
        )
    return int(begins[0]), end


def _held_to_what_came(history: History, calendar: Calendar, origin: Whole, forecast: Real) -> Walk:
    target = origin[:, None] + np.arange(HORIZON_QUARTERS)
    there = np.minimum(target, history.quarters - 1)
    came = np.where(history.known[:, there] & (target < history.quarters), history.net_wh[:, there], np.nan)
    daily, weekly = (
        seasonal_naive_wh(newest_known(history, season), season, origin, target) for season in (DAILY, WEEKLY)
    )
    return Walk(
        origin=origin,
        target_day=calendar.local_day[target],
        origin_day=calendar.local_day[origin],
        origin_hour=calendar.local_quarter[origin] // 4,
        forecast_kw=forecast * _KW,
        daily_kw=daily * _KW,
        weekly_kw=weekly * _KW,
        came_kw=came * _KW,
    )


def day_ahead(walk: Walk) -> Mask:
    """[n, 192] the day-ahead forecasts: issued at local 00:00 for that day, at 12:00 for the next."""
    today = (walk.origin_hour == 0)[:, None] & (walk.target_day == walk.origin_day[:, None])
    tomorrow = (walk.origin_hour == 12)[:, None] & (walk.target_day == walk.origin_day[:, None] + 1)
    day: Mask = today | tomorrow
    return day


def between_hours(walk: Walk, begin: int, end: int) -> Mask:
    """[n, 192] the forecasts for begin ≤ hours ahead < end."""
    hours = np.arange(HORIZON_QUARTERS) * 24 // DAY_QUARTERS
    return np.broadcast_to((begin <= hours) & (hours < end), walk.target_day.shape)


def score(walk: Walk, zone: int, chosen: Mask) -> Scores | None:
    """The scores of one zone over the chosen [n, 192]; None where nothing of them is known."""
    came = walk.came_kw[zone]
    everything = walk.forecast_kw[zone, ..., 1] + walk.daily_kw[zone] + walk.weekly_kw[zone] + came
    known = chosen & ~np.isnan(everything)
    if not known.any():
        return None
    low, middle, high = np.moveaxis(walk.forecast_kw[zone][known], -1, 0)
    came = came[known]
    error = mean_absolute_error(middle, came)
    daily, weekly = (mean_absolute_error(naive[zone][known], came) for naive in (walk.daily_kw, walk.weekly_kw))
    return Scores(
        windows=int(known.sum()),
        mae_kw=error,
        daily_mae_kw=daily,
        weekly_mae_kw=weekly,
        skill_daily=skill(error, daily),
        skill_weekly=skill(error, weekly),
        pinball_kw=(pinball(0.1, low, came), pinball(0.5, middle, came), pinball(0.9, high, came)),
        coverage=coverage(low, high, came),
        bias_kw=bias(middle, came),
    )
