"""Late readings: those over 48 hours behind their series' newest, which wait in the partition's queue (rule 11)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.balance.memory import Int32Array, Int64Array
from shared.limits import MEMORY_S

_PACKED = (("position", "<i4"), ("slot", "<i4"), ("ts_s", "<i8"), ("value", "<i8"), ("version", "<i4"))


@dataclass(frozen=True, slots=True)
class LateReadings:
    """Readings of the late queue with their places in the log, a column each, all of the same length."""

    log_offset: Int64Array
    position: Int32Array
    slot: Int32Array
    ts_s: Int64Array
    value: Int64Array
    version: Int32Array

    def __len__(self) -> int:
        """How many readings."""
        return len(self.slot)

    def take(self, order: npt.NDArray[np.intp] | slice) -> "LateReadings":
        """The readings at the places in `order`."""
        return LateReadings(
            self.log_offset[order],
            self.position[order],
            self.slot[order],
            self.ts_s[order],
            self.value[order],
            self.version[order],
        )


def joined(parts: list[LateReadings]) -> LateReadings:
    """All readings of `parts`, which are not none, in their order."""
    return LateReadings(
        log_offset=np.concatenate([part.log_offset for part in parts]),
        position=np.concatenate([part.position for part in parts]),
        slot=np.concatenate([part.slot for part in parts]),
        ts_s=np.concatenate([part.ts_s for part in parts]),
        value=np.concatenate([part.value for part in parts]),
        version=np.concatenate([part.version for part in parts]),
    )


def packed(readings: LateReadings) -> bytes:
    """The columns but the offset, one after the other, little-endian: 28 bytes a reading."""
    return b"".join(getattr(readings, name).astype(dtype).tobytes() for name, dtype in _PACKED)


def unpacked(log_offset: int, content: bytes) -> LateReadings:
    """What `packed` wrote of the message at `log_offset`."""
    count = len(content) // sum(np.dtype(dtype).itemsize for _, dtype in _PACKED)
    columns: dict[str, npt.NDArray[np.int32 | np.int64]] = {}
    begin = 0
    for name, dtype in _PACKED:
        column = np.frombuffer(content, dtype, count, begin)
        begin += column.nbytes
        columns[name] = column.astype(column.dtype.newbyteorder("="))
    return LateReadings(np.full(count, log_offset, np.int64), **columns)  # type: ignore[arg-type]


def late_flags(slot: Int32Array, ts_s: Int64Array, memory_s: int = MEMORY_S) -> npt.NDArray[np.bool_]:
    """Which of a log's readings were late when they came: behind the newest before them by more than `memory_s`.

    The readings are in the order of (slot, place in the log), from each series' first on. What is late is a function of
    the log alone, so it need be kept nowhere.
    """
    if len(slot) == 0:
        return np.zeros(0, np.bool_)
    # A running maximum within each series: each one's instants are lifted above all those of the one before.
    number = np.cumsum(np.r_[False, slot[1:] != slot[:-1]]).astype(np.int64)
    low_s = int(ts_s.min())
    span_s = int(ts_s.max()) - low_s + 1
    newest = np.maximum.accumulate(number * span_s + (ts_s - low_s))
    return np.asarray(number * span_s + (ts_s - low_s) < newest - memory_s)
