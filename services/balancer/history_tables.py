"""The tables of the work beside the log: recounts, memory changed by late readings, the late queue's batches."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
import numpy as np

from services.balancer.deferred import DeferredChanges, WindowChanges, packed_changes, unpacked_changes
from services.balancer.flush_content import HistoryFlush, Recount, RememberedSeries
from shared.balance.late import LateReadings, joined, unpacked
from shared.topics import READINGS

_KEEP_RECOUNT = """
INSERT INTO recount (partition, log_offset, topology_before, topology_after, windows, next_slot, content)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (partition, log_offset) DO UPDATE SET windows = excluded.windows, next_slot = excluded.next_slot
"""
_KEEP_SERIES = """
INSERT INTO series_memory (partition, slot, history_step, next_offset, content) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (partition, slot) DO UPDATE SET history_step = excluded.history_step, next_offset = excluded.next_offset,
    content = excluded.content
"""

NOTHING_WAITS = 2**62
"""The first message of an empty late queue: one that never comes."""


@dataclass(frozen=True, slots=True)
class LateBatch:
    """The begin of a partition's late queue."""

    begin: int
    """Its first message."""
    until: int
    """Its last one."""
    late: LateReadings
    """In the order of the log."""


async def write_history(connection: asyncpg.Connection, partition: int, history: HistoryFlush) -> None:
    """Writes what a flush has of it, in the flush's transaction."""
    if history.drained_until is not None:
        await connection.execute(
            "DELETE FROM late_queue WHERE partition = $1 AND log_offset <= $2", partition, history.drained_until
        )
    if history.remembered:
        step = history.after.step
        rows = [(partition, one.slot, step, one.next_offset, one.content) for one in history.remembered]
        await connection.executemany(_KEEP_SERIES, rows)
    await connection.execute(
        "DELETE FROM deferred_change WHERE partition = $1 AND id <= $2", partition, history.deferred_done
    )
    for recount in history.recounts:
        if recount.slots_to_go:
            await connection.execute(
                _KEEP_RECOUNT,
                partition,
                recount.log_offset,
                recount.topology_before,
                recount.topology_after,
                recount.slots_to_go,
                recount.next_slot,
                _packed(recount),
            )
        else:
            await connection.execute(
                "DELETE FROM recount WHERE partition = $1 AND log_offset = $2", partition, recount.log_offset
            )


async def defer_changes(connection: asyncpg.Connection, partition: int, parts: Sequence[WindowChanges]) -> None:
    """Keeps what a flush puts off, in its transaction."""
    await connection.executemany(
        "INSERT INTO deferred_change (partition, windows, content) VALUES ($1, $2, $3)",
        [(partition, len(part), packed_changes(part)) for part in parts],
    )


async def read_deferred(connection: asyncpg.Connection, partition: int, after: int) -> DeferredChanges | None:
    """The partition's next changes that were put off; None when there are none."""
    row = await connection.fetchrow(
        "SELECT id, content FROM deferred_change WHERE partition = $1 AND id > $2 ORDER BY id LIMIT 1", partition, after
    )
    return None if row is None else DeferredChanges(row["id"], unpacked_changes(row["content"]))


async def read_recounts(connection: asyncpg.Connection, partition: int) -> list[Recount]:
    """The partition's recounts that are not done, in the order of the log."""
    rows = await connection.fetch("SELECT * FROM recount WHERE partition = $1 ORDER BY log_offset", partition)
    return [_recount(row) for row in rows]


async def read_remembered(connection: asyncpg.Connection, partition: int, after_step: int) -> list[RememberedSeries]:
    """The series whose memory late readings changed after history step `after_step`."""
    rows = await connection.fetch(
        "SELECT slot, next_offset, content FROM series_memory WHERE partition = $1 AND history_step > $2",
        partition,
        after_step,
    )
    return [RememberedSeries(row["slot"], row["next_offset"], row["content"]) for row in rows]


async def read_waiting_from(
    connection: asyncpg.Connection, partition: int, recount_offset: int, queue_begin: int
) -> int | None:
    """The queue's first message from `queue_begin` on, or NOTHING_WAITS; None while the recount is not in its table."""
    begin: int | None = await connection.fetchval(
        """
        SELECT coalesce(
            (SELECT min(log_offset) FROM late_queue WHERE partition = $1 AND log_offset >= $4), $3::bigint
        ) FROM recount WHERE partition = $1 AND log_offset = $2
        """,
        partition,
        recount_offset,
        NOTHING_WAITS,
        queue_begin,
    )
    return begin


async def read_late_batch(
    connection: asyncpg.Connection, partition: int, span: tuple[int, int], until: int | None, readings_max: int
) -> LateBatch | None:
    """The next batch: whole messages in `span` (half open) of about `readings_max` readings, one at least.

    Of a message that is flushed in parts the queue may have the first part only, while the flush of the rest is under
    way. It is whole once `progress` has passed it. `until` is the last message of a batch that is under way already.
    None when there is none.
    """
    last = until
    if last is None:
        last = await connection.fetchval(
            """
            SELECT max(log_offset) FROM (
                SELECT log_offset, sum(readings) OVER (ORDER BY log_offset, position) - readings AS before
                FROM late_queue WHERE partition = $1 AND log_offset >= $2 AND log_offset < least(
                    $3, (SELECT next_offset FROM progress WHERE topic = $5 AND partition = $1)
                )
            ) AS waiting WHERE before < $4
            """,
            partition,
            *span,
            readings_max,
            READINGS,
        )
    if last is None:
        return None
    rows = await connection.fetch(
        "SELECT log_offset, content FROM late_queue WHERE partition = $1 AND log_offset >= $2 AND log_offset <= $3"
        " ORDER BY log_offset, position",
        partition,
        span[0],
        last,
    )
    if not rows:
        return None
    late = joined([unpacked(row["log_offset"], row["content"]) for row in rows])
    return LateBatch(rows[0]["log_offset"], last, late)


def _packed(recount: Recount) -> bytes:
    return recount.slot.astype("<i4").tobytes() + recount.since_s.astype("<i8").tobytes()


def _recount(row: asyncpg.Record) -> Recount:
    content: bytes = row["content"]
    count = len(content) // 12
    return Recount(
        row["log_offset"],
        row["topology_before"],
        row["topology_after"],
        slot=np.frombuffer(content, "<i4", count).astype(np.int32),
        since_s=np.frombuffer(content, "<i8", count, 4 * count).astype(np.int64),
        next_slot=row["next_slot"],
    )
