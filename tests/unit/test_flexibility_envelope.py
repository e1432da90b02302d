"""What the assets of a zone can hold together, at what cost, and how surely; the limits on their paths clip it."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.flexibility.assets import WHOLE_PPM
from shared.flexibility.availability import availability
from shared.flexibility.cost_curve import STEPS_MAX, cost_steps, thinned
from shared.flexibility.envelope import (
    DURATIONS_S,
    NO_LIMIT_W,
    Envelope,
    headroom_w,
    held_down_w,
    held_up_w,
    never_more_when_longer,
    shares_by_level,
    zone_envelope,
)
from shared.flexibility.merit_tree import MeritTree, merit_tree
from tests.unit.assets_of_rows import Row, assets_of

PARENTS = np.array([-1, 0, 1, 1, 0], np.int32)
"""A root over 1 and 4; 1 over 2 and 3."""
ZONES = len(PARENTS)


@dataclass(frozen=True)
class Held:
    """An asset in `zone` that holds `power_w` at `cost`."""

    zone: int
    power_w: int
    cost: int


def tree_of(assets: list[Held]) -> MeritTree:
    merit = sorted(range(len(assets)), key=lambda k: (assets[k].cost, k))
    zone = np.array([asset.zone for asset in assets], np.int32)
    return merit_tree(PARENTS, zone, np.array(merit, np.int64))


def envelope_of(assets: list[Held], room_w: list[int], available: float = 1.0) -> Envelope:
    return zone_envelope(
        tree_of(assets),
        np.array([asset.power_w for asset in assets], np.int64),
        np.array(room_w, np.int64),
        np.full(len(assets), available),
        np.array([float(asset.cost) for asset in assets]),
    )


def path(zone: int) -> list[int]:
    """The zone and those above it."""
    return [] if zone < 0 else [zone, *path(int(PARENTS[zone]))]


def plain_shares(assets: list[Held], room_w: list[int], zone: int) -> list[int]:
    """Asset by asset from the cheapest on: each takes what every zone on its path has left."""
    left_w = list(room_w)
    shares = [0] * len(assets)
    for k in sorted(range(len(assets)), key=lambda k: (assets[k].cost, k)):
        on_path = path(assets[k].zone)
        if zone in on_path:
            shares[k] = min([assets[k].power_w, *(left_w[each] for each in on_path)])
            for each in on_path:
                left_w[each] -= shares[k]
    return shares


helds = st.lists(st.builds(Held, st.integers(0, ZONES - 1), st.integers(0, 5000), st.integers(-3, 3)), max_size=12)
rooms = st.lists(st.integers(0, 12_000) | st.just(NO_LIMIT_W), min_size=ZONES, max_size=ZONES)


@given(helds, rooms)
def test_it_is_what_plain_merit_order_gives(assets: list[Held], room_w: list[int]) -> None:
    envelope = envelope_of(assets, room_w)
    for zone in range(ZONES):
        shares = plain_shares(assets, room_w, zone)
        assert envelope.held_w[zone] == sum(shares)
        cost = sum(share * asset.cost for share, asset in zip(shares, assets, strict=True))
        if sum(shares):
            assert math.isclose(envelope.cost_per_kwh[zone], cost / sum(shares), abs_tol=1e-9)
        else:
            assert math.isnan(envelope.cost_per_kwh[zone])


@given(helds, rooms)
def test_no_zone_on_the_path_is_asked_for_more_than_it_has_room_for(assets: list[Held], room_w: list[int]) -> None:
    """And nothing more would fit: the whole of a tree is what its parts let through."""
    envelope = envelope_of(assets, room_w)
    through_w = [0] * ZONES
    for zone in range(ZONES - 1, -1, -1):
        own_w = sum(asset.power_w for asset in assets if asset.zone == zone)
        below_w = sum(through_w[child] for child in range(ZONES) if PARENTS[child] == zone)
        through_w[zone] = min(own_w + below_w, room_w[zone])
    for zone in range(ZONES):
        assert envelope.held_w[zone] == min(through_w[zone], *(room_w[above] for above in path(zone)))


@given(helds, rooms)
def test_a_curve_has_each_cost_once_and_ends_at_the_whole(assets: list[Held], room_w: list[int]) -> None:
    tree = tree_of(assets)
    held_w, room = np.array([asset.power_w for asset in assets], np.int64), np.array(room_w, np.int64)
    costs = sorted({asset.cost for asset in assets})
    rank = np.array([costs.index(asset.cost) for asset in assets], np.int64)
    seen = set()
    for share in shares_by_level(tree, held_w, room):
        steps = cost_steps(share, rank)
        for number, zone in enumerate(steps.zone.tolist()):
            part = slice(int(steps.first[number]), int(steps.first[number + 1]))
            shares = plain_shares(assets, room_w, zone)
            at_cost = {costs.index(asset.cost): 0 for asset in assets}
            for asset, share_w in zip(assets, shares, strict=True):
                at_cost[costs.index(asset.cost)] += share_w
            expected, up_to_w = [], 0
            for cost_rank in sorted(at_cost):
                if at_cost[cost_rank]:
                    up_to_w += at_cost[cost_rank]
                    expected.append((cost_rank, up_to_w))
            assert list(zip(steps.rank[part].tolist(), steps.up_to_w[part].tolist(), strict=True)) == expected
            seen.add(zone)
    assert seen == {zone for asset in assets for zone in path(asset.zone)}


@given(st.integers(1, 5 * STEPS_MAX))
def test_a_long_curve_is_thinned_to_the_dearest_of_neighbours(steps: int) -> None:
    kept = thinned([(rank, 10 * rank + 10) for rank in range(steps)])
    assert len(kept) == min(steps, STEPS_MAX)
    assert kept[-1] == (steps - 1, 10 * steps)
    ranks = [rank for rank, _ in kept]
    assert ranks == sorted(set(ranks))
    assert all(up_to_w == 10 * rank + 10 for rank, up_to_w in kept)


@pytest.mark.parametrize(
    ("room_w", "expected"),
    [([100, 100, 30, NO_LIMIT_W, NO_LIMIT_W], [70, 70, 30, 40, 0]), ([50, 100, 100, 100, 100], [50, 50, 50, 40, 0])],
)
def test_the_path_clips_below_and_above(room_w: list[int], expected: list[int]) -> None:
    """60 W and 40 W below one zone: a limit below takes from the sum above, and the other way."""
    assert envelope_of([Held(2, 60, 1), Held(3, 40, 1)], room_w).held_w.tolist() == expected


def test_a_battery_and_a_load_are_paid_from_the_cheapest_on() -> None:
    envelope = envelope_of([Held(2, 8000, 4), Held(3, 2000, 1)], [NO_LIMIT_W, 5000, *[NO_LIMIT_W] * 3])
    assert envelope.held_w.tolist() == [5000, 5000, 5000, 2000, 0]
    assert envelope.cost_per_kwh.tolist()[:4] == [2.8, 2.8, 4.0, 1.0]


def test_headroom() -> None:
    limit_w, flow_w = np.array([-1, 1000, 1000, 1000]), np.array([0, -500, 1200, 800])
    known = np.array([True, True, True, False])
    assert headroom_w(limit_w, flow_w, known).tolist() == [NO_LIMIT_W, 1500, 0, NO_LIMIT_W]


def test_firm_and_expected_of_one_and_of_many() -> None:
    """8 kW at 95 %: 7.6 kW expected, 7600 − 1.2816 · 8000 · √0.0475 = 5365 W firm. Ten small ones share the risk."""
    free = [NO_LIMIT_W] * ZONES
    one = envelope_of([Held(0, 8000, 1)], free, 0.95)
    assert (one.held_w[0], one.expected_w[0], one.firm_w[0]) == (8000, 7600, 5365)
    ten = envelope_of([Held(0, 800, 1)] * 10, free, 0.95)
    assert (ten.held_w[0], ten.expected_w[0], ten.firm_w[0]) == (8000, 7600, 6893)
    assert envelope_of([Held(0, 8000, 1)], free, 0.2).firm_w[0] == 0


def test_availability_begins_at_95_percent_and_learns() -> None:
    accepted, refused = np.array([0, 20, 0]), np.array([0, 0, 19])
    assert availability(accepted, refused).tolist() == [0.95, 0.975, 19 / 39]


assets_rows = st.lists(
    st.builds(
        Row,
        zone=st.integers(0, ZONES - 1),
        up_kw=st.integers(0, 50).map(str),
        down_kw=st.integers(0, 50).map(str),
        energy_kwh=st.integers(0, 100).map(str),
        reserve_kwh=st.integers(0, 20).map(str),
        efficiency=st.sampled_from(["1", "0.9", "0.5"]),
        content_wh=st.integers(0, 100_000),
        heard=st.booleans(),
    ),
    max_size=10,
)


@given(assets_rows, rooms)
def test_longer_is_never_more_and_energy_is_never_sold_twice(rows: list[Row], room_w: list[int]) -> None:
    assets = assets_of(*rows)
    costs = np.arange(len(rows)) % 3
    tree = merit_tree(PARENTS, assets.zone, np.lexsort((np.arange(len(rows)), costs)))
    available = np.linspace(0.5, 1, len(rows))
    for held in (held_up_w, held_down_w):
        before = None
        for duration_s in DURATIONS_S:
            now = zone_envelope(tree, held(assets, duration_s), np.array(room_w), available, costs.astype(np.float64))
            assert (now.firm_w >= 0).all() and (now.firm_w <= now.expected_w).all()
            assert (now.expected_w <= now.held_w).all()
            if before is not None:
                now = never_more_when_longer(before, now)
                for name in ("held_w", "expected_w", "firm_w"):
                    assert (getattr(now, name) <= getattr(before, name)).all()
                assert (now.firm_w <= now.expected_w).all()
            before = now
            if held is held_up_w:
                spare_wh = sum(
                    max((row.content_wh or 0) - 1000 * int(row.reserve_kwh or 0), 0) for row in rows if row.heard
                )
                assert now.held_w[0] * duration_s <= spare_wh * 3600
            else:
                room_wh = sum(
                    max(1000 * int(row.energy_kwh or 0) - (row.content_wh or 0), 0)
                    * WHOLE_PPM
                    // int(float(row.efficiency or 1) * WHOLE_PPM)
                    + 1
                    for row in rows
                    if row.heard
                )
                assert now.held_w[0] * duration_s <= room_wh * 3600
