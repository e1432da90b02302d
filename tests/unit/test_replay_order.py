"""The order of a replay: by the readings' instants, stable, whatever the size of the runs that fit in memory."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from deploy.replay.sender import encode_lanes
from deploy.replay.time_order import in_order_of_file, in_order_of_time, instants

METERS = ("a", "b", "c", "d", "e")
READING = st.tuples(st.sampled_from(METERS), st.integers(0, 12) | st.none())


def batch_of(readings: list[tuple[str, int | None]], first_value: int = 0) -> pa.RecordBatch:
    """Readings (meter, instant) whose values say in which order they came."""
    return pa.RecordBatch.from_arrays(
        [
            pa.array([meter for meter, _ in readings], pa.string()).dictionary_encode(),
            pa.array(["1.8.0"] * len(readings)).dictionary_encode(),
            pa.array([instant for _, instant in readings], pa.timestamp("s", tz="UTC")),
            pa.array(range(first_value, first_value + len(readings)), pa.int64()),
        ],
        names=["meter", "register", "ts", "value"],
    )


def values_of(batches: list[pa.RecordBatch]) -> list[int]:
    return [value for batch in batches for value in batch.column("value").to_pylist()]


@given(st.lists(st.lists(READING, min_size=1, max_size=20), max_size=8), st.integers(1, 40), st.integers(1, 9))
def test_time_order_is_a_stable_sort_however_many_runs(
    parts: list[list[tuple[str, int | None]]], run_readings: int, chunk_readings: int
) -> None:
    readings = [reading for part in parts for reading in part]
    firsts = np.cumsum([0, *(len(part) for part in parts)])
    batches = [batch_of(part, int(first)) for part, first in zip(parts, firsts, strict=False)]
    with tempfile.TemporaryDirectory() as folder:
        found = list(in_order_of_time(iter(batches), chunk_readings, Path(folder), run_readings))
    expected = sorted(range(len(readings)), key=lambda k: (readings[k][1] is not None, readings[k][1] or 0))
    assert values_of(found) == expected
    assert all(len(batch) <= chunk_readings for batch in found)
    meters = [meter for batch in found for meter in batch.column("meter").to_pylist()]
    assert meters == [readings[k][0] for k in expected]


def test_file_order_keeps_the_file() -> None:
    batch = batch_of([("a", 5), ("b", 1), ("a", None), ("a", 0)])
    assert values_of(list(in_order_of_file(iter([batch]), 3))) == [0, 1, 2, 3]


def test_an_instant_that_is_null_comes_before_all_others() -> None:
    assert instants(batch_of([("a", None), ("a", 0)])).tolist() == [np.iinfo(np.int64).min, 0]


@given(st.lists(READING, max_size=60), st.integers(1, 4))
def test_lanes_hold_every_reading_once_and_each_meter_in_its_order(
    readings: list[tuple[str, int | None]], lanes: int
) -> None:
    requests = encode_lanes(batch_of(readings), lanes, split_from=1)
    streams = [pa.ipc.open_stream(body).read_all() for _, body in requests]
    assert [len(stream) for stream in streams] == [count for count, _ in requests]
    assert sorted(value for stream in streams for value in stream["value"].to_pylist()) == list(range(len(readings)))
    lane_of: dict[str, int] = {}
    for lane, stream in enumerate(streams):
        values = stream["value"].to_pylist()
        assert values == sorted(values)
        for meter in set(stream["meter"].to_pylist()):
            assert lane_of.setdefault(meter, lane) == lane


def test_a_request_carries_only_the_names_it_uses() -> None:
    names = pa.array([f"meter-{k}" for k in range(1_000)])
    whole = batch_of([("a", 1), ("b", 2)])
    column = pa.DictionaryArray.from_arrays(pa.array([7, None], pa.int32()), names)
    batch = pa.RecordBatch.from_arrays([column, *whole.columns[1:]], names=whole.schema.names)
    ((_, body),) = encode_lanes(batch)
    stream = pa.ipc.open_stream(body).read_all()
    assert stream["meter"].to_pylist() == ["meter-7", None]
    assert len(body) < 2_000
