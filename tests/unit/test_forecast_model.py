"""Forecasts: what they may look at, what they must not, what they learn; levels and quantiles beside plain ones."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.forecast.all_zones import issue_all
from shared.forecast.calendar import calendar_of
from shared.forecast.history import DAY_QUARTERS, DAY_S, History, Real
from shared.forecast.issue import Issued, calendar_days, issue, known_days
from shared.forecast.model import HORIZON_QUARTERS, learn
from shared.forecast.profiles import make_profiles
from shared.forecast.quantiles import error_quantiles, widening

FIRST_S = 20_500 * DAY_S  # 2026-02-16, so that the clock changes on day 41
DAYS = 30


def made_history(seed: int = 1, zones: int = 3, days: int = DAYS, noise_wh: int = 300) -> History:
    """Homes with PV: a morning and an evening, sun by day, clouds of a day, noise of a quarter."""
    random = np.random.default_rng(seed)
    phase = np.arange(days * DAY_QUARTERS) / DAY_QUARTERS * 2 * np.pi
    clouds = np.repeat(random.random((zones, days)), DAY_QUARTERS, axis=1)
    demand = 2_000 - 800 * np.cos(2 * phase) + noise_wh * random.random((zones, len(phase)))
    supply = 4_000 * np.clip(-np.cos(phase), 0, None) * clouds
    known = np.ones(demand.shape, np.bool_)
    return History(FIRST_S, demand.astype(np.int64), supply.astype(np.int64), known)


def issued(history: History, quarter: int, learnt_at: int | None = None) -> Issued:
    calendar = calendar_of(history.first_s, calendar_days(history))
    profiles = make_profiles(history, calendar)
    model = learn(profiles, calendar, quarter if learnt_at is None else learnt_at)
    return issue(history, profiles, calendar, model, quarter)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), quarter=st.integers(7 * DAY_QUARTERS, DAYS * DAY_QUARTERS), missing=st.booleans())
def test_the_future_changes_no_forecast(seed: int, quarter: int, missing: bool) -> None:
    history = made_history()
    random = np.random.default_rng(seed)
    future = {name: getattr(history, name).copy() for name in ("demand_wh", "supply_wh", "known")}
    shape = future["known"][:, quarter:].shape
    future["demand_wh"][:, quarter:] = random.integers(0, 10**6, shape)
    future["supply_wh"][:, quarter:] = random.integers(0, 10**6, shape)
    future["known"][:, quarter:] = random.random(shape) < 0.5 if missing else True
    other = issued(replace(history, **future), quarter)
    assert other.reason == ["", "", ""]
    assert np.array_equal(other.power_w, issued(history.until(quarter), quarter).power_w)


def test_what_is_not_known_is_not_looked_at() -> None:
    history = made_history()
    known = np.random.default_rng(5).random(history.known.shape) < 0.8
    known[:, -300:-200] = False
    some = replace(history, known=known)
    wrong = replace(
        some,
        demand_wh=np.where(known, history.demand_wh, 10**9),
        supply_wh=np.where(known, history.supply_wh, -(10**9)),
    )
    quarter = history.quarters - 40
    expected = issued(some, quarter)
    assert expected.reason == ["", "", ""]
    assert np.array_equal(issued(wrong, quarter).power_w, expected.power_w)
    off = np.abs(expected.power_w[..., 1] - issued(history, quarter).power_w[..., 1])
    assert 0 < off.mean() < 2_000  # it is another forecast, of the same size


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), quarter=st.integers(4 * DAY_QUARTERS, 12 * DAY_QUARTERS))
def test_quantiles_are_in_order(seed: int, quarter: int) -> None:
    power_w = issued(made_history(seed, days=12), quarter).power_w
    assert (np.diff(power_w, axis=-1) >= 0).all()
    assert (power_w[..., 0] < power_w[..., 2]).any()


def test_a_zone_is_forecast_as_if_it_were_alone() -> None:
    history = made_history(zones=70, days=8)  # more than are learnt, and more than are forecast at once
    quarter = history.quarters
    together, model = issue_all(history, quarter, None)
    for zone in (0, 63, 64, 69):
        only = slice(zone, zone + 1)
        assert np.abs(issued(history.of(only), quarter).power_w - together.power_w[only]).max() <= 1
    again, _ = issue_all(history, quarter, model)
    assert np.array_equal(again.power_w, together.power_w)


def test_what_always_comes_again_is_forecast() -> None:
    phase = np.arange(20 * DAY_QUARTERS) / DAY_QUARTERS * 2 * np.pi
    demand = (3_000 + 1_000 * np.sin(phase))[None].astype(np.int64)
    history = History(FIRST_S, demand, np.zeros_like(demand), np.ones(demand.shape, np.bool_))
    quarter = 15 * DAY_QUARTERS + 17
    expected = 4 * demand[:, quarter : quarter + HORIZON_QUARTERS]
    assert np.abs(issued(history, quarter).power_w - expected[..., None]).max() <= 4


def test_weekends_and_holidays_are_learnt() -> None:
    days = 70  # to Monday 2026-04-27: Easter Monday, the 6th of April, is day 49
    calendar = calendar_of(FIRST_S, days)
    demand = np.where(calendar.day_kind == 0, 5_000, 2_000)[None] + made_history(zones=1, days=days).demand_wh // 10
    history = History(FIRST_S, demand, np.zeros_like(demand), np.ones(demand.shape, np.bool_))
    for day in (47, 49, 54):  # Saturday, Easter Monday after a Sunday, Saturday
        quarter = day * DAY_QUARTERS - 8  # local midnight in summer
        middle = issued(history, quarter).power_w[0, :DAY_QUARTERS, 1] / 4
        assert np.abs(middle - demand[0, quarter : quarter + DAY_QUARTERS]).mean() < 700


def test_a_zone_without_enough_history_says_why() -> None:
    history = made_history(zones=4)
    known = history.known.copy()
    quarter = 10 * DAY_QUARTERS
    known[0, : quarter - 3 * DAY_QUARTERS + 40] = False
    known[1, : quarter - 4 * DAY_QUARTERS] = False
    known[2, quarter - 2 * DAY_QUARTERS - 4 :] = False
    known[3, quarter - 2 * DAY_QUARTERS :] = False
    answer = issued(replace(history, known=known), quarter)
    assert answer.reason == ["2 of 3 days of history", "", "nothing is known of the last 49 hours", ""]
    assert not answer.power_w[[0, 2]].any()
    assert answer.power_w[[1, 3], :, 1].all(axis=1).tolist() == [True, True]


def test_a_system_without_any_history_has_no_forecast() -> None:
    history = made_history().until(0)
    calendar = calendar_of(FIRST_S, calendar_days(history))
    assert known_days(history, calendar, 0).tolist() == [0, 0, 0]
    assert issued(history, 5 * DAY_QUARTERS).reason == ["0 of 3 days of history"] * 3


def test_days_of_23_and_25_hours_are_known_days() -> None:
    history = made_history(zones=1, days=50)
    calendar = calendar_of(FIRST_S, calendar_days(history))
    for quarter in (41 * DAY_QUARTERS, 42 * DAY_QUARTERS - 8, 45 * DAY_QUARTERS):
        days = {int(day) for day in calendar.local_day[4:quarter]} - {int(calendar.local_day[quarter])}
        days -= {int(calendar.local_day[0])}  # which began an hour before the history
        assert known_days(history, calendar, quarter).tolist() == [len(days)]


def test_the_clock_changes_within_the_horizon() -> None:
    history = made_history(zones=1, days=50)
    answer = issued(history, 40 * DAY_QUARTERS)
    came = history.net_wh[0, 40 * DAY_QUARTERS : 42 * DAY_QUARTERS] * 4
    assert answer.power_w.shape == (1, HORIZON_QUARTERS, 3)
    assert np.abs(answer.power_w[0, :, 1] - came).mean() < np.abs(came - came.mean()).mean()


def test_levels_beside_a_plain_sum() -> None:
    history = made_history(zones=1, days=6)
    known = np.random.default_rng(3).random(history.known.shape) < 0.6
    profiles = make_profiles(replace(history, known=known), calendar_of(FIRST_S, 6))
    for place in range(0, 6 * DAY_QUARTERS, 7):
        same = [before for before in range(place, -1, -DAY_QUARTERS) if known[0, before]]
        weights = [0.5 ** ((place - before) / DAY_QUARTERS / 5.0) for before in same]
        expected = np.average(history.net_wh[0, same], weights=weights) if same else np.nan
        assert profiles.level_wh[0, place] == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.tuples(st.integers(-100, 100), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=30))
def test_quantiles_beside_a_plain_search(errors: list[tuple[int, float]]) -> None:
    values = np.array([[[float(value)] for value, _ in errors]])
    weights = np.array([[[weight] for _, weight in errors]])
    found: Real = error_quantiles(values, weights, np.full(values.shape[1:], 7), np.array([4.0]))
    wider = float(widening(np.array([4.0]))[0])
    low, high = _plain_quantile(errors, 0.1), _plain_quantile(errors, 0.9)
    low, high = min(low, low * wider), max(high, high * wider)
    middle = min(max(_plain_quantile(errors, 0.5) / 2, low), high)
    assert found[0, 8].tolist() == [low, middle, high]
    assert not found[0, 9].any()  # two hours away


def test_few_days_make_it_wider_as_student_says() -> None:
    """P90 of Student's distribution with 3, 10 and 90 degrees of freedom is 1.638, 1.372 and 1.291 (any table)."""
    expected = [t / 1.2816 * (1 + 1 / days) ** 0.5 for t, days in ((1.638, 4), (1.372, 11), (1.291, 91))]
    assert widening(np.array([4.0, 11.0, 91.0])).tolist() == pytest.approx(expected, rel=0.01)


def test_a_few_days_are_not_overrated() -> None:
    """Four days of clouds that come and go by chance: better than what was yesterday, and unsure enough."""
    inside, errors, naive_errors = [], [], []
    for seed in range(6):
        history = made_history(seed, zones=8, days=40)
        quarter = 38 * DAY_QUARTERS
        known = history.known.copy()
        known[:, : quarter - 4 * DAY_QUARTERS - 8] = False
        power_w = issued(replace(history, known=known), quarter).power_w
        came_w = history.net_wh[:, quarter:] * 4
        yesterday_w = np.tile(history.net_wh[:, quarter - DAY_QUARTERS : quarter] * 4, 2)
        inside.append(((power_w[..., 0] <= came_w) & (came_w <= power_w[..., 2])).mean())
        errors.append(np.abs(power_w[..., 1] - came_w).mean())
        naive_errors.append(np.abs(yesterday_w - came_w).mean())
    assert 0.7 < np.mean(inside) < 0.95
    assert np.mean(errors) < np.mean(naive_errors)


def _plain_quantile(errors: list[tuple[int, float]], level: float) -> float:
    """The least value that, with those below it, has so much of all weight."""
    total = sum(weight for _, weight in errors)
    if total == 0:
        return 0.0
    return min(
        float(value)
        for value, _ in errors
        if sum(weight for other, weight in errors if other <= value) >= level * total
    )
