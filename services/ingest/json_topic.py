"""The door for producers that speak Kafka: the topic `bilans.readings.json`, one reading a line, a message one or many.

At least once: offsets are committed after everything of them is acknowledged in the log. A crash may repeat lines
(they count again, as unchanged), it never loses one.

Three steps overlap, each with one portion of messages at a time and in their order: while one is being appended to the
log, the next one is checked, and the one after it is fetched.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from services.ingest.ahead import ahead
from services.ingest.checked import Checked
from services.ingest.fuse_keeper import FuseKeeper
from services.ingest.intake import Intake, Receipt
from services.ingest.json_deliveries import check_spans
from services.ingest.json_lines import find_lines
from services.ingest.log_writer import LogUnreachableError
from services.ingest.lookup import SeriesLookup
from services.ingest.record_batches import Messages
from services.ingest.record_fetcher import Fetched, RecordFetcher
from shared.metrics import INGEST_READINGS
from shared.settings import Settings
from shared.topics import READINGS_JSON

GROUP = "bilans-ingest"
"""The consumer group; its committed offsets tell how far the topic is handled (`lag` of the audit)."""

_RETRY_S = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Portion:
    """Messages of one partition, checked."""

    fetched: Fetched
    lines: "MessageLines"
    lookup: SeriesLookup
    latest_s: int
    checked: Checked


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
        fetcher = RecordFetcher(self._settings, READINGS_JSON, GROUP)
        try:
            await fetcher.start()
            async with aclosing(ahead(self._checked(fetcher))) as portions:
                async for portion in portions:
                    if not self._fuse.may_read():
                        return  # what is not committed is read again when the fuse is mended
                    if fetcher.is_current(portion.fetched):
                        await self._take(portion)
                        await fetcher.commit(portion.fetched, portion.lines.next_offset)
        finally:
            await fetcher.stop()

    async def _fetched(self, fetcher: RecordFetcher) -> AsyncGenerator[Fetched, None]:
        while self._fuse.may_read():
            for fetched in await fetcher.fetch():
                yield fetched

    async def _checked(self, fetcher: RecordFetcher) -> AsyncGenerator[_Portion, None]:
        async with aclosing(ahead(self._fetched(fetcher))) as all_fetched:
            async for fetched in all_fetched:
                portions = fetched.batches.portions()
                while (portion := await self._next_portion(fetched, portions)) is not None:
                    yield portion

    async def _next_portion(self, fetched: Fetched, portions: Iterator[Messages]) -> _Portion | None:
        lookup, latest_s = self._rules()

        def check() -> _Portion | None:
            messages = next(portions, None)
            if messages is None:
                return None
            lines = MessageLines(fetched.partition, messages)
            return _Portion(fetched, lines, lookup, latest_s, lines.check(lookup, latest_s))

        return await self._intake.in_thread(check)

    async def _take(self, portion: _Portion) -> None:
        """Returns when all of `portion` is in the log, however long Kafka takes."""
        lines, lookup, latest_s, checked = portion.lines, portion.lookup, portion.latest_s, portion.checked
        while True:
            try:
                receipt = await self._intake.take(checked, lookup, latest_s, lines.position)
            except LogUnreachableError as error:
                _log.warning("%s waits: %s", READINGS_JSON, error)
                await asyncio.sleep(_RETRY_S)
                lookup, latest_s = self._rules()  # they may be others by now
                checked = await self._intake.in_thread(lines.check, lookup, latest_s)
            else:
                self._note(len(lines), receipt)
                return

    def _note(self, lines: int, receipt: Receipt) -> None:
        INGEST_READINGS.labels("topic", "accepted").inc(receipt.accepted)
        INGEST_READINGS.labels("topic", "rejected").inc(receipt.rejected)
        self._fuse.judge(lines, receipt)

    def _rules(self) -> tuple[SeriesLookup, int]:
        """What deliveries are judged by now: the lookup, and the last instant that is not in the future."""
        lookup = self._current_lookup()
        assert lookup is not None  # once there is one, there is always one
        return lookup, self._intake.latest_s()


class MessageLines:
    """The lines of several messages of one partition, and where each came from."""

    def __init__(self, partition: TopicPartition, messages: Messages) -> None:
        """A message without a value has no line."""
        self._partition = partition
        self._messages = messages
        self._text = np.frombuffer(messages.body, np.uint8)
        self._spans = find_lines(self._text, messages.starts, messages.ends)
        self._newlines: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """How many lines."""
        return len(self._spans[0])

    @property
    def next_offset(self) -> int:
        """What follows on these messages."""
        return self._messages.next_offset

    def position(self, index: int) -> str:
        """Like `bilans.readings.json/2@1234 line 3`, lines of a message counted from 1."""
        if self._newlines is None:  # only once a delivery was rejected: most messages need none
            self._newlines = np.flatnonzero(self._text == ord("\n"))
        start = int(self._spans[0][index])
        place = int(np.searchsorted(self._messages.starts, start, "right")) - 1
        before, upto = np.searchsorted(self._newlines, (self._messages.starts[place], start)).tolist()
        line = upto - before + 1
        return f"{self._partition.topic}/{self._partition.partition}@{self._messages.offsets[place]} line {line}"

    def check(self, lookup: SeriesLookup, latest_s: int) -> Checked:
        """The deliveries, checked by columns."""
        return check_spans(self._messages.body, self._spans, lookup, latest_s)
