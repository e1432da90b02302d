"""A partition's step: what flushes say together does not depend on where they are cut, and a replay says nothing."""

import resource
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.balancer import history_lane
from services.balancer.checkpoint import Checkpoint, newest_checkpoint, write_checkpoint
from services.balancer.deferred import DeferredChanges, packed_changes, unpacked_changes
from services.balancer.differences import Differences
from services.balancer.flush_content import LogPlace, Ownership, PartitionFlush
from services.balancer.history_lane import LateChunk
from services.balancer.partition import Partition
from shared.archive.history import ArchivedReadings
from shared.balance.held import held_readings
from shared.balance.late import LateReadings
from shared.database.tables import SUM_COLUMNS
from shared.limits import FLUSH_ROWS_MAX, MESSAGE_BYTES_MAX
from shared.readings_message import ReadingColumns
from shared.rejected_message import decode_rejected
from shared.topics import LATE, REJECTED
from shared.topology.index import Topology
from tests.unit.small_topology import small_topology

DAY = 1_772_323_200  # 2026-03-01T00:00:00Z
NOW = DAY + 30 * 86400
Reading = tuple[int, int, int]
Sums = dict[tuple[int, int], list[int]]


def message(readings: list[Reading]) -> ReadingColumns:
    """Readings (slot, second since DAY, value) as a message's columns."""
    slot, second, value = (list(column) for column in zip(*readings, strict=True)) if readings else ([], [], [])
    return ReadingColumns(
        np.array(slot, np.int32),
        np.array(second, np.int64) + DAY,
        np.array(value, np.int64),
        np.zeros(len(slot), np.int32),
    )


def fresh(
    next_offset: int = 0, topology: Topology | None = None, *, next_position: int = 0, changes_rows: int = 2**14
) -> Partition:
    """Partition 0 under the small topology."""
    ownership = Ownership(1, LogPlace(next_offset, next_position))
    return Partition(0, ownership, topology or small_topology(), Differences(changes_rows))


def added_up(flushes: list[PartitionFlush | None]) -> Sums:
    """What the tables hold after the flushes."""
    tables: Sums = defaultdict(lambda: [0] * len(SUM_COLUMNS))
    for content in flushes:
        if content is not None:
            for zone, window, sums in zip(
                content.zone_id.tolist(), content.window_s.tolist(), content.sums, strict=True
            ):
                tables[zone, window] = [a + b for a, b in zip(tables[zone, window], sums.tolist(), strict=True)]
    return {key: sums for key, sums in tables.items() if any(sums)}


def counted(flushes: list[PartitionFlush | None]) -> dict[str, int]:
    """What the books hold after the flushes."""
    books: dict[str, int] = defaultdict(int)
    for content in flushes:
        if content is not None:
            for outcome, deliveries in content.deliveries.items():
                books[outcome] += deliveries
    return dict(books)


readings = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 60 * 3600 // 450).map(lambda k: k * 450), st.integers(0, 9000)),
    max_size=8,
)
messages = st.lists(readings, min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(messages, st.sets(st.integers(0, 12)))
def test_flushes_add_up_to_the_same_wherever_they_are_cut(log: list[list[Reading]], cuts: set[int]) -> None:
    whole, cut = fresh(), fresh()
    flushes = []
    for offset, batch in enumerate(log):
        whole.apply(offset, message(batch))
        cut.apply(offset, message(batch))
        if offset in cuts:
            flushes.append(cut.take_flush(NOW))
    flushes.append(cut.take_flush(NOW))
    at_once = [whole.take_flush(NOW)]
    assert added_up(flushes) == added_up(at_once)
    assert counted(flushes) == counted(at_once)
    assert counted(at_once)["received"] == sum(len(batch) for batch in log)


@settings(max_examples=150, deadline=None)
@given(messages, st.data())
def test_a_restart_from_a_checkpoint_repeats_nothing_and_loses_nothing(
    tmp_path_factory: object, log: list[list[Reading]], data: st.DataObject
) -> None:
    """The new owner's state comes from a checkpoint before the last flush; it publishes only what the tables lack."""
    folder = Path(tmp_path_factory.mktemp("checkpoints"))  # type: ignore[attr-defined]
    kept = data.draw(st.integers(0, len(log)))
    flushed = data.draw(st.integers(kept, len(log)))
    reference, first = fresh(), fresh()
    flushes: list[PartitionFlush | None] = []
    for offset, batch in enumerate(log):
        reference.apply(offset, message(batch))
        if offset == kept:
            flushes.append(first.take_flush(NOW))
            write_checkpoint(folder, Checkpoint(0, first.next_offset, 1, first.event_now_s, 0, first.memory))
        if offset == flushed:
            flushes.append(first.take_flush(NOW))
        first.apply(offset, message(batch))
    if flushed == len(log):
        flushes.append(first.take_flush(NOW))

    second = fresh(flushed)
    checkpoint = newest_checkpoint(folder, 0, flushed, 0)
    if checkpoint is not None:
        second.restore(checkpoint.next_offset, checkpoint.event_now_s, checkpoint.memory, small_topology())
    for offset in range(second.next_offset, len(log)):
        assert second.replaying == (offset < flushed)
        second.apply(offset, message(log[offset]))
        if offset < flushed - 1:
            assert second.take_flush(NOW) is None
    flushes.append(second.take_flush(NOW))
    whole = [reference.take_flush(NOW)]
    assert added_up(flushes) == added_up(whole)
    assert counted(flushes) == counted(whole)


@settings(max_examples=100, deadline=None)
@given(messages, st.integers(0, 60).map(lambda k: DAY + k * 3600 + 17), st.booleans(), st.data())
def test_a_switch_gives_what_the_new_topology_would_have_given(
    log: list[list[Reading]], moves_at_s: int, nested: bool, data: st.DataObject
) -> None:
    """Design section 5: the meters touched are taken back where they were and counted anew, in memory at once."""
    after = small_topology(2, load_moves_at_s=moves_at_s, other_below_station=nested)
    switch = data.draw(st.integers(0, len(log)))
    switched, always = fresh(), fresh(topology=after)
    flushes = []
    for offset, batch in enumerate(log):
        if offset == switch:
            switched.switch(offset, after)
        switched.apply(offset + (offset >= switch), message(batch))
        always.apply(offset, message(batch))
        if data.draw(st.booleans()):
            flushes.append(switched.take_flush(NOW))
    flushes.append(switched.take_flush(NOW))
    if switch == len(log):
        switched.switch(len(log), after)
        flushes.append(switched.take_flush(NOW))
    assert added_up(flushes) == added_up([always.take_flush(NOW)])


@settings(max_examples=150, deadline=None)
@given(messages, st.integers(0, 200))
def test_a_message_may_be_flushed_in_parts_and_go_on_elsewhere(log: list[list[Reading]], hand_over: int) -> None:
    """With little room a message that closes long gaps is flushed in parts; another owner goes on inside of it."""
    whole, owner = fresh(), fresh(changes_rows=16)
    flushes: list[PartitionFlush | None] = []
    offset = 0
    while offset < len(log):
        if owner.apply(offset, message(log[offset])):
            offset += 1
            continue
        flushes.append(owner.take_flush(NOW))
        assert flushes[-1] is not None and flushes[-1].end.offset == offset
        if len(flushes) == hand_over % 7:
            owner = fresh(*owner.flushed[:1], next_position=owner.flushed.position, changes_rows=16)
            for replayed in range(offset):
                assert owner.apply(replayed, message(log[replayed]))
    flushes.append(owner.take_flush(NOW))
    for at, batch in enumerate(log):
        whole.apply(at, message(batch))
    assert added_up(flushes) == added_up([whole.take_flush(NOW)])
    received = sum(content.deliveries["received"] for content in flushes if content is not None)
    assert received == sum(len(batch) for batch in log)


def test_late_readings_and_conflicts_go_where_they_are_kept() -> None:
    partition = fresh()
    partition.apply(0, message([(0, 0, 5), (0, 3 * 86400, 900), (0, 900, 7), (0, 3 * 86400, 901)]))
    content = partition.take_flush(NOW)
    assert content is not None and content.late is not None
    assert (content.late.position.tolist(), content.late.value.tolist()) == ([2], [7])
    assert content.deliveries == {
        "received": 4, "applied": 2, "unchanged": 0, "pending": 1, "rejected:conflict": 1,
    }  # fmt: skip
    assert {outgoing.topic for outgoing in content.messages} == {"bilans.rejected", "bilans.late", "bilans.balance"}


def test_a_window_closes_once_and_never_opens_again() -> None:
    partition = fresh()
    first = partition.take_flush(DAY + 1000)
    assert first is not None and (first.closed_before_s, first.closed_until_s) == (None, DAY + 900)
    assert partition.take_flush(DAY + 1700) is None
    second = partition.take_flush(DAY + 1800)
    assert second is not None and (second.closed_before_s, second.closed_until_s) == (DAY + 900, DAY + 1800)
    assert partition.take_flush(DAY) is None  # the clock was set back


def test_event_time_closes_windows_by_the_readings_own_time() -> None:
    partition = fresh()
    assert partition.take_flush(None) is None
    partition.apply(0, message([(0, 900, 5), (1, 1900, 5)]))
    content = partition.take_flush(None)
    assert content is not None
    assert (content.event_now_s, content.closed_until_s) == (DAY + 1900, DAY + 1800)


def test_a_damaged_checkpoint_is_passed_over_and_only_two_are_kept(tmp_path: Path) -> None:
    partition = fresh()
    for offset in range(3):
        partition.apply(offset, message([(0, offset * 900, offset * 10)]))
        written = write_checkpoint(tmp_path, Checkpoint(0, offset + 1, 1, None, 0, partition.memory))
    assert len(list(tmp_path.rglob("*.checkpoint"))) == 2
    newest = newest_checkpoint(tmp_path, 0, 3, 0)
    assert newest is not None and newest.next_offset == 3
    assert held_readings(newest.memory, np.zeros(1, np.int64))["value"].tolist() == [0, 10, 20]
    content = bytearray(written.read_bytes())
    content[-100] ^= 1
    written.write_bytes(content)
    before = newest_checkpoint(tmp_path, 0, 3, 0)
    assert before is not None and before.next_offset == 2
    assert newest_checkpoint(tmp_path, 0, 1, 0) is None  # never ahead of what the tables hold


def test_a_flush_with_very_many_late_readings_tells_them_in_messages_that_the_log_takes() -> None:
    partition = fresh()
    partition.apply(0, message([(0, 20 * 86400, 5)]))
    for offset in range(1, 5):
        partition.apply(offset, message([(0, second, 7) for second in range(30_000)]))
    content = partition.take_flush(NOW)
    assert content is not None and content.late is not None and len(content.late) == 120_000
    late = [outgoing for outgoing in content.messages if outgoing.topic == "bilans.late"]
    rows = [pa.ipc.open_stream(outgoing.value).read_all().num_rows for outgoing in late]
    assert (sum(rows), max(len(outgoing.value) for outgoing in late) < MESSAGE_BYTES_MAX / 2) == (120_000, True)
    assert len({outgoing.message_id for outgoing in late}) == len(late) > 1


def test_what_a_step_beside_the_log_did_outlives_a_reading_that_needs_more_room() -> None:
    """The table of changes grows for a reading that closes a long gap; only a replay forgets what it worked out."""
    partition = fresh(changes_rows=16)
    days = 86400
    flushes = []
    for offset, batch in enumerate(([(0, 0, 0), (1, 0, 0)], [(0, 3 * days, 3)], [(0, 0, 0)])):
        while not partition.apply(offset, message(batch)):
            flushes.append(partition.take_flush(NOW))
    flushes.append(partition.take_flush(NOW))
    assert counted(flushes)["pending"] == 1

    assert partition.take_late(whole_tail(late_in(flushes)))
    while not partition.apply(3, message([(1, 40 * days, 3)])):
        flushes.append(partition.take_flush(NOW))
    flushes.append(partition.take_flush(NOW))
    books = counted(flushes)
    assert books["pending"] == 0
    assert books["received"] == books["applied"] + books["unchanged"] == 5


def late_in(flushes: list[PartitionFlush | None]) -> LateReadings:
    """The late readings that the last flush puts into the queue."""
    last = flushes[-1]
    assert last is not None and last.late is not None
    return last.late


def whole_tail(late: LateReadings) -> LateChunk:
    """A chunk with all late readings in the order of series, of which the archive has nothing yet."""
    late = late.take(np.argsort(late.slot, kind="stable"))
    none = late.take(slice(0))
    nothing = ArchivedReadings(none.slot, none.ts_s, none.value, none.version, none.log_offset, none.position)
    return LateChunk(late, nothing, 0, int(late.log_offset.min()), int(late.log_offset.max()))


def test_conflicts_are_told_in_flushes_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a row of the outbox: a sender whose values all changed must not make a flush that never gets through."""
    monkeypatch.setattr(history_lane, "_ROWS_MAX", 1)
    known = [(slot, second, 5) for slot in (0, 1) for second in (0, 900, 3 * 86400)]
    partition = fresh()
    partition.apply(0, message(known))
    partition.take_flush(NOW)
    partition.apply(1, message([(slot, second, 6) for slot, second, _ in known]))
    assert partition.waiting_rows == 2  # those of the newest readings
    flushes = [partition.take_flush(NOW)]
    chunk = whole_tail(late_in(flushes))
    for slot in (0, 1):
        assert partition.take_late(chunk)
        assert partition.lane.progress.late_slot == slot + 1
        assert partition.waiting_rows == 2
        flushes.append(partition.take_flush(NOW))
    books = counted(flushes)
    assert (books["pending"], books["rejected:conflict"], books["received"]) == (0, 6, 6)


def test_a_checkpoint_with_a_damaged_head_is_passed_over(tmp_path: Path) -> None:
    """Kernels go by the sizes that the head says: none of another size may come back."""
    partition = fresh()
    partition.apply(0, message([(0, k * 900, k) for k in range(5)]))
    path = write_checkpoint(tmp_path, Checkpoint(0, 1, 1, None, 0, partition.memory))
    whole = path.read_bytes()
    for word in (b'"capacity":8', b'"topology":1', b'"next_offset":1', b'"history_step":0', b'"held":5'):
        for digit in b"023479":
            damaged = whole.replace(word, word[:-1] + bytes([digit]), 1)
            path.write_bytes(damaged)
            found = newest_checkpoint(tmp_path, 0, 10, 10)
            assert (found is not None) == (damaged == whole)


def test_a_checkpoint_for_which_there_is_no_room_leaves_nothing_behind(tmp_path: Path) -> None:
    partition = fresh()
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, allowed[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_checkpoint(tmp_path, Checkpoint(0, 1, 1, None, 0, partition.memory))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_readings_of_a_meter_that_has_left_are_told_without_a_name() -> None:
    """They may come after the switch that took the meter away, from an ingest that has not heard of it yet."""
    partition = fresh()
    partition.apply(0, message([(3, 0, 5), (3, 900, 5), (3, 3 * 86400, 5)]))
    whole = small_topology(2)
    stays, rows = whole.series_meter != 2, whole.row_meter != 2
    row_columns = {
        name: getattr(whole, name)[rows]
        for name in (
            "row_meter", "row_zone", "row_kind", "row_registers", "row_max_wh", "row_pool",
            "row_valid_from_s", "row_valid_to_s",
        )
    }  # fmt: skip
    series = {name: getattr(whole, f"series_{name}")[stays] for name in ("meter", "register", "partition", "slot")}
    without_battery = replace(
        whole,
        meter=whole.meter[:2],
        row_member=whole.row_member[:3],
        **row_columns,
        **{f"series_{name}": column for name, column in series.items()},
    )
    partition.switch(1, without_battery)
    partition.apply(2, message([(3, 0, 6), (3, 3 * 86400, 6)]))
    content = partition.take_flush(NOW)
    assert content is not None
    told = {one.topic: one for one in content.messages}
    assert pa.ipc.open_stream(told[LATE].value).read_all().to_pylist()[0] | {"ts": None} == {
        "meter": None, "register": None, "ts": None, "value": 6, "version": 0, "log_offset": 2,
    }  # fmt: skip
    rejected = decode_rejected(
        [(name, value.encode()) for name, value in told[REJECTED].headers.items()], told[REJECTED].value
    )
    assert (rejected.meter, rejected.register) == (None, None)


def test_more_rows_than_a_transaction_holds_are_put_off_and_added_later() -> None:
    """A gap of 300 days changes 28,800 windows of the station and of the town above it."""
    partition = fresh(changes_rows=2**16)
    partition.apply(0, message([(0, 0, 0), (0, 300 * 86400, 288_000)]))
    flushes = [partition.take_flush(NOW + 400 * 86400)]
    assert flushes[0] is not None
    assert [len(part) for part in flushes[0].deferred] == [2 * 28_800 - FLUSH_ROWS_MAX]
    assert flushes[0].window_s.min() > flushes[0].deferred[0].window_s.min()  # the newest come first
    for number, part in enumerate(flushes[0].deferred, start=1):
        partition.take_deferred(DeferredChanges(number, unpacked_changes(packed_changes(part))))
        flushes.append(partition.take_flush(NOW + 400 * 86400))
    assert flushes[-1] is not None and flushes[-1].history.deferred_done == 1 and not flushes[-1].deferred
    added = added_up(flushes)
    assert len(added) == 2 * 28_800
    assert {tuple(sums) for sums in added.values()} == {tuple(added[10, DAY])}
