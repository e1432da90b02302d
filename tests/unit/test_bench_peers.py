"""The frame of `bench peers`: what the peers share is right for any order, and a wrong answer is seen."""

import random
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.bench.cluster import STATION_METERS, Cluster
from deploy.bench.kafka_streams.jars import LOCK
from deploy.bench.peer_job import PeerJob, PeerOutcome, QuarterOfText, sums_of
from deploy.bench.peer_series import Series, advance, new_series
from deploy.bench.peer_topic import keyed_messages
from deploy.bench.peers_run import COLUMNS, PeerRow, check_names, difference_wh, expected_sums
from deploy.bench.workload import START_S, Workload
from deploy.embedded.jars import read_lock
from shared.errors import BilansError
from shared.limits import QUARTER_S

BEGIN = START_S // QUARTER_S


@given(
    steps_wh=st.lists(st.integers(0, 1000), min_size=1, max_size=30),
    doubles=st.lists(st.integers(0, 29), max_size=20),
    seed=st.integers(0, 2**32),
)
def test_energy_of_a_series_is_exact_in_any_order_with_any_doubles(
    steps_wh: list[int], doubles: list[int], seed: int
) -> None:
    register_wh = [sum(steps_wh[:count]) for count in range(len(steps_wh) + 1)]
    deliveries = [*range(len(register_wh)), *(number % len(register_wh) for number in doubles)]
    random.Random(seed).shuffle(deliveries)
    series = new_series(BEGIN)
    found: dict[int, int] = {}
    for number in deliveries:
        for window, energy_wh in advance(series, BEGIN + number, register_wh[number]):
            assert window not in found, "a window is told once"
            found[window] = energy_wh
        series = orjson.loads(orjson.dumps(series))  # a state goes through JSON in between
    assert found == {BEGIN + number: step_wh for number, step_wh in enumerate(steps_wh)}


def test_the_topic_has_every_delivery_under_its_station_in_the_order_of_the_station() -> None:
    cluster = Cluster(3 * STATION_METERS)
    block = next(iter(Workload(cluster, 3_000).blocks()))
    by_partition = keyed_messages(cluster, block, partitions=2)
    assert sum(map(len, by_partition)) == 3_000
    for station, name in enumerate(cluster.station):
        values = [value for key, value in by_partition[station % 2] if key == name.encode()]
        meters = cluster.meter.to_pylist()[station * STATION_METERS : (station + 1) * STATION_METERS]
        ours = cluster.series_meter[block.series] // STATION_METERS == station
        assert [orjson.loads(value)["value"] for value in values] == block.value_wh[ours].tolist()
        assert {orjson.loads(value)["meter"] for value in values} <= set(meters)


def test_what_the_peers_share_comes_to_the_totals_of_the_workload_and_one_wh_is_seen() -> None:
    workload = Workload(Cluster(STATION_METERS), 5_000, warm_rounds=1)
    blocks = [workload.warm_up(), *workload.blocks()]
    messages = [message for block in blocks for message in keyed_messages(workload.cluster, block, partitions=1)[0]]
    quarter_of = QuarterOfText()
    series_of: dict[tuple[str, str], Series] = {}
    energy_wh: dict[tuple[str, str, int], int] = {}
    for key, value in messages:
        reading = orjson.loads(value)
        series = series_of.setdefault((reading["meter"], reading["register"]), new_series(BEGIN))
        for window, wh in advance(series, quarter_of[reading["ts"]], reading["value"]):
            place = key.decode(), reading["register"], window
            energy_wh[place] = energy_wh.get(place, 0) + wh
    expected = expected_sums(workload)
    assert difference_wh(sums_of(energy_wh), expected) == 0
    assert len(expected) > 10
    energy_wh[next(iter(energy_wh))] += 1
    assert difference_wh(sums_of(energy_wh), expected) == 1
    assert difference_wh({}, expected) == sum(withdrawn + injected for withdrawn, injected in expected.values())


def test_an_instant_is_the_same_quarter_in_any_zone() -> None:
    quarter_of = QuarterOfText()
    assert quarter_of["2026-01-01T00:15:00Z"] == quarter_of["2026-01-01T01:15:00+01:00"] == BEGIN + 1


def test_job_and_outcome_come_through_their_json(tmp_path: Path) -> None:
    job = PeerJob("127.0.0.1:1", "topic", 5, START_S, 7_200, "folder", "outcome")
    assert PeerJob.from_json(job.to_json()) == job
    outcome = PeerOutcome(1.5, 2.5, 3, {("STATION-0", START_S): (4, 5)})
    outcome.write(tmp_path / "outcome")
    assert PeerOutcome.read(tmp_path / "outcome") == outcome


def test_a_wrong_answer_gets_no_speed() -> None:
    right = PeerRow("loop", "1", "", deliveries=1_000, seconds=2.0, cpu_seconds=1.0)
    wrong = PeerRow("loop", "1", "", deliveries=1_000, seconds=2.0, cpu_seconds=1.0, difference_wh=1)
    ended = PeerRow("loop", "1", "did not finish")
    cells = [dict(zip(COLUMNS, row.cells(), strict=True)) for row in (right, wrong, ended)]
    assert [row["readings_per_second"] for row in cells] == [500, None, None]
    assert [row["exact"] for row in cells] == [True, False, None]
    assert [row["difference_wh"] for row in cells] == [0, 1, None]


def test_names_are_checked_and_run_in_a_fixed_order() -> None:
    assert check_names(["kafka-streams", "bilans"]) == ("bilans", "kafka-streams")
    assert len(check_names([])) == 5
    with pytest.raises(BilansError, match="flink"):
        check_names(["flink"])


def test_kafka_streams_is_of_the_brokers_version() -> None:
    versions = {jar.coordinate.split(":")[1]: jar.coordinate.split(":")[2] for jar in [*read_lock(), *read_lock(LOCK)]}
    assert versions["kafka-streams"] == versions["kafka-clients"]
