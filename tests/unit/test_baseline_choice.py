"""Which baseline is chosen: errors by hand, trials without foresight, and what is done where none is good."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.flexibility.baseline import Method, meter_before, mid_four_of_six, ten_of_ten
from shared.flexibility.baseline_choice import Choice, Measured, choose_baseline, score
from shared.flexibility.baseline_days import History, event_days
from shared.flexibility.baseline_trial import try_baselines

WARSAW = ZoneInfo("Europe/Warsaw")


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=WARSAW).timestamp())


FROM, TO = instant("2026-05-20T12:00"), instant("2026-05-20T13:00")
FIRST = FROM - 80 * 86400
WINDOWS = (TO + 4 * 3600 - FIRST) // 900
HOURS = np.array([datetime.fromtimestamp(FIRST + 900 * place, WARSAW).hour for place in range(WINDOWS)])


def history(net_wh: np.ndarray, usable: np.ndarray | None = None) -> History:
    return History(FIRST, net_wh.astype(np.int64), np.ones(WINDOWS, np.bool_) if usable is None else usable)


def place_of(start_s: int) -> int:
    return (start_s - FIRST) // 900


def daily(noise_wh: int = 0, seed: int = 0) -> np.ndarray:
    """A zone that takes much by day and little by night; it repeats itself but for some noise."""
    chance = np.random.default_rng(seed)
    return np.where((HOURS >= 12) & (HOURS < 15), 9000, 1000) + chance.integers(-noise_wh, noise_wh + 1, WINDOWS)


def numbers(choice: Choice) -> object:
    return (
        choice.method,
        choice.reason,
        choice.measured,
        {name: one.event_wh.tolist() for name, one in choice.estimates.items()},
    )


def test_the_errors_of_five_days_by_hand() -> None:
    """Errors 0, 3, −4, 0, 5 of actual 10, −10, 20, 10, 10: √(50/5) / 12 and 4 / 60."""
    errors = [np.array([error]) for error in (0, 3, -4, 0, 5)]
    actual = [np.array([value]) for value in (10, -10, 20, 10, 10)]
    assert score(errors, actual) == Measured(5, 0.2635, 0.0667)
    assert score(errors[:4], actual[:4]) == Measured(4, None, None)
    assert score(errors, [np.array([0])] * 5) == Measured(5, None, None)


def test_the_method_of_least_error_is_chosen() -> None:
    choice = choose_baseline(history(daily()), FROM, TO, FROM - 3600)
    assert choice.method is Method.TEN_OF_TEN and choice.is_measured
    assert choice.measured[Method.TEN_OF_TEN] == Measured(20, 0.0, 0.0)
    assert choice.measured[Method.METER_BEFORE] == Measured(20, 0.8889, -0.8889)  # 1000 instead of 9000
    assert choice.estimate is not None and choice.estimate.event_wh.tolist() == [9000] * 4
    assert choice.estimate.after_wh == (9000,) * 8 + (1000,) * 8


def test_a_level_that_wanders_is_told_best_by_the_meter_before() -> None:
    wandering = 10_000 + np.cumsum(np.random.default_rng(7).integers(-300, 301, WINDOWS))
    choice = choose_baseline(history(wandering), FROM, TO, FROM)
    assert choice.method is Method.METER_BEFORE and choice.is_measured


def test_above_twenty_percent_every_method_is_refused() -> None:
    chance = np.random.default_rng(3)
    choice = choose_baseline(history(chance.integers(-5000, 20_000, WINDOWS)), FROM, TO, FROM)
    assert choice.method is Method.METER_BEFORE and not choice.is_measured
    assert "No method is within 20.0 %" in choice.reason
    assert min(found.rrmse or 0.0 for found in choice.measured.values()) > 0.2


def test_with_too_little_history_it_is_meter_before() -> None:
    young = np.arange(WINDOWS) >= place_of(FROM - 4 * 86400)
    choice = choose_baseline(history(daily(), young), FROM, TO, FROM)
    assert choice.method is Method.METER_BEFORE and not choice.is_measured
    assert "fewer than 5 days" in choice.reason
    assert choice.estimate is not None and choice.estimate.event_wh.tolist() == [1000] * 4


def test_where_nothing_is_known_there_is_no_baseline() -> None:
    choice = choose_baseline(history(daily(), np.zeros(WINDOWS, np.bool_)), FROM, TO, FROM)
    assert choice.method is None and choice.estimate is None and not choice.is_measured


def test_a_forecast_is_tried_as_it_stood_as_far_ahead_as_the_order() -> None:
    asked: list[tuple[int, int]] = []

    def forecaster(known_until_s: int, start_s: np.ndarray) -> np.ndarray:
        asked.append((known_until_s, int(start_s[0])))
        known: np.ndarray = daily()[(start_s - FIRST) // 900]
        return known

    choice = choose_baseline(history(daily(100)), FROM, TO, FROM - 7200, forecaster)
    assert choice.method is Method.FORECAST
    assert {first - known for known, first in asked if first % 86400 == FROM % 86400} == {7200}


@pytest.mark.parametrize("method", [Method.TEN_OF_TEN, Method.MID_FOUR_OF_SIX, Method.METER_BEFORE])
def test_days_with_an_event_are_never_used(method: Method) -> None:
    """What happened in windows of orders has no part in a baseline, nor in its measure."""
    usable = np.ones(WINDOWS, np.bool_)
    for back in (1, 2, 5, 6, 13):
        begins = place_of(int((datetime.fromtimestamp(FROM, WARSAW) - timedelta(days=back)).timestamp()))
        usable[begins : begins + 4] = False
    shifted = np.where(usable, daily(50), -(10**9))
    plain = choose_baseline(history(daily(50), usable), FROM, TO, FROM)
    found = choose_baseline(history(shifted, usable), FROM, TO, FROM)
    assert numbers(found) == numbers(plain)
    assert not {19, 18, 15, 14} & {day.day for day in found.estimates[method].days if day.month == 5}


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 450, 900, 3 * 3600, 26 * 3600]), st.integers(-(10**7), 10**7))
@settings(max_examples=25)
def test_what_ends_after_the_order_changes_no_choice(seed: int, lead_s: int, other: int) -> None:
    known = daily(3000, seed)
    ordered = FROM - lead_s
    later = FIRST + 900 * (np.arange(WINDOWS) + 1) > ordered
    changed = np.where(later, other, known)
    assert numbers(choose_baseline(history(changed), FROM, TO, ordered)) == numbers(
        choose_baseline(history(known), FROM, TO, ordered)
    )
    assert later.sum() >= 20


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.sampled_from([0, 3600, 5 * 3600]), st.integers(0, 10**7))
@settings(max_examples=25)
def test_a_trial_sees_only_what_was_known_on_its_own_day(seed: int, back: int, lead_s: int, other: int) -> None:
    known = daily(3000, seed)
    known_s = event_days(history(known), FROM, TO, 77).event_begins_s(back) - lead_s
    changed = np.where(FIRST + 900 * (np.arange(WINDOWS) + 1) > known_s, other, known)

    def tried(net: np.ndarray) -> list[list[int]]:
        days = event_days(history(net), FROM, TO, 77)
        trials = (
            ten_of_ten(days, back, known_s),
            mid_four_of_six(days, back, known_s),
            meter_before(history(net), 4, known_s),
        )
        return [one.event_wh.tolist() for one in trials if one is not None]

    assert tried(known) == tried(changed) and len(tried(known)) == 3


def test_a_trial_on_days_that_never_had_an_event() -> None:
    days = [(datetime.fromtimestamp(FROM, WARSAW) - timedelta(days=back)).date() for back in range(7)]
    trial = try_baselines(history(daily()), days, time(12), 3600, 900)
    assert trial.by_method[Method.TEN_OF_TEN] == Measured(7, 0.0, 0.0)
    assert trial.by_method[Method.METER_BEFORE] == Measured(7, 0.8889, -0.8889)
    assert trial.accepted == Measured(7, 0.0, 0.0) and trial.fallback.days == 0
    wild = history(np.random.default_rng(3).integers(-5000, 20_000, WINDOWS))
    refused = try_baselines(wild, days, time(12), 3600, 900)
    assert (refused.accepted.days, refused.fallback.days) == (0, 7)
    assert refused.fallback == refused.by_method[Method.METER_BEFORE]
