"""Latency from what was sent and what was seen: whole stations are samples, and the first that has one counts."""

import numpy as np

from deploy.bench.cluster import Cluster
from deploy.bench.latency_samples import Samples, choose_samples, first_committed_s, first_live_s
from deploy.bench.open_loop import OpenLoop


def test_samples_are_the_stations_whose_readings_are_in_one_request() -> None:
    cluster = Cluster(600)  # three stations of 250 series
    samples = choose_samples(cluster, cluster.series, requests=5, per_request=500)
    assert samples.reading.tolist() == [750, 1000, 1250, 1500, 1750, 2000, 2250, 2500, 2750, 3000]
    assert samples.station.tolist() == [0, 1, 2] * 3 + [0]
    assert samples.request.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert samples.from_request(4).reading.tolist() == [2750, 3000]
    straddling = choose_samples(cluster, cluster.series, requests=5, per_request=400)
    assert straddling.reading.tolist() == [750, 1250, 2000, 2500]


def test_live_is_the_first_record_that_is_of_that_instant_or_later() -> None:
    samples = Samples(*(np.array(column) for column in ([1, 1, 1, 0], [10, 11, 12, 13], [0, 1, 2, 3])))
    instant_s = np.array([900, 1800, 2700, 900])
    station = np.array([1, 0, 1, 1, 1])
    newest_s = np.array([0, 900, 900, 1800, 1800])
    at_s = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    found = first_live_s(samples, instant_s, station, newest_s, at_s)
    assert found[[0, 1, 3]].tolist() == [3.0, 4.0, 2.0]
    assert np.isnan(found[2])


def test_committed_is_the_first_progress_past_the_message() -> None:
    partition, offset = np.array([0, 0, 2, 2, 1]), np.array([4, 5, 0, 9, 3])
    progress = np.array([0, 2, 0, 2]), np.array([5, 1, 7, 9]), np.array([1.0, 2.0, 3.0, 4.0])
    found = first_committed_s(partition, offset, *progress)
    assert found[:3].tolist() == [1.0, 3.0, 2.0]
    assert np.isnan(found[3:]).all()


def test_an_open_loop_sends_each_reading_once_in_order() -> None:
    loop = OpenLoop("http://127.0.0.1:1", "ndjson", 600, first_reading=750, requests=4, per_request=300, interval_s=0.1)
    lines = [line for body in loop.bodies() for line in body.splitlines()]
    assert len(lines) == len(set(lines)) == 1200
    assert b'"meter":"590322000000000000"' in lines[0]
    assert b'"ts":"2026-01-01T00:15:00Z"' in lines[0]
    assert lines[750].replace(b"00:30:00Z", b"00:15:00Z").split(b'"value"')[0] == lines[0].split(b'"value"')[0]
