"""The topic `bilans.signals`: the signals of zones as they change, a message each, keyed by the zone."""

import asyncio
import contextlib
from collections.abc import Iterable

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.api.signals.signals_sweep import ZoneSignal
from shared.kafka_client import make_producer
from shared.settings import Settings
from shared.topics import SIGNALS, ensure_topics

_CLOSE_S_MAX = 1.0


class SignalsTopic:
    """Publishes; connects when there is something to publish, and anew after trouble."""

    def __init__(self, settings: Settings) -> None:
        """Connects to nothing yet."""
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def publish(self, told: Iterable[ZoneSignal]) -> None:
        """Sends the signals in order, and waits until all replicas have them.

        Raises KafkaError when they may not have arrived; they may be sent again, for who reads takes the newest.
        """
        producer = await self._connected()
        acknowledged = []
        batch = producer.create_batch()
        for one in told:
            message = {"timestamp": None, "key": one.zone.encode(), "value": orjson.dumps(one.answer)}
            if batch.append(**message) is None:  # it is full
                acknowledged.append(await producer.send_batch(batch, SIGNALS, partition=0))
                batch = producer.create_batch()
                batch.append(**message)
        if batch.record_count():
            acknowledged.append(await producer.send_batch(batch, SIGNALS, partition=0))
        for future in acknowledged:
            await future

    async def close(self) -> None:
        """Lets go of the connection; what has not been sent by then is not waited for long."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(_CLOSE_S_MAX):
                    await producer.stop()

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            await ensure_topics(self._settings)
            producer = make_producer(self._settings)
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer
