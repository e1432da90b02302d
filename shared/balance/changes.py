"""Changes of zones' sums: a table keyed by (zone, window) that a kernel adds to, and how it is read and emptied."""

from typing import NamedTuple

import numpy as np

from shared.balance.memory import Int32Array, Int64Array, Records
from shared.words import SUMMED_KINDS

POOL_DRAWN = 2 * len(SUMMED_KINDS)
POOL_INJECTED = POOL_DRAWN + 1
BOUNDARY = POOL_DRAWN + 2
BOUNDARY_KNOWN = POOL_DRAWN + 3
MEASURED = POOL_DRAWN + 4
ESTIMATED = POOL_DRAWN + 5
EXCLUDED = POOL_DRAWN + 6
SUMS = POOL_DRAWN + 7
"""A row of sums: 2 × kind + register first, then these. shared.database.tables.SUM_COLUMNS names them."""


RECENT_BITS = 12
RECENT_RECORD = np.dtype([("window_s", np.int64), ("zone", np.int32), ("row", np.int32)], align=True)
"""Of a zone the row that was used last: nearly always the one that is asked for next."""


class Changes(NamedTuple):
    """Rows of differences, found by open addressing. N rows at most, 2 N buckets (a power of two)."""

    used: Int64Array
    """[1] rows in use."""
    zone: Int32Array
    """[N] a zone's index or number."""
    window_s: Int64Array
    """[N] the window's start."""
    sums: Int64Array
    """[N, SUMS] what is to be added to the zone's sums in that window."""
    bucket: Int32Array
    """[2 N] a row's index, or -1."""
    recent: Records
    """[2^RECENT_BITS] a RECENT_RECORD at each zone's lowest bits; the kernel asks it before the buckets."""


def empty_changes(rows: int) -> Changes:
    """A table with room for `rows` rows; `rows` must be a power of two."""
    assert rows > 0 and rows & (rows - 1) == 0, rows
    return Changes(
        used=np.zeros(1, np.int64),
        zone=np.zeros(rows, np.int32),
        window_s=np.zeros(rows, np.int64),
        sums=np.zeros((rows, SUMS), np.int64),
        bucket=np.full(2 * rows, -1, np.int32),
        recent=_none_recent(),
    )


def _none_recent() -> Records:
    recent = np.zeros(1 << RECENT_BITS, RECENT_RECORD)
    recent["zone"] = -1
    return recent


def clear(changes: Changes) -> None:
    """Empties the table in place."""
    used = int(changes.used[0])
    changes.sums[:used] = 0
    changes.bucket[:] = -1
    changes.recent["zone"] = -1
    changes.used[0] = 0
