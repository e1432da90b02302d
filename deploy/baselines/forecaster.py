"""Forecasts of a past, each from what lay before it: what the baseline `forecast` would have been."""

import numpy as np

from shared.flexibility.baseline import Forecaster
from shared.flexibility.baseline_days import Int64Array
from shared.forecast.calendar import calendar_of
from shared.forecast.history import DAY_QUARTERS, History
from shared.forecast.issue import KNOWN_DAYS_MIN, calendar_days
from shared.forecast.model import HORIZON_QUARTERS, Model, forecast_wh, learn
from shared.forecast.profiles import make_profiles


def past_forecasts(history: History) -> Forecaster:
    """P50 as issued in any quarter of a history of one zone; learnt anew at each local midnight, as in the service."""
    calendar = calendar_of(history.first_s, calendar_days(history))
    profiles = make_profiles(history, calendar)
    models: dict[int, Model] = {}

    def forecaster(issued_by_s: int, start_s: Int64Array) -> Int64Array | None:
        origin = history.quarter_of(issued_by_s)
        midnight = origin - int(calendar.local_quarter[origin])
        target = (start_s - history.first_s) // (history.start_of(1) - history.first_s)
        if midnight < KNOWN_DAYS_MIN * DAY_QUARTERS or target.max() >= origin + HORIZON_QUARTERS:
            return None
        if midnight not in models:
            models[midnight] = learn(profiles, calendar, midnight)
        issued = forecast_wh(profiles, calendar, models[midnight], np.array([origin]), target[None])
        middle = issued[0, 0, :, 1]
        return None if np.isnan(middle).any() else np.rint(middle).astype(np.int64)

    return forecaster
