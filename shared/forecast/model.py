"""The model: ridge regression of the difference from the usual, for each zone and stretch of horizons, and its errors.

What a zone's net power will be is its level at that quarter of the day, and a sum of what the newest deviations of
demand and supply say (`features.py`), weighed as served best over the last weeks. How wide a forecast is follows from
the errors that the same model, learnt without a week, makes in that week (cross-conformal prediction: Vovk 2015; Barber
and others 2021, jackknife+).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from shared.forecast.calendar import Calendar
from shared.forecast.features import FEATURES, make_features
from shared.forecast.history import DAY_QUARTERS, Mask, Real, Whole
from shared.forecast.profiles import Profiles
from shared.forecast.quantiles import LEVELS, error_quantiles

HORIZON_QUARTERS = 192
"""48 hours."""
BLOCK_EDGES = (0, 4, 16, 48, 96, 144, HORIZON_QUARTERS)
"""Horizons of one block, in quarters, share their weights: the next hour asks for others than tomorrow."""
BLOCKS = len(BLOCK_EDGES) - 1

_TRAINING_DAYS = 91
"""A season. With 56 days the error on the homes is 1 % greater, with 182 no smaller."""
_WEIGHT_HALF_LIFE_DAYS = 56.0
_ERROR_HALF_LIFE_DAYS = 28.0
"""How unsure a forecast is changes with the season, faster than what it is made from."""
_ORIGIN_STEP = 23
"""Quarters between two instants at which a forecast is learnt from: over some weeks all times of the day have turns."""
_TARGET_STEP = (1, 2, 4, 4, 4, 4)
"""Of a block each so many-th quarter is learnt from, another one at the next origin."""
_RIDGE = 0.3
_RIDGE_DAYS = 20.0
"""What draws the weights to nothing, as a part of their columns' squares: so much, and the cube of these days by those
that are known. Of a week little is believed but what is usual: more of it made forecasts worse than naive ones."""
_FOLDS = 13
"""Stretches of days that are left out in turn: weeks, when all training days are there."""
_ZONES_AT_ONCE = 8
"""The columns of a block are 7 MB: they stay in fast memory, where all zones' would not."""


@dataclass(frozen=True, slots=True)
class Model:
    """What was learnt; Z zones."""

    origin: int
    """It was learnt from quarters before this one."""
    weights: Real
    """[Z, BLOCKS, FEATURES]"""
    error_wh: Real
    """[Z, BLOCKS, HOURS, 3] quantiles of what came less what was forecast, by local hour; Wh a quarter."""

    def of(self, zones: slice | Mask) -> "Model":
        """The model of some zones."""
        return Model(self.origin, self.weights[zones], self.error_wh[zones])


@dataclass(frozen=True, slots=True)
class _Samples:
    """Forecasts that might have been issued, and what came; n origins with m targets each, oldest first."""

    fold: Whole
    """[n]"""
    columns: Real
    """[Z, n, m, FEATURES]"""
    wanted_wh: Real
    """[Z, n, m] what came less the level."""
    weight: Real
    """[Z, n, m] 0 where it is not known."""
    error_weight: Real
    """[Z, n, m] the same, of errors."""
    local_hour: Whole
    """[n, m]"""
    days: Real
    """[Z] of how many days there are samples."""


def learn(profiles: Profiles, calendar: Calendar, origin: int) -> Model:
    """Learns from all quarters before `origin`, of which there must be three days at least."""
    zones = len(profiles.known)
    chunks = [slice(first, first + _ZONES_AT_ONCE) for first in range(0, zones, _ZONES_AT_ONCE)]
    learnt = [_learn_chunk(profiles.of(chunk), calendar, origin) for chunk in chunks]
    return Model(
        origin,
        np.concatenate([weights for weights, _ in learnt]),
        np.concatenate([error_wh for _, error_wh in learnt]),
    )


def _learn_chunk(profiles: Profiles, calendar: Calendar, origin: int) -> tuple[Real, Real]:
    weights, quantiles = [], []
    for block in range(BLOCKS):
        samples = _samples(profiles, calendar, origin, block)
        block_weights, errors = _regress(samples)
        weights.append(block_weights)
        quantiles.append(error_quantiles(errors, samples.error_weight, samples.local_hour, samples.days))
    return np.stack(weights, axis=1), np.stack(quantiles, axis=1)


def _samples(profiles: Profiles, calendar: Calendar, origin: int, block: int) -> _Samples:
    first = max(2 * DAY_QUARTERS, origin - _TRAINING_DAYS * DAY_QUARTERS)
    origins = np.arange(origin - 1, first - 1, -_ORIGIN_STEP, dtype=np.int64)[::-1]
    begin, end = BLOCK_EDGES[block : block + 2]
    step = _TARGET_STEP[block]
    turn = np.arange(len(origins), dtype=np.int64)[:, None] % step
    target = origins[:, None] + np.arange(begin, end, step, dtype=np.int64) + turn
    features = make_features(profiles, calendar, origins, target)
    past = target < origin
    came = np.where(past, target, 0)
    wanted = profiles.net_wh[:, came] - features.base_wh
    known = profiles.known[:, came] & past & ~np.isnan(wanted)
    age_days = (origin - target) / DAY_QUARTERS
    return _Samples(
        fold=np.arange(len(origins)) * _FOLDS // max(len(origins), 1),
        columns=features.columns,
        wanted_wh=np.where(known, wanted, 0.0),
        weight=known * 0.5 ** (age_days / _WEIGHT_HALF_LIFE_DAYS),
        error_weight=known * 0.5 ** (age_days / _ERROR_HALF_LIFE_DAYS),
        local_hour=calendar.local_quarter[target] // 4,
        days=known.sum(axis=(1, 2)) / target.shape[1] * _ORIGIN_STEP / DAY_QUARTERS,
    )


def _regress(samples: _Samples) -> tuple[Real, Real]:
    """[Z, FEATURES] the weights, and [Z, n, m] the errors of those learnt without the fold of each sample."""
    edges = np.searchsorted(samples.fold, np.arange(_FOLDS + 1))
    squares, products = [], []
    for begin, end in pairwise(edges):
        columns = samples.columns[:, begin:end].reshape(len(samples.columns), -1, FEATURES)
        weighted = (columns * samples.weight[:, begin:end].reshape(*columns.shape[:2], 1)).swapaxes(1, 2)
        squares.append(weighted @ columns)
        products.append((weighted @ samples.wanted_wh[:, begin:end].reshape(*columns.shape[:2], 1))[..., 0])
    fold_squares, fold_products = np.stack(squares, axis=1), np.stack(products, axis=1)
    square, product = fold_squares.sum(axis=1), fold_products.sum(axis=1)
    penalty = _penalty(square, samples.days)
    weights = np.linalg.solve(square + penalty, product[..., None])[..., 0]
    without = np.linalg.solve(
        square[:, None] - fold_squares + penalty[:, None], (product[:, None] - fold_products)[..., None]
    )
    errors = samples.wanted_wh.copy()
    for fold, (begin, end) in enumerate(pairwise(edges)):
        errors[:, begin:end] -= (samples.columns[:, begin:end] @ without[:, fold, None])[..., 0]
    return weights, errors


def _penalty(square: Real, days: Real) -> Real:
    """[Z, F, F] what is added to the squares: the fewer days there are, the less is believed of them."""
    diagonal = np.diagonal(square, axis1=1, axis2=2)
    floor = 1e-9 * diagonal.max(axis=1, keepdims=True) + 1e-9
    ridge = _RIDGE + (_RIDGE_DAYS / np.maximum(days, 1.0)) ** 3
    penalty: Real = np.eye(FEATURES) * (ridge[:, None] * diagonal + floor)[:, None, :]
    return penalty


def forecast_wh(profiles: Profiles, calendar: Calendar, model: Model, origin: Whole, target: Whole) -> Real:
    """[Z, n, m, 3] P10, P50 and P90 of net energy in the quarters `target` [n, m], from what lies before `origin` [n].

    nan where nothing is known of a quarter of the day. Beyond 48 hours it is as unsure as just before.
    """
    horizon = target - origin[:, None]
    block = np.minimum(np.searchsorted(BLOCK_EDGES[1:], horizon, side="right"), BLOCKS - 1)
    forecast = np.empty((len(profiles.known), *target.shape, len(LEVELS)))
    for one in np.unique(block).tolist():
        row, column = np.nonzero(block == one)
        wanted = target[row, column]
        features = make_features(profiles, calendar, origin[row], wanted[:, None])
        off = (features.columns[:, :, 0] @ model.weights[:, one, :, None])[..., 0]
        middle = features.base_wh[..., 0] + off
        hour = calendar.local_quarter[wanted] // 4
        forecast[:, row, column] = middle[..., None] + model.error_wh[:, one, hour]
    return forecast
