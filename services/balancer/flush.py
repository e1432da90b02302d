"""The flush: what changed since the last one goes to PostgreSQL in one transaction (design section 7).

The steps, numbered as in the design and in the comments below:

1. on assignment, once: the partition's `owner_epoch` is raised and read together with `next_offset` (`take_over`);
2. each partition's `next_offset` is moved, in ascending order of partition, where epoch and offset are still ours;
3. partial rows get their differences added, ended windows their revision, the books their deliveries, and the late
   queue its readings;
4. outgoing messages go to the outbox, among them what became of windows that were closed (restatements.py);
5. commit. When the answer to it is lost, the progress row tells what became of it (`was_committed`).

Differences are added rather than totals written: a flush that is repeated or comes from a replaced owner changes
nothing since step 2 does not let it pass, and a window of any age is treated alike.
"""

import asyncio
from collections.abc import Sequence

import asyncpg
import numpy as np
import orjson

from services.balancer.binary_copy import Column, binary_copy
from services.balancer.flush_content import HistoryProgress, LogPlace, NotOwnerError, Ownership, PartitionFlush
from services.balancer.history_tables import defer_changes, read_recounts, write_history
from services.balancer.outgoing import OutgoingMessage
from services.balancer.restatements import restatement_messages
from shared.balance.late import LateReadings, packed
from shared.balance.memory import Int64Array
from shared.database.tables import SUM_COLUMNS
from shared.limits import FLUSH_S_MAX, FLUSH_TIMEOUT_S, QUARTER_S
from shared.topics import READINGS

_SUMS = ", ".join(SUM_COLUMNS)
_KEY = "partition, zone_id, window_start"
_ROW = f"{_KEY}, revision, known_at, log_offset, topology, {_SUMS}"

# ruff: noqa: S608 — the statements are put together from the names of our own columns only.

PREPARE_CONNECTION = f"""
CREATE TEMPORARY TABLE flush_change (
    partition smallint, zone_id integer, window_start timestamptz, log_offset bigint, topology integer, closed boolean,
    {", ".join(f"{name} bigint" for name in SUM_COLUMNS)}
) ON COMMIT DELETE ROWS
"""

_MOVE_PROGRESS = """
UPDATE progress SET next_offset = $5, next_position = $6, topology = $7, event_now = to_timestamp($8::bigint),
    closed_until = to_timestamp($9::bigint), history_step = $12, late_until = $13, late_slot = $14,
    updated_at = clock_timestamp()
WHERE topic = $10 AND partition = $1 AND owner_epoch = $2 AND next_offset = $3 AND next_position = $4
    AND history_step = $11
RETURNING partition
"""

_ADD_CHANGES = f"""
WITH changed AS (
    INSERT INTO partial AS p ({_ROW})
    SELECT {_KEY}, closed::integer, now(), log_offset, topology, {_SUMS} FROM flush_change
    ON CONFLICT (zone_id, window_start, partition) DO UPDATE SET
        revision = CASE WHEN excluded.revision > 0 THEN p.revision + 1 ELSE 0 END,
        known_at = excluded.known_at, log_offset = excluded.log_offset, topology = excluded.topology,
        {", ".join(f"{name} = p.{name} + excluded.{name}" for name in SUM_COLUMNS)}
    RETURNING p.*
)
INSERT INTO partial_revision ({_ROW}) SELECT {_ROW} FROM changed WHERE revision > 0
"""

_CLOSE_WINDOWS = f"""
WITH closed AS (
    UPDATE partial SET revision = 1, known_at = now(), log_offset = $2, topology = $3
    WHERE partition = $1 AND window_start > to_timestamp($4::bigint) AND window_start <= to_timestamp($5::bigint)
        AND revision = 0
    RETURNING *
)
INSERT INTO partial_revision ({_ROW}) SELECT {_ROW} FROM closed
"""

ENTER_BOOKS = """
INSERT INTO books (topic, partition, outcome, deliveries) VALUES ($1, $2, $3, $4)
ON CONFLICT (topic, partition, outcome) DO UPDATE SET deliveries = books.deliveries + excluded.deliveries
"""

_SEND_LATER = """
INSERT INTO outbox (partition, message_id, topic, topic_partition, headers, value)
VALUES ($1, $2, $3, $4, $5::text::jsonb, $6)
"""


async def take_over(connection: asyncpg.Connection, topic: str, partition: int, owner: str) -> Ownership:
    """Step 1: raises the partition's epoch, so that no other owner's flush passes step 2 from here on."""
    row = await connection.fetchrow(
        """
        INSERT INTO progress AS p (topic, partition, owner_epoch, owner) VALUES ($1, $2, 1, $3)
        ON CONFLICT (topic, partition) DO UPDATE SET owner_epoch = p.owner_epoch + 1, owner = excluded.owner
        RETURNING owner_epoch, next_offset, next_position, extract(epoch FROM closed_until)::bigint AS closed_until_s,
            history_step, late_until, late_slot
        """,
        topic,
        partition,
        owner,
    )
    assert row is not None
    return Ownership(
        row["owner_epoch"],
        LogPlace(row["next_offset"], row["next_position"]),
        row["closed_until_s"],
        HistoryProgress(row["history_step"], row["late_until"], row["late_slot"]),
        await read_recounts(connection, partition),
    )


async def flush(connection: asyncpg.Connection, flushes: Sequence[PartitionFlush]) -> None:
    """Steps 2 to 5 for all partitions at hand.

    Raises NotOwnerError when one belongs to somebody else (nothing is written then), and what asyncpg raises when the
    database fails; after a lost connection `was_committed` tells the outcome.
    """
    async with connection.transaction():
        await connection.execute(f"SET LOCAL statement_timeout = '{FLUSH_TIMEOUT_S}s'")
        for content in sorted(flushes, key=lambda content: content.partition):  # step 2
            if not await _move_progress(connection, content):
                raise NotOwnerError(content.partition)
        await _write_changes(connection, flushes)  # step 3
        for content in flushes:
            await _write_rest(connection, content)  # steps 3 and 4
        # The time-out above is each statement's. A row must not appear so late that an `as_of` answer lacked it.
        took_s = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp() - now())::float8")
        if took_s > FLUSH_S_MAX:
            raise TimeoutError(f"a flush took {took_s:.1f} s and is given up")
    # Step 5 is the end of the block above.


async def was_committed(connection: asyncpg.Connection, content: PartitionFlush) -> bool:
    """What became of a flush whose commit was not answered: the row lock waits for its end if it is still under way."""
    row = await connection.fetchrow(
        "SELECT owner_epoch, next_offset, next_position, history_step FROM progress"
        " WHERE topic = $1 AND partition = $2 FOR UPDATE",
        READINGS,
        content.partition,
    )
    if row is None or row["owner_epoch"] != content.epoch:
        raise NotOwnerError(content.partition)
    place = LogPlace(row["next_offset"], row["next_position"])
    return place == content.end and row["history_step"] == content.history.after.step


async def _move_progress(connection: asyncpg.Connection, content: PartitionFlush) -> bool:
    moved = await connection.fetchval(
        _MOVE_PROGRESS,
        content.partition,
        content.epoch,
        *content.start,
        *content.end,
        content.topology,
        content.event_now_s,
        content.closed_until_s,
        READINGS,
        content.history.before.step,
        *content.history.after,
    )
    return moved is not None


async def _write_changes(connection: asyncpg.Connection, flushes: Sequence[PartitionFlush]) -> None:
    changed = [content for content in flushes if len(content.zone_id)]
    if not changed:
        return
    counts = [len(content.zone_id) for content in changed]

    def each(values: list[int]) -> Int64Array:
        return np.repeat(np.array(values, np.int64), counts)

    window_s = np.concatenate([content.window_s for content in changed])
    closed = np.concatenate([content.closed for content in changed])
    sums = np.concatenate([content.sums for content in changed])
    columns: list[Column] = [
        ("partition", "smallint", each([content.partition for content in changed])),
        ("zone_id", "integer", np.concatenate([content.zone_id for content in changed])),
        ("window_start", "timestamptz", window_s),
        ("log_offset", "bigint", each([content.end.offset for content in changed])),
        ("topology", "integer", each([content.topology for content in changed])),
        ("closed", "boolean", closed),
        *((name, "bigint", sums[:, k]) for k, name in enumerate(SUM_COLUMNS)),
    ]
    await connection.copy_to_table(
        "flush_change",
        source=await asyncio.to_thread(binary_copy, columns, len(window_s)),
        columns=[name for name, _, _ in columns],
        format="binary",
    )
    await connection.execute(_ADD_CHANGES)
    if closed.any():
        await _send_later(connection, changed[0].partition, await restatement_messages(connection, changed))  # step 4


async def _write_rest(connection: asyncpg.Connection, content: PartitionFlush) -> None:
    if content.closed_until_s is not None and content.closed_until_s != content.closed_before_s:
        await connection.execute(
            _CLOSE_WINDOWS,
            content.partition,
            content.end.offset,
            content.topology,
            (content.closed_before_s or 0) - QUARTER_S,
            content.closed_until_s - QUARTER_S,
        )
    entries = [(READINGS, content.partition, outcome, n) for outcome, n in content.deliveries.items() if n]
    if entries:
        await connection.executemany(ENTER_BOOKS, entries)
    if content.late is not None:
        await _queue_late(connection, content.partition, content.late)
    await write_history(connection, content.partition, content.history)
    if content.deferred:
        await defer_changes(connection, content.partition, content.deferred)
    await _send_later(connection, content.partition, content.messages)


async def _send_later(connection: asyncpg.Connection, partition: int, messages: Sequence[OutgoingMessage]) -> None:
    """Puts messages into the outbox; the owner of `partition` sends them after the commit."""
    if messages:
        await connection.executemany(
            _SEND_LATER,
            [
                (partition, m.message_id, m.topic, m.topic_partition, orjson.dumps(m.headers).decode(), m.value)
                for m in messages
            ],
        )


async def _queue_late(connection: asyncpg.Connection, partition: int, late: LateReadings) -> None:
    """A row for each message: its readings stand together, in the order of the log."""
    begins = np.flatnonzero(np.r_[True, late.log_offset[1:] != late.log_offset[:-1]])
    parts = [late.take(slice(begin, end)) for begin, end in zip(begins, [*begins[1:], len(late)], strict=True)]
    await connection.executemany(
        "INSERT INTO late_queue (partition, log_offset, position, readings, content) VALUES ($1, $2, $3, $4, $5)",
        [(partition, int(part.log_offset[0]), int(part.position.min()), len(part), packed(part)) for part in parts],
    )
