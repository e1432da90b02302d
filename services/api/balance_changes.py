"""Messages of the topic `bilans.balance`: which windows of which zones a flush changed."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from shared.limits import QUARTER_S

Change = tuple[str, int, int]
"""A zone, and the start and end (seconds since 1970) of a run of windows that changed."""


def decode_changes(value: bytes) -> set[tuple[str, int]]:
    """The (zone, window start in seconds since 1970) that a message names. Raises ValueError when it is none."""
    with pa.ipc.open_stream(pa.py_buffer(value)) as reader:
        table = reader.read_all()
    starts = table.column("window_start").cast(pa.int64()).to_pylist()
    return set(zip(table.column("zone").to_pylist(), starts, strict=True))


def runs_of_windows(changed: set[tuple[str, int]]) -> Iterator[Change]:
    """The windows in `changed`, each once, those that follow one another as one run."""
    by_zone: dict[str, list[int]] = {}
    for zone, start_s in changed:
        by_zone.setdefault(zone, []).append(start_s)
    for zone, starts in sorted(by_zone.items()):
        ordered = np.sort(np.array(starts, np.int64))
        for run in np.split(ordered, np.flatnonzero(np.diff(ordered) != QUARTER_S) + 1):
            yield zone, int(run[0]), int(run[-1]) + QUARTER_S
