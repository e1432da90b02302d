"""Loads topologies into a real PostgreSQL and Kafka, and sees what stands in the log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.database.engine import connect
from shared.database.migrate import migrate
from shared.readings_message import TopologySwitch, decode_message
from shared.settings import Settings, read_settings
from shared.topics import READINGS, ensure_topics
from shared.topology.index import Topology
from shared.topology.load import load_folder
from shared.topology.store import read_topology


def settings_for(kafka: str, database_url: str) -> Settings:
    """Settings with the tables and topics made."""
    settings = read_settings({"BILANS_KAFKA": kafka, "BILANS_DATABASE_URL": database_url})
    migrate(database_url)
    asyncio.run(ensure_topics(settings))
    return settings


def write_folder(folder: Path, **files: str) -> Path:
    """A folder of `files`, named without .csv."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """A connection that is closed at the end."""
    connection = await connect(settings.database_url, application_name="test")
    try:
        yield connection
    finally:
        await connection.close()


async def load_and_read(settings: Settings, folder: Path) -> Topology:
    """Loads `folder` and reads it back."""
    number = await load_folder(settings, folder)
    async with connected(settings) as connection:
        return await read_topology(connection, number)


class Log:
    """What is appended to bilans.readings from the moment this object is entered."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, enable_auto_commit=False)
        self._partitions = [TopicPartition(READINGS, partition) for partition in range(settings.partitions)]

    async def __aenter__(self) -> "Log":
        await self._consumer.start()
        self._consumer.assign(self._partitions)
        self._begins = await self._consumer.end_offsets(self._partitions)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def switches(self) -> list[list[int]]:
        """The topologies that the control records of each partition name, in the order of the log."""
        ends = await self._consumer.end_offsets(self._partitions)
        found = []
        for partition in self._partitions:
            numbers: list[int] = []
            self._consumer.seek(partition, self._begins[partition])
            while self._begins[partition] + len(numbers) < ends[partition]:
                record = await asyncio.wait_for(self._consumer.getone(partition), 20)
                message = decode_message(record.headers, record.value)
                assert isinstance(message, TopologySwitch)
                numbers.append(message.number)
            found.append(numbers)
        return found
