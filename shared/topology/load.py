"""Loads a topology folder: into PostgreSQL whole or not at all, then into the log (design section 5).

The order makes it safe to stop anywhere: a topology whose control records may not all stand in the log has no
`logged_at`, nobody follows it, and the next load sends all of them again. A balancer that meets the control record of
a topology that it follows already passes over it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaProducer

from shared.database.engine import connect
from shared.errors import BilansError
from shared.kafka_client import make_producer
from shared.readings_message import TOPOLOGY_HEADERS, encode_topology_switch
from shared.settings import Settings
from shared.topics import READINGS, ensure_topics
from shared.topology.check import check_folder
from shared.topology.rows import FolderContent
from shared.topology.write import content_digest, write_topology

_LOCK = 0x746F706F  # "topo": any number that no other advisory lock of Bilans has
_LOCK_WAIT_S = 120
"""How long a load waits for another one: a million meters take well under a minute."""
_STATEMENT_S_MAX = 300
"""One COPY of millions of rows, with its keys checked, takes tens of seconds on a small machine."""


async def load_folder(settings: Settings, folder: Path) -> int:
    """Checks `folder`, loads it and appends its control records; returns the topology's number.

    The same content as the newest topology changes nothing and returns that one's number. Raises TopologyErrors when
    the folder is wrong, BilansError when it is not there or another load does not end.
    """
    content = await asyncio.to_thread(check_folder, folder)
    digest = await asyncio.to_thread(content_digest, content)
    async with _loading(settings) as load:
        await load.log_unlogged()
        number = await load.store(content, digest)
        await load.log_unlogged()
        return number


async def finish_loading(settings: Settings) -> None:
    """Sends the control records of a topology whose load was broken off after it was stored, if there is one."""
    async with _loading(settings) as load:
        await load.log_unlogged()


@asynccontextmanager
async def _loading(settings: Settings) -> AsyncIterator["_Load"]:
    """The only load at this moment, with its database and its log at hand."""
    await ensure_topics(settings)
    connection = await connect(
        settings.database_url, application_name="bilans topology load", statement_timeout_s=_STATEMENT_S_MAX
    )
    try:
        await _lock(connection)
        producer = make_producer(settings)
        await producer.start()
        try:
            yield _Load(connection, producer, sorted(await producer.partitions_for(READINGS)))
        finally:
            await producer.stop()
    finally:
        await connection.close()  # gives the lock back, too


async def _lock(connection: asyncpg.Connection) -> None:
    """Takes the lock that lets one load run at a time; it lasts as long as the connection."""
    for _ in range(_LOCK_WAIT_S * 5):
        if await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
            return
        await asyncio.sleep(0.2)
    raise BilansError(f"Another topology load has not ended for {_LOCK_WAIT_S} s.", "Try again when it has.")


@dataclass(frozen=True, slots=True)
class _Load:
    """A load that holds the lock."""

    connection: asyncpg.Connection
    producer: AIOKafkaProducer
    partitions: list[int]
    """Of bilans.readings, as the broker says: the settings of whoever loads may be older."""

    async def store(self, content: FolderContent, digest: str) -> int:
        """Writes the content as the next topology, unless it is the newest already; returns its number."""
        async with self.connection.transaction():
            # Between the statements columns are made here: a million meters take longer than an idle session may.
            await self.connection.execute("SET LOCAL idle_in_transaction_session_timeout = '120s'")
            newest = await self.connection.fetchrow("SELECT number, digest FROM topology ORDER BY number DESC LIMIT 1")
            if newest is not None and newest["digest"] == digest:
                return int(newest["number"])
            number = int(newest["number"]) + 1 if newest is not None else 1
            await write_topology(self.connection, number, digest, content, len(self.partitions))
        return number

    async def log_unlogged(self) -> None:
        """Appends the control records of topologies that lack `logged_at`, the oldest first, and then sets it."""
        for row in await self.connection.fetch("SELECT number FROM topology WHERE logged_at IS NULL ORDER BY number"):
            value = encode_topology_switch(row["number"])
            for partition in self.partitions:
                await self.producer.send_and_wait(READINGS, value, partition=partition, headers=list(TOPOLOGY_HEADERS))
            await self.connection.execute("UPDATE topology SET logged_at = now() WHERE number = $1", row["number"])
