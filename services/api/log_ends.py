"""Where Kafka's logs end and how far ingest has committed: for lag, and to know that Kafka answers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from shared.kafka_client import make_consumer
from shared.problem import busy
from shared.settings import Settings

_ANSWER_S_MAX = 3.0
"""A broker that needs longer is away as far as a question about lag goes."""

_AGAIN_S = 0.1

PartitionOf = tuple[str, int]
"""A topic and a partition's number."""


class LogEnds:
    """Asks Kafka; connects when first asked, and again after the connection was lost."""

    def __init__(self, settings: Settings) -> None:
        """Opens nothing yet."""
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._connecting = asyncio.Lock()

    async def end_offsets(self, partitions: Mapping[str, int]) -> dict[PartitionOf, int]:
        """The end offset of each partition of the topics given with their numbers of partitions.

        Raises Problem 503 when Kafka does not answer.
        """
        asked = [TopicPartition(topic, number) for topic, count in partitions.items() for number in range(count)]
        ends = await self._answer(lambda consumer, _: consumer.end_offsets(asked))
        return {(place.topic, place.partition): end for place, end in ends.items()}

    async def committed(self, group: str, topic: str) -> dict[PartitionOf, int]:
        """The offsets that `group` has committed on `topic`; a partition without one is left out.

        Raises Problem 503 when Kafka does not answer.
        """
        asked = [TopicPartition(topic, number) for number in range(self._settings.partitions)]
        found = await self._answer(lambda _, admin: admin.list_consumer_group_offsets(group, partitions=asked))
        return {(place.topic, place.partition): kept.offset for place, kept in found.items() if kept.offset >= 0}

    async def close(self) -> None:
        """Closes the connections."""
        consumer, self._consumer = self._consumer, None
        admin, self._admin = self._admin, None
        if consumer is not None:
            await consumer.stop()
        if admin is not None:
            await admin.close()

    async def _answer(self, question: Callable[[AIOKafkaConsumer, AIOKafkaAdminClient], Awaitable[Any]]) -> Any:
        """Asks until Kafka answers or the time is over: a broker that has just started says that it cannot yet."""
        try:
            async with asyncio.timeout(_ANSWER_S_MAX):
                while True:
                    try:
                        return await question(*await self._connected())
                    except KafkaError as trouble:
                        if not trouble.retriable or isinstance(trouble, KafkaConnectionError):
                            raise
                    await asyncio.sleep(_AGAIN_S)
        except (KafkaError, TimeoutError, OSError) as trouble:
            raise busy("Kafka does not answer, so the lag is not known.", retry_after_s=2) from trouble

    async def _connected(self) -> tuple[AIOKafkaConsumer, AIOKafkaAdminClient]:
        async with self._connecting:
            if self._consumer is None:
                self._consumer = await _started(make_consumer(self._settings))
            if self._admin is None:
                self._admin = await _started_admin(self._settings)
            return self._consumer, self._admin


async def _started(consumer: AIOKafkaConsumer) -> AIOKafkaConsumer:
    try:
        await consumer.start()
    except BaseException:
        await consumer.stop()
        raise
    return consumer


async def _started_admin(settings: Settings) -> AIOKafkaAdminClient:
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka, client_id=settings.instance, request_timeout_ms=int(_ANSWER_S_MAX * 1000)
    )
    try:
        await admin.start()
    except BaseException:
        await admin.close()
        raise
    return admin
