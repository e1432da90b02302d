"""What a forecast for one quarter, issued at another, is worked out from.

`origin` is the number of the first quarter that a forecast knows nothing of; it looks at quarters before it only.
"""

from dataclasses import dataclass

import numpy as np

from shared.forecast.calendar import Calendar
from shared.forecast.history import DAY_QUARTERS, Real, Whole
from shared.forecast.profiles import Deviations, Profiles

_HOUR = 4
"""Quarters of an hour."""

_WAVED = 8
_WAVES = 3
"""Eight figures count by themselves, and by the cosine and the sine of the local time of day: what a cloudy yesterday
says of noon is not what it says of the night."""
FEATURES = _WAVED * _WAVES


@dataclass(frozen=True, slots=True)
class Features:
    """For n origins with m targets each."""

    base_wh: Real
    """[Z, n, m] what is usual at the target's quarter and kind of day: the forecast where nothing is learnt."""
    columns: Real
    """[Z, n, m, FEATURES] what the difference from it is worked out from."""


def make_features(profiles: Profiles, calendar: Calendar, origin: Whole, target: Whole) -> Features:
    """The features of `target` [n, m], quarters at or after `origin` [n] each."""
    origin = origin[:, None]
    assert (target >= origin).all()
    assert (origin >= DAY_QUARTERS).all()
    days = -(-(target - origin + 1) // DAY_QUARTERS)
    same = target - days * DAY_QUARTERS  # the newest day on which this quarter of the day may be known
    base = profiles.level_wh[:, same] + np.moveaxis(profiles.kind_wh[calendar.day_kind[target], :, same], -1, 0)
    waved: list[Real] = [
        np.ones(1),
        profiles.dimming_wh[:, same],
        _mean(profiles.net, origin - _HOUR, origin),
        _mean(profiles.net, origin - 4 * _HOUR, origin),
        *(
            _mean(deviations, *stretch)
            for deviations in (profiles.demand, profiles.supply)
            for stretch in (
                (same - _HOUR, np.minimum(same + _HOUR + 1, origin)),
                (origin - DAY_QUARTERS, origin),
            )
        ),
    ]
    columns = np.empty((*base.shape, FEATURES))
    plain = columns[..., :_WAVED]
    for place, column in enumerate(waved):
        plain[..., place] = column
    np.nan_to_num(plain, copy=False)
    angle = 2 * np.pi / DAY_QUARTERS * calendar.local_quarter[target]
    for wave, factor in ((1, np.cos(angle)), (2, np.sin(angle))):
        np.multiply(plain, factor[..., None], out=columns[..., wave * _WAVED : (wave + 1) * _WAVED])
    return Features(base, columns)


def _mean(deviations: Deviations, begin: Whole, end: Whole) -> Real:
    """The mean of what is known in quarters begin ≤ q < end; 0, which is the level itself, where nothing is."""
    begin, end = np.maximum(begin, 0), np.maximum(end, 0)
    count = deviations.count[:, end] - deviations.count[:, begin]
    mean: Real = (deviations.total[:, end] - deviations.total[:, begin]) / np.maximum(count, 1.0)
    return mean
