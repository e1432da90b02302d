"""What the assets of a zone can hold together: the limits of every zone on their paths clip it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.flexibility.envelope import NO_LIMIT_W, held_up_w, zone_envelope_w
from tests.unit.assets_of_rows import Row, assets_of

powers = st.integers(0, 50_000_000)
rows = st.builds(Row, zone=st.integers(0, 4), up_kw=st.integers(0, 50_000).map(str), heard=st.booleans())

PARENTS = np.array([-1, 0, 0, 1, 1], np.int32)


@given(st.lists(rows, max_size=20), st.lists(powers | st.just(int(NO_LIMIT_W)), min_size=5, max_size=5))
def test_no_zone_on_the_path_is_asked_for_more_than_it_has_room_for(some: list[Row], headroom: list[int]) -> None:
    assets, room = assets_of(*some), np.array(headroom, np.int64)
    held = held_up_w(assets, 900)
    zones = zone_envelope_w(assets, held, PARENTS, room)
    assert (zones >= 0).all() and (zones <= room).all()
    for zone in range(5):
        below = {zone} | {
            k for k in range(5) if PARENTS[k] == zone or (PARENTS[k] >= 0 and PARENTS[PARENTS[k]] == zone)
        }
        assert zones[zone] <= sum(int(held[k]) for k in range(len(some)) if some[k].zone in below)
    if all(limit == NO_LIMIT_W for limit in headroom):
        assert zones[0] == held.sum()


@pytest.mark.parametrize(("limits", "expected"), [((100, 100, 30), [70, 40, 30]), ((50, 100, 100), [50, 40, 50])])
def test_the_path_clips_below_and_above(limits: tuple[int, int, int], expected: list[int]) -> None:
    """Two stations under a cluster, 40 and 60 W: a station's limit takes from the cluster's sum, and the other way."""
    assets = assets_of(Row(zone=1, up_kw="0.04"), Row(zone=2, up_kw="0.06"))
    parents = np.array([-1, 0, 0], np.int32)
    found = zone_envelope_w(assets, held_up_w(assets, 900), parents, np.array(limits, np.int64))
    assert found.tolist() == expected
