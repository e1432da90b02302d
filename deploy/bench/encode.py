"""Deliveries in the forms in which Bilans takes them: JSON lines, Arrow streams, messages of the log."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from deploy.bench.cluster import Cluster, Int64Array
from deploy.bench.workload import Deliveries
from shared.limits import MESSAGE_READINGS_MAX
from shared.readings_message import ReadingColumns, encode_readings
from shared.topology.index import Topology


def json_lines(cluster: Cluster, deliveries: Deliveries) -> tuple[memoryview, npt.NDArray[np.int32]]:
    """The deliveries as JSON (design section 5), a line each, and where each line begins; the last entry is the end."""
    instants = pc.strftime(pa.array(deliveries.ts_s).cast(pa.timestamp("s")), format="%Y-%m-%dT%H:%M:%SZ")
    lines = pc.binary_join_element_wise(
        '{"meter":"',
        cluster.meter.take(pa.array(cluster.series_meter[deliveries.series])),
        '","register":"',
        pa.array(cluster.register).take(pa.array(cluster.series_injected[deliveries.series].astype(np.int8))),
        '","ts":"',
        instants,
        '","value":',
        pa.array(deliveries.value_wh).cast(pa.string()),
        "}\n",
        "",
    )
    _, offsets, text = lines.buffers()
    return memoryview(text), np.frombuffer(offsets, np.int32)[: len(lines) + 1]


def json_messages(cluster: Cluster, deliveries: Deliveries, per_message: int) -> list[bytes]:
    """Values of messages of `bilans.readings.json`, `per_message` lines each."""
    text, offsets = json_lines(cluster, deliveries)
    edges = [*offsets[: len(deliveries) : per_message].tolist(), int(offsets[-1])]
    return [bytes(text[begin : end - 1]) for begin, end in pairwise(edges)]


def ndjson_body(cluster: Cluster, deliveries: Deliveries) -> bytes:
    """A body of `application/x-ndjson`."""
    text, offsets = json_lines(cluster, deliveries)
    return bytes(text[: offsets[-1]])


def arrow_body(cluster: Cluster, deliveries: Deliveries) -> bytes:
    """A body of `application/vnd.apache.arrow.stream`, names as dictionaries of those that are used."""
    meters, place = np.unique(cluster.series_meter[deliveries.series], return_inverse=True)
    injected = cluster.series_injected[deliveries.series].astype(np.int32)
    batch = pa.record_batch(
        {
            "meter": pa.DictionaryArray.from_arrays(pa.array(place.astype(np.int32)), cluster.meter.take(meters)),
            "register": pa.DictionaryArray.from_arrays(pa.array(injected), pa.array(cluster.register)),
            "ts": pa.array(deliveries.ts_s).cast(pa.timestamp("s", tz="UTC")),
            "value": pa.array(deliveries.value_wh),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


@dataclass(frozen=True, slots=True)
class Places:
    """Where each series of a cluster stands in the log."""

    partition: npt.NDArray[np.int16]
    slot: npt.NDArray[np.int32]

    def inverse(self, partition: int) -> Int64Array:
        """The series of each slot of a partition."""
        series = np.flatnonzero(self.partition == partition)
        by_slot = np.full(int(self.slot[series].max(initial=-1)) + 1, -1, np.int64)
        by_slot[self.slot[series]] = series
        return by_slot


def places_of(cluster: Cluster, topology: Topology) -> Places:
    """The places that a loaded topology has given to the series of `cluster`; other meters' are left out."""
    number = np.array(pc.index_in(pa.array(topology.meter), value_set=cluster.meter).fill_null(-1), np.int64)
    meter = number[topology.series_meter]
    ours = meter >= 0
    series = cluster.series_of(meter, topology.series_register)[ours]
    places = Places(np.zeros(cluster.series, np.int16), np.zeros(cluster.series, np.int32))
    places.partition[series] = topology.series_partition[ours]
    places.slot[series] = topology.series_slot[ours]
    return places


def log_messages(
    places: Places, deliveries: Deliveries, readings_max: int = MESSAGE_READINGS_MAX
) -> Iterator[tuple[int, bytes]]:
    """Partition and value of messages of `bilans.readings`, as ingest writes them: of one partition, in order, full."""
    partition = places.partition[deliveries.series]
    order = np.argsort(partition, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(partition[order])) + 1):
        for begin in range(0, len(rows), readings_max):
            some = rows[begin : begin + readings_max]
            series = deliveries.series[some]
            columns = ReadingColumns(
                slot=places.slot[series],
                ts_s=deliveries.ts_s[some],
                value=deliveries.value_wh[some],
                version=np.zeros(len(some), np.int32),
            )
            yield int(partition[some[0]]), encode_readings(columns)
