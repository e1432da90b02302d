"""How many messages have not been handled yet, and who handles them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.log_ends import LogEnds, PartitionOf
from shared.database.tables import progress
from shared.settings import Settings
from shared.topics import READINGS, READINGS_JSON, REJECTED

INGEST_GROUP = "bilans-ingest"
"""The consumer group with which ingest reads the JSON topic."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A progress row; of a partition without one, nothing has been handled and nobody owns it."""

    owner: str
    owner_epoch: int
    next_offset: int
    topology: int
    event_now: datetime | None


UNTOUCHED = Progress("", 0, 0, 0, None)


def handled_topics(settings: Settings) -> dict[str, int]:
    """The topics whose progress is in PostgreSQL, and how many partitions each has."""
    return {READINGS: settings.partitions, REJECTED: 1}


async def read_progress(connection: AsyncConnection) -> dict[PartitionOf, Progress]:
    """All progress rows."""
    table = progress.c
    columns = (table.owner, table.owner_epoch, table.next_offset, table.topology, table.event_now)
    rows = (await connection.execute(select(table.topic, table.partition, *columns))).all()
    return {(topic, partition): Progress(*rest) for topic, partition, *rest in rows}


def lag_of(ends: Mapping[PartitionOf, int], handled: Mapping[PartitionOf, Progress]) -> int:
    """Messages between what is handled and the ends of the logs."""
    return sum(max(end - handled.get(place, UNTOUCHED).next_offset, 0) for place, end in ends.items())


async def total_lag(
    settings: Settings, log_ends: LogEnds, committed: Mapping[PartitionOf, int], handled: Mapping[PartitionOf, Progress]
) -> int:
    """The lag of all three logs, with the ends as they are now.

    `committed` of the JSON topic must have been read before `handled`, and `handled` before this is called: then a
    message on its way from one log to the next is seen in one of them at least, and 0 means that all was handled.
    """
    ends = await log_ends.end_offsets({**handled_topics(settings), READINGS_JSON: settings.partitions})
    json_lag = sum(max(end - committed.get(place, 0), 0) for place, end in ends.items() if place[0] == READINGS_JSON)
    return json_lag + lag_of({place: end for place, end in ends.items() if place[0] != READINGS_JSON}, handled)
