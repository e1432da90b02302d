"""What is published, held against what must come out."""

from dataclasses import dataclass

import asyncpg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deploy.bench.cluster import Int64Array
from deploy.bench.workload import Expected
from shared.limits import QUARTER_S
from shared.topology.copy_columns import copy_out
from shared.words import SUMMED_KINDS

_EXPECTED = ("consumer_withdrawn_wh", "prosumer_withdrawn_wh", "prosumer_injected_wh")
"""In the order of `Expected.sums_wh`."""
_OTHERS = [
    name for kind in SUMMED_KINDS for name in (f"{kind}_withdrawn_wh", f"{kind}_injected_wh") if name not in _EXPECTED
]
_SUMS = ", ".join([*(f"sum({name})::bigint" for name in _EXPECTED), f"sum({' + '.join(_OTHERS)})::bigint"])


@dataclass(frozen=True, slots=True)
class Published:
    """What was found in PostgreSQL."""

    rows: int
    """Rows of `partial`: a zone's window in one partition."""
    difference_wh: int
    """Σ |published − expected| over all zones, windows and sums."""


async def compare_published(connection: asyncpg.Connection, expected: Expected) -> Published:
    """Sums the rows of all partitions as an answer does, and compares each sum."""
    rows = await copy_out(
        connection,
        # The names are those of our own columns.
        f"SELECT zone, extract(epoch FROM window_start)::bigint, {_SUMS}"  # noqa: S608
        " FROM partial JOIN zone_identity USING (zone_id) GROUP BY 1, 2",
        types={"zone": pa.string(), "window_s": pa.int64()} | {f"sum_{k}": pa.int64() for k in range(4)},
    )
    count = await connection.fetchval("SELECT count(*) FROM partial")
    return Published(int(count), _difference_wh(rows, expected))


def _difference_wh(rows: pa.Table, expected: Expected) -> int:
    found = np.stack([rows[f"sum_{k}"].to_numpy() for k in range(4)], axis=1)
    zone = pc.fill_null(pc.index_in(rows["zone"], value_set=pa.array(expected.zone)), -1).to_numpy().astype(np.int64)
    begin_s = int(expected.window_s[0]) if len(expected.window_s) else 0
    window = (rows["window_s"].to_numpy() - begin_s) // QUARTER_S
    known = (zone >= 0) & (window >= 0) & (window < len(expected.window_s))
    held: Int64Array = np.zeros((*expected.sums_wh.shape[:2], 4), np.int64)
    held[zone[known], window[known]] = found[known]
    held[:, :, :3] -= expected.sums_wh
    return int(np.abs(held).sum() + np.abs(found[~known]).sum())
