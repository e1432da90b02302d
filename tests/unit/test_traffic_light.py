"""Thresholds and hold times of the traffic light (design section 4)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.flexibility.traffic_light import QUIET, LightMemory, Loading, Outlook, advanced, loading_of, outlook
from shared.words import LightState

GREEN, AMBER, RED = LightState.GREEN, LightState.AMBER, LightState.RED


def load(percent: float) -> Loading:
    """Import at `percent` of a limit of 10 kW."""
    return loading_of(int(percent * 100), 10_000, 20_000)


def ahead(percent: float | None) -> Outlook | None:
    """The forecast expects import at `percent` of 10 kW; None: there is no forecast."""
    return None if percent is None else Outlook(load(percent), None)


def states_of(course: list[tuple[int, float, float | None]]) -> list[LightState]:
    """The states of a course of instants, loading now and loading ahead, from a quiet light on."""
    memory, states = QUIET, []
    for now_s, percent, percent_ahead in course:
        memory = advanced(memory, load(percent), ahead(percent_ahead), now_s)
        states.append(memory.state)
    return states


@pytest.mark.parametrize(
    ("course", "states"),
    [
        ([(0, 80), (1, 80.01)], [GREEN, AMBER]),
        ([(0, 81), (10, 74), (189, 74), (190, 74)], [AMBER, AMBER, AMBER, GREEN]),
        ([(0, 81), (10, 74), (100, 75), (101, 74), (280, 74), (281, 74)], [AMBER] * 5 + [GREEN]),
        ([(0, 100), (1, 100.01), (2, 94), (61, 94), (62, 94)], [AMBER, RED, RED, RED, AMBER]),
        ([(0, 101), (1, 10), (61, 10), (181, 10)], [RED, RED, AMBER, GREEN]),
        ([(0, 81), (900, 10), (1800, 10)], [AMBER, AMBER, GREEN]),  # event time that goes in quarters
        ([(0, -160), (1, -161), (2, -201)], [GREEN, AMBER, RED]),  # export, against a limit of 20 kW
    ],
)
def test_courses(course: list[tuple[int, float]], states: list[LightState]) -> None:
    assert states_of([(now_s, percent, None) for now_s, percent in course]) == states


@pytest.mark.parametrize(
    ("course", "states"),
    [
        ([(0, 10, 80), (1, 10, 81)], [GREEN, AMBER]),
        ([(0, 10, 300), (1, 101, 300)], [AMBER, RED]),  # a forecast alone is never red
        ([(0, 10, 81), (9, 10, 74), (188, 10, 74), (189, 10, 74)], [AMBER, AMBER, AMBER, GREEN]),
        ([(0, 10, 81), (9, 10, None), (188, 10, None), (189, 10, None)], [AMBER, AMBER, AMBER, GREEN]),  # it is gone
        ([(0, 81, 10), (9, 10, 76), (999, 10, 76), (1000, 10, 74), (1180, 10, 74)], [AMBER] * 4 + [GREEN]),
        ([(0, 10, -161)], [AMBER]),
    ],
)
def test_courses_with_a_forecast(course: list[tuple[int, float, float | None]], states: list[LightState]) -> None:
    assert states_of(course) == states


def test_the_outlook_is_of_four_hours_from_the_running_window_on() -> None:
    starts_s = np.arange(0, 30, dtype=np.int64) * 900
    p10_w, p90_w = np.zeros(30, np.int64), np.zeros(30, np.int64)
    p90_w[[2, 17]] = 9000, 8500
    p10_w[[3, 20]] = -4000, -18_000

    def at(now_s: int) -> Outlook | None:
        return outlook(starts_s, p10_w, p90_w, now_s, 10_000, 20_000)

    assert at(1800) == Outlook(Loading(9000, 4000, 10_000, 20_000), 1800)
    assert at(2699) == Outlook(Loading(9000, 4000, 10_000, 20_000), 1800)  # the window still runs
    assert at(2700) == Outlook(Loading(8500, 4000, 10_000, 20_000), 15_300)
    assert at(3600) == Outlook(Loading(8500, 0, 10_000, 20_000), 15_300)
    assert at(3601) == Outlook(Loading(8500, 18_000, 10_000, 20_000), 15_300)
    assert at(10**6) is None
    assert outlook(starts_s, p10_w, p90_w, 1800, None, None) is None
    assert outlook(starts_s, p10_w, p90_w, 1800, None, 20_000) == Outlook(Loading(9000, 4000, None, 20_000), None)


def test_loading_is_a_fraction_of_the_limit_it_flows_against() -> None:
    assert (load(92).import_fraction, load(92).export_fraction) == (0.92, 0.0)
    assert (load(-50).import_fraction, load(-50).export_fraction) == (0.0, 0.25)
    unlimited = loading_of(10**9, None, None)
    assert (unlimited.import_fraction, unlimited.export_fraction) == (None, None)
    assert advanced(QUIET, unlimited, None, 0).state is GREEN


def test_a_limit_of_nothing_is_passed_by_anything() -> None:
    memory, states = QUIET, []
    for now_s, net_w in ((0, 0), (1, 1), (2, 0), (62, 0), (182, 0)):
        memory = advanced(memory, loading_of(net_w, 0, 0), None, now_s)
        states.append(memory.state)
    assert states == [GREEN, RED, RED, AMBER, GREEN]


def test_an_instant_that_is_still_to_come_begins_the_hold_anew() -> None:
    """As when a restart runs on another clock."""
    kept = LightMemory(amber=True, amber_low_since_s=10_000)
    assert advanced(kept, load(10), None, 500) == LightMemory(amber=True, amber_low_since_s=500)


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(-12_000, 12_000)), min_size=2, max_size=30))
def test_it_never_leaves_a_state_before_its_hold_time(course: list[tuple[int, int]]) -> None:
    memory = QUIET
    now_s = 0
    loads: list[tuple[int, Loading]] = []
    before = GREEN
    order = [GREEN, AMBER, RED]
    for step_s, net_w in course:
        now_s += step_s
        loads.append((now_s, loading_of(net_w, 10_000, 10_000)))
        memory = advanced(memory, loads[-1][1], None, now_s)
        state = memory.state
        if order.index(state) < order.index(before):
            percent, hold_s = (95, 60) if before is RED else (75, 180)
            since = [at for at, loading in loads if not loading.below(percent)]
            low = [at for at, _ in loads if at > since[-1]]
            assert now_s - low[0] >= hold_s
        if loads[-1][1].above(100):
            assert state is RED
        elif loads[-1][1].above(80):
            assert state is not GREEN
        before = state
