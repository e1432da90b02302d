"""The late lane and the reference agree: readings of any age, taken whenever, give the same totals and outcomes."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.balancer.history_lane import remember
from shared.balance.changes import empty_changes
from shared.balance.counting import count_memory, roll_up
from shared.balance.history import (
    History,
    count_ranges,
    narrow_placement,
    standing,
    touched_ranges,
    whole_memory,
    with_late,
)
from shared.balance.late import LateReadings, late_flags, packed, unpacked
from shared.balance.memory import COMPLETE_S, empty_memory
from shared.balance.reference import ReferenceBalance, ReferencePlace, ReferenceSeries
from shared.words import MeterKind, Outcome, Register
from tests.unit.test_kernel_equals_reference import (
    DAY,
    ZONE_PARENT,
    Reading,
    apply_all,
    fresh,
    placement_of,
    series_of_a_meter,
    totals_of,
    values,
)

MEMORY_S = 1800
"""A short memory: it holds 13 readings at most, so that a few readings outgrow it and it forgets often."""

instants = st.one_of(
    st.integers(0, 48).map(lambda quarter: DAY + quarter * 900),
    st.integers(0, 12 * 24).map(lambda step: DAY + step * 150),
    st.integers(0, 12 * 3600).map(lambda second: DAY + second),
    st.integers(0, 40).map(lambda step: DAY + 20_000 + step * 77),
)


def columns(readings: list[Reading]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Slot, instant, value and version."""
    slot, ts, value, version = zip(*readings, strict=True) if readings else ((), (), (), ())
    return np.array(slot, np.int32), np.array(ts, np.int64), np.array(value, np.int64), np.array(version, np.int32)


@dataclass
class Lane:
    """The stream's kernel and the late lane beside it, over a history that is never forgotten."""

    series: list[ReferenceSeries]
    taken: list[list[Reading]] = field(default_factory=list)
    """Of each series all readings that the stream or the lane has taken, in the order of the log."""

    def __post_init__(self) -> None:
        self.placement = placement_of(self.series)
        self.memory = empty_memory(len(self.series))
        self.leaves = empty_changes(2**14)
        self.taken = [[] for _ in self.series]

    def stream(self, reading: Reading) -> int:
        """Applies a reading in the stream; its outcome."""
        outcome = np.zeros(1, np.int8)
        self.memory, read = apply_all(self.memory, self.placement, self.leaves, columns([reading]), outcome, MEMORY_S)
        assert read == 1
        if outcome[0] != Outcome.PENDING:
            self.taken[reading[0]].append(reading)
        return int(outcome[0])

    def drain(self, slot: int, late: list[Reading]) -> list[int]:
        """Takes late readings of one series; their outcomes."""
        history = standing(*columns(self.taken[slot])[1:])
        result = with_late(history, History(*columns(late)[1:]))
        self.taken[slot] += late
        if len(result.changed):
            narrow = narrow_placement(self.placement, slot)
            ranges = touched_ranges(result.history, narrow, result.changed)
            assert count_ranges(whole_memory(history), narrow, self.leaves, *ranges, -1) == 1
            assert count_ranges(whole_memory(result.history), narrow, self.leaves, *ranges, 1) == 1
            new = result.history
            which = result.changed
            remember(self, slot, History(new.ts_s[which], new.value[which], new.version[which]), MEMORY_S)
        return [int(outcome) for outcome in result.outcome]

    def totals(self) -> dict[tuple[int, int], list[int]]:
        """All zones' totals."""
        total = empty_changes(2**16)
        assert roll_up(self.placement, self.leaves, total) == 1
        return totals_of(total)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_readings_of_any_age_give_the_reference_totals_and_outcomes(data: st.DataObject) -> None:
    series = data.draw(st.lists(series_of_a_meter(), min_size=1, max_size=2))
    readings = data.draw(
        st.lists(st.tuples(st.integers(0, len(series) - 1), instants, values, st.integers(0, 2)), max_size=60)
    )
    lane, reference = Lane(series), ReferenceBalance(fresh(series), ZONE_PARENT, MEMORY_S)
    queue: dict[int, list[Reading]] = {slot: [] for slot in range(len(series))}

    def drain(slot: int) -> None:
        late, queue[slot] = queue[slot], []
        assert lane.drain(slot, late) == [int(reference.take(*reading)) for reading in late]

    for reading in readings:
        outcome = lane.stream(reading)
        assert outcome == int(reference.apply(*reading))
        if outcome == Outcome.PENDING:
            queue[reading[0]].append(reading)
        if data.draw(st.integers(0, 5)) == 0:
            drain(reading[0])
    for slot in queue:
        drain(slot)
    assert lane.totals() == {key: sums for key, sums in reference.totals().items() if any(sums)}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_memory_after_late_readings_takes_back_what_it_counted(data: st.DataObject) -> None:
    """What is in memory, and the archive's windows before it, are together all that was counted, each once."""
    series = [data.draw(series_of_a_meter())]
    lane = Lane(series)
    late: list[Reading] = []
    for step in data.draw(st.lists(st.integers(0, 12 * 3600), min_size=1, max_size=50)):
        reading = (0, DAY + step, step * 3, 0)
        if lane.stream(reading) == Outcome.PENDING:
            late.append(reading)
    lane.drain(0, late)
    assert lane.memory.holds[0] <= lane.memory.capacity
    assert count_memory(lane.memory, lane.placement, lane.leaves, 0, -(2**62), -1) == 1
    since_s = int(lane.memory.since_s[0])
    if since_s != COMPLETE_S:
        narrow = narrow_placement(lane.placement, 0)
        before = np.array([-(2**40)]), np.array([(since_s - 1) // 900 * 900])
        history = standing(*columns(lane.taken[0])[1:])
        assert count_ranges(whole_memory(history), narrow, lane.leaves, *before, -1) == 1
    assert lane.totals() == {}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40).map(lambda k: k * 1800)), max_size=60))
def test_what_was_late_is_seen_from_the_log_alone(log: list[tuple[int, int]]) -> None:
    newest: dict[int, int] = {}
    expected = []
    for slot, ts in log:
        expected.append(ts < newest.get(slot, ts) - MEMORY_S)
        newest[slot] = max(newest.get(slot, ts), ts)
    order = sorted(range(len(log)), key=lambda k: log[k][0])
    slots, instants_s = np.array([log[k][0] for k in order], np.int32), np.array([log[k][1] for k in order], np.int64)
    assert late_flags(slots, instants_s, MEMORY_S).tolist() == [expected[k] for k in order]


def test_the_late_queue_gives_back_what_it_was_given() -> None:
    readings = LateReadings(
        np.full(2, 7, np.int64),
        np.array([3, 1], np.int32),
        np.array([4, 2**31 - 1], np.int32),
        np.array([DAY, -5], np.int64),
        np.array([10**13, 0], np.int64),
        np.array([0, 2**31 - 1], np.int32),
    )
    back = unpacked(7, packed(readings))
    for name in ("log_offset", "position", "slot", "ts_s", "value", "version"):
        assert getattr(back, name).tolist() == getattr(readings, name).tolist(), name
        assert getattr(back, name).dtype == getattr(readings, name).dtype, name


def test_a_reading_on_the_oldest_edge_changes_the_window_before_it_too() -> None:
    """Rule 12: what is held reaches back to the edge before the edges in memory."""
    edge_s = DAY + 36_000
    series = [ReferenceSeries(Register.WITHDRAWN, (ReferencePlace(3, MeterKind.CONSUMER, True, 50_000_000),))]
    lane, reference = Lane(series), ReferenceBalance(fresh(series), ZONE_PARENT, MEMORY_S)
    for second, value in ((-1500, 100), (-600, 400), (-300, 450), (900, 900), (1800, 1000)):
        for side in (lane.stream, lambda reading: int(reference.apply(*reading))):
            assert side((0, edge_s + second, value, 0)) == Outcome.APPLIED
    late = (0, edge_s - 7200, 50, 0)
    assert lane.stream(late) == reference.apply(*late) == Outcome.PENDING
    assert lane.drain(0, [late]) == [reference.take(*late)]
    on_the_edge = (0, edge_s, 600, 0)
    assert lane.stream(on_the_edge) == reference.apply(*on_the_edge) == Outcome.APPLIED
    assert lane.totals() == {key: sums for key, sums in reference.totals().items() if any(sums)}
