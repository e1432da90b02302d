"""Homes and slots, the zones' tree, and numbers: held to plain references."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.topology.cells import parse_number
from shared.topology.check_meters import _overlaps
from shared.topology.placement import GROUP_SERIES_MAX, assign_homes, assign_slots
from shared.topology.zone_tree import circles, preorder, stations

PARTITIONS = 4
_meters = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5), st.integers(-1, PARTITIONS - 1)), max_size=60)


@given(meters=_meters)
def test_a_home_once_given_stays_and_a_station_stands_together(meters: list[tuple[int, int, int]]) -> None:
    station = np.array([meter[0] for meter in meters], np.int64)
    series = np.array([meter[1] for meter in meters], np.int64)
    home = np.array([meter[2] for meter in meters], np.int16)
    given_homes = assign_homes(station, series, home, np.bincount(home[home >= 0], minlength=PARTITIONS))
    assert ((given_homes >= 0) & (given_homes < PARTITIONS)).all()
    assert (given_homes[home >= 0] == home[home >= 0]).all()
    for name in set(station.tolist()):
        new = given_homes[(station == name) & (home < 0)].tolist()
        known = home[(station == name) & (home >= 0)].tolist()
        assert len(set(new)) <= 1
        if new and known:
            # The one where most of the station's meters are, of equals the lower.
            assert new[0] == min(set(known), key=lambda partition: (-known.count(partition), partition))


@given(sizes=st.lists(st.integers(1, 50), min_size=40, max_size=80), before=st.lists(st.integers(0, 40), min_size=4))
def test_new_stations_fill_the_emptiest_partitions(sizes: list[int], before: list[int]) -> None:
    station = np.arange(len(sizes))
    load = np.array(before[:PARTITIONS], np.int64)
    homes = assign_homes(station, np.array(sizes, np.int64), np.full(len(sizes), -1, np.int16), load)
    after = load + np.bincount(homes, weights=sizes, minlength=PARTITIONS).astype(np.int64)
    # The largest-first rule never leaves a gap wider than the largest station, unless it was there before.
    assert after.max() - after.min() <= max(*sizes, int(load.max() - load.min()))


def test_a_station_too_large_is_shared_out() -> None:
    meters = GROUP_SERIES_MAX * 8
    none = np.zeros(PARTITIONS, np.int64)
    homes = assign_homes(np.zeros(meters, np.int64), np.ones(meters, np.int64), np.full(meters, -1, np.int16), none)
    assert np.bincount(homes).tolist() == [2 * GROUP_SERIES_MAX] * PARTITIONS


def test_new_meters_do_not_go_to_a_partition_that_is_no_more() -> None:
    homes = assign_homes(
        np.array([7, 7]), np.array([1, 1]), np.array([5, -1], np.int16), np.zeros(PARTITIONS, np.int64)
    )
    assert homes.tolist() == [5, 0]


@given(partition=st.lists(st.integers(0, PARTITIONS - 1), max_size=50), used=st.lists(st.integers(0, 9), min_size=4))
def test_slots_are_dense_and_in_order(partition: list[int], used: list[int]) -> None:
    following = used[:PARTITIONS]
    expected = []
    for number in partition:
        expected.append(following[number])
        following[number] += 1
    slots = assign_slots(np.array(partition, np.int16), np.array(used[:PARTITIONS], np.int64))
    assert slots.tolist() == expected


def test_slots_of_a_case_by_hand() -> None:
    slots = assign_slots(np.array([1, 0, 1, 3, 1], np.int16), np.array([5, 0, 0, 2], np.int64))
    assert slots.tolist() == [0, 5, 1, 2, 2]


@given(st.lists(st.integers(-1, 11), min_size=1, max_size=12))
def test_circles_and_tree_together_are_all_zones(above: list[int]) -> None:
    parent = [value if value < len(above) else -1 for value in above]
    order = preorder(parent)
    place = {zone: index for index, zone in enumerate(order)}
    assert len(place) == len(order)
    on_circle = {zone for circle in circles(parent) for zone in circle}
    for zone in range(len(parent)):
        seen = []
        step = zone
        while step != -1 and step not in seen:
            seen.append(step)
            step = parent[step]
        assert (zone in place) == (step == -1)  # a zone in or below a circle has no place
        assert (zone in on_circle) == (step == zone)
        if zone in place and parent[zone] != -1:
            assert place[parent[zone]] < place[zone]


def test_each_zone_is_followed_at_once_by_those_below_it() -> None:
    # 0 ┬ 2 ─ 3
    #   └ 1 ─ 4
    assert preorder([-1, 0, 0, 2, 1]) == [0, 1, 4, 2, 3]


def test_stations_of_a_case_by_hand() -> None:
    parent = [-1, 0, 1, 2, 1, 0]
    kind = ["cluster", "gpz", "station", "circuit", "circuit", "feeder"]
    assert stations(parent, kind) == [0, 1, 2, 2, 4, 5]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(1, 8)), max_size=25))
def test_every_row_that_overlaps_is_found(rows: list[tuple[int, int, int]]) -> None:
    meter = np.array([row[0] for row in rows], np.int32)
    begin = np.array([row[1] for row in rows], np.int64)
    end = begin + np.array([row[2] for row in rows], np.int64)
    overlapped = _overlaps(meter, begin, end)

    def clash(one: int, other: int) -> bool:
        return bool(meter[one] == meter[other] and begin[one] < end[other] and begin[other] < end[one])

    for row in np.flatnonzero(overlapped >= 0).tolist():
        assert overlapped[row] < row
        assert clash(row, int(overlapped[row]))
    # What is left when the rows that are named as errors are taken out no longer overlaps.
    left = np.flatnonzero(overlapped < 0).tolist()
    assert not any(clash(one, other) for one in left for other in left if one < other)


@given(st.decimals(min_value=0, max_value=29_999_999, places=20))
def test_numbers_are_exact(number: Decimal) -> None:
    for text in (str(number), f"{number:f}", f"+{number:f}"):
        canonical = parse_number(text)
        assert Decimal(canonical) == number
        assert "E" not in canonical
        assert not canonical.startswith("+")
    assert parse_number(f"{number:f}000"[:50]) == parse_number(f"{number:f}")


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "0x1", "1_000", "١", "--1", "1e", ".", "Infinity", "nan", "1,5", "1e999"]
)
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="is not a finite number"):
        parse_number(text)


def test_a_float_written_out_is_kept_to_the_last_digit() -> None:
    assert parse_number("5.1000000000000005") == "5.1000000000000005"
    assert parse_number("1e-05") == "0.00001"
    assert parse_number("-0") == "0"
    assert parse_number("20.00") == parse_number("2E1") == "20"
