"""Fills the JSON topic for all peers: one reading a message, keyed by its meter's station, a partition a station.

So nobody must repartition or join: the easiest form of the job for a stream engine. Bilans does not look at keys.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from aiokafka import AIOKafkaProducer

from deploy.bench.cluster import STATION_METERS, Cluster
from deploy.bench.encode import json_messages
from deploy.bench.workload import Deliveries
from shared.kafka_client import make_producer
from shared.settings import Settings
from shared.topics import READINGS_JSON


async def fill_keyed(
    settings: Settings,
    cluster: Cluster,
    blocks: Iterable[Deliveries],
    show: Callable[[int], None] = lambda done: None,
) -> None:
    """Appends `blocks`; `show` is told how many are there."""
    producer = make_producer(settings)
    await producer.start()
    try:
        done = 0
        for block in blocks:
            for partition, keyed in enumerate(
                await asyncio.to_thread(keyed_messages, cluster, block, settings.partitions)
            ):
                await _send(producer, partition, keyed)
            done += len(block)
            show(done)
    finally:
        await producer.stop()


def keyed_messages(cluster: Cluster, block: Deliveries, partitions: int) -> list[list[tuple[bytes, bytes]]]:
    """Keys and values of each partition's messages, in the order of sending."""
    station = cluster.series_meter[block.series] // STATION_METERS
    keys = [name.encode() for name in cluster.station]
    values = json_messages(cluster, block, per_message=1)
    return [
        [(keys[station[place]], values[place]) for place in np.flatnonzero(station % partitions == partition)]
        for partition in range(partitions)
    ]


async def _send(producer: AIOKafkaProducer, partition: int, keyed: list[tuple[bytes, bytes]]) -> None:
    """Appends messages in batches as large as the producer makes them; returns when all are acknowledged."""
    acknowledgements = []
    messages: Iterator[tuple[bytes, bytes]] = iter(keyed)
    message = next(messages, None)
    while message is not None:
        batch = producer.create_batch()
        while message is not None and batch.append(key=message[0], value=message[1], timestamp=None) is not None:
            message = next(messages, None)
        acknowledgements.append(await producer.send_batch(batch, READINGS_JSON, partition=partition))
    await asyncio.gather(*acknowledgements)
