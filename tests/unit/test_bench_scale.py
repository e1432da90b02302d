"""What the runs of `bench scale` let grow, and what stands."""

import pytest

from deploy.bench.cluster import Cluster
from deploy.bench.scale import Growth
from deploy.bench.scale_steps import steps
from deploy.bench.workload import Workload


@pytest.mark.parametrize("by", list(Growth))
def test_every_run_has_readings_for_whole_windows_of_every_series(by: Growth) -> None:
    runs = list(steps(1_000_000, [by]))
    assert len(runs) >= 4 and len({run.what for run in runs}) == len(runs)
    for run in runs:
        assert run.options.readings >= 2 * Cluster(run.options.meters).series


def test_the_cluster_has_as_many_stations_as_is_said() -> None:
    for run in steps(1_000_000, [Growth.ZONES]):
        assert Cluster(run.options.meters, run.options.station_meters).stations == int(run.what)


def test_sums_of_smaller_stations_come_to_the_same_cluster() -> None:
    large, small = (Workload(Cluster(300, meters), 2_000).expected().sums_wh for meters in (200, 30))
    assert (large[-1] == small[-1]).all() and large[-1].any()
    assert len(small) > len(large)
