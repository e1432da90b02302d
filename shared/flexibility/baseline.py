"""What a zone would have done without an order, from what it did before: the methods. Pure, whole Wh.

Sources: "10 of 10" with a same-day adjustment, California ISO, Baseline Accuracy Work Group Proposal, 4 April 2017; its
adjustment there is a ratio, here it is added, since the net energy of a zone with PV crosses zero. Mid 4 of 6 and
meter-before are usual terms of such contracts. A mean is rounded once, halves up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np

from shared.flexibility.baseline_days import AFTER_WINDOWS, BEFORE, EventDays, History, Int64Array
from shared.limits import QUARTER_S

LOOK_BACK_DAYS = 45
"""Older days than these belong to another season."""

_DAYS_OF_TEN, _DAYS_OF_TEN_MIN = 10, 5
_DAYS_OF_SIX, _DAYS_OF_FOUR = 6, 4
ADJUSTMENT_WINDOWS_MIN = 4
"""Fewer known windows than an hour's say too little of the day."""
METER_BEFORE_WINDOWS = 4
_METER_BEFORE_S = 86_400
"""A window older than this says nothing of now."""


class Method(StrEnum):
    """How a baseline is worked out."""

    TEN_OF_TEN = "caiso-10-of-10"
    MID_FOUR_OF_SIX = "mid-4-of-6"
    FORECAST = "forecast"
    METER_BEFORE = "meter-before"
    METER_BEFORE_AFTER = "meter-before-after"
    """For comparison alone: at order time nothing is known of what comes after."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A baseline, and what it was worked out from."""

    event_wh: Int64Array
    """[W] net energy of the event's windows, Wh, positive for import."""
    after_wh: tuple[int | None, ...]
    """The same of the 4 hours after; None where it is not known."""
    days: tuple[date, ...] = ()
    """The days whose mean it is, the newest first."""
    adjustment_wh: int = 0
    """What was added to each window for the day's own level, rounded."""
    adjustment_windows: int = 0
    """From how many windows that was measured; 0: too few were known, nothing was added."""
    windows_s: tuple[int, ...] = ()
    """The windows whose mean it is, where it is none of days."""


Forecaster = Callable[[int, Int64Array], Int64Array | None]
"""P50 of the windows that start at the given instants, Wh, issued by the given instant; None where there was none."""


def ten_of_ten(days: EventDays, row: int, known_until_s: int) -> Estimate | None:
    """The mean of the last 10 days like that of `row`, moved to its own level; None with fewer than 5."""
    alike = _days_alike(days, row, known_until_s)[:_DAYS_OF_TEN]
    return _adjusted_mean(days, row, known_until_s, alike) if len(alike) >= _DAYS_OF_TEN_MIN else None


def mid_four_of_six(days: EventDays, row: int, known_until_s: int) -> Estimate | None:
    """Of the last 6 days like that of `row` the mean of all but the highest and the lowest, moved to its own level.

    None with fewer than 6. Of equal days the newer counts as the higher.
    """
    alike = _days_alike(days, row, known_until_s)[:_DAYS_OF_SIX]
    if len(alike) < _DAYS_OF_SIX:
        return None
    sums_wh = days.net_wh[alike, days.event].sum(axis=1)
    order = np.lexsort((-alike, sums_wh))
    middle = np.sort(alike[order[1 : 1 + _DAYS_OF_FOUR]])
    return _adjusted_mean(days, row, known_until_s, middle)


def meter_before(history: History, windows: int, known_until_s: int) -> Estimate | None:
    """The mean of the last 4 usable windows that had ended by `known_until_s`, for each of so many windows.

    None when none of the last 24 hours is usable.
    """
    last_s = known_until_s // QUARTER_S * QUARTER_S
    start_s = np.arange(last_s - _METER_BEFORE_S, last_s, QUARTER_S, dtype=np.int64)
    net_wh, usable = history.at(start_s)
    used = np.flatnonzero(usable)[-METER_BEFORE_WINDOWS:]
    if not len(used):
        return None
    level_wh = rounded(int(net_wh[used].sum()), len(used))
    return Estimate(
        event_wh=np.full(windows, level_wh, np.int64),
        after_wh=(level_wh,) * AFTER_WINDOWS,
        windows_s=tuple(start_s[used].tolist()),
    )


def meter_before_after(history: History, days: EventDays, row: int, known_until_s: int) -> Estimate | None:
    """The mean of 4 windows before `known_until_s` and the first 4 after the event; only a past day has those."""
    before = meter_before(history, 1, known_until_s)
    after = days.after.start + np.arange(METER_BEFORE_WINDOWS)
    if before is None or not days.usable[row, after].all():
        return None
    windows_s = (*before.windows_s, *days.start_s[row, after].tolist())
    net_wh, _ = history.at(np.array(windows_s, np.int64))
    level_wh = rounded(int(net_wh.sum()), len(windows_s))
    windows = days.event.stop - days.event.start
    return Estimate(np.full(windows, level_wh, np.int64), (level_wh,) * AFTER_WINDOWS, windows_s=windows_s)


def forecast_before(days: EventDays, row: int, known_until_s: int, forecaster: Forecaster) -> Estimate | None:
    """The P50 that stood at `known_until_s`; None where none did, or it does not reach over the event."""
    event_wh = forecaster(known_until_s, days.start_s[row, days.event])
    if event_wh is None:
        return None
    after_wh = forecaster(known_until_s, days.start_s[row, days.after])
    return Estimate(event_wh, (None,) * AFTER_WINDOWS if after_wh is None else tuple(after_wh.tolist()))


def rounded(numerator: int, denominator: int) -> int:
    """The nearest whole number to the quotient, halves up; `denominator` is above 0."""
    return (2 * numerator + denominator) // (2 * denominator)


def _days_alike(days: EventDays, row: int, known_until_s: int) -> Int64Array:
    """The rows of the days before that of `row`, of its kind and usable all over the event, the newest first."""
    last = min(row + LOOK_BACK_DAYS, len(days.day) - 1)
    rows = np.arange(row + 1, last + 1, dtype=np.int64)
    alike: Int64Array = rows[days.whole_events(known_until_s)[rows] & (days.rest[rows] == days.rest[row])]
    return alike


def _adjusted_mean(days: EventDays, row: int, known_until_s: int, rows: Int64Array) -> Estimate:
    """The mean of `rows`; to each window is added by how much the day of `row` was above it before the event."""
    known = days.usable_until(known_until_s)
    sums_wh = days.net_wh[rows].sum(axis=0)
    comparable = np.flatnonzero(known[row, BEFORE] & known[rows, BEFORE].all(axis=0))
    if len(comparable) < ADJUSTMENT_WINDOWS_MIN:
        comparable = comparable[:0]
    of_days, of_windows = len(rows), max(len(comparable), 1)
    # mean of (actual − sum/n) = (n·Σ actual − Σ sums) / (n·m): one fraction for each window, rounded once.
    excess = of_days * int(days.net_wh[row, comparable].sum()) - int(sums_wh[comparable].sum())
    divisor = of_days * of_windows

    def window_wh(column: int) -> int:
        return rounded(of_windows * int(sums_wh[column]) + excess, divisor)

    return Estimate(
        event_wh=np.array([window_wh(column) for column in _columns(days.event)], np.int64),
        after_wh=tuple(window_wh(column) if known[rows, column].all() else None for column in _columns(days.after)),
        days=tuple(days.day[row] for row in rows.tolist()),
        adjustment_wh=rounded(excess, divisor),
        adjustment_windows=len(comparable),
    )


def _columns(part: slice) -> Sequence[int]:
    return range(part.start, part.stop)
