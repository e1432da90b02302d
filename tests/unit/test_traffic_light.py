"""Thresholds and hold times of the traffic light (design section 4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.traffic_light import Loading, TrafficLight
from shared.words import LightState

GREEN, AMBER, RED = LightState.GREEN, LightState.AMBER, LightState.RED


def load(percent: float) -> Loading:
    """Import at `percent` of a limit of 10 kW."""
    return Loading(int(percent * 100), 10_000, 20_000)


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
    light = TrafficLight()
    assert [light.update(load(percent), now_s) for now_s, percent in course] == states


def test_loading_is_a_fraction_of_the_limit_it_flows_against() -> None:
    assert (load(92).import_fraction, load(92).export_fraction) == (0.92, 0.0)
    assert (load(-50).import_fraction, load(-50).export_fraction) == (0.0, 0.25)
    unlimited = Loading(10**9, None, None)
    assert (unlimited.import_fraction, unlimited.export_fraction) == (None, None)
    assert TrafficLight().update(unlimited, 0) is GREEN


def test_a_limit_of_nothing_is_passed_by_anything() -> None:
    light = TrafficLight()
    assert light.update(Loading(0, 0, 0), 0) is GREEN
    assert light.update(Loading(1, 0, 0), 1) is RED
    assert [light.update(Loading(0, 0, 0), now_s) for now_s in (2, 62, 182)] == [RED, AMBER, GREEN]


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(-12_000, 12_000)), min_size=2, max_size=30))
def test_it_never_leaves_a_state_before_its_hold_time(course: list[tuple[int, int]]) -> None:
    light = TrafficLight()
    now_s = 0
    loads: list[tuple[int, Loading]] = []
    before = GREEN
    order = [GREEN, AMBER, RED]
    for step_s, net_w in course:
        now_s += step_s
        loads.append((now_s, Loading(net_w, 10_000, 10_000)))
        state = light.update(loads[-1][1], now_s)
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
