"""A real ingest process on a real Kafka and PostgreSQL, and the means to see what it put into the log."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.database.migrate import migrate
from shared.readings_message import ReadingColumns, decode_message
from shared.settings import Settings, read_settings
from shared.topics import READINGS, REJECTED, ensure_topics
from shared.topology.load import load_folder

METERS = 40
"""Meters of the test's topology, `5903` and 14 digits; the odd ones are prosumers with both energy registers."""

ZONES_CSV = "zone,parent,kind\nZEP,,cluster\n" + "".join(f"S{k},ZEP,station\n" for k in range(8))


def meter(number: int) -> str:
    return f"5903{number:014d}"


def write_topology(folder: Path, meters: int = METERS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "zones.csv").write_text(ZONES_CSV)
    rows = [f"{meter(k)},S{k % 8},{'prosumer,1.8.0|2.8.0' if k % 2 else 'consumer,1.8.0'}" for k in range(meters)]
    (folder / "meters.csv").write_text("meter,zone,kind,registers\n" + "\n".join(rows) + "\n")
    return folder


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def settings_of(kafka: str, database_url: str, **more: str) -> Settings:
    environment = {"BILANS_KAFKA": kafka, "BILANS_DATABASE_URL": database_url, "BILANS_INSTANCE": "ingest-test"}
    return read_settings(environment | more)


def prepare(settings: Settings, folder: Path) -> int:
    """Migrates, makes the topics and loads the test's topology; its number."""
    migrate(settings.database_url)
    asyncio.run(ensure_topics(settings))
    return asyncio.run(load_folder(settings, folder))


@dataclass(frozen=True)
class Ingest:
    """A running process."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def post(self, body: bytes, content_type: str = "application/x-ndjson", **headers: str) -> httpx.Response:
        sent = {"Content-Type": content_type} | {name.replace("_", "-"): text for name, text in headers.items()}
        return httpx.post(f"{self.url}/v1/readings", content=body, headers=sent, timeout=30)

    def wait_ready(self, seconds: float = 90) -> None:
        wait_for(lambda: self.answers("/readyz") == 200, seconds, self.log.read_text)

    def answers(self, path: str) -> int:
        try:
            return httpx.get(self.url + path, timeout=5).status_code
        except httpx.TransportError:
            return 0


def wait_for(true: Callable[[], bool], seconds: float, explain: Callable[[], str] = lambda: "") -> None:
    ends_s = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends_s, f"not within {seconds} s. {explain()}"
        time.sleep(0.05)


@contextmanager
def running_ingest(settings: Settings, log: Path, **environment: str) -> Iterator[Ingest]:
    """Starts `python -m services.ingest` and ends it with SIGTERM, which has to be clean and quick."""
    port = free_port()
    variables = os.environ | {
        "BILANS_KAFKA": settings.kafka,
        "BILANS_DATABASE_URL": settings.database_url,
        "BILANS_INSTANCE": settings.instance,
        "BILANS_INGEST_PORT": str(port),
        **environment,
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.ingest"], env=variables, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield Ingest(process, f"http://127.0.0.1:{port}", log)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def log_ends(kafka: str, topic: str, partitions: int) -> dict[int, int]:
    """The end offset of each partition of `topic`."""

    async def ask() -> dict[int, int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
        await consumer.start()
        try:
            places = [TopicPartition(topic, number) for number in range(partitions)]
            return {place.partition: end for place, end in (await consumer.end_offsets(places)).items()}
        finally:
            await consumer.stop()

    return asyncio.run(ask())


def messages_since(kafka: str, topic: str, ends: dict[int, int]) -> list["ConsumerRecord[bytes, bytes]"]:
    """The messages of `topic` from the offsets `ends` on."""

    async def read() -> list["ConsumerRecord[bytes, bytes]"]:
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
        await consumer.start()
        try:
            places = [TopicPartition(topic, number) for number in ends]
            consumer.assign(places)
            for place in places:
                consumer.seek(place, ends[place.partition])
            targets = await consumer.end_offsets(places)
            found = []
            while any([await consumer.position(place) < targets[place] for place in places]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
            return found
        finally:
            await consumer.stop()

    return asyncio.run(read())


class LogWindow:
    """What came into `bilans.readings` and `bilans.rejected` since it was opened."""

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self._readings, self._rejected = log_ends(kafka, READINGS, 4), log_ends(kafka, REJECTED, 1)

    def readings(self) -> list[tuple[int, int, int, int, int]]:
        """(partition, slot, ts_s, value, version) of each reading, partition by partition in the order of the log."""
        found = []
        for record in sorted(
            messages_since(self._kafka, READINGS, self._readings), key=lambda r: (r.partition, r.offset)
        ):
            content = decode_message(record.headers, record.value or b"")
            if isinstance(content, ReadingColumns):
                columns: Sequence[np.ndarray[tuple[int], np.dtype[np.generic]]] = (
                    content.slot,
                    content.ts_s,
                    content.value,
                    content.version,
                )
                found += [(record.partition, *row) for row in zip(*(c.tolist() for c in columns), strict=True)]
        return found

    def rejected(self) -> list["ConsumerRecord[bytes, bytes]"]:
        return messages_since(self._kafka, REJECTED, self._rejected)
