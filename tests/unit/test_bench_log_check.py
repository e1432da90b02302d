"""What stands in the log is held against what was acknowledged: what is lost, doubled or altered is counted."""

import numpy as np

from deploy.bench.cluster import Cluster
from deploy.bench.log_check import LogCheck, Tally
from deploy.bench.workload import Workload

WORKLOAD = Workload(Cluster(7), 0)
SENT = np.array([2, 1, 1, 0, 3, 1, 1, 1, 1, 1, 1, 1], np.int64)


def check(numbers: list[int], value_error: int = 0, series_error: int = 0) -> LogCheck:
    """What is found when the log holds these readings, the last of them with an error."""
    readings = WORKLOAD.at(np.array(numbers, np.int64))
    readings.value_wh[-1] += value_error
    readings.series[-1] += series_error
    tally = Tally(WORKLOAD, SENT)
    for part in (readings.take(slice(0, 5)), readings.take(slice(5, None))):
        tally.add(part.series, part.ts_s, part.value_wh)
    return tally.check()


ALL = np.repeat(np.arange(len(SENT)), SENT).tolist()


def test_what_was_acknowledged_is_there() -> None:
    found = check(ALL)
    assert found == LogCheck(found=14, lost=0, surplus=0, altered=0)
    assert found.exact


def test_what_is_missing_is_lost_and_what_is_too_much_is_surplus() -> None:
    found = check([*ALL[1:], 3, 5])
    assert found == LogCheck(found=15, lost=1, surplus=2, altered=0)
    assert not found.exact


def test_another_value_and_another_series_are_no_reading_that_was_sent() -> None:
    assert check(ALL, value_error=1) == LogCheck(found=14, lost=1, surplus=0, altered=1)
    assert check(ALL, series_error=-100) == LogCheck(found=14, lost=1, surplus=0, altered=1)


def test_an_empty_log_is_never_exact() -> None:
    assert not Tally(WORKLOAD, np.zeros(3, np.int64)).check().exact
