"""When the live view is told: after a change, once a second in any case, less often where telling takes much."""

import time
from types import SimpleNamespace

import pytest

from services.balancer.live_publisher import LivePublisher
from shared.clock import ManualClock
from tests.unit.test_partition import DAY, fresh


@pytest.mark.parametrize(
    ("cost_s", "behind", "pulse_s"),
    [(0.0, False, 1.0), (0.0, True, 1.0), (0.3, False, 1.0), (0.3, True, 3.0), (0.8, False, 1.6), (0.8, True, 4.0)],
)
def test_all_is_told_again_after_so_long(
    monkeypatch: pytest.MonkeyPatch, cost_s: float, behind: bool, pulse_s: float
) -> None:
    clock = SimpleNamespace(s=1000.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.s)
    monkeypatch.setattr(time, "thread_time", lambda: 0.0)  # what working out takes is not in the costs here
    partition, publisher = fresh(), LivePublisher(SimpleNamespace(), ManualClock(float(DAY)), event_mode=False)
    assert publisher.due(partition, behind=behind)
    publisher.work_out(partition)
    publisher.note_sending(partition, cost_s)
    told = []
    for since_s in (pulse_s - 0.01, pulse_s + 0.01):
        clock.s = 1000.0 + since_s
        told.append(publisher.due(partition, behind=behind))
    assert told == [False, True]
