"""A forecast as it is issued: 192 quarters of every zone from one on, or the reason why a zone has none."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.forecast.calendar import Calendar
from shared.forecast.history import DAY_QUARTERS, History, Mask, Whole
from shared.forecast.model import HORIZON_QUARTERS, Model, forecast_wh
from shared.forecast.profiles import Profiles
from shared.limits import QUARTER_S

KNOWN_DAYS_MIN = 3
"""Local days: of less, what is usual cannot be told from what just happened."""
_KNOWN_PART = 0.75
"""So much of a day must be known for it to count: single gaps are no reason to say nothing."""
BEHIND_HOURS_MAX = 48
"""How far behind the newest known quarter may be: meters that are read once a day are a day and a half behind."""
_SPARE_DAYS = 5
"""Days of a calendar after its history: the horizon, what is behind, and the day under way."""
_QUARTERS_AN_HOUR = 3600 // QUARTER_S


@dataclass(frozen=True, slots=True)
class Issued:
    """Z zones. Power in W, positive for import; P10 ≤ P50 ≤ P90."""

    issued_s: int
    """The first window's start, seconds since 1970."""
    power_w: Whole
    """[Z, HORIZON_QUARTERS, 3] P10, P50 and P90; 0 where there is no forecast."""
    reason: Sequence[str]
    """[Z] why a zone has none; empty where it has one."""


def calendar_days(history: History) -> int:
    """How many days the calendar of a history must have, so that forecasts can be issued up to its end."""
    return history.quarters // DAY_QUARTERS + _SPARE_DAYS


def issue(history: History, profiles: Profiles, calendar: Calendar, model: Model, quarter: int) -> Issued:
    """The forecast from quarter number `quarter` on, of which and of later ones nothing is looked at."""
    reason = why_none(history, calendar, quarter)
    power_w = np.zeros((history.zones, HORIZON_QUARTERS, 3), np.int64)
    origins = _known_until(history, quarter)
    target = quarter + np.arange(HORIZON_QUARTERS, dtype=np.int64)
    for origin in np.unique(origins[[not why for why in reason]]).tolist():
        zones = np.array([not why for why in reason]) & (origins == origin)
        part = forecast_wh(profiles.of(zones), calendar, model.of(zones), np.array([origin]), target[None])
        power_w[zones] = np.rint(part[:, 0] * _QUARTERS_AN_HOUR).astype(np.int64)
    return Issued(history.start_of(quarter), power_w, reason)


def why_none(history: History, calendar: Calendar, quarter: int) -> list[str]:
    """[Z] why there can be no forecast from `quarter` on; empty where there can be one."""
    days = known_days(history, calendar, quarter)
    hours_behind = (quarter - _known_until(history, quarter)) // _QUARTERS_AN_HOUR
    each = _each_quarter_known(history, quarter)
    return [_why_none(*zone) for zone in zip(days.tolist(), hours_behind.tolist(), each.tolist(), strict=True)]


def _why_none(days: int, hours_behind: int, each_quarter: bool) -> str:
    if days < KNOWN_DAYS_MIN:
        return f"{days} of {KNOWN_DAYS_MIN} days of history"
    if hours_behind > BEHIND_HOURS_MAX:
        return f"nothing is known of the last {hours_behind} hours"
    return "" if each_quarter else "some time of the day is never known"


def _each_quarter_known(history: History, quarter: int) -> Mask:
    """[Z] whether each quarter of the day is known on some day before `quarter`."""
    known = history.until(quarter).known.reshape(history.zones, -1, DAY_QUARTERS)
    each: Mask = np.all(known.any(axis=1), axis=1)
    return each


def known_days(history: History, calendar: Calendar, quarter: int) -> Whole:
    """[Z] how many whole local days before `quarter` are known well enough."""
    known = _before(history, quarter)
    if known.shape[1] == 0:
        return np.zeros(history.zones, np.int64)
    local_day = calendar.local_day[: known.shape[1]]
    first = np.flatnonzero(np.diff(local_day, prepend=local_day[0] - 1))
    quarters = np.diff(first, append=known.shape[1])
    enough = np.add.reduceat(known, first, axis=1, dtype=np.int64) >= _KNOWN_PART * quarters
    begins_within = int(calendar.local_quarter[first[0]] != 0)
    ends_within = int(calendar.local_day[known.shape[1]] == local_day[-1])
    return np.asarray(enough[:, begins_within : len(first) - ends_within].sum(axis=1), np.int64)


def _known_until(history: History, quarter: int) -> Whole:
    """[Z] the number of the quarter after the newest known one before `quarter`; 0 where none is known."""
    known = _before(history, quarter)
    if known.shape[1] == 0:
        return np.zeros(history.zones, np.int64)
    until: Whole = (known.shape[1] - np.argmax(known[:, ::-1], axis=1)) * known.any(axis=1)
    return until


def _before(history: History, quarter: int) -> Mask:
    return history.known[:, : max(0, min(quarter, history.quarters))]
