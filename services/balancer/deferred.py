"""Changes of windows that a flush puts off: one transaction may hold only so many rows (shared.limits.FLUSH_ROWS_MAX).

One reading that closes a gap of 400 days, or one meter's late years, may change more rows than a transaction can write
in its time. The flush that has them writes the newest, and the others into the table `deferred_change`; the partition's
owner adds them with its next flushes. They are differences, so it does not matter when.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from shared.balance.memory import Int32Array, Int64Array
from shared.database.tables import SUM_COLUMNS
from shared.limits import FLUSH_ROWS_MAX


@dataclass(frozen=True, slots=True)
class WindowChanges:
    """Differences of zones' sums. n rows."""

    zone_id: Int32Array
    """[n] the zone's permanent number."""
    window_s: Int64Array
    """[n] the window's start."""
    sums: Int64Array
    """[n, 25] in the order of SUM_COLUMNS."""

    def __len__(self) -> int:
        """How many rows."""
        return len(self.zone_id)


@dataclass(frozen=True, slots=True)
class DeferredChanges:
    """Changes that a flush before has put off, with their number in the table."""

    number: int
    changes: WindowChanges


def split(changes: WindowChanges, rows_max: int = FLUSH_ROWS_MAX) -> tuple[WindowChanges, list[WindowChanges]]:
    """What a flush writes now, the newest windows, and what it puts off: parts of at most `rows_max` rows."""
    if len(changes) <= rows_max:
        return changes, []
    order = np.argsort(-changes.window_s, kind="stable")
    parts = [
        WindowChanges(changes.zone_id[some], changes.window_s[some], changes.sums[some])
        for some in (order[first : first + rows_max] for first in range(0, len(order), rows_max))
    ]
    return parts[0], parts[1:]


def packed_changes(changes: WindowChanges) -> bytes:
    """The columns one after the other, little-endian, compressed: most sums of a row are 0."""
    columns = (changes.zone_id.astype("<i4"), changes.window_s.astype("<i8"), changes.sums.astype("<i8"))
    return zlib.compress(b"".join(column.tobytes() for column in columns), level=1)


def unpacked_changes(content: bytes) -> WindowChanges:
    """What `packed_changes` wrote."""
    plain = zlib.decompress(content)
    count = len(plain) // (4 + 8 + 8 * len(SUM_COLUMNS))
    return WindowChanges(
        np.frombuffer(plain, "<i4", count).astype(np.int32),
        np.frombuffer(plain, "<i8", count, 4 * count).astype(np.int64),
        np.frombuffer(plain, "<i8", count * len(SUM_COLUMNS), 12 * count).reshape(count, -1).astype(np.int64),
    )
