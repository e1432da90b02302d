"""The synthetic workload: its deliveries sum to what it says must come out, whatever is doubled or out of order."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from deploy.bench.cluster import Cluster
from deploy.bench.workload import BLOCK_DELIVERIES, LATE_ROUNDS, Deliveries, Workload
from shared.limits import QUARTER_S
from shared.topology.check import check_folder


def all_deliveries(workload: Workload) -> Deliveries:
    blocks = list(workload.blocks())
    return Deliveries(*(np.concatenate([getattr(b, name) for b in blocks]) for name in ("series", "ts_s", "value_wh")))


@pytest.mark.parametrize(("meters", "deliveries"), [(1, 7), (3, 40), (10, 1_000), (450, 5_000), (9_000, 30_000)])
def test_what_must_come_out_is_what_a_plain_sum_of_the_deliveries_gives(meters: int, deliveries: int) -> None:
    workload = Workload(Cluster(meters), deliveries)
    cluster, sent = workload.cluster, all_deliveries(workload)
    assert len(sent) == deliveries
    registers: dict[int, dict[int, int]] = defaultdict(dict)
    for series, ts_s, value in zip(sent.series.tolist(), sent.ts_s.tolist(), sent.value_wh.tolist(), strict=True):
        assert registers[series].setdefault(ts_s, value) == value
    assert sum(map(len, registers.values())) == workload.readings
    totals: dict[tuple[str, int, int], int] = defaultdict(int)
    for series, values in registers.items():
        meter, injected = int(cluster.series_meter[series]), bool(cluster.series_injected[series])
        column = 2 if injected else int(meter % 4 == 3)
        for ts_s, value in values.items():
            if ts_s + QUARTER_S in values:
                energy_wh = values[ts_s + QUARTER_S] - value
                assert 0 < energy_wh < 200
                for zone in (f"STATION-{meter // 200}", f"FEEDER-{meter // 4_000}", "CLUSTER"):
                    totals[zone, ts_s, column] += energy_wh
    expected = workload.expected()
    found = {
        (zone, int(window_s), column): int(expected.sums_wh[z, w, column])
        for z, zone in enumerate(expected.zone)
        for w, window_s in enumerate(expected.window_s)
        for column in range(3)
        if expected.sums_wh[z, w, column]
    }
    assert found == dict(totals)


def test_one_percent_comes_twice_and_one_percent_late_but_within_two_hours() -> None:
    workload = Workload(Cluster(800), BLOCK_DELIVERIES + 200_000)
    sent = all_deliveries(workload)
    number = workload.number_of(sent.series, sent.ts_s)
    assert np.array_equal(np.unique(number), np.arange(workload.readings))
    assert len(sent) - workload.readings == len(sent) // 100
    newest_before = np.maximum.accumulate(sent.ts_s)
    late = sent.ts_s < newest_before
    assert 0.01 < late.mean() < 0.03
    assert (newest_before - sent.ts_s).max() <= (LATE_ROUNDS + 1) * QUARTER_S


def test_a_number_is_found_back_from_its_reading() -> None:
    workload = Workload(Cluster(13), 100)
    number = np.arange(500, dtype=np.int64)
    readings = workload.at(number)
    assert np.array_equal(workload.number_of(readings.series, readings.ts_s), number)


def test_the_cluster_is_a_right_topology(tmp_path: Path) -> None:
    cluster = Cluster(4_203)
    content = check_folder(cluster.write(tmp_path / "topology"))
    assert len(content.meters) == 4_203
    assert content.zones["zone"].to_pylist()[:2] == ["CLUSTER", "FEEDER-0"]
    assert sorted(content.zones["zone"].to_pylist()) == sorted(cluster.zone)
    assert content.meters["meter"].to_pylist() == cluster.meter.to_pylist()
    bits = content.meters["register_bits"].to_numpy()
    assert int(np.bitwise_count(bits.astype(np.uint8)).sum()) == cluster.series == len(cluster.series_meter)
