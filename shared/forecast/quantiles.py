"""How far off forecasts were: quantiles of errors by horizon and local hour, from which P10, P50 and P90 follow."""

import numpy as np

from shared.forecast.history import Real, Whole

LEVELS = (0.1, 0.5, 0.9)
"""P10, P50, P90."""
HOURS = 24
_HOURS_TOGETHER = 3
_MEDIAN_BELIEVED = 0.5
_Z_P90 = 1.2815515655446004
"""P90 of the normal distribution."""


def error_quantiles(error_wh: Real, weight: Real, local_hour: Whole, days: Real) -> Real:
    """[Z, HOURS, 3] the quantiles of errors [Z, n, m], each with its weight; 0 where an hour has none with any weight.

    Those of a local hour are taken with those of the hours before and after it. Errors lean to one side by day, but by
    how much is known only roughly: half of their median is believed (on the homes, all of it costs 1 % of the error at
    cluster level, none of it 1 % of that of single homes). The fewer `days` [Z] they are of, the wider are the others.
    """
    quantiles = np.zeros((len(error_wh), HOURS, len(LEVELS)))
    for hour in range(HOURS):
        near = (local_hour - hour + 1) % HOURS < _HOURS_TOGETHER
        quantiles[:, hour] = _quantiles(error_wh[:, near], weight[:, near])
    low, middle, high = np.moveaxis(quantiles, -1, 0)
    wider = widening(days)[:, None]
    low[:] = np.minimum(low * wider, low)
    high[:] = np.maximum(high * wider, high)
    middle[:] = np.clip(_MEDIAN_BELIEVED * middle, low, high)
    return quantiles


def widening(days: Real) -> Real:
    """[Z] how much further than the P90 of so many days' errors the P90 of another day's lies: Student's distribution.

    By the expansion of Abramowitz and Stegun 26.7.5; errors of one day count as one, since they have one weather.
    """
    days = np.maximum(days, 2.0)
    freedom, z = days - 1, _Z_P90
    student = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return np.asarray(student / z * np.sqrt(1 + 1 / days), np.float64)


def _quantiles(values: Real, weight: Real) -> Real:
    """[Z, 3] the least of each row's values up to which there is at least so much of all weight."""
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    sums = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)
    quantiles = np.zeros((len(values), len(LEVELS)))
    some = np.flatnonzero(sums[:, -1] > 0) if values.shape[1] else np.zeros(0, np.int64)
    for place, level in enumerate(LEVELS):
        at = (sums[some] < level * sums[some, -1:]).sum(axis=1)
        quantiles[some, place] = ordered[some, np.minimum(at, values.shape[1] - 1)]
    return quantiles
