"""The way into Kafka: what `append` returned from is in the log with all its replicas."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from shared.kafka_client import make_producer
from shared.settings import Settings
from shared.topics import READINGS, REJECTED, ensure_topics

_APPEND_TIMEOUT_S = 10
"""Longer than a broker's restart; a sender that waits longer does better to ask again."""

_RETRY_S = 0.5

_END_TIMEOUT_S = 2
"""A broker that stands still must not hold up the end of the process."""

_log = logging.getLogger(__name__)


class LogUnreachableError(Exception):
    """Kafka did not acknowledge: whether the messages are in the log is unknown, so the sender has to send again."""


class Message(NamedTuple):
    """One message for the log."""

    topic: str
    partition: int
    value: bytes
    headers: Sequence[tuple[str, bytes]]


class LogWriter:
    """Holds an idempotent producer and replaces it after any failure.

    An idempotent producer that failed may be fatally so (a sequence gap, a lost producer id), and one that timed out
    would go on trying for ever and fill memory; a new one is right in every case.
    """

    def __init__(self, settings: Settings) -> None:
        """`settings` name the brokers."""
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._endings: set[asyncio.Task[None]] = set()

    @property
    def reachable(self) -> bool:
        """Whether the last that was heard of Kafka was good."""
        return self._producer is not None

    async def run(self) -> None:
        """Keeps a producer there until it is cancelled."""
        try:
            while True:
                await self._wanted.wait()
                try:
                    async with asyncio.timeout(_APPEND_TIMEOUT_S):
                        await ensure_topics(self._settings)
                    self._producer = await self._started_producer()
                except (KafkaError, TimeoutError, OSError) as error:
                    _log.warning("Kafka at %s cannot be reached yet: %s", self._settings.kafka, error)
                    await asyncio.sleep(_RETRY_S)
                else:
                    self._wanted.clear()
        finally:
            if self._producer is not None:
                await _end(self._producer)
            await asyncio.gather(*self._endings, return_exceptions=True)

    async def append(self, messages: Sequence[Message]) -> None:
        """Appends all `messages`; those of a partition in their order.

        Raises LogUnreachableError when one of them was not acknowledged in time; any of them may be in the log then.
        """
        producer = self._producer
        if producer is None:
            raise LogUnreachableError(f"Kafka at {self._settings.kafka} cannot be reached")
        acknowledgements: list[asyncio.Future[object]] = []
        try:
            async with asyncio.timeout(_APPEND_TIMEOUT_S):
                for topic, partition, value, headers in messages:
                    sent = await producer.send(topic, value, partition=partition, headers=list(headers))
                    sent.add_done_callback(_take_note)
                    acknowledgements.append(sent)
                for acknowledgement in acknowledgements:
                    await acknowledgement
        except (KafkaError, TimeoutError, OSError) as error:
            self._discard(producer, error)
            raise LogUnreachableError(f"Kafka did not acknowledge: {error!r}") from error

    async def _started_producer(self) -> AIOKafkaProducer:
        producer = make_producer(self._settings)
        try:
            async with asyncio.timeout(_APPEND_TIMEOUT_S):
                await producer.start()
                for topic, count in ((READINGS, self._settings.partitions), (REJECTED, 1)):
                    present = await producer.partitions_for(topic)
                    if not present >= set(range(count)):
                        raise KafkaError(f"topic {topic} has not all of its {count} partitions")
        except BaseException:
            await _end(producer)
            raise
        return producer

    def _discard(self, producer: AIOKafkaProducer, error: Exception) -> None:
        if self._producer is not producer:
            return  # another request met the same failure
        _log.warning("a send to Kafka failed, so the producer is replaced: %r", error)
        self._producer = None
        self._wanted.set()
        ending = asyncio.create_task(_end(producer))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)


def _take_note(acknowledgement: asyncio.Future[object]) -> None:
    """Of a request that failed one error is reported; asyncio must not complain that nobody asked for the others."""
    if not acknowledgement.cancelled():
        acknowledgement.exception()


async def _end(producer: AIOKafkaProducer) -> None:
    """Ends a producer without waiting for what it has not sent: whoever waits for that gets an error at once.

    aiokafka's own `stop` waits for ever while the broker is away; it has no other way to give up.
    """
    with contextlib.suppress(KafkaError, OSError, TimeoutError, asyncio.CancelledError):
        if producer._sender.sender_task is not None:
            async with asyncio.timeout(_END_TIMEOUT_S):
                await producer._sender.close()
        producer._message_accumulator.fail_all(KafkaTimeoutError())
    await producer.stop()
