"""The door for producers that speak Kafka: the topic `bilans.readings.json`, one reading a line, a message one or many.

At least once: offsets are committed after everything of them is acknowledged in the log. A crash may repeat lines
(they count again, as unchanged), it never loses one.
"""

import asyncio
import logging
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from services.ingest.checked import Checked
from services.ingest.fuse_keeper import FuseKeeper
from services.ingest.intake import Intake, Receipt
from services.ingest.json_deliveries import check_spans
from services.ingest.json_lines import find_lines
from services.ingest.log_writer import LogUnreachableError
from services.ingest.lookup import SeriesLookup
from shared.kafka_client import make_consumer
from shared.metrics import INGEST_READINGS
from shared.settings import Settings
from shared.topics import READINGS_JSON

GROUP = "bilans-ingest"
"""The consumer group; its committed offsets tell how far the topic is handled (`lag` of the audit)."""

_RECORDS_AT_ONCE = 50_000
_BYTES_AT_ONCE = 8 * 1024 * 1024
"""Messages are taken together up to here: a batch costs some milliseconds, whatever its size."""

_RETRY_S = 0.5

_log = logging.getLogger(__name__)

Records = list[ConsumerRecord[bytes, bytes]]


class JsonTopic:
    """Reads the topic into the log."""

    def __init__(
        self, settings: Settings, intake: Intake, current_lookup: Callable[[], SeriesLookup | None], fuse: FuseKeeper
    ) -> None:
        """`current_lookup` gives the lookup in use; nothing is read while there is none, nor while `fuse` is blown."""
        self._settings = settings
        self._intake = intake
        self._current_lookup = current_lookup
        self._fuse = fuse

    async def run(self) -> None:
        """Reads until it is cancelled; after any fault of Kafka with a new consumer from what was committed."""
        while True:
            await self._fuse.wait_until_may_read()
            if self._current_lookup() is not None:
                try:
                    await self._consume()
                except (KafkaError, OSError, TimeoutError) as error:
                    _log.warning("reading %s starts again: %r", READINGS_JSON, error)
            if self._fuse.may_read():
                await asyncio.sleep(_RETRY_S)

    async def _consume(self) -> None:
        # From the earliest where nothing was committed: what was sent before the first start counts too.
        consumer = make_consumer(self._settings, READINGS_JSON, group=GROUP, offset_reset="earliest")
        try:
            await consumer.start()
            while self._fuse.may_read():
                fetched = await consumer.getmany(timeout_ms=1000, max_records=_RECORDS_AT_ONCE)
                for partition, records in fetched.items():
                    await self._take_partition(consumer, partition, records)
        finally:
            await consumer.stop()

    async def _take_partition(self, consumer: AIOKafkaConsumer, partition: TopicPartition, records: Records) -> None:
        for some in batches_of(records):
            if not self._fuse.may_read():
                return  # what is not committed is read again when the fuse is mended
            await self._take(some)
            try:
                await consumer.commit({partition: some[-1].offset + 1})
            except (CommitFailedError, IllegalStateError):
                return  # another member has the partition now and reads from the last commit

    async def _take(self, records: Records) -> None:
        """Returns when all of `records` are in the log, however long Kafka takes."""
        lines = await self._intake.in_thread(MessageLines, records)
        while True:
            try:
                receipt = await self._take_lines(lines)
            except LogUnreachableError as error:
                _log.warning("%s waits: %s", READINGS_JSON, error)
                await asyncio.sleep(_RETRY_S)
            else:
                INGEST_READINGS.labels("topic", "accepted").inc(receipt.accepted)
                INGEST_READINGS.labels("topic", "rejected").inc(receipt.rejected)
                self._fuse.judge(len(lines), receipt)
                return

    async def _take_lines(self, lines: "MessageLines") -> Receipt:
        lookup = self._current_lookup()
        assert lookup is not None  # once there is one, there is always one
        latest_s = self._intake.latest_s()
        checked = await self._intake.in_thread(lines.check, lookup, latest_s)
        return await self._intake.take(checked, lookup, latest_s, lines.position)


def batches_of(records: Records) -> list[Records]:
    """`records` in their order, cut so that no batch of more than one message is over _BYTES_AT_ONCE."""
    sizes = np.cumsum([len(record.value or b"") + 1 for record in records])
    batches, start = [], 0
    while start < len(records):
        before = int(sizes[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(sizes, before + _BYTES_AT_ONCE, "right")))
        batches.append(records[start:stop])
        start = stop
    return batches


class MessageLines:
    """The lines of several messages as one body, and where each came from."""

    def __init__(self, records: Records) -> None:
        """`records` of one partition, in their order; a message without a value has no line."""
        self._records = records
        self.body = b"\n".join([record.value or b"" for record in records])
        self.spans = find_lines(np.frombuffer(self.body, np.uint8))
        self._message_starts: npt.NDArray[np.int64] | None = None
        self._newlines = np.zeros(0, np.int64)

    def __len__(self) -> int:
        """How many lines."""
        return len(self.spans[0])

    def position(self, index: int) -> str:
        """Like `bilans.readings.json/2@1234 line 3`, lines of a message counted from 1."""
        if self._message_starts is None:  # only once a delivery was rejected: most batches need none
            sizes = [len(record.value or b"") + 1 for record in self._records]
            self._message_starts = np.cumsum([0, *sizes[:-1]])
            self._newlines = np.flatnonzero(np.frombuffer(self.body, np.uint8) == ord("\n"))
        start = int(self.spans[0][index])
        place = int(np.searchsorted(self._message_starts, start, "right")) - 1
        before, upto = np.searchsorted(self._newlines, (self._message_starts[place], start)).tolist()
        line = upto - before + 1
        record = self._records[place]
        return f"{record.topic}/{record.partition}@{record.offset} line {line}"

    def check(self, lookup: SeriesLookup, latest_s: int) -> Checked:
        """The deliveries, checked by columns."""
        return check_spans(self.body, self.spans, lookup, latest_s)
