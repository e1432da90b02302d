"""Restatements: what a flush changed of windows that were closed already, told with the totals before and after.

A message of `bilans.balance` with the header `kind: restatement` is an Arrow stream (its buffers zstd) with a row for
each zone and window, each at most once in a flush:

- `zone`, and `window_start` (an instant in UTC);
- `revision`, as the API gives it: the sum of the partitions' revisions, now;
- `known_at`, the instant with which `as_of` finds these totals (rule 9);
- `before_NAME` and `after_NAME` for each sum of a partial row (`SUM_COLUMNS`: energy by kind, the pool, the boundary,
  the counts), added over all partitions. From them follows every figure of the API, before and after.

A window is closed once a revision of any of its partitions' rows stands. What fills it first is no restatement, also
when several partitions do so in one flush; nor is what a partition changes that has not closed the window yet, as may
be in event mode, where each has its own now. `after` is what the tables hold at this commit, `before` the same less
what this flush adds. When two balancers change the same window at the same instant, each tells its own change:
differences always add up, and the API has the totals.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from io import BytesIO

import asyncpg
import numpy as np
import pyarrow as pa

from services.balancer.binary_copy import from_binary_copy
from services.balancer.flush_content import PartitionFlush
from services.balancer.outgoing import OutgoingMessage
from shared.balance.memory import Int32Array, Int64Array
from shared.database.tables import SUM_COLUMNS
from shared.topics import BALANCE, RESTATEMENT

_MESSAGE_ROWS = 4_096
"""Rows of a message: under 2 MB before compression, far below what the log takes, and little in memory when many wait
in the outbox."""

# ruff: noqa: S608 — the statement is put together from the names of our own columns only.

_COLUMNS = (
    ("zone_id", "integer"),
    ("window_start", "timestamptz"),
    ("revision", "integer"),
    *((name, "bigint") for name in SUM_COLUMNS),
)
_CHANGED_WINDOWS = f"""
SELECT {", ".join(name for name, _ in _COLUMNS)} FROM partial
JOIN (SELECT DISTINCT zone_id, window_start FROM flush_change WHERE closed) AS changed USING (zone_id, window_start)
"""
"""All partitions' rows of the closed windows that the flush changed; they are added up here, which costs less."""


async def restatement_messages(
    connection: asyncpg.Connection, flushes: Sequence[PartitionFlush]
) -> list[OutgoingMessage]:
    """The messages of one flush, in its transaction, when its rows are written; `flush_change` holds its changes."""
    content = BytesIO()
    await connection.copy_from_query(_CHANGED_WINDOWS, output=content, format="binary")
    restated = await asyncio.to_thread(_restated, content.getvalue(), flushes)
    if not len(restated.revision):
        return []
    names = await connection.fetch(
        "SELECT zone_id, zone FROM zone_identity WHERE zone_id = ANY($1::integer[])",
        np.unique(restated.zone_id).tolist(),
    )
    known_at = await connection.fetchval("SELECT now()")
    zone = {row["zone_id"]: row["zone"] for row in names}
    partition = min(content.partition for content in flushes)
    return await asyncio.to_thread(_messages, restated, zone, known_at, partition)


@dataclass(frozen=True, slots=True)
class _Restated:
    """Windows that stood closed before the flush, over all partitions."""

    zone_id: Int64Array
    window_s: Int64Array
    revision: Int64Array
    before: Int64Array
    """[n, sums]"""
    after: Int64Array


def _restated(content: bytes, flushes: Sequence[PartitionFlush]) -> _Restated:
    rows = from_binary_copy(content, _COLUMNS)
    sums = np.stack([rows[name] for name in SUM_COLUMNS], axis=1)
    key, place = np.unique(_key(rows["zone_id"], rows["window_start"]), return_inverse=True)
    revision, after = np.zeros(len(key), np.int64), np.zeros((len(key), len(SUM_COLUMNS)), np.int64)
    np.add.at(revision, place, rows["revision"])
    np.add.at(after, place, sums)
    revisions_before, before = revision.copy(), after.copy()
    for flush in flushes:
        changed = _key(flush.zone_id, flush.window_s)
        place = np.searchsorted(key, changed)
        ours = key.take(place, mode="clip") == changed if len(key) else np.zeros(len(changed), np.bool_)
        np.subtract.at(revisions_before, place[ours], flush.closed[ours])
        np.subtract.at(before, place[ours], flush.sums[ours])
    stood = revisions_before > 0
    zone_id, window_s = key[stood] >> _WINDOW_BITS, key[stood] & ((1 << _WINDOW_BITS) - 1)
    return _Restated(zone_id, window_s, revision[stood], before[stood], after[stood])


_WINDOW_BITS = 40


def _key(zone_id: Int32Array, window_s: Int64Array) -> Int64Array:
    """Zone and window as one number."""
    return (zone_id.astype(np.int64) << _WINDOW_BITS) + window_s


def _messages(restated: _Restated, zone: dict[int, str], known_at: datetime, partition: int) -> list[OutgoingMessage]:
    ids, index = np.unique(restated.zone_id, return_inverse=True)
    names = pa.array([zone[zone_id] for zone_id in ids.tolist()], pa.string())
    columns = {
        "zone": pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), names),
        "window_start": pa.array(restated.window_s).cast(pa.timestamp("s", tz="UTC")),
        "revision": pa.array(restated.revision),
        "known_at": pa.array([known_at] * len(index), pa.timestamp("us", tz="UTC")),
    }
    for word, sums in (("before", restated.before), ("after", restated.after)):
        columns |= {f"{word}_{name}": pa.array(sums[:, k]) for k, name in enumerate(SUM_COLUMNS)}
    table = pa.table(columns)
    return [_message(table.slice(first, _MESSAGE_ROWS), partition) for first in range(0, len(table), _MESSAGE_ROWS)]


def _message(table: pa.Table, partition: int) -> OutgoingMessage:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    value = bytes(sink.getvalue())
    message_id = f"{RESTATEMENT}-{blake2b(value, digest_size=16).hexdigest()}"
    return OutgoingMessage(message_id, BALANCE, value, {"kind": RESTATEMENT}, topic_partition=partition)
