"""The flush: what changed since the last one goes to PostgreSQL in one transaction (design section 7).

The steps, numbered as in the design and in the comments below:

1. on assignment, once: the partition's `owner_epoch` is raised and read together with `next_offset` (`take_over`);
2. each partition's `next_offset` is moved, in ascending order of partition, where epoch and offset are still ours;
3. partial rows get their differences added, ended windows their revision, the books their deliveries, and the late
   queue its readings;
4. outgoing messages go to the outbox;
5. commit. When the answer to it is lost, the progress row tells what became of it (`was_committed`).

Differences are added rather than totals written: a flush that is repeated or comes from a replaced owner changes
nothing since step 2 does not let it pass, and a window of any age is treated alike.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import asyncpg
import numpy as np
import orjson

from services.balancer.binary_copy import Column, binary_copy
from services.balancer.outgoing import LateReadings, OutgoingMessage
from shared.balance.memory import Int32Array, Int64Array
from shared.database.tables import SUM_COLUMNS
from shared.limits import FLUSH_TIMEOUT_S, QUARTER_S
from shared.topics import READINGS


class LogPlace(NamedTuple):
    """A place in a partition's log: all messages before `offset`, and of that one the readings before `position`.

    Nearly always the position is 0. A message that changes very many rows, such as one that closes long gaps, is
    flushed in parts, so that no transaction outgrows its time-out.
    """

    offset: int
    position: int = 0


@dataclass(frozen=True, slots=True)
class PartitionFlush:
    """What one partition has to say since its last flush."""

    partition: int
    epoch: int
    start: LogPlace
    """Where progress must stand."""
    end: LogPlace
    """Where it is moved."""
    topology: int
    closed_before_s: int | None
    """Windows that ended at or before it were closed by earlier flushes; None: none was."""
    closed_until_s: int | None
    """Windows that end at or before it are closed; never goes back; None before the first reading in event mode."""
    event_now_s: int | None
    zone_id: Int32Array
    window_s: Int64Array
    sums: Int64Array
    """[n, 25] differences, in the order of SUM_COLUMNS."""
    deliveries: dict[str, int]
    """What the books get: outcome → how many."""
    late: LateReadings | None = None
    messages: Sequence[OutgoingMessage] = field(default_factory=tuple)


class NotOwnerError(Exception):
    """A partition's progress row is not ours any more: somebody else owns it."""

    def __init__(self, partition: int) -> None:
        """`partition` is the one that was lost."""
        super().__init__(f"partition {partition} belongs to another balancer")
        self.partition = partition


@dataclass(frozen=True, slots=True)
class Ownership:
    """What `take_over` found."""

    epoch: int
    next_place: LogPlace
    closed_until_s: int | None = None


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
    closed_until = to_timestamp($9::bigint), updated_at = clock_timestamp()
WHERE topic = $10 AND partition = $1 AND owner_epoch = $2 AND next_offset = $3 AND next_position = $4
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
        RETURNING owner_epoch, next_offset, next_position, extract(epoch FROM closed_until)::bigint AS closed_until_s
        """,
        topic,
        partition,
        owner,
    )
    assert row is not None
    return Ownership(row["owner_epoch"], LogPlace(row["next_offset"], row["next_position"]), row["closed_until_s"])


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
    # Step 5 is the end of the block above.


async def was_committed(connection: asyncpg.Connection, content: PartitionFlush) -> bool:
    """What became of a flush whose commit was not answered: the row lock waits for its end if it is still under way."""
    row = await connection.fetchrow(
        "SELECT owner_epoch, next_offset, next_position FROM progress WHERE topic = $1 AND partition = $2 FOR UPDATE",
        READINGS,
        content.partition,
    )
    if row is None or row["owner_epoch"] != content.epoch:
        raise NotOwnerError(content.partition)
    return LogPlace(row["next_offset"], row["next_position"]) == content.end


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
    # Before there is a now no window has ended.
    closed_until_s = each([-1 if content.closed_until_s is None else content.closed_until_s for content in changed])
    sums = np.concatenate([content.sums for content in changed])
    columns: list[Column] = [
        ("partition", "smallint", each([content.partition for content in changed])),
        ("zone_id", "integer", np.concatenate([content.zone_id for content in changed])),
        ("window_start", "timestamptz", window_s),
        ("log_offset", "bigint", each([content.end.offset for content in changed])),
        ("topology", "integer", each([content.topology for content in changed])),
        ("closed", "boolean", window_s + QUARTER_S <= closed_until_s),
        *((name, "bigint", sums[:, k]) for k, name in enumerate(SUM_COLUMNS)),
    ]
    await connection.copy_to_table(
        "flush_change",
        source=await asyncio.to_thread(binary_copy, columns, len(window_s)),
        columns=[name for name, _, _ in columns],
        format="binary",
    )
    await connection.execute(_ADD_CHANGES)


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
    if content.messages:
        await connection.executemany(
            _SEND_LATER,
            [
                (content.partition, m.message_id, m.topic, m.topic_partition, orjson.dumps(m.headers).decode(), m.value)
                for m in content.messages
            ],
        )


async def _queue_late(connection: asyncpg.Connection, partition: int, late: LateReadings) -> None:
    columns: list[Column] = [
        ("partition", "smallint", partition),
        ("log_offset", "bigint", late.log_offset),
        ("position", "integer", late.position),
        ("slot", "integer", late.slot),
        ("ts_s", "bigint", late.ts_s),
        ("value", "bigint", late.value),
        ("version", "integer", late.version),
    ]
    await connection.copy_to_table(
        "late_reading",
        source=binary_copy(columns, len(late.slot)),
        columns=[name for name, _, _ in columns],
        format="binary",
    )
