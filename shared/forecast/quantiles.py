"""How far off forecasts were: quantiles of errors by horizon and local hour, from which P10, P50 and P90 follow."""

import numpy as np

from shared.forecast.history import Real, Whole

LEVELS = (0.1, 0.5, 0.9)
"""P10, P50, P90."""
HOURS = 24
_HOURS_TOGETHER = 3
_MEDIAN_BELIEVED = 0.5


def error_quantiles(error_wh: Real, weight: Real, local_hour: Whole) -> Real:
    """[Z, HOURS, 3] the quantiles of errors [Z, n, m], each with its weight; 0 where an hour has none with any weight.

    Those of a local hour are taken with those of the hours before and after it. Errors lean to one side by day, but by
    how much is known only roughly: half of their median is believed (on the homes, all of it costs 1 % of the error at
    cluster level, none of it 1 % of that of single homes).
    """
    quantiles = np.zeros((len(error_wh), HOURS, len(LEVELS)))
    for hour in range(HOURS):
        near = (local_hour - hour + 1) % HOURS < _HOURS_TOGETHER
        quantiles[:, hour] = _quantiles(error_wh[:, near], weight[:, near])
    low, middle, high = np.moveaxis(quantiles, -1, 0)
    middle[:] = np.clip(_MEDIAN_BELIEVED * middle, low, high)
    return quantiles


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
