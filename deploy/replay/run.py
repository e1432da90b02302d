"""One run of a replay: from file to the log, in order, at its pace, and on to the published balance."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pyarrow as pa

from deploy.replay.ahead import read_ahead
from deploy.replay.pacing import paced
from deploy.replay.progress_bar import ReplayProgress
from deploy.replay.publication import PublicationWatch
from deploy.replay.reading_file import ReadingFile, open_reading_file
from deploy.replay.report import ReplayReport
from deploy.replay.sender import LANES, ReadingSender, StoppedError, encode_lanes
from deploy.replay.time_order import in_order_of_file, in_order_of_time
from deploy.running_system import RunningSystem

Order = Literal["time", "file"]

CHUNK_READINGS = 65_536 * LANES
"""Readings of a chunk, 65,536 a request: 1.5 MB, large enough that the cost of a request does not show."""

_SHOW_S = 0.25


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What `bilans replay` was asked to do."""

    file: Path
    speed: float | None
    """Multiple of real time; None: as fast as it goes."""
    order: Order
    wait: bool
    api_key: str


class Replay:
    """A replay of one file to one system; `stop` may be called at any moment."""

    def __init__(self, options: ReplayOptions, system: RunningSystem) -> None:
        """Nothing is opened before `run`."""
        self._options = options
        self._stop = asyncio.Event()
        self._watch = PublicationWatch(system.api, options.api_key)
        self._sender = ReadingSender(system.ingest, options.api_key, self._stop)
        self._began = time.monotonic()

    def stop(self) -> None:
        """Ends the replay after the requests in flight; what waits to be published is not waited for."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    async def run(self) -> ReplayReport:
        """Replays the file. Raises BilansError when it cannot be read, or the system cannot be reached."""
        self._began = time.monotonic()
        file = open_reading_file(self._options.file)
        await self._watch.start()
        try:
            with ReplayProgress(self._options.file.name, file.readings) as progress:
                showing = asyncio.create_task(self._show(progress))
                try:
                    await self._send(file)
                    if self._options.wait and not self.stopped:
                        await self._wait_published()
                finally:
                    showing.cancel()
            seconds = time.monotonic() - self._began
        finally:
            await self._sender.close()
            await self._watch.close()
        return self._report(seconds)

    def report_of_failure(self) -> ReplayReport:
        """What was sent until an error ended the run."""
        return self._report(time.monotonic() - self._began)

    async def _send(self, file: ReadingFile) -> None:
        with TemporaryDirectory(prefix="bilans-replay-") as folder:
            if self._options.order == "time":
                chunks = in_order_of_time(file.batches(), CHUNK_READINGS, Path(folder))
            else:
                chunks = in_order_of_file(file.batches(), CHUNK_READINGS)
            try:
                async for bodies in _encoded(paced(read_ahead(chunks), self._options.speed, self._stop)):
                    await self._sender.send(bodies)
                    await self._send_unreadable(file)
                await self._send_unreadable(file)
            except StoppedError:
                return

    async def _send_unreadable(self, file: ReadingFile) -> None:
        lines, file.unreadable = file.unreadable, []
        await self._sender.send_lines(lines)

    async def _wait_published(self) -> None:
        published = asyncio.create_task(self._watch.wait_published(self._sender.deliveries.sent))
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((published, stopped), return_when=asyncio.FIRST_COMPLETED)
            if published.done():
                published.result()
        finally:
            published.cancel()
            stopped.cancel()

    async def _show(self, progress: ReplayProgress) -> None:
        last = -1
        while True:
            sent = self._sender.deliveries.sent
            books = self._watch.books
            lag = max(0, sent - books.since(self._watch.before).received) + books.pending
            doing = "stopping" if self.stopped else "sending" if sent != last else "publishing"
            progress.show(sent, lag, doing)
            last = sent
            await asyncio.sleep(_SHOW_S)

    def _report(self, seconds: float) -> ReplayReport:
        return ReplayReport(
            sent=self._sender.deliveries.sent,
            books=self._watch.books.since(self._watch.before),
            seconds=seconds,
            p50_ms=self._watch.latency_ms(50),
            p99_ms=self._watch.latency_ms(99),
        )


async def _encoded(chunks: AsyncIterator[pa.RecordBatch]) -> AsyncIterator[list[tuple[int, bytes]]]:
    """The requests of each chunk, encoded in a thread."""
    async for chunk in chunks:
        yield await asyncio.to_thread(encode_lanes, chunk)
