"""How good forecasts were: mean absolute error, pinball loss, coverage, bias and skill.

Every function takes what was forecast and what came as arrays of one shape, or such as broadcast, none of them empty.
"""

import numpy as np

from shared.forecast.history import Real


def mean_absolute_error(forecast: Real, came: Real) -> float:
    """The mean of |came − forecast|."""
    return float(np.abs(came - forecast).mean())


def bias(forecast: Real, came: Real) -> float:
    """The mean of forecast − came: positive where too much import is forecast."""
    return float((forecast - came).mean())


def pinball(level: float, forecast: Real, came: Real) -> float:
    """The mean pinball loss of a quantile (Koenker and Bassett 1978): least when it is the quantile `level`."""
    off = came - forecast
    return float(np.maximum(level * off, (level - 1) * off).mean())


def coverage(low: Real, high: Real, came: Real) -> float:
    """Which part of what came lay within low … high, both included."""
    return float(((low <= came) & (came <= high)).mean())


def skill(error: float, naive_error: float) -> float:
    """1 − error / naive error: 0 is no better than the naive forecast, 1 is perfect; nan where that made no error."""
    return 1 - error / naive_error if naive_error > 0 else float("nan")
