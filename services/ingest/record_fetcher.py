"""A topic's record batches as bytes, for the member of a consumer group; `record_batches` makes messages of them.

aiokafka's consumer keeps the membership, finds the first offsets and commits. It fetches nothing itself, since all its
partitions are paused: what it would hand out are objects, one and more a message.
"""

import asyncio
import logging
from dataclasses import dataclass

from aiokafka import AIOKafkaClient, AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    NoError,
    OffsetOutOfRangeError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest

from services.ingest.record_batches import RecordBatches
from shared.kafka_client import make_client, make_consumer
from shared.settings import Settings

_ANSWER_BYTES_MAX = 8 * 1024 * 1024
_PARTITION_BYTES_MAX = 4 * 1024 * 1024
"""Bounds of an answer and of each partition in it, but for a larger batch, which comes alone. Two answers are held at a
time, one that is worked on and one that was fetched ahead."""

_WAIT_MS = 50
"""How long a broker holds back an answer without data: the topic is asked again at least so often."""

_BACKOFF_S = 0.25
"""While partitions have no leader, or none of them is ours."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a broker answered for one partition."""

    partition: TopicPartition
    batches: RecordBatches
    assignment: int
    """Under which assignment it was fetched: of an older one it is not ours any more."""


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes what is assigned. No work is done here: a slow listener would hold up the whole group."""

    def __init__(self, fetcher: "RecordFetcher") -> None:
        self._fetcher = fetcher

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        self._fetcher.reassign([])

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        self._fetcher.reassign(assigned)


class RecordFetcher:
    """Fetches what the group assigns to this member, each partition from what was committed, else from its earliest."""

    def __init__(self, settings: Settings, topic: str, group: str) -> None:
        """Nothing is connected before `start`."""
        self._topic = topic
        self._consumer: AIOKafkaConsumer = make_consumer(settings, group=group, offset_reset="earliest")
        self._client: AIOKafkaClient = make_client(settings)
        self._assignment = 0
        self._next_offsets: dict[TopicPartition, int | None] = {}
        """Of each partition that is ours, None until it is asked for; the one that was answered last comes last."""

    async def start(self) -> None:
        """Connects. Raises KafkaError."""
        await self._consumer.start()
        self._consumer.subscribe([self._topic], listener=_Assignment(self))
        await self._client.bootstrap()
        await self._client.set_topics([self._topic])

    async def stop(self) -> None:
        """Leaves the group."""
        await self._consumer.stop()
        await self._client.close()

    def reassign(self, partitions: list[TopicPartition]) -> None:
        """Takes over these partitions, and lets go of all others."""
        self._consumer.pause(*partitions)
        self._assignment += 1
        self._next_offsets = dict.fromkeys(partitions)

    def is_current(self, fetched: Fetched) -> bool:
        """Whether what was fetched is still ours to handle."""
        return fetched.assignment == self._assignment

    async def commit(self, fetched: Fetched, next_offset: int) -> None:
        """Notes that all before `next_offset` is handled; not when another member has the partition by now."""
        try:
            await self._consumer.commit({fetched.partition: next_offset})
        except (CommitFailedError, IllegalStateError):
            _log.info("%s was handled, but belongs to another member now, which reads it again", fetched.partition)

    async def fetch(self) -> list[Fetched]:
        """What follows in our partitions: some megabytes, or nothing after a moment. Raises KafkaError."""
        # Nothing comes of it but that the group knows this member to be alive, and any error that it met.
        await self._consumer.getmany(timeout_ms=0)
        assignment = self._assignment
        offsets = await self._known_offsets()
        if not offsets:
            await asyncio.sleep(_BACKOFF_S)
        by_leader: dict[int, dict[TopicPartition, int]] = {}
        for partition, offset in offsets.items():
            leader = self._client.cluster.leader_for_partition(partition)
            by_leader.setdefault(-1 if leader is None else leader, {})[partition] = offset
        if by_leader.pop(-1, None):
            await self._wait_for_leaders()
        answers = await asyncio.gather(*(self._ask(leader, wanted) for leader, wanted in by_leader.items()))
        if assignment != self._assignment:
            return []  # it changed meanwhile, and with it where to read on
        fetched = []
        for partition, answer in (found for answered in answers for found in answered.items()):
            batches = RecordBatches(answer, offsets[partition])
            # An answer has a limit, and the first in a request are served first: who got something goes to the end.
            del self._next_offsets[partition]
            self._next_offsets[partition] = batches.next_offset
            fetched.append(Fetched(partition, batches, assignment))
        return fetched

    async def _known_offsets(self) -> dict[TopicPartition, int]:
        """Where to read on in each partition that is ours; none when the assignment changes meanwhile."""
        known = {}
        for partition, next_offset in list(self._next_offsets.items()):
            try:
                known[partition] = await self._consumer.position(partition) if next_offset is None else next_offset
            except IllegalStateError:
                return {}
        return known

    async def _ask(self, leader: int, offsets: dict[TopicPartition, int]) -> dict[TopicPartition, bytes]:
        """What one broker has of the partitions that it leads, only where there is something."""
        wanted = [(partition.partition, offset, _PARTITION_BYTES_MAX) for partition, offset in offsets.items()]
        request = FetchRequest(_WAIT_MS, 1, _ANSWER_BYTES_MAX, 0, [(self._topic, wanted)])
        try:
            response = await self._client.send(leader, request)
        except KafkaError as error:
            if not error.retriable:
                raise
            _log.warning("the broker of node %d cannot be asked for %s: %r", leader, self._topic, error)
            await self._wait_for_leaders()
            return {}
        answers = {}
        for _, partitions in response.topics:
            for number, error_code, *_, content in partitions:
                partition = TopicPartition(self._topic, number)
                answered = for_code(error_code)
                if answered is not NoError:
                    await self._meet(answered, partition)
                elif content:
                    answers[partition] = content
        return answers

    async def _meet(self, error: type[KafkaError], partition: TopicPartition) -> None:
        """Makes good an error of one partition. Raises it when nothing can be done."""
        if error is OffsetOutOfRangeError:
            _log.warning("%s has not what it is asked for: it is read from its earliest message", partition)
            if partition in self._next_offsets:
                self._next_offsets[partition] = None
                await self._consumer.seek_to_beginning(partition)
        elif error.retriable:
            await self._wait_for_leaders()
        else:
            raise error(partition)

    async def _wait_for_leaders(self) -> None:
        self._client.force_metadata_update()
        await asyncio.sleep(_BACKOFF_S)
