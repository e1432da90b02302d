"""From what was sent and what was seen to times: of a sample, how long until it was live and until committed. Pure.

A sample is a station whose readings of one round are all in one request. Live it is with the station's first record
whose newest reading is of that round or a later one; committed with the first progress past its message in the log.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deploy.bench.cluster import STATION_METERS, Cluster, Int64Array

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples, a column each."""

    station: Int64Array
    reading: Int64Array
    """The number of the station's first reading of the round, in the undisturbed stream."""
    request: Int64Array
    """The place of its request among those that were sent."""

    def from_request(self, first: int) -> "Samples":
        """Without those of requests before `first`."""
        kept = self.request >= first
        return Samples(self.station[kept], self.reading[kept], self.request[kept])


def choose_samples(cluster: Cluster, first_reading: int, requests: int, per_request: int) -> Samples:
    """All stations and rounds whose readings are in one of the requests, whole."""
    begins = np.searchsorted(cluster.series_meter, np.arange(cluster.stations) * STATION_METERS)
    counts = np.diff(np.r_[begins, cluster.series])
    end = first_reading + requests * per_request
    rounds = np.arange(first_reading // cluster.series, end // cluster.series + 1)
    reading = (rounds[:, None] * cluster.series + begins[None, :]).ravel()
    last = reading + np.tile(counts, len(rounds)) - 1
    request = (reading - first_reading) // per_request
    whole = (reading >= first_reading) & (last < end) & ((last - first_reading) // per_request == request)
    station = np.tile(np.arange(cluster.stations), len(rounds))
    return Samples(station[whole], reading[whole], request[whole])


def first_live_s(
    samples: Samples, instant_s: Int64Array, station: Int64Array, newest_s: Int64Array, at_s: Float64Array
) -> Float64Array:
    """When each sample, read at `instant_s`, was first live; NaN where it never was.

    `station`, `newest_s` and `at_s` are of the live records in the order in which they came.
    """
    found = np.full(len(samples.station), np.nan)
    order = np.argsort(station, kind="stable")
    begins = np.searchsorted(station[order], np.arange(int(samples.station.max(initial=-1)) + 2))
    for number in np.unique(samples.station).tolist():
        records = order[begins[number] : begins[number + 1]]
        ours = np.flatnonzero(samples.station == number)
        found[ours] = _first_reached(np.maximum.accumulate(newest_s[records]), at_s[records], instant_s[ours])
    return found


def first_committed_s(
    partition: Int64Array,
    offset: Int64Array,
    progress_partition: Int64Array,
    progress_offset: Int64Array,
    progress_at_s: Float64Array,
) -> Float64Array:
    """When each message at `offset` of `partition` was first seen committed; NaN where it never was."""
    found = np.full(len(partition), np.nan)
    for number in np.unique(partition).tolist():
        moves = np.flatnonzero(progress_partition == number)
        ours = np.flatnonzero(partition == number)
        reached = np.maximum.accumulate(progress_offset[moves])
        found[ours] = _first_reached(reached, progress_at_s[moves], offset[ours] + 1)
    return found


def _first_reached(reached: Int64Array, at_s: Float64Array, wanted: Int64Array) -> Float64Array:
    """`at_s` of the first of `reached` (ascending) that is `wanted` or more; NaN where none is."""
    first_s: Float64Array = np.r_[at_s, np.nan][np.searchsorted(reached, wanted, side="left")]
    return first_s
