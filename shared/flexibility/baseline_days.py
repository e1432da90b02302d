"""The windows of an event on the days before it: the same quarters of the local clock, a row a day. Pure.

A zone's net energy follows people, and people follow the local clock. So the windows of another day are those at which
the clock in Warsaw shows the same time: where it shows it twice (the end of summer time) the one of the same half, else
the first; where it skips it (its beginning), that day has no such window.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np
import numpy.typing as npt

from shared.holidays import is_rest_day
from shared.instants import WARSAW, local_midnight
from shared.limits import QUARTER_S

Int64Array = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

BEFORE = slice(0, 12)
"""The columns of the windows from 4 hours to 1 hour before the event: the ones that adjust a baseline to the day."""

_BEFORE_S = 4 * 3600

AFTER_WINDOWS = 16
"""Windows after the event, 4 hours, in which what was shifted may come back."""

_DAY_S = 86_400
_NO_WINDOW_S = -(2**62)
"""Where a day has no such window: before all history."""


@dataclass(frozen=True, slots=True)
class History:
    """A zone's windows, one after the other without a gap."""

    first_s: int
    """The start of the first, seconds since 1970."""
    net_wh: Int64Array
    """Net energy, Wh, positive for import; anything where it is not usable."""
    usable: Mask
    """Whether the window tells what the zone does by itself: it is known, and no order shifted energy in it."""

    def at(self, start_s: Int64Array) -> tuple[Int64Array, Mask]:
        """Net energy of the windows that start at `start_s`, and which of them are usable."""
        place = (start_s - self.first_s) // QUARTER_S
        inside = (place >= 0) & (place < len(self.net_wh))
        if not len(self.net_wh):
            return np.zeros(start_s.shape, np.int64), inside
        place = np.where(inside, place, 0)
        return self.net_wh[place], inside & self.usable[place]


@dataclass(frozen=True, slots=True)
class EventDays:
    """The event's day in row 0, the k-th day before it in row k. Columns: before the event, the event, after it."""

    day: list[date]
    """[D] the local day on which the event begins, were it on that day."""
    rest: Mask
    """[D] whether nobody works on it."""
    start_s: Int64Array
    """[D, 12 + W + 16] the windows' starts."""
    net_wh: Int64Array
    """[D, 12 + W + 16] Wh, positive for import."""
    usable: Mask
    """[D, 12 + W + 16]"""

    @property
    def event(self) -> slice:
        """The columns of the event's own windows."""
        return slice(BEFORE.stop, self.start_s.shape[1] - AFTER_WINDOWS)

    @property
    def after(self) -> slice:
        """The columns of the windows after the event."""
        return slice(self.start_s.shape[1] - AFTER_WINDOWS, self.start_s.shape[1])

    def whole_events(self, known_until_s: int) -> Mask:
        """[D] on which days all windows of the event are usable and had ended by `known_until_s`."""
        whole: Mask = np.logical_and.reduce(self.usable_until(known_until_s)[:, self.event], axis=1)
        return whole

    def event_begins_s(self, row: int) -> int:
        """When the event would begin on the day of `row`."""
        return int(self.start_s[row, BEFORE.stop])

    def usable_until(self, known_until_s: int) -> Mask:
        """Which windows are usable and had ended by `known_until_s`."""
        ended: Mask = self.start_s + QUARTER_S <= known_until_s
        return self.usable & ended


def event_days(history: History, event_start_s: int, event_end_s: int, days_back: int) -> EventDays:
    """The days of an event that lasts from `event_start_s` to `event_end_s`, both on quarters, and those before it."""
    after_s = event_end_s + AFTER_WINDOWS * QUARTER_S
    columns_s = np.concatenate(
        [
            np.arange(BEFORE.stop, dtype=np.int64) * QUARTER_S + event_start_s - _BEFORE_S,
            np.arange(event_start_s, after_s, QUARTER_S, dtype=np.int64),
        ]
    )
    clock = [datetime.fromtimestamp(int(instant), WARSAW) for instant in columns_s]
    event_day = clock[BEFORE.stop].date()
    days = [event_day - timedelta(days=back) for back in range(days_back + 1)]
    start_s = _same_clock(clock, days)
    net_wh, usable = history.at(start_s)
    return EventDays(days, np.array([is_rest_day(day) for day in days]), start_s, net_wh, usable)


def _same_clock(clock: list[datetime], days: list[date]) -> Int64Array:
    """[D, P] when the clock shows each of `clock`'s times, as far from each of `days` as from the first of them."""
    ahead = np.array([(moment.date() - days[0]).days for moment in clock], np.int64)
    of_day_s = np.array([_seconds_of_day(moment) for moment in clock], np.int64)
    first_day, last_day = days[-1] + timedelta(int(ahead.min())), days[0] + timedelta(int(ahead.max()))
    dates = [first_day + timedelta(days=step) for step in range((last_day - first_day).days + 2)]
    midnights_s = np.array([local_midnight(day) for day in dates], np.int64)
    place = (days[0] - first_day).days - np.arange(len(days), dtype=np.int64)[:, None] + ahead
    start_s: Int64Array = midnights_s[place] + of_day_s
    changing = np.diff(midnights_s) != _DAY_S
    for row, column in zip(*np.nonzero(changing[place]), strict=True):  # the clock changes on that day: look
        start_s[row, column] = _instant_of(dates[place[row, column]], clock[column])
    return start_s


def _seconds_of_day(moment: datetime) -> int:
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def _instant_of(day: date, like: datetime) -> int:
    """When the clock shows the time of `like` on `day`; _NO_WINDOW_S where it never does."""
    shown = time(like.hour, like.minute, like.second, fold=like.fold)
    instant_s = int(datetime.combine(day, shown, WARSAW).timestamp())
    back = datetime.fromtimestamp(instant_s, WARSAW)
    return instant_s if (back.date(), _seconds_of_day(back)) == (day, _seconds_of_day(like)) else _NO_WINDOW_S
