"""Windows and the buckets that sum them: hours, local days and months, and how settled a window is. Pure.

A local day has 96 quarters, 92 when summer time begins and 100 when it ends; nothing here counts positions in a day.
"""

from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from shared.instants import final_from, local_day, local_midnight
from shared.limits import QUARTER_S
from shared.words import Status

_DAY_S = 86_400
_HOUR_S = 3600

Seconds = npt.NDArray[np.int64]


class Resolution(StrEnum):
    """How long the rows of a balance are."""

    QUARTER = "15min"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"

    @property
    def quarters_max(self) -> int:
        """The most quarters that one row can have, with room for any zone's changes of its clock."""
        return {"15min": 1, "hour": 8, "day": 108, "month": 31 * 96 + 12}[self.value]


def bucket_edges(resolution: Resolution, zone: ZoneInfo, from_s: int, to_s: int) -> Seconds:
    """The starts of the rows that start in [from_s, to_s), in order, and last the end of the last one.

    Empty when none starts there. Hours begin where a local clock shows a full hour, days and months at local midnight
    (the first, where the clock shows it twice); all lie on quarters of an hour in UTC.
    """
    if to_s <= from_s:
        return np.empty(0, np.int64)
    starts = _STARTS[resolution](zone, from_s, to_s)
    first, last = (int(place) for place in np.searchsorted(starts, (from_s, to_s)))
    return starts[first : last + 1] if last > first else np.empty(0, np.int64)


def quarters_between(start_s: int, end_s: int) -> Seconds:
    """The starts of the windows in [start_s, end_s); both lie on quarters."""
    return np.arange(start_s, end_s, QUARTER_S, dtype=np.int64)


def window_status(window_start_s: int, now_s: int) -> Status:
    """How settled a window is at `now_s` (design rule 9)."""
    if now_s < window_start_s + QUARTER_S:
        return Status.OPEN
    return Status.FINAL if now_s >= final_from(window_start_s) else Status.PROVISIONAL


def _quarter_starts(zone: ZoneInfo, from_s: int, to_s: int) -> Seconds:
    del zone  # a quarter is the same everywhere
    first = -(-from_s // QUARTER_S) * QUARTER_S
    return quarters_between(first, to_s + 2 * QUARTER_S)


def _hour_starts(zone: ZoneInfo, from_s: int, to_s: int) -> Seconds:
    # Two days around: the next full hour is within them, whatever the zone does to its clock.
    first_day = from_s // _DAY_S - 1
    last_day = to_s // _DAY_S + 2
    quarters = quarters_between(first_day * _DAY_S, last_day * _DAY_S)
    local = quarters + _offsets(quarters, zone)
    starts: Seconds = quarters[local % _HOUR_S == 0]
    return starts


def _offsets(quarters: Seconds, zone: ZoneInfo) -> Seconds:
    """The zone's offset from UTC, in seconds, at each of `quarters` (whole UTC days of them)."""
    days = quarters.reshape(-1, _DAY_S // QUARTER_S)
    at_midnight = [_offset(int(day), zone) for day in (*days[:, 0], days[-1, 0] + _DAY_S)]
    offsets = np.repeat(np.array(at_midnight[:-1], np.int64), days.shape[1]).reshape(days.shape)
    for row, (before, after) in enumerate(pairwise(at_midnight)):
        if before != after:  # the clock changes on this day: look at each quarter
            offsets[row] = [_offset(int(instant), zone) for instant in days[row]]
    return offsets.ravel()


def _offset(instant_s: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(instant_s, zone).utcoffset()
    assert offset is not None  # it has a zone
    return offset // timedelta(seconds=1)


def _day_starts(zone: ZoneInfo, from_s: int, to_s: int) -> Seconds:
    first = local_day(from_s, zone)
    days = (local_day(to_s, zone) - first).days + 3
    return np.unique(np.array([local_midnight(first + timedelta(days=step), zone) for step in range(days)], np.int64))


def _month_starts(zone: ZoneInfo, from_s: int, to_s: int) -> Seconds:
    first, last = local_day(from_s, zone), local_day(to_s, zone)
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month + 2)
    return np.array([local_midnight(date(month // 12, month % 12 + 1, 1), zone) for month in months], np.int64)


_STARTS = {
    Resolution.QUARTER: _quarter_starts,
    Resolution.HOUR: _hour_starts,
    Resolution.DAY: _day_starts,
    Resolution.MONTH: _month_starts,
}
