"""What is left beside promises: by hand, and against a plain count of every window."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.flexibility.envelope import NO_LIMIT_W
from shared.flexibility.promises import (
    Promises,
    energy_left_ws,
    headroom_left_w,
    power_left_w,
    promised_in_zones_w,
)

WINDOW_S = 1_777_888_800
PARENTS = np.array([-1, 0, 0, 1], np.int32)
ZONES = np.array([1, 2, 3], np.int32)
"""Three assets: in each zone below the root one; the last is below the first."""

Row = tuple[int, int, int, bool]


def promises_of(rows: list[Row]) -> Promises:
    """Rows are (asset, window counted from WINDOW_S, W, up)."""
    asset, window, power, up = zip(*rows, strict=True) if rows else ((), (), (), ())
    starts = np.array(window, np.int64) * 900 + WINDOW_S
    return Promises(np.array(asset, np.int64), starts, np.array(power, np.int64), np.array(up, np.bool_))


def test_the_same_energy_is_not_there_twice() -> None:
    promises = promises_of([(0, 0, 3000, True), (0, 1, 3000, True), (0, 5, 1000, True), (1, 0, 2000, False)])
    most_w, most_ws = np.array([8000, 8000, 8000]), np.array([5000, 5000, 5000]) * 3600
    up_w = power_left_w(most_w, promises, up=True, from_s=WINDOW_S, windows=2)
    assert up_w.tolist() == [[5000, 5000], [0, 8000], [8000, 8000]]  # the second is promised the other way
    assert (energy_left_ws(most_ws, promises, up=True) // 3600).tolist() == [3250, 5000, 5000]
    assert (energy_left_ws(most_ws, promises, up=False) // 3600).tolist() == [5000, 4500, 5000]
    zones_w = promised_in_zones_w(promises, ZONES, PARENTS, up=True, from_s=WINDOW_S, windows=2)
    assert zones_w.tolist() == [[3000, 3000], [3000, 3000], [0, 0], [0, 0]]


def test_headroom_is_what_the_limit_leaves() -> None:
    """A limit of 10 kW: 4 kW flow and 1 is promised; 3 kW flow the other way; more flows than may; nothing is known."""
    limit_w, flow_w = np.array([10_000, 10_000, 10_000, 10_000, -1]), np.array([[4000], [-3000], [12_000], [0], [0]])
    known, promised_w = np.array([[True], [True], [True], [False], [False]]), np.array([[1000], [0], [0], [0], [9]])
    left_w = headroom_left_w(limit_w, flow_w, known, promised_w)[:, 0]
    assert left_w.tolist() == [5000, 13_000, 0, 0, NO_LIMIT_W]


rows = st.lists(st.tuples(st.integers(0, 2), st.integers(-2, 5), st.integers(1, 10_000), st.booleans()), max_size=20)


@given(rows, st.booleans(), st.integers(0, 3), st.integers(1, 4))
def test_it_is_what_a_plain_count_says(some: list[Row], up: bool, first: int, windows: int) -> None:
    promises, from_s = promises_of(some), WINDOW_S + first * 900
    most_w, most_ws = np.array([9000, 5000, 0]), np.array([10**8, 10**6, 0])
    left_w = power_left_w(most_w, promises, up=up, from_s=from_s, windows=windows)
    left_ws = energy_left_ws(most_ws, promises, up=up)
    zones_w = promised_in_zones_w(promises, ZONES, PARENTS, up=up, from_s=from_s, windows=windows)
    for asset in range(3):
        mine = [row for row in some if row[0] == asset]
        energy_ws = sum(power * 900 for _, _, power, way in mine if way == up)
        assert left_ws[asset] == max(most_ws[asset] - energy_ws, 0)
        for window in range(windows):
            here = [row for row in mine if row[1] == first + window]
            same_w = sum(power for _, _, power, way in here if way == up)
            other = any(way != up for *_, way in here)
            assert left_w[asset, window] == (0 if other else max(most_w[asset] - same_w, 0))
    for zone, assets in enumerate(({0, 1, 2}, {0, 2}, {1}, {2})):
        for window in range(windows):
            here = [row for row in some if row[0] in assets and row[1] == first + window and row[3] == up]
            assert zones_w[zone, window] == sum(power for _, _, power, _ in here)
