"""What the benchmarks send is what Bilans takes: each form holds the same readings, in the same order."""

import json

import numpy as np
import pyarrow as pa
import pytest

from deploy.bench.cluster import Cluster
from deploy.bench.encode import Places, arrow_body, json_messages, log_messages, ndjson_body
from deploy.bench.workload import Deliveries, Workload
from shared.instants import format_instant
from shared.readings_message import READINGS_HEADERS, ReadingColumns, decode_message

CLUSTER = Cluster(450)


def sent() -> Deliveries:
    return next(Workload(CLUSTER, 2_000).blocks())


def as_readings(deliveries: Deliveries) -> list[dict[str, object]]:
    """Each delivery as the design's JSON reading says it."""
    return [
        {
            "meter": CLUSTER.meter[int(CLUSTER.series_meter[series])].as_py(),
            "register": "2.8.0" if CLUSTER.series_injected[series] else "1.8.0",
            "ts": format_instant(ts_s),
            "value": value,
        }
        for series, ts_s, value in zip(
            deliveries.series.tolist(), deliveries.ts_s.tolist(), deliveries.value_wh.tolist(), strict=True
        )
    ]


@pytest.mark.parametrize("per_message", [1, 7, 100, 5_000])
def test_json_messages_hold_the_readings_in_order(per_message: int) -> None:
    messages = json_messages(CLUSTER, sent(), per_message)
    lines = [message.splitlines() for message in messages]
    assert all(len(some) == per_message for some in lines[:-1])
    assert [json.loads(line) for some in lines for line in some] == as_readings(sent())


def test_bodies_hold_the_readings_in_order() -> None:
    assert [json.loads(line) for line in ndjson_body(CLUSTER, sent()).splitlines()] == as_readings(sent())
    table = pa.ipc.open_stream(arrow_body(CLUSTER, sent())).read_all()
    rows = [row | {"ts": row["ts"].strftime("%Y-%m-%dT%H:%M:%SZ")} for row in table.to_pylist()]
    assert rows == as_readings(sent())


def test_messages_of_the_log_hold_each_reading_once_in_its_partition_and_in_order() -> None:
    partition = (CLUSTER.series_meter // 200 % 3).astype(np.int16)
    slot = np.zeros(CLUSTER.series, np.int32)
    for number in range(3):
        ours = np.flatnonzero(partition == number)
        slot[ours] = np.random.default_rng(number).permutation(len(ours))
    places = Places(partition, slot)
    found: dict[int, list[tuple[int, int, int]]] = {0: [], 1: [], 2: []}
    for number, value in log_messages(places, sent(), 300):
        columns = decode_message(READINGS_HEADERS, value)
        assert isinstance(columns, ReadingColumns)
        assert len(columns) <= 300
        series = places.inverse(number)[columns.slot]
        found[number] += zip(series.tolist(), columns.ts_s.tolist(), columns.value.tolist(), strict=True)
    for number in range(3):
        here = sent().take(np.flatnonzero(partition[sent().series] == number))
        assert found[number] == list(zip(here.series.tolist(), here.ts_s.tolist(), here.value_wh.tolist(), strict=True))
