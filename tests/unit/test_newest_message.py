"""What the balancer tells of newest readings is what the API takes in: values, cadences and powers."""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from services.api.newest_readings import NOT_HEARD_S, NewestReadings
from services.balancer.live_publisher import LivePublisher
from services.balancer.newest_messages import AT_ONCE, CHUNK, newest_messages, next_turn
from shared.balance.held import put_held
from shared.balance.memory import HELD_RECORD, empty_memory
from shared.clock import ManualClock
from shared.topics import METERS
from tests.unit.test_partition import DAY, fresh, message


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A monotonic clock that stands until its `s` is changed."""
    clock = SimpleNamespace(s=1000.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.s)
    return clock


def meters_messages(publisher: LivePublisher, partition: Any) -> list[tuple[bytes, bytes]]:
    publisher.due(partition)
    return [(key, value) for topic, key, value in publisher.work_out(partition) if topic == METERS]


def test_newest_readings_and_powers_arrive(passed: SimpleNamespace) -> None:
    partition, unused_producer = fresh(), SimpleNamespace()
    publisher = LivePublisher(unused_producer, ManualClock(DAY + 900.0), event_mode=True)
    partition.apply(0, message([(0, 0, 0), (0, 900, 100), (1, 0, 50), (1, 900, 250), (4, 900, 5000), (5, 900, 800)]))
    newest = NewestReadings()
    for key, value in meters_messages(publisher, partition):
        newest.take(key, value)
    found = newest.of_series(np.zeros(5, np.int16), np.array([1, 0, 4, 5, 2], np.int32))
    assert found.ts_s.tolist() == [DAY + 900] * 4 + [NOT_HEARD_S]
    assert found.value.tolist() == [250, 100, 5000, 800, 0]
    assert found.power_w.tolist() == [800, 400, 0, 0, 0]  # 200 and 100 Wh in a quarter of an hour
    assert found.cadence_s.tolist() == [900] * 5
    passed.s += 10
    assert meters_messages(publisher, partition) == []  # nothing new has come
    partition.apply(1, message([(0, 1800, 300)]))
    assert len(meters_messages(publisher, partition)) == 1
    partition.apply(2, message([(0, 2700, 400)]))
    assert meters_messages(publisher, partition) == []  # within a second
    passed.s += 1
    assert len(meters_messages(publisher, partition)) == 1


def test_turns_go_round_all_slots_without_a_gap() -> None:
    for slots in (0, 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE - 7):
        until, seen = 0, []
        for _ in range(4):
            begin, until = next_turn(until, slots)
            assert begin % CHUNK == 0 and until - begin <= AT_ONCE
            seen.append((begin, until))
        turns = max(1, -(-slots // AT_ONCE))
        assert [begin for begin, _ in seen[:turns]] == [AT_ONCE * k for k in range(turns)]
        assert seen[turns - 1][1] == slots
        assert turns == 4 or seen[turns] == seen[0]


def test_the_reader_finds_what_the_memory_holds() -> None:
    partition, slots = fresh(), 2 * CHUNK + 3
    heard = np.array([0, 7, CHUNK - 1, CHUNK, slots - 1], np.int64)
    partition.memory = empty_memory(slots)
    partition.memory.holds[heard] = 1
    held = [(DAY + int(slot), 0, 10 * int(slot)) for slot in heard.tolist()]
    put_held(partition.memory, heard, np.array(held, HELD_RECORD))
    partition.placement = partition.placement._replace(
        register=np.zeros(slots, np.int8), first_exchange=np.zeros(slots + 1, np.int32)
    )
    reader = NewestReadings()
    messages = newest_messages(partition, 0, CHUNK) + newest_messages(partition, CHUNK, slots)
    for _, key, value in messages:
        reader.take(key, value)
    assert [key for _, key, _ in messages] == [b"0|0", b"0|1", b"0|2"]
    sought = np.sort(np.r_[heard, 1, CHUNK + 1]).astype(np.int32)
    found = reader.of_series(np.zeros(len(sought), np.int16), sought)
    there = np.isin(sought, heard)
    assert found.ts_s[there].tolist() == [DAY + slot for slot in heard.tolist()]
    assert found.value[there].tolist() == [10 * slot for slot in heard.tolist()]
    assert (found.ts_s[~there] == NOT_HEARD_S).all()


def test_a_large_partition_is_told_in_turns_to_its_end_though_nothing_new_comes(passed: SimpleNamespace) -> None:
    partition, slots = fresh(), AT_ONCE + CHUNK
    publisher = LivePublisher(SimpleNamespace(), ManualClock(DAY + 900.0), event_mode=True)
    partition.memory = empty_memory(slots)
    partition.memory.holds[:] = 1
    partition.placement = partition.placement._replace(
        register=np.zeros(slots, np.int8),
        meter=np.full(slots, -1, np.int32),
        first_place=np.zeros(slots + 1, np.int32),
        first_exchange=np.zeros(slots + 1, np.int32),
    )
    told = []
    for _ in range(3):
        passed.s += 100
        told.append([key for key, _ in meters_messages(publisher, partition)])
    assert told == [[f"0|{chunk}".encode() for chunk in range(10)], [b"0|10"], []]
