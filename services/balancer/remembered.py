"""A series' memory packed for the table `series_memory`, taken and put back."""

import zlib

import numpy as np

from shared.balance.memory import SeriesMemory

_HELD = (("held_s", "<i8"), ("held_value", "<i8"), ("held_version", "<i4"))


def packed_series(memory: SeriesMemory, slot: int) -> bytes:
    """What the series at `slot` holds, and since when."""
    holds = int(memory.holds[slot])
    since_s = np.array([memory.since_s[slot]], "<i8")
    held = (getattr(memory, name)[slot, :holds].astype(dtype).tobytes() for name, dtype in _HELD)
    return zlib.compress(since_s.tobytes() + b"".join(held), level=1)


def put_back(memory: SeriesMemory, slot: int, content: bytes) -> None:
    """Makes the series at `slot` hold what `packed_series` wrote; its pace is left as it is."""
    plain = zlib.decompress(content)
    holds = (len(plain) - 8) // sum(np.dtype(dtype).itemsize for _, dtype in _HELD)
    memory.since_s[slot] = np.frombuffer(plain, "<i8", 1)[0]
    memory.holds[slot] = holds
    begin = 8
    for name, dtype in _HELD:
        column = np.frombuffer(plain, dtype, holds, begin)
        getattr(memory, name)[slot, :holds] = column
        begin += column.nbytes
