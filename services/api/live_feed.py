"""The feed of the live view: reads `bilans.live`, `bilans.meters` and `bilans.balance` into memory, all partitions."""

import asyncio
import logging
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from services.api.balance_changes import decode_changes, decode_restatements
from services.api.live_stream import RESTATED_A_TICK, LiveStream
from services.api.live_view import LiveView
from services.api.log_ends import LogEnds
from services.api.newest_readings import NewestReadings
from shared import metrics
from shared.clock import Clock
from shared.kafka_client import make_consumer
from shared.limits import LIVE_RECORD_S_MAX
from shared.live_record import decode_live_record
from shared.problem import Problem
from shared.settings import Settings
from shared.topics import BALANCE, CHANGES, LIVE, METERS, RESTATEMENT, ensure_topics

_POLL_MS = 200
_RECORDS_MAX = 2000
"""Messages taken in at once: between two batches the event loop serves requests."""

_RETRY_S = 1.0

_log = logging.getLogger(__name__)


class LiveFeed:
    """One consumer without a group: every API instance reads all of it, from the beginning where it is compacted."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        ends: LogEnds,
        view: LiveView,
        newest: NewestReadings,
        stream: LiveStream,
    ) -> None:
        """Reads nothing until `run`."""
        self._settings = settings
        self._clock = clock
        self._ends = ends
        self._view = view
        self._newest = newest
        self._stream = stream
        self._read_to = -1
        self._stood_at_start: int | None = None
        """Where the live topic ended when Kafka first answered: what flows in later must not keep readiness away."""
        self._answered_at_s = float("-inf")

    @property
    def connected(self) -> bool:
        """Whether Kafka answers and all that stood in the live topic at the start has been read."""
        caught_up = self._stood_at_start is not None and self._read_to >= self._stood_at_start
        return caught_up and self._clock.now_s() - self._answered_at_s <= LIVE_RECORD_S_MAX

    async def run(self) -> None:
        """Reads until cancelled; begins anew when Kafka was away."""
        while True:
            try:
                await ensure_topics(self._settings)
                await self._read()
            except (KafkaError, OSError) as trouble:
                _log.warning("The live feed was interrupted and begins anew: %s", trouble)
            await asyncio.sleep(_RETRY_S)

    async def watch(self) -> None:
        """Asks Kafka once a second, until cancelled, whether it answers."""
        while True:
            try:
                ends = await self._ends.end_offsets({LIVE: 1})
                self._answered_at_s = self._clock.now_s()
                if self._stood_at_start is None:
                    self._stood_at_start = ends[LIVE, 0]
            except Problem as away:
                _log.debug("%s", away)
            metrics.LIVE_FEED_CONNECTED.set(self.connected)
            await asyncio.sleep(1.0)

    async def _read(self) -> None:
        consumer = make_consumer(self._settings)
        await consumer.start()
        try:
            kept = [TopicPartition(LIVE, 0), TopicPartition(METERS, 0)]
            passing = [TopicPartition(BALANCE, number) for number in range(self._settings.partitions)]
            consumer.assign([*kept, *passing])
            await consumer.seek_to_beginning(*kept)
            await consumer.seek_to_end(*passing)
            while True:
                for place, messages in (await consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS_MAX)).items():
                    self.take(place.topic, messages)
                await self._note_position(consumer)
                await asyncio.sleep(0)
        finally:
            await consumer.stop()

    async def _note_position(self, consumer: AIOKafkaConsumer) -> None:
        self._read_to = await consumer.position(TopicPartition(LIVE, 0))

    def take(self, topic: str, messages: Sequence[ConsumerRecord]) -> None:
        """Takes in messages of one topic; one that cannot be read is passed over and logged."""
        for message in messages:
            try:
                self._take_one(topic, message)
            except (ValueError, TypeError, KeyError) as error:
                _log.warning("%s@%d cannot be read: %s", topic, message.offset, error)

    def _take_one(self, topic: str, message: ConsumerRecord) -> None:
        key, value = message.key, message.value
        if topic == METERS:
            self._newest.take(key, value)
        elif topic == BALANCE:
            self._take_changes(dict(message.headers).get("kind", CHANGES.encode()).decode(), value or b"")
        elif value is None:
            zone, _, partition = key.decode().rpartition("|")
            self._view.forget(zone, int(partition))
        else:
            self._view.take(decode_live_record(value))

    def _take_changes(self, kind: str, value: bytes) -> None:
        """A kind that is not known here is another's matter: the next version of the balancer may send it."""
        if kind == CHANGES:
            self._stream.windows_changed(decode_changes(value))
        elif kind == RESTATEMENT and self._stream.viewers:
            self._stream.windows_restated(decode_restatements(value, RESTATED_A_TICK))
