"""What the balancer tells of newest readings is what the API takes in: values, cadences and powers."""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from services.api.newest_readings import NOT_HEARD_S, NewestReadings
from services.balancer.live_publisher import LivePublisher
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
