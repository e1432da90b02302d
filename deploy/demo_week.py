"""The demo's readings: a week, and then the same week again and again, each seven days later."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from deploy.replay.reading_file import open_reading_file
from deploy.replay.time_order import in_order_of_time, instants
from shared.words import Register

WEEK_S = 7 * 86_400
CHUNK_READINGS = 65_536
WEEK_READINGS_MAX = 50_000_000
"""A week of 50 million readings takes 1.3 GB; the bundled one has five."""
_CUMULATIVE = (Register.WITHDRAWN, Register.INJECTED)


def endless_weeks(readings_file: Path) -> Iterator[pa.RecordBatch]:
    """The readings of `readings_file` in the order of time, then the same week after week without an end.

    In each later week the instants are seven days on, and each 1.8.0 and 2.8.0 is raised by its week's energy (its
    last value − its first), so that registers go on counting; power and state of charge repeat. The week's first
    instant is the last one of the week before, so it is given once only. All of the week is held in memory.
    """
    file = open_reading_file(readings_file)
    unused = readings_file.parent  # for runs on disk, which come only beyond WEEK_READINGS_MAX
    week = list(in_order_of_time(file.batches(), CHUNK_READINGS, unused, WEEK_READINGS_MAX))
    yield from week
    raises = _energy_of_the_week(week)
    begins_at = instants(week[0])[0]
    number = 0
    while True:
        number += 1
        for chunk, raise_wh in zip(week, raises, strict=True):
            repeated = chunk.filter(pa.array(instants(chunk) > begins_at))
            kept = raise_wh[len(chunk) - len(repeated) :]  # the first instant is at the front: readings are in order
            yield _later(repeated, number, kept)


def _later(chunk: pa.RecordBatch, weeks: int, raise_wh: npt.NDArray[np.int64]) -> pa.RecordBatch:
    moved = pc.add(chunk.column("ts"), pa.scalar(weeks * WEEK_S, pa.duration("s")))
    raised = pa.array(chunk.column("value").to_numpy() + weeks * raise_wh)
    columns = {"ts": moved.cast(chunk.schema.field("ts").type), "value": raised}
    arrays = [columns.get(name, chunk.column(name)) for name in chunk.schema.names]
    return pa.RecordBatch.from_arrays(arrays, names=chunk.schema.names)


def _energy_of_the_week(week: list[pa.RecordBatch]) -> list[npt.NDArray[np.int64]]:
    """For each chunk, what each of its readings rises by from one week to the next, Wh (0 where nothing is counted)."""
    registers = {name for chunk in week for name in chunk.column("register").dictionary.to_pylist()}
    register_number = {name: number for number, name in enumerate(sorted(registers))}
    series = [_series_numbers(chunk, register_number) for chunk in week]
    count = max(int(numbers.max()) for numbers in series) + 1
    first, last = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    for numbers, chunk in zip(reversed(series), reversed(week), strict=True):
        first[numbers[::-1]] = chunk.column("value").to_numpy()[::-1]  # of several the one assigned last stands
    for numbers, chunk in zip(series, week, strict=True):
        last[numbers] = chunk.column("value").to_numpy()
    counted = np.zeros(len(register_number), dtype=bool)
    counted[[number for name, number in register_number.items() if name in _CUMULATIVE]] = True
    rise = np.where(counted[np.arange(count) % len(register_number)], last - first, 0)
    return [rise[numbers] for numbers in series]


def _series_numbers(chunk: pa.RecordBatch, register_number: dict[str, int]) -> npt.NDArray[np.int64]:
    """A number for each reading's series: meter code × registers + register number."""
    register = chunk.column("register")
    numbers = np.array([register_number[name] for name in register.dictionary.to_pylist()], dtype=np.int64)
    meter_codes = chunk.column("meter").indices.to_numpy().astype(np.int64)
    places: npt.NDArray[np.int64] = meter_codes * len(register_number) + numbers[register.indices.to_numpy()]
    return places
