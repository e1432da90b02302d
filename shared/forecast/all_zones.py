"""The forecast of all zones, some zones at a time: what is held meanwhile does not grow with the network."""

import numpy as np

from shared.forecast.calendar import calendar_of
from shared.forecast.history import History
from shared.forecast.issue import Issued, calendar_days, issue
from shared.forecast.model import Model, learn
from shared.forecast.profiles import make_profiles

_ZONES_AT_ONCE = 64
"""Their profiles are 60 MB with 16 weeks of history."""


def issue_all(history: History, quarter: int, model: Model | None) -> tuple[Issued, Model]:
    """The forecast from `quarter` on, by the model of all zones, or by one that is learnt from what lies before."""
    calendar = calendar_of(history.first_s, calendar_days(history))
    issued, models = [], []
    for first in range(0, history.zones, _ZONES_AT_ONCE):
        zones = slice(first, first + _ZONES_AT_ONCE)
        some = history.of(zones)
        profiles = make_profiles(some, calendar)
        models.append(learn(profiles, calendar, quarter) if model is None else model.of(zones))
        issued.append(issue(some, profiles, calendar, models[-1], quarter))
    return (
        Issued(
            history.start_of(quarter),
            np.concatenate([one.power_w for one in issued]),
            [reason for one in issued for reason in one.reason],
        ),
        Model(
            models[0].origin,
            np.concatenate([one.weights for one in models]),
            np.concatenate([one.error_wh for one in models]),
        ),
    )
