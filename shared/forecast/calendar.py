"""The local calendar of quarters of an hour: what people's clocks show, and what kind of day it is (Europe/Warsaw)."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from shared.forecast.history import DAY_QUARTERS, DAY_S, Whole
from shared.holidays import holidays
from shared.instants import WARSAW
from shared.limits import QUARTER_S

WORKDAY, SATURDAY, REST_DAY = range(3)
"""Kinds of days: in consumption a public holiday is like a Sunday."""
DAY_KINDS = 3

_HOUR_S = 3600
_SATURDAY, _SUNDAY = 5, 6


@dataclass(frozen=True, slots=True)
class Calendar:
    """T quarters of whole days of UTC, and of some days after them."""

    local_quarter: Whole
    """[T] what the clock shows, in quarters after midnight, 0 … 95; on a day of 25 hours four are there twice."""
    day_kind: npt.NDArray[np.int8]
    """[T] WORKDAY, SATURDAY or REST_DAY."""
    local_day: Whole
    """[T] the local day, in days since 1970-01-01."""


@lru_cache(maxsize=8)
def calendar_of(first_s: int, days: int) -> Calendar:
    """The calendar of `days` days of UTC from `first_s` on, which begins one."""
    assert first_s % DAY_S == 0
    hours_s = first_s + np.arange(days * 24, dtype=np.int64) * _HOUR_S
    offset_s = np.array([_offset_s(int(hour_s)) for hour_s in hours_s], np.int64)  # it changes on full hours only
    starts_s = first_s + np.arange(days * DAY_QUARTERS, dtype=np.int64) * QUARTER_S
    local_s = starts_s + np.repeat(offset_s, _HOUR_S // QUARTER_S)
    local_day, in_day_s = np.divmod(local_s, DAY_S)
    present, place = np.unique(local_day, return_inverse=True)
    kinds = np.array([_day_kind(int(day)) for day in present], np.int8)
    return Calendar(in_day_s // QUARTER_S, kinds[place], local_day)


def _offset_s(instant_s: int) -> int:
    offset = datetime.fromtimestamp(instant_s, WARSAW).utcoffset()
    assert offset is not None  # Warsaw has one
    return int(offset.total_seconds())


def _day_kind(days_since_1970: int) -> int:
    day = date.fromordinal(date(1970, 1, 1).toordinal() + days_since_1970)
    if day.weekday() == _SUNDAY or day in holidays(day.year):
        return REST_DAY
    return SATURDAY if day.weekday() == _SATURDAY else WORKDAY
