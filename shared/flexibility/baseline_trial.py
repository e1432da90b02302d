"""How good baselines are for a zone: events that never were, on many days, held to what came. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time

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
from shared.flexibility.baseline_choice import Measured, choose_baseline, score
from shared.flexibility.baseline_days import EventDays, History, Int64Array, event_days
from shared.instants import WARSAW
from shared.limits import QUARTER_S


@dataclass(frozen=True, slots=True)
class Trial:
    """The errors over all days of a trial."""

    by_method: Mapping[Method, Measured]
    accepted: Measured
    """Of the baselines that were chosen by their error, on the days on which one was."""
    fallback: Measured
    """Of meter-before on the days on which no method was good enough."""


def try_baselines(
    history: History, days: Iterable[date], at: time, duration_s: int, lead_s: int, forecaster: Forecaster | None = None
) -> Trial:
    """An event of `duration_s` from the local time `at` on each of `days`, ordered `lead_s` before it begins."""
    errors: dict[Method, _Errors] = {}
    accepted, fallback = _Errors(), _Errors()
    for day in days:
        begins_s = int(datetime.combine(day, at, WARSAW).timestamp())
        event = event_days(history, begins_s, begins_s + duration_s, LOOK_BACK_DAYS)
        if not np.logical_and.reduce(event.usable[0, event.event]):
            continue
        for method, estimate in _estimates(history, event, begins_s - lead_s, forecaster).items():
            errors.setdefault(method, _Errors()).add(event, estimate)
        choice = choose_baseline(history, begins_s, begins_s + duration_s, begins_s - lead_s, forecaster)
        if choice.estimate is not None:
            (accepted if choice.is_measured else fallback).add(event, choice.estimate)
    return Trial({method: found.score() for method, found in errors.items()}, accepted.score(), fallback.score())


def _estimates(
    history: History, event: EventDays, known_until_s: int, forecaster: Forecaster | None
) -> dict[Method, Estimate]:
    known_until_s = known_until_s // QUARTER_S * QUARTER_S
    found = {
        Method.TEN_OF_TEN: ten_of_ten(event, 0, known_until_s),
        Method.MID_FOUR_OF_SIX: mid_four_of_six(event, 0, known_until_s),
        Method.FORECAST: None if forecaster is None else forecast_before(event, 0, known_until_s, forecaster),
        Method.METER_BEFORE: meter_before(history, event.event.stop - event.event.start, known_until_s),
        Method.METER_BEFORE_AFTER: meter_before_after(history, event, 0, known_until_s),
    }
    return {method: estimate for method, estimate in found.items() if estimate is not None}


class _Errors:
    def __init__(self) -> None:
        self._errors_wh: list[Int64Array] = []
        self._actual_wh: list[Int64Array] = []

    def add(self, event: EventDays, estimate: Estimate) -> None:
        actual_wh = event.net_wh[0, event.event]
        self._errors_wh.append(estimate.event_wh - actual_wh)
        self._actual_wh.append(actual_wh)

    def score(self) -> Measured:
        return score(self._errors_wh, self._actual_wh)
