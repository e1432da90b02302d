"""What PostgreSQL says at one moment: how far partitions are, their rows, the late queue, recounts and the books."""

from dataclasses import dataclass

import asyncpg
import numpy as np
import pyarrow as pa

from deploy.verify.recompute import Extent
from deploy.verify.totals import Totals, totals
from shared.balance.late import unpacked
from shared.balance.memory import Int32Array, Int64Array
from shared.database.tables import SUM_COLUMNS
from shared.topics import READINGS, REJECTED
from shared.topology.copy_columns import copy_out

# ruff: noqa: S608 — the statements are put together from the names of our own columns only.

_SUMS = ", ".join(SUM_COLUMNS)
_ROWS = f"""
SELECT zone_id, extract(epoch FROM window_start)::bigint, {_SUMS} FROM partial WHERE partition = {{partition}}
"""
_UNLIKE_THEIR_REVISION = f"""
SELECT zone_id, extract(epoch FROM window_start)::bigint AS window_s, partition, p.revision AS found,
    r.revision AS expected
FROM (SELECT *, ROW({_SUMS}) AS sums FROM partial) AS p FULL JOIN (
    SELECT DISTINCT ON (zone_id, window_start, partition) *, ROW({_SUMS}) AS sums FROM partial_revision
    ORDER BY zone_id, window_start, partition, revision DESC
) AS r USING (zone_id, window_start, partition)
WHERE (p.revision > 0 OR p.revision IS NULL OR r.revision IS NOT NULL)
    AND (p.revision IS DISTINCT FROM r.revision OR p.sums IS DISTINCT FROM r.sums)
ORDER BY 2, 1, 3
"""


@dataclass(frozen=True, slots=True)
class PublishedPartition:
    """How far a partition's published rows are."""

    extent: Extent
    topology: int


@dataclass(frozen=True, slots=True)
class Unlike:
    """A row that does not say what its newest revision says."""

    zone_id: int
    window_s: int
    partition: int
    revision: int | None
    """The row's; None: there is no row."""
    newest: int | None
    """The newest revision kept; None: there is none."""


async def count_recounts(connection: asyncpg.Connection) -> int:
    """Windows that a change of topology still asks to be counted anew, or that a flush has put off."""
    count: int = await connection.fetchval(
        "SELECT (SELECT COALESCE(sum(windows), 0) FROM recount)::bigint"
        " + (SELECT COALESCE(sum(windows), 0) FROM deferred_change)::bigint"
    )
    return count


async def read_partitions(connection: asyncpg.Connection) -> list[PublishedPartition]:
    """The partitions of the log, and those that have rows though none is known to be balanced."""
    rows = await connection.fetch(
        "SELECT partition, next_offset, next_position, topology, late_until, late_slot FROM progress WHERE topic = $1"
        " ORDER BY 1",
        READINGS,
    )
    known = {row["partition"] for row in rows}
    found = [
        PublishedPartition(
            Extent(
                row["partition"],
                row["next_offset"],
                row["next_position"],
                *await _read_waiting(connection, row["partition"], row["late_until"], row["late_slot"]),
            ),
            row["topology"],
        )
        for row in rows
    ]
    with_rows = await connection.fetch("SELECT DISTINCT partition FROM partial ORDER BY 1")
    nothing = np.zeros(0, np.int64), np.zeros(0, np.int32)
    unknown = [row["partition"] for row in with_rows if row["partition"] not in known]
    return found + [PublishedPartition(Extent(partition, 0, 0, *nothing), 0) for partition in unknown]


async def _read_waiting(
    connection: asyncpg.Connection, partition: int, late_until: int, late_slot: int
) -> tuple[Int64Array, Int32Array]:
    """Offsets and positions of the late queue's readings that wait.

    Of the batch under way, which goes to the message `late_until`, the series before `late_slot` wait no more.
    """
    rows = await connection.fetch("SELECT log_offset, content FROM late_queue WHERE partition = $1", partition)
    offsets, positions = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)]
    for row in rows:
        late = unpacked(row["log_offset"], row["content"])
        waits = (late.log_offset > late_until) | (late.slot >= late_slot)
        offsets.append(late.log_offset[waits])
        positions.append(late.position[waits])
    return np.concatenate(offsets), np.concatenate(positions)


async def read_rows(connection: asyncpg.Connection, partition: int) -> Totals:
    """The partial rows of a partition."""
    columns = {"zone_id": pa.int64(), "window_s": pa.int64(), **dict.fromkeys(SUM_COLUMNS, pa.int64())}
    table = await copy_out(connection, _ROWS.format(partition=int(partition)), types=columns)
    return totals(
        table["zone_id"].to_numpy(),
        table["window_s"].to_numpy(),
        np.stack([table[name].to_numpy() for name in SUM_COLUMNS], axis=1),
    )


async def read_unlike_revisions(connection: asyncpg.Connection) -> list[Unlike]:
    """The rows of closed windows whose newest revision is another, and revisions without their row."""
    return [Unlike(*row) for row in await connection.fetch(_UNLIKE_THEIR_REVISION)]


async def read_zone_names(connection: asyncpg.Connection) -> dict[int, str]:
    """Every zone's name by its number."""
    return dict(await connection.fetch("SELECT zone_id, zone FROM zone_identity"))


@dataclass(frozen=True, slots=True)
class Books:
    """The books and what they count."""

    entries: dict[tuple[str, int], dict[str, int]]
    """Topic and partition → outcome → deliveries."""
    rejected: dict[str, int]
    """Reason → readings kept that ingest rejected."""


async def read_books(connection: asyncpg.Connection) -> Books:
    """The books with the tables that they must agree with."""
    entries: dict[tuple[str, int], dict[str, int]] = {}
    for topic, partition, outcome, deliveries in await connection.fetch(
        "SELECT topic, partition, outcome, deliveries FROM books ORDER BY 1, 2, 3"
    ):
        entries.setdefault((topic, partition), {})[outcome] = deliveries
    # A conflict is rejected by the balancer: its row comes later, by way of the rejected topic.
    rejected = await connection.fetch(
        "SELECT reason, count(*) FROM rejected_reading WHERE topic = $1 AND reason <> 'conflict' GROUP BY 1", REJECTED
    )
    return Books(entries, dict(rejected))
