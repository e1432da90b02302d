"""A series' memory packed for the table `series_memory`, taken and put back."""

import zlib

import numpy as np

from shared.balance.held import held_readings, keep_before, put_held, with_more_room
from shared.balance.memory import HELD_RECORD, SeriesMemory

_HELD = (("ts_s", "<i8"), ("value", "<i8"), ("version", "<i4"))


def packed_series(memory: SeriesMemory, slot: int) -> bytes:
    """What the series at `slot` holds, and since when."""
    since_s = np.array([memory.since_s[slot]], "<i8")
    held = held_readings(memory, np.array([slot]))
    return zlib.compress(since_s.tobytes() + b"".join(held[name].astype(dtype).tobytes() for name, dtype in _HELD), 1)


def put_back(memory: SeriesMemory, slot: int, content: bytes) -> SeriesMemory:
    """Makes the series at `slot` hold what `packed_series` wrote, its pace left as it is.

    Returns the memory, or a larger one.
    """
    plain = zlib.decompress(content)
    holds = (len(plain) - 8) // sum(np.dtype(dtype).itemsize for _, dtype in _HELD)
    while memory.capacity < holds:
        memory = with_more_room(memory)
    keep_before(memory, slot)
    memory.since_s[slot] = np.frombuffer(plain, "<i8", 1)[0]
    readings = np.zeros(holds, HELD_RECORD)
    begin = 8
    for name, dtype in _HELD:
        column = np.frombuffer(plain, dtype, holds, begin)
        readings[name] = column
        begin += column.nbytes
    memory.holds[slot] = holds
    put_held(memory, np.array([slot]), readings)
    return memory
