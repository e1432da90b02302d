"""The kernels and the plain-integer reference agree on every total and outcome, whatever comes in whatever order."""

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.balance.changes import SUMS, Changes, empty_changes
from shared.balance.counting import count_memory, roll_up
from shared.balance.held import newest_held_s, with_more_room
from shared.balance.kernel import CHANGES_FULL, MEMORY_FULL, apply_readings
from shared.balance.memory import (
    CAPACITIES,
    Int8Array,
    Int32Array,
    Int64Array,
    SeriesMemory,
    empty_memory,
    held_max,
)
from shared.balance.placement import Placement, regular_records, with_regular
from shared.balance.reference import ReferenceBalance, ReferenceExchange, ReferencePlace, ReferenceSeries
from shared.limits import MEMORY_S
from shared.words import MeterKind, Outcome, Register

DAY = 1_772_323_200  # 2026-03-01T00:00:00Z
ZONE_PARENT = [-1, 0, 1, 1]
Reading = tuple[int, int, int, int]


def placement_of(series: Sequence[ReferenceSeries]) -> Placement:
    """The flat arrays of the same series."""
    places = [place for s in series for place in s.places]
    exchanges = [exchange for s in series for exchange in s.exchanges]

    def runs(counts: list[int]) -> np.ndarray:
        return np.array([0, *np.cumsum(counts)], np.int32)

    return with_regular(
        Placement(
            regular=regular_records(0),
            register=np.array([s.register.code for s in series], np.int8),
            meter=np.arange(len(series), dtype=np.int32),
            first_place=runs([len(s.places) for s in series]),
            zone=np.array([p.zone for p in places], np.int32),
            kind=np.array([p.kind.code for p in places], np.int8),
            pool=np.array([p.pool for p in places], np.int8),
            energy_wh_max=np.array([p.energy_wh_max for p in places], np.int64),
            valid_from_s=np.array([p.valid_from_s for p in places], np.int64),
            valid_to_s=np.array([p.valid_to_s for p in places], np.int64),
            zone_parent=np.array(ZONE_PARENT, np.int32),
            zone_id=np.arange(len(ZONE_PARENT), dtype=np.int32),
            first_exchange=runs([len(s.exchanges) for s in series]),
            exchange_at_s=np.array([e.at_s for e in exchanges], np.int64),
            exchange_last_wh=np.array([e.last_wh or 0 for e in exchanges], np.int64),
            exchange_first_wh=np.array([e.first_wh or 0 for e in exchanges], np.int64),
            exchange_blank=np.array([e.last_wh is None for e in exchanges], np.int8),
        )
    )


def totals_of(changes: Changes) -> dict[tuple[int, int], list[int]]:
    """The rows that are not zero."""
    used = int(changes.used[0])
    rows = zip(
        changes.zone[:used].tolist(), changes.window_s[:used].tolist(), changes.sums[:used].tolist(), strict=True
    )
    return {(zone, window): sums for zone, window, sums in rows if any(sums)}


def none() -> Int64Array:
    """No outcome yet."""
    return np.zeros(len(Outcome), np.int64)


def apply_all(
    memory: SeriesMemory,
    placement: Placement,
    changes: Changes,
    columns: tuple[Int32Array, Int64Array, Int64Array, Int32Array],
    outcome: Int8Array,
    memory_s: int = MEMORY_S,
) -> tuple[SeriesMemory, int]:
    """Applies readings, in a larger memory where it has to be; the memory after, and how many were applied."""
    outcomes = np.zeros(len(Outcome), np.int64)
    reached = apply_readings(memory, placement, changes, *columns, 0, memory_s, outcome, outcomes)
    while reached < len(outcome) and outcome[reached] == MEMORY_FULL:
        memory = with_more_room(memory, memory_s)
        reached = apply_readings(memory, placement, changes, *columns, reached, memory_s, outcome, outcomes)
    assert outcomes.tolist() == np.bincount(outcome[:reached], minlength=len(Outcome)).tolist()
    return memory, reached


def run_kernel(
    placement: Placement, readings: Sequence[Reading], cuts: Sequence[int]
) -> tuple[dict[tuple[int, int], list[int]], list[int], SeriesMemory]:
    """Applies the readings in batches that end at `cuts`; totals of all zones, outcomes, and the memory after."""
    memory = empty_memory(len(placement.register))
    leaves, total = empty_changes(2**14), empty_changes(2**16)
    outcomes: list[int] = []
    bounds = [0, *sorted(cut for cut in cuts if cut < len(readings)), len(readings)]
    for begin, end in itertools.pairwise(bounds):
        slot, ts, value, version = (
            (np.array(c) for c in zip(*readings[begin:end], strict=True)) if begin < end else ([],) * 4
        )
        outcome = np.zeros(end - begin, np.int8)
        columns = (
            np.array(slot, np.int32),
            np.array(ts, np.int64),
            np.array(value, np.int64),
            np.array(version, np.int32),
        )
        memory, reached = apply_all(memory, placement, leaves, columns, outcome)
        assert reached == end - begin
        outcomes += outcome.tolist()
    assert roll_up(placement, leaves, total) == 1
    return totals_of(total), outcomes, memory


instants = st.one_of(
    st.integers(0, 4 * 96).map(lambda quarter: DAY + quarter * 900),
    st.integers(0, 4 * 86400).map(lambda second: DAY + second),
    st.integers(0, 60).map(lambda step: DAY + 86400 + step * 77),
    st.integers(0, 200).map(lambda far: DAY + (far * 21600 + 450 if far > 190 else far * 450)),
)
values = st.one_of(st.integers(0, 5000), st.integers(0, 10**13))
places = st.builds(
    ReferencePlace,
    zone=st.integers(0, 3),
    kind=st.sampled_from(MeterKind),
    pool=st.booleans(),
    energy_wh_max=st.sampled_from([400, 5000, 50_000_000]),
)


@st.composite
def series_of_a_meter(draw: st.DrawFn) -> ReferenceSeries:
    """A series with one place or two, and perhaps exchanges."""
    place = draw(places)
    pieces: tuple[ReferencePlace, ...] = (place,)
    if draw(st.booleans()):
        moved_s = draw(instants)
        other = draw(places)
        pieces = (
            ReferencePlace(place.zone, place.kind, place.pool, place.energy_wh_max, valid_to_s=moved_s),
            ReferencePlace(
                other.zone,
                other.kind,
                other.pool,
                other.energy_wh_max,
                valid_from_s=moved_s + draw(st.integers(0, 90000)),
            ),
        )
    exchanges: list[ReferenceExchange] = []
    for at_s in sorted(draw(st.sets(instants, max_size=draw(st.sampled_from([0, 0, 2]))))):
        blank = draw(st.booleans())
        exchanges.append(
            ReferenceExchange(at_s, None, None) if blank else ReferenceExchange(at_s, draw(values), draw(values))
        )
    register = draw(
        st.sampled_from([Register.WITHDRAWN, Register.INJECTED, Register.WITHDRAWN, Register.POWER_WITHDRAWN])
    )
    return ReferenceSeries(register, pieces, tuple(exchanges))


def fresh(series: Sequence[ReferenceSeries]) -> list[ReferenceSeries]:
    """The same series without readings."""
    return [ReferenceSeries(s.register, s.places, s.exchanges) for s in series]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_stream_gives_the_reference_totals_and_outcomes(data: st.DataObject) -> None:
    series = data.draw(st.lists(series_of_a_meter(), min_size=1, max_size=3))
    readings = data.draw(
        st.lists(st.tuples(st.integers(0, len(series) - 1), instants, values, st.integers(0, 2)), max_size=60)
    )
    cuts = data.draw(st.lists(st.integers(0, 60), max_size=3))
    reference = ReferenceBalance(fresh(series), ZONE_PARENT)
    expected_outcomes = [int(reference.apply(*reading)) for reading in readings]
    placement = placement_of(series)
    totals, outcomes, _ = run_kernel(placement, readings, cuts)
    # A series' exchanges count from its first reading on: until then neither side knows of any energy.
    assert outcomes == expected_outcomes
    assert totals == {key: sums for key, sums in reference.totals().items() if any(sums)}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_order_doubling_and_splitting_change_no_total(data: st.DataObject) -> None:
    """Rule 2: totals do not depend on the order of arrival, as long as nothing is late or in conflict."""
    series = data.draw(st.lists(series_of_a_meter(), min_size=1, max_size=2))
    step_s = data.draw(st.sampled_from([10, 77, 300, 900, 3600]))
    steps = data.draw(st.lists(st.integers(0, 47 * 3600 // step_s), max_size=60))
    readings = [(k % len(series), DAY + step * step_s, step * 37 + k // 7, k) for k, step in enumerate(steps)]
    shuffled = data.draw(st.permutations(readings + readings[:20]))
    in_order, _, _ = run_kernel(placement_of(series), readings, [])
    disturbed, outcomes, _ = run_kernel(
        placement_of(series), shuffled, data.draw(st.lists(st.integers(0, 80), max_size=4))
    )
    assert int(Outcome.PENDING) not in outcomes
    assert disturbed == in_order


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([10, 60, 440, 900, 1000, 3600]), st.integers(0, 2**32))
def test_a_long_disordered_stream_never_outgrows_the_memory(step_s: int, seed: int) -> None:
    """Rule 12: what is held suffices, whatever the cadence, also after a week and with readings up to 48 hours late."""
    series = [ReferenceSeries(Register.WITHDRAWN, (ReferencePlace(3, MeterKind.CONSUMER, True, 50_000_000),))]
    instants_s = (
        list(range(DAY, DAY + 6 * 86400, step_s)) if step_s >= 440 else list(range(DAY, DAY + 3 * 86400, step_s * 7))
    )
    random = Random(seed)
    order = sorted(instants_s, key=lambda t: t + random.random() * 40 * 3600)
    readings = [(0, t, (t - DAY) // 7, 0) for t in order]
    reference = ReferenceBalance(fresh(series), ZONE_PARENT)
    for slot, t, value, version in readings:
        reference.series[slot].readings[t] = (value, version)
    totals, outcomes, memory = run_kernel(placement_of(series), readings, [500, 501, 777])
    assert int(Outcome.PENDING) not in outcomes
    assert CAPACITIES[0] < memory.holds[0] <= memory.capacity <= held_max(MEMORY_S)
    assert len(totals) == len(totals_quick(series[0], {t: v for _, t, v, _ in readings}))
    assert totals == totals_quick(series[0], {t: v for _, t, v, _ in readings})


def totals_quick(series: ReferenceSeries, values: dict[int, int]) -> dict[tuple[int, int], list[int]]:
    """The reference's totals of one consumer, worked out over the sorted instants, since a long stream has many."""
    known = sorted(values)

    def edge(e: int) -> tuple[int, int] | None:
        k = bisect_right(known, e)
        if k and known[k - 1] == e:
            return values[e], 0
        if k == 0 or k == len(known):
            return None
        t0, t1 = known[k - 1], known[k]
        return values[t0] + (values[t1] - values[t0]) * (e - t0) // (t1 - t0), t1 - t0

    totals: dict[tuple[int, int], list[int]] = {}
    for start in range(known[0] // 900 * 900, known[-1] + 1, 900):
        a, b = edge(start), edge(start + 900)
        if a is None or b is None:
            continue
        for zone in (3, 1, 0):
            sums = [0] * SUMS
            sums[0] = sums[18] = b[0] - a[0]
            sums[22 if max(a[1], b[1]) <= 900 else 23] = 1
            totals[zone, start] = sums
    return totals


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_taking_back_what_is_in_memory_leaves_nothing(data: st.DataObject) -> None:
    """What a series added it can take back: the way in which a topology change recomputes."""
    series = [data.draw(series_of_a_meter())]
    steps = data.draw(st.lists(st.integers(0, 40 * 3600), min_size=1, max_size=40))
    readings = [(0, DAY + step, step * 3, 0) for step in steps]
    placement = placement_of(series)
    totals, _, memory = run_kernel(placement, readings, [])
    leaves, total = empty_changes(2**12), empty_changes(2**14)
    assert count_memory(memory, placement, leaves, 0, -(2**62), 1) == 1
    assert roll_up(placement, leaves, total) == 1
    assert totals_of(total) == totals


def test_readings_400_days_apart_bracket_an_edge_and_a_second_more_does_not() -> None:
    """Rule 2, at its limit; the gap of any length is settled by the newer reading (rule 11)."""
    series = [ReferenceSeries(Register.WITHDRAWN, (ReferencePlace(0, MeterKind.CONSUMER, False, 50_000_000),))]
    start, gap = DAY + 450, 400 * 86400
    for instants_s, windows in (((start, start + gap), 400 * 96 - 1), ((start, start + gap + 1), 0)):
        memory, changes = empty_memory(1), empty_changes(2**16)
        outcome = np.zeros(2, np.int8)
        reached = apply_readings(
            memory, placement_of(series), changes, np.zeros(2, np.int32), np.array(instants_s, np.int64),
            np.array([0, 4 * 400 * 86400], np.int64), np.zeros(2, np.int32), 0, MEMORY_S, outcome, none(),
        )  # fmt: skip
        assert reached == 2
        assert len(totals_of(changes)) == windows
        assert all(sums[0] == 3600 and sums[23] == 1 for sums in totals_of(changes).values())


def test_a_full_table_stops_before_a_reading_and_goes_on_with_room() -> None:
    """Nothing of a reading is applied while there is no room for all of it."""
    series = [ReferenceSeries(Register.WITHDRAWN, (ReferencePlace(0, MeterKind.CONSUMER, False, 50_000_000),))]
    memory, changes = empty_memory(1), empty_changes(8)
    ts, value = np.array([DAY, DAY + 900, DAY + 86400], np.int64), np.array([0, 10, 1000], np.int64)
    outcome = np.zeros(3, np.int8)
    batch = (np.zeros(3, np.int32), ts, value, np.zeros(3, np.int32))
    assert apply_readings(memory, placement_of(series), changes, *batch, 0, MEMORY_S, outcome, none()) == 2
    assert newest_held_s(memory, 0) == DAY + 900 and outcome[2] == CHANGES_FULL
    more = empty_changes(128)
    assert apply_readings(memory, placement_of(series), more, *batch, 2, MEMORY_S, outcome, none()) == 3
    assert sum(sums[0] for sums in totals_of(more).values()) == 990
