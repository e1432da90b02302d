"""Kafka as a child: Apache's own broker, on loopback, that keeps what it acknowledged."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.embedded.child import processes_in
from deploy.embedded.kafka import EmbeddedKafka

TOPIC = "kept"


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A broker that has just started."""
    broker = EmbeddedKafka(tmp_path / "kafka", tmp_path / "kafka.log")
    broker.prepare()
    broker.start()
    asyncio.run(broker.wait_ready())
    yield broker
    broker.stop()


async def _make_topic(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
    await admin.close()


async def _append(bootstrap: str, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    for value in values:
        await producer.send_and_wait(TOPIC, value)
    await producer.stop()


async def _read(bootstrap: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(TOPIC, 0)])
    async with asyncio.timeout(20):
        values = [(await consumer.getone()).value for _ in range(count)]
    await consumer.stop()
    return values


def test_what_was_acknowledged_survives_sigkill_and_the_address_stays(kafka: EmbeddedKafka) -> None:
    bootstrap = kafka.bootstrap
    asyncio.run(_make_topic(bootstrap))
    asyncio.run(_append(bootstrap, [b"1", b"2", b"3"]))
    assert kafka.child is not None
    kafka.child.kill()
    kafka.child.wait()
    started = time.monotonic()
    kafka.prepare()
    kafka.start()
    asyncio.run(kafka.wait_ready())
    assert time.monotonic() - started < 20
    assert kafka.bootstrap == bootstrap
    asyncio.run(_append(bootstrap, [b"4"]))
    assert asyncio.run(_read(bootstrap, 4)) == [b"1", b"2", b"3", b"4"]


def test_it_listens_on_loopback_only_and_makes_no_topic_by_itself(kafka: EmbeddedKafka) -> None:
    assert kafka.child is not None
    listening = [c.laddr.ip for c in psutil.Process(kafka.child.pid).net_connections("tcp") if c.status == "LISTEN"]
    assert len(listening) == 2  # clients and the controller
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}

    async def topics() -> list[str]:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        names: list[str] = await admin.list_topics()
        await admin.close()
        return names

    assert asyncio.run(topics()) == []


def test_a_stop_is_quick_and_leaves_no_process(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    started = time.monotonic()
    kafka.stop()
    assert time.monotonic() - started < 6
    assert processes_in(tmp_path / "kafka") == []
