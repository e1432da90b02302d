"""What is published is held against what must come out: each kind of error has a difference."""

import numpy as np
import pyarrow as pa

from deploy.bench.cluster import Cluster
from deploy.bench.published import _difference_wh
from deploy.bench.workload import Expected, Workload

EXPECTED = Workload(Cluster(450), 3_000).expected()


def rows_of(expected: Expected) -> dict[str, list[object]]:
    rows: dict[str, list[object]] = {name: [] for name in ("zone", "window_s", "sum_0", "sum_1", "sum_2", "sum_3")}
    for z, zone in enumerate(expected.zone):
        for w, window_s in enumerate(expected.window_s.tolist()):
            for name, figure in zip(rows, [zone, window_s, *expected.sums_wh[z, w].tolist(), 0], strict=True):
                rows[name].append(figure)
    return rows


def difference(rows: dict[str, list[object]]) -> int:
    return _difference_wh(pa.table(rows), EXPECTED)


def test_the_same_has_no_difference_in_any_order() -> None:
    rows = rows_of(EXPECTED)
    order = np.random.default_rng(1).permutation(len(rows["zone"])).tolist()
    assert len(order) > 20
    assert difference({name: [column[k] for k in order] for name, column in rows.items()}) == 0


def test_one_watt_hour_too_much_and_one_too_little_are_two() -> None:
    rows = rows_of(EXPECTED)
    rows["sum_0"][3] = int(str(rows["sum_0"][3])) + 1
    rows["sum_2"][5] = int(str(rows["sum_2"][5])) - 1
    assert difference(rows) == 2


def test_a_row_that_is_missing_counts_whole() -> None:
    rows = rows_of(EXPECTED)
    last = [int(str(rows[f"sum_{k}"][-1])) for k in range(3)]
    assert sum(last) > 0
    assert difference({name: column[:-1] for name, column in rows.items()}) == sum(last)


def test_a_row_that_nobody_expects_counts_whole() -> None:
    rows = rows_of(EXPECTED)
    for zone, window_s in (("ELSEWHERE", EXPECTED.window_s[0]), ("CLUSTER", EXPECTED.window_s[-1] + 900)):
        for name, figure in zip(rows, [zone, int(window_s), 1, 2, 3, 4], strict=True):
            rows[name].append(figure)
    assert difference(rows) == 20


def test_energy_of_a_kind_that_was_not_sent_is_a_difference() -> None:
    rows = rows_of(EXPECTED)
    rows["sum_3"][0] = 7
    assert difference(rows) == 7
