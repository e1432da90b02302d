"""The run of `bilans bench forecast`: made-up homes with PV, whose history is of the size of a real one."""

import time
from dataclasses import dataclass

import numpy as np

from shared.forecast.all_zones import issue_all
from shared.forecast.history import DAY_QUARTERS, DAY_S, History

_FIRST_S = 20_500 * DAY_S
_HELD_ALONE = 3
_UNLIKE_W = 2
"""Sums of many numbers end in other last digits when they are put together otherwise."""


@dataclass(frozen=True, slots=True)
class ForecastRun:
    """What was measured, in seconds of the processor and by the clock."""

    first_cpu_s: float
    first_s: float
    """With learning, as after midnight."""
    next_cpu_s: float
    next_s: float
    """By what was learnt."""
    unlike_zones: int
    """Of some zones those that were forecast otherwise when they were forecast alone."""
    without_forecast: int


def forecast_zones(zones: int, days: int) -> ForecastRun:
    """Forecasts all zones twice, and some of them alone."""
    history = _made_history(zones, days)
    marks = [(time.process_time(), time.perf_counter())]
    issued, model = issue_all(history, history.quarters, None)
    marks.append((time.process_time(), time.perf_counter()))
    issue_all(history, history.quarters, model)
    marks.append((time.process_time(), time.perf_counter()))
    unlike = 0
    for zone in np.linspace(0, zones - 1, _HELD_ALONE).astype(int).tolist():
        only = slice(zone, zone + 1)
        alone, _ = issue_all(history.of(only), history.quarters, None)
        unlike += int(np.abs(alone.power_w - issued.power_w[only]).max() > _UNLIKE_W)
    (first_cpu_s, first_s), (next_cpu_s, next_s) = np.diff(marks, axis=0).tolist()
    without = sum(bool(why) for why in issued.reason)
    return ForecastRun(first_cpu_s, first_s, next_cpu_s, next_s, unlike, without)


def _made_history(zones: int, days: int) -> History:
    """A morning and an evening, sun by day, clouds that change from day to day, noise; a few gaps."""
    random = np.random.default_rng(1)
    phase = np.arange(days * DAY_QUARTERS) / DAY_QUARTERS * 2 * np.pi
    clouds = np.repeat(random.random((zones, days)), DAY_QUARTERS, axis=1)
    demand = 2_000 - 800 * np.cos(2 * phase) + 400 * random.random((zones, len(phase)))
    supply = 4_000 * np.clip(-np.cos(phase), 0, None) * clouds
    known = random.random(demand.shape) < 0.99
    return History(_FIRST_S, demand.astype(np.int64), supply.astype(np.int64), known)
