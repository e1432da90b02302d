"""Fills Kafka before a measurement: the log as ingest would have filled it, or the JSON topic as producers would."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaProducer

from deploy.bench.cluster import Cluster
from deploy.bench.encode import Places, json_messages, log_messages
from deploy.bench.workload import Deliveries
from shared.kafka_client import make_producer
from shared.readings_message import READINGS_HEADERS
from shared.settings import Settings
from shared.topics import READINGS, READINGS_JSON

_UNDER_WAY_MAX = 64
"""Messages or batches that wait for their acknowledgement: some tens of megabytes."""


async def fill_log(
    settings: Settings,
    places: Places,
    blocks: Iterable[Deliveries],
    readings_max: int,
    show: Callable[[int], None] = lambda done: None,
) -> None:
    """Appends `blocks` to `bilans.readings`, at most `readings_max` a message; `show` is told how many are there."""
    done = 0
    async with _Filling(settings) as filling:
        for block in blocks:
            for partition, value in await asyncio.to_thread(_listed, places, block, readings_max):
                await filling.send(partition, value)
            done += len(block)
            show(done)


def _listed(places: Places, block: Deliveries, readings_max: int) -> list[tuple[int, bytes]]:
    return list(log_messages(places, block, readings_max))


async def fill_json(
    settings: Settings,
    cluster: Cluster,
    blocks: Iterable[Deliveries],
    per_message: int,
    show: Callable[[int], None] = lambda done: None,
) -> int:
    """Appends `blocks` to `bilans.readings.json`, `per_message` readings a message; batches go round its partitions.

    Returns the bytes of all values.
    """
    done = size = 0
    async with _Filling(settings) as filling:
        for block in blocks:
            messages = await asyncio.to_thread(json_messages, cluster, block, per_message)
            await filling.send_in_batches(READINGS_JSON, messages, settings.partitions)
            done += len(block)
            size += sum(map(len, messages))
            show(done)
    return size


class _Filling:
    """A producer with a bounded number of messages under way; at the end of the block all are acknowledged."""

    def __init__(self, settings: Settings) -> None:
        self._producer: AIOKafkaProducer = make_producer(settings)
        self._under_way: deque[asyncio.Future[object]] = deque()
        self._batches = 0

    async def __aenter__(self) -> "_Filling":
        await self._producer.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            while self._under_way:
                await self._under_way.popleft()
        finally:
            await self._producer.stop()

    async def send(self, partition: int, value: bytes) -> None:
        """Sends a message of readings."""
        await self._note(
            await self._producer.send(READINGS, value, partition=partition, headers=list(READINGS_HEADERS))
        )

    async def send_in_batches(self, topic: str, values: list[bytes], partitions: int) -> None:
        """Sends messages in batches as large as the producer makes them, without a future for each message."""
        begin = 0
        while begin < len(values):
            batch = self._producer.create_batch()
            while begin < len(values) and batch.append(key=None, value=values[begin], timestamp=None) is not None:
                begin += 1
            partition = self._batches % partitions
            self._batches += 1
            await self._note(await self._producer.send_batch(batch, topic, partition=partition))

    async def _note(self, acknowledgement: "asyncio.Future[object]") -> None:
        self._under_way.append(acknowledgement)
        if len(self._under_way) > _UNDER_WAY_MAX:
            await self._under_way.popleft()
