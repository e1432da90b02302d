"""The row of a blown fuse: it stops all ingest processes, outlives their restarts, and goes when a person says so."""

from dataclasses import dataclass
from datetime import datetime

import asyncpg


@dataclass(frozen=True, slots=True)
class FuseRow:
    """A blown fuse."""

    topic: str
    reason: str
    """A sentence for people, without its full stop."""
    blown_at: datetime


def stopped_text(topic: str, reason: str) -> str:
    """What a blown fuse means, and the way out, in one line for people."""
    return f"{topic} is not read, its fuse has blown: {reason}; `bilans rejected resume` goes on"


async def read_fuse(connection: asyncpg.Connection, topic: str) -> FuseRow | None:
    """The blown fuse of `topic`; None while it holds."""
    row = await connection.fetchrow("SELECT topic, reason, blown_at FROM fuse WHERE topic = $1", topic)
    return None if row is None else FuseRow(*row)


async def blow_fuse(connection: asyncpg.Connection, topic: str, reason: str) -> None:
    """Blows the fuse of `topic`; where it is blown already, that stays as it is."""
    await connection.execute(
        "INSERT INTO fuse (topic, reason, blown_at) VALUES ($1, $2, clock_timestamp()) ON CONFLICT DO NOTHING",
        topic,
        reason,
    )


async def take_fuse_row(connection: asyncpg.Connection, topic: str) -> FuseRow | None:
    """Takes the row away, so that ingest goes on, and returns what it was; None where the fuse holds."""
    row = await connection.fetchrow("DELETE FROM fuse WHERE topic = $1 RETURNING topic, reason, blown_at", topic)
    return None if row is None else FuseRow(*row)
