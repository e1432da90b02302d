"""The synthetic workload: its deliveries sum to what it says must come out, whatever is doubled or out of order."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from deploy.bench.cluster import Cluster, Int64Array
from deploy.bench.workload import BLOCK_DELIVERIES, LATE_ROUNDS, Deliveries, Workload, deliveries_of_round
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


@pytest.mark.parametrize("meters", [1, 49, 50, 51, 4_203, 1_000_000])
def test_a_round_has_each_series_once_and_one_percent_of_them_twice(meters: int) -> None:
    cluster = Cluster(meters, prosumer_every=1)
    workload = Workload(cluster, deliveries_of_round(cluster), warm_rounds=1)
    assert workload.readings == 2 * cluster.series == 4 * meters
    series = np.concatenate([block.series for block in workload.blocks()])
    times = np.bincount(series, minlength=cluster.series)
    assert times.min() == 1
    assert times.sum() - cluster.series == len(series) // 100
    assert workload.expected().sums_wh.shape[1] == 1  # the window between the two rounds


def test_where_all_are_prosumers_each_meter_has_both_registers(tmp_path: Path) -> None:
    cluster = Cluster(450, prosumer_every=1)
    content = check_folder(cluster.write(tmp_path / "topology"))
    assert content.meters["register_bits"].to_pylist() == [3] * 450
    assert cluster.series_of(cluster.series_meter, cluster.series_injected.astype(np.int64)).tolist() == [*range(900)]
    assert not workload_sums(cluster)[:, :, 0].any()  # of consumers, of whom there are none


def workload_sums(cluster: Cluster) -> Int64Array:
    return Workload(cluster, 0, warm_rounds=2).expected().sums_wh
