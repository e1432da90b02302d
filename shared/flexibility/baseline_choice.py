"""Which baseline is the right one for a zone: each method is tried on days without an event, the closest wins. Pure.

Relative RMSE and bias on such placebo days, the limit of 20 % and the choice by them are those of AEMO's register of
baseline methodologies (wholesale demand response). No method sees what was not known at the time, nor does its trial.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.flexibility.baseline import (
    LOOK_BACK_DAYS,
    Estimate,
    Forecaster,
    Method,
    forecast_before,
    meter_before,
    meter_before_after,
    mid_four_of_six,
    ten_of_ten,
)
from shared.flexibility.baseline_days import EventDays, History, Int64Array, event_days
from shared.limits import QUARTER_S

PLACEBO_DAYS = 20
"""So many of the last days without an event a method is tried on."""

PLACEBO_LOOK_BACK_DAYS = 30
"""Days that are sought among."""

PLACEBO_DAYS_MIN = 5
"""With fewer days its error is not known."""

HISTORY_DAYS = PLACEBO_LOOK_BACK_DAYS + LOOK_BACK_DAYS + 2
"""What a choice may look at: from the oldest day of the oldest trial on, with a day at either end for long events."""

RRMSE_MAX = 0.20
"""A method with a greater error is refused."""

_DECIMALS = 4

# The order in which methods of the same error are preferred.
_CHOICE = (Method.TEN_OF_TEN, Method.MID_FOUR_OF_SIX, Method.FORECAST, Method.METER_BEFORE)

Trial = Callable[[int, int], Estimate | None]
"""A method on the day of a row, as of an instant."""


@dataclass(frozen=True, slots=True)
class Measured:
    """How close a method came on placebo days."""

    days: int
    rrmse: float | None
    """Root of the mean squared error by the mean of |actual|; None with too few days, or where nothing flowed."""
    bias: float | None
    """Mean error by the mean of |actual|: above 0 where the baseline was higher than what came."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The baseline of an event."""

    method: Method | None
    """None where nothing is known from which to work one out."""
    reason: str
    """Why this one, for people."""
    estimate: Estimate | None
    measured: Mapping[Method, Measured]
    """Every method that was tried."""
    estimates: Mapping[Method, Estimate]
    """What each method says of the event; one that is not here could not be worked out."""

    @property
    def is_measured(self) -> bool:
        """Whether it was chosen by its error; else it is meter-before, for want of a better one."""
        return self.method is not None and accepted(self.measured[self.method])


def accepted(measured: Measured) -> bool:
    """Whether a method with this error may be used."""
    return measured.rrmse is not None and measured.rrmse <= RRMSE_MAX


def choose_baseline(
    history: History, event_start_s: int, event_end_s: int, ordered_s: int, forecaster: Forecaster | None = None
) -> Choice:
    """The baseline of an event that is ordered at `ordered_s`; nothing that ended later is looked at.

    Where every method is refused, or none could be tried, it is meter-before.
    """
    known_until_s = min(ordered_s // QUARTER_S * QUARTER_S, event_start_s)
    days = event_days(history, event_start_s, event_end_s, HISTORY_DAYS)
    trials = _trials(history, days, known_until_s, forecaster)
    measured = {method: measure(days, trial, known_until_s) for method, trial in trials.items()}
    estimates = {
        method: estimate
        for method in _CHOICE
        if method in trials and (estimate := trials[method](0, known_until_s)) is not None
    }
    good = [method for method in _CHOICE if method in estimates and accepted(measured[method])]
    if good:
        best = min(good, key=lambda method: measured[method].rrmse or 0.0)  # of equal ones the first
        return Choice(best, _why_best(measured[best]), estimates[best], measured, estimates)
    fallback = estimates.get(Method.METER_BEFORE)
    method = None if fallback is None else Method.METER_BEFORE
    return Choice(method, _why_none(measured, estimates), fallback, measured, estimates)


def measure(days: EventDays, trial: Trial, known_until_s: int) -> Measured:
    """The error of a method on the last placebo days before the event, as far ahead of each as the order is."""
    errors_wh: list[Int64Array] = []
    actual_wh: list[Int64Array] = []
    lead_s = days.event_begins_s(0) - known_until_s
    for row in placebo_rows(days, known_until_s):
        estimate = trial(row, days.event_begins_s(row) - lead_s)
        if estimate is not None:
            actual_wh.append(days.net_wh[row, days.event])
            errors_wh.append(estimate.event_wh - actual_wh[-1])
    return score(errors_wh, actual_wh)


def placebo_rows(days: EventDays, known_until_s: int) -> Iterator[int]:
    """The last days before the event's on which its windows are usable and had ended by `known_until_s`."""
    usable = days.whole_events(known_until_s)
    usable[PLACEBO_LOOK_BACK_DAYS + 1 :] = False
    yield from np.flatnonzero(usable)[:PLACEBO_DAYS].tolist()


def score(errors_wh: Sequence[Int64Array], actual_wh: Sequence[Int64Array]) -> Measured:
    """The relative RMSE and bias over all windows of these days; sums are exact, only the last quotient is rounded."""
    errors = [int(error) for day in errors_wh for error in day]
    flowed_wh = sum(abs(int(actual)) for day in actual_wh for actual in day)
    if len(errors_wh) < PLACEBO_DAYS_MIN or not flowed_wh:
        return Measured(len(errors_wh), None, None)
    squares = sum(error * error for error in errors)
    rrmse = math.sqrt(squares * len(errors)) / flowed_wh
    return Measured(len(errors_wh), round(rrmse, _DECIMALS), round(sum(errors) / flowed_wh, _DECIMALS))


def _trials(
    history: History, days: EventDays, known_until_s: int, forecaster: Forecaster | None
) -> dict[Method, Trial]:
    windows = days.event.stop - days.event.start
    past = History(history.first_s, history.net_wh, history.usable & _ended(history, known_until_s))
    past_days = EventDays(days.day, days.rest, days.start_s, days.net_wh, days.usable_until(known_until_s))
    trials: dict[Method, Trial] = {
        Method.TEN_OF_TEN: lambda row, known_s: ten_of_ten(past_days, row, known_s),
        Method.MID_FOUR_OF_SIX: lambda row, known_s: mid_four_of_six(past_days, row, known_s),
        Method.METER_BEFORE: lambda _, known_s: meter_before(past, windows, known_s),
        Method.METER_BEFORE_AFTER: lambda row, known_s: meter_before_after(past, past_days, row, known_s),
    }
    if forecaster is not None:
        trials[Method.FORECAST] = lambda row, known_s: forecast_before(past_days, row, known_s, forecaster)
    return trials


def _ended(history: History, known_until_s: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    ended_s = history.first_s + QUARTER_S * (np.arange(len(history.net_wh)) + 1)
    return ended_s <= known_until_s


def _why_best(best: Measured) -> str:
    return f"The least error of all methods on {best.days} days without an event: {_percent(best.rrmse)}."


def _why_none(measured: Mapping[Method, Measured], estimates: Mapping[Method, Estimate]) -> str:
    if Method.METER_BEFORE not in estimates:
        return "Nothing is known of the last day before the order, so there is no baseline."
    tried = [method for method in estimates if measured[method].rrmse is not None]
    if not tried:
        return f"There are fewer than {PLACEBO_DAYS_MIN} days without an event on which a method could be tried."
    best = min(tried, key=lambda method: measured[method].rrmse or 0.0)
    return (
        f"No method is within {_percent(RRMSE_MAX)} on days without an event; "
        f"the closest, {best}, is off by {_percent(measured[best].rrmse)}."
    )


def _percent(part: float | None) -> str:
    return f"{100 * (part or 0.0):.1f} %"
