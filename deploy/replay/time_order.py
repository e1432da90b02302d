"""Readings in the order of their instants, in bounded memory: sorted runs, merged."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

RUN_READINGS = 8_000_000
"""Readings sorted in memory at once, some 200 MB and as much again while they are sorted. A file with more is
written in sorted runs of this size to a temporary folder, and the runs are merged."""


def in_order_of_time(
    batches: Iterator[pa.RecordBatch], chunk_readings: int, folder: Path, run_readings: int = RUN_READINGS
) -> Iterator[pa.RecordBatch]:
    """The readings of `batches` by `ts`, those of one instant in the order in which they came (a stable sort).

    Yields batches of about `chunk_readings`; `folder` takes runs that do not fit in memory. A reading without an
    instant comes first.
    """
    runs = _sorted_runs(batches, run_readings)
    first = next(runs, None)
    if first is None:
        return
    second = next(runs, None)
    if second is None:
        yield from _slices(first, chunk_readings)
        return
    mapped = [_on_disk(first, folder / "run-0.arrow"), _on_disk(second, folder / "run-1.arrow")]
    first = second = None  # a run that is on disk leaves memory
    for run in runs:
        mapped.append(_on_disk(run, folder / f"run-{len(mapped)}.arrow"))
    yield from _merge(mapped, chunk_readings)


def in_order_of_file(batches: Iterator[pa.RecordBatch], chunk_readings: int) -> Iterator[pa.RecordBatch]:
    """The readings of `batches` as they come, in batches of at most `chunk_readings`."""
    for batch in batches:
        yield from _slices(batch, chunk_readings)


def instants(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """The instants of `batch` in the unit of its `ts`; one that is null is earlier than all others."""
    return batch.column("ts").cast(pa.int64()).fill_null(np.iinfo(np.int64).min).to_numpy()  # type: ignore[no-any-return]


def _sorted_runs(batches: Iterator[pa.RecordBatch], run_readings: int) -> Iterator[pa.RecordBatch]:
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(len(part) for part in held) >= run_readings:
            yield _sorted(held)
            held = []
    if held:
        yield _sorted(held)


def _sorted(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    together = _concatenate(batches)
    keys = instants(together)
    if bool(np.all(keys[1:] >= keys[:-1])):
        return together
    return together.take(pa.array(np.argsort(keys, kind="stable")))


def _concatenate(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    table = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
    whole = table.to_batches()
    return whole[0] if whole else batches[0]


def _slices(batch: pa.RecordBatch, chunk_readings: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(batch), chunk_readings):
        yield batch.slice(start, chunk_readings)


def _on_disk(run: pa.RecordBatch, file: Path) -> pa.RecordBatch:
    """`run` written to `file` and mapped: only the pages that are read take memory."""
    with pa.ipc.new_file(file, run.schema) as writer:
        writer.write_batch(run)
    return pa.ipc.open_file(pa.memory_map(str(file))).get_batch(0)


def _merge(runs: list[pa.RecordBatch], chunk_readings: int) -> Iterator[pa.RecordBatch]:
    """Merges sorted runs: takes from each all readings up to the earliest instant at which one has given its share."""
    keys = [instants(run) for run in runs]
    taken = [0] * len(runs)
    share = max(1, chunk_readings // len(runs))
    while True:
        going = [k for k in range(len(runs)) if taken[k] < len(runs[k])]
        if not going:
            return
        until = min(keys[k][min(taken[k] + share, len(runs[k])) - 1] for k in going)
        parts = []
        for k in going:
            end = int(np.searchsorted(keys[k], until, side="right"))
            if end > taken[k]:
                parts.append(runs[k].slice(taken[k], end - taken[k]))
                taken[k] = end
        yield from _slices(_sorted(parts), chunk_readings)
