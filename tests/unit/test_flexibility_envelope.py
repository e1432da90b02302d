"""What assets can hold: cases worked out by hand, and what must hold of every envelope."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.flexibility.envelope import (
    DURATIONS_S,
    NO_LIMIT_W,
    UNLIMITED_WH,
    WHOLE_PPM,
    Assets,
    held_down_w,
    held_up_w,
    zone_envelope_w,
)

Asset = tuple[int, int, int, int, int, int, int, bool]


def assets_of(rows: list[Asset]) -> Assets:
    """The columns of rows: zone, up, down, content, energy, reserve, efficiency, heard."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 8
    zone, up, down, content, energy, reserve, efficiency = (np.array(column, np.int64) for column in columns[:7])
    heard = np.array(columns[7], np.bool_)
    return Assets(zone.astype(np.int32), up, down, content, energy, reserve, efficiency, heard)


def test_a_half_full_battery() -> None:
    """8 kW up, 6 kW down, 10 kWh, half full: up 8 / 5 / 1.25 and down 6 / 5 / 1.25 kW for 15 / 60 / 240 minutes."""
    battery = assets_of([(0, 8000, 6000, 5000, 10_000, 0, WHOLE_PPM, True)])
    assert [int(held_up_w(battery, s)[0]) for s in DURATIONS_S] == [8000, 5000, 1250]
    assert [int(held_down_w(battery, s)[0]) for s in DURATIONS_S] == [6000, 5000, 1250]


def test_reserve_efficiency_and_silence() -> None:
    reserved = assets_of([(0, 8000, 6000, 5000, 10_000, 4000, 800_000, True)])
    assert int(held_up_w(reserved, 3600)[0]) == 1000
    assert int(held_down_w(reserved, 2 * 3600)[0]) == 3125  # 5 kWh of room take 6.25 kWh in two hours
    below = assets_of([(0, 8000, 6000, 3000, 10_000, 4000, WHOLE_PPM, True)])
    assert int(held_up_w(below, 900)[0]) == 0
    silent = assets_of([(0, 8000, 6000, 5000, 10_000, 0, WHOLE_PPM, False)])
    assert int(held_up_w(silent, 900)[0]) == int(held_down_w(silent, 900)[0]) == 0


powers = st.integers(0, 50_000_000)
energies = st.integers(0, 10**9) | st.just(UNLIMITED_WH)
rows = st.tuples(
    st.integers(0, 4),
    powers,
    powers,
    energies,
    energies,
    st.integers(0, 10**9),
    st.integers(1, WHOLE_PPM),
    st.booleans(),
)


@given(st.lists(rows, max_size=20), st.sampled_from(DURATIONS_S))
def test_it_is_the_exact_floor_and_never_more_than_power_or_energy_allow(some: list[Asset], duration_s: int) -> None:
    assets = assets_of(some)
    up_w, down_w = held_up_w(assets, duration_s), held_down_w(assets, duration_s)
    for k, (_, up, down, content, energy, reserve, efficiency, heard) in enumerate(some):
        spare, room = max(content - reserve, 0), max(energy - content, 0)
        most_up = min(up, spare * 3600 // duration_s)
        most_down = min(down, int(Fraction(room * 3600 * WHOLE_PPM, efficiency * duration_s)))
        assert int(up_w[k]) == (most_up if heard else 0)
        assert int(down_w[k]) == (most_down if heard else 0)


@given(st.lists(rows, max_size=20))
def test_longer_is_never_more(some: list[Asset]) -> None:
    assets = assets_of(some)
    for held in (held_up_w, held_down_w):
        short, middle, long = (held(assets, duration_s) for duration_s in DURATIONS_S)
        assert (short >= middle).all() and (middle >= long).all() and (long >= 0).all()


PARENTS = np.array([-1, 0, 0, 1, 1], np.int32)


@given(st.lists(rows, max_size=20), st.lists(powers | st.just(int(NO_LIMIT_W)), min_size=5, max_size=5))
def test_no_zone_on_the_path_is_asked_for_more_than_it_has_room_for(some: list[Asset], headroom: list[int]) -> None:
    assets, room = assets_of(some), np.array(headroom, np.int64)
    held = held_up_w(assets, 900)
    zones = zone_envelope_w(assets, held, PARENTS, room)
    assert (zones >= 0).all() and (zones <= room).all()
    for zone in range(5):
        below = {zone} | {
            k for k in range(5) if PARENTS[k] == zone or (PARENTS[k] >= 0 and PARENTS[PARENTS[k]] == zone)
        }
        assert zones[zone] <= sum(int(held[k]) for k in range(len(some)) if some[k][0] in below)
    if all(limit == NO_LIMIT_W for limit in headroom):
        assert zones[0] == held.sum()


@pytest.mark.parametrize(("limits", "expected"), [((100, 100, 30), [70, 40, 30]), ((50, 100, 100), [50, 40, 50])])
def test_the_path_clips_below_and_above(limits: tuple[int, int, int], expected: list[int]) -> None:
    """Two stations under a cluster, 40 and 60 W: a station's limit takes from the cluster's sum, and the other way."""
    assets = assets_of([(1, 40, 0, 1000, 1000, 0, WHOLE_PPM, True), (2, 60, 0, 1000, 1000, 0, WHOLE_PPM, True)])
    parents = np.array([-1, 0, 0], np.int32)
    found = zone_envelope_w(assets, held_up_w(assets, 900), parents, np.array(limits, np.int64))
    assert found.tolist() == expected
