"""The seasonal naive forecasts beside a plain search backwards."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.forecast.history import DAY_S, History
from shared.forecast.naive import DAILY, WEEKLY, newest_known, seasonal_naive_wh, weekly_is_better

DAYS = 16
QUARTERS = DAYS * 96


def made_history(seed: int, missing: float) -> History:
    random = np.random.default_rng(seed)
    demand, supply = random.integers(0, 10_000, (2, 2, QUARTERS))
    return History(20_000 * DAY_S, demand, supply, random.random((2, QUARTERS)) >= missing)


@given(
    seed=st.integers(0, 50),
    missing=st.sampled_from([0.0, 0.3, 0.95]),
    season=st.sampled_from([DAILY, WEEKLY]),
    origin=st.integers(0, QUARTERS),
    ahead=st.integers(0, 191),
)
def test_it_is_the_newest_known_one_before_the_origin(
    seed: int, missing: float, season: int, origin: int, ahead: int
) -> None:
    history = made_history(seed, missing)
    target = origin + ahead
    found = seasonal_naive_wh(newest_known(history, season), season, np.array([origin]), np.array([[target]]))
    for zone in range(2):
        place = target
        while place >= origin or (place >= 0 and not history.known[zone, place]):
            place -= season
        if place < 0:
            assert math.isnan(found[zone, 0, 0])
        else:
            assert found[zone, 0, 0] == history.net_wh[zone, place]


def test_the_better_one_is_told_zone_by_zone() -> None:
    quarter = np.arange(5 * WEEKLY)
    weekend = 1_000 * (quarter // DAILY % 7 >= 5)
    moving = 100 * (quarter // DAILY)
    history = History(
        20_000 * DAY_S,
        np.stack([weekend, moving]),
        np.zeros((2, 5 * WEEKLY), np.int64),
        np.ones((2, 5 * WEEKLY), np.bool_),
    )
    assert weekly_is_better(history, 5 * WEEKLY).tolist() == [True, False]
    assert weekly_is_better(history, WEEKLY).tolist() == [False, False]  # nothing to compare yet
