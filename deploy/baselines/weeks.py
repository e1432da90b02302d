"""Trials of baselines over the newest weeks of a zone's history."""

from collections.abc import Iterable, Iterator
from datetime import time, timedelta

from deploy.baselines.forecaster import past_forecasts
from shared.flexibility.baseline_days import History as ZoneHistory
from shared.flexibility.baseline_trial import Trial, try_baselines
from shared.forecast.history import History
from shared.forecast.walk_forward import newest_weeks
from shared.instants import local_day


def try_at(
    history: History, weeks: int, times: Iterable[time], duration_s: int, ahead_s: int
) -> Iterator[tuple[time, Trial]]:
    """A trial for each of `times`, on each local day of the newest weeks of a history of one zone.

    Raises BilansError where nothing is known of the zone.
    """
    first, end = newest_weeks(history, weeks)
    first_day, last_day = (local_day(history.start_of(quarter)) for quarter in (first, end - 1))
    days = [first_day + timedelta(days=step) for step in range((last_day - first_day).days + 1)]
    zone = ZoneHistory(history.first_s, history.net_wh[0], history.known[0])
    forecaster = past_forecasts(history)
    for at in times:
        yield at, try_baselines(zone, days, at, duration_s, ahead_s, forecaster)
