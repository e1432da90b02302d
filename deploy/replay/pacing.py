"""When a reading is due: as fast as it goes, or by the readings' own instants at a multiple of real time."""

import asyncio
import re
import time
from collections.abc import AsyncIterator

import numpy as np
import pyarrow as pa

from deploy.replay.time_order import instants
from shared.errors import BilansError

_PAUSE_S_MAX = 0.2
"""The longest sleep: a replay that is told to stop does so within it."""

UNITS_A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Of a timestamp, by the name of its unit."""


def parse_speed(text: str) -> float | None:
    """`max` as None, `realtime` as 1.0, `60x` as 60.0. Raises BilansError for anything else."""
    if text == "max":
        return None
    if text == "realtime":
        return 1.0
    factor = float(text[:-1]) if re.fullmatch(r"\d{1,9}(\.\d{1,6})?x", text, re.ASCII) else 0.0
    if factor <= 0:
        raise BilansError(f"--speed {text} is not understood.", "Give max, realtime, or a multiple like 60x.")
    return factor


async def paced(
    chunks: AsyncIterator[pa.RecordBatch], factor: float | None, stop: asyncio.Event
) -> AsyncIterator[pa.RecordBatch]:
    """The readings of `chunks`, in their order, none before it is due; ends early once `stop` is set.

    The first reading is due at once, each other one (its instant − the first one's)/`factor` later; one that is earlier
    than a reading before it is due with that one. `factor` None: all are due at once.
    """
    origin: int | None = None
    began = time.monotonic()
    latest = np.iinfo(np.int64).min
    async for chunk in chunks:
        if stop.is_set():
            return
        if factor is None:
            yield chunk
            continue
        due = np.maximum.accumulate(np.maximum(instants(chunk), latest))
        latest = due[-1]
        if origin is None:
            known = due[due > np.iinfo(np.int64).min]
            origin = int(known[0]) if len(known) else None
        units_a_second = UNITS_A_SECOND[chunk.column("ts").type.unit] * factor
        position = 0
        while position < len(chunk):
            now = origin + (time.monotonic() - began) * units_a_second if origin is not None else 0
            end = int(np.searchsorted(due, now, side="right"))
            if end > position:
                yield chunk.slice(position, end - position)
                position = end
            else:
                await asyncio.sleep(min((int(due[position]) - now) / units_a_second, _PAUSE_S_MAX))
            if stop.is_set():
                return
