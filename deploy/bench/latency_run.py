"""One measurement of latency: an open loop of requests to ingest, an observer of the live topic and of the tables.

Every time is counted from the instant at which the request was due, so a system that falls behind cannot hide it. One
round of readings is committed before. In the first seconds nothing is counted, but all of it must be in the totals.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import asyncpg
import numpy as np

from deploy.bench.books_watch import wait_received
from deploy.bench.cluster import Cluster, Int64Array
from deploy.bench.encode import Places, places_of
from deploy.bench.fill import fill_log
from deploy.bench.latency_samples import Float64Array, Samples, choose_samples, first_committed_s, first_live_s
from deploy.bench.log_content import log_ends, readings_from
from deploy.bench.open_loop import OpenLoop
from deploy.bench.progress import BenchProgress
from deploy.bench.published import Published, compare_published
from deploy.bench.stack import STORES, Stack, running_stack
from deploy.bench.usage import ProcessorTimes
from deploy.bench.workload import Workload
from shared.database.engine import connect
from shared.errors import BilansError
from shared.limits import MESSAGE_READINGS_MAX
from shared.settings import ClockMode
from shared.topology.store import read_topology

_LIVE_S = 2.0
"""The live topic tells all zones once a second at least: after this nothing more is waited for."""


@dataclass(frozen=True, slots=True)
class LatencyOptions:
    """What is sent, and how fast."""

    rate: int
    """Readings a second."""
    seconds: float
    """How long is counted."""
    warm_seconds: float
    """How long is sent before that."""
    per_request: int
    format: Literal["ndjson", "arrow"]
    meters: int
    partitions: int = 4
    balancers: int = 1
    clock: ClockMode = "wall"

    @property
    def interval_s(self) -> float:
        """Between two requests."""
        return self.per_request / self.rate

    @property
    def requests(self) -> int:
        """How many in all."""
        return round((self.warm_seconds + self.seconds) / self.interval_s)

    @property
    def warm_requests(self) -> int:
        """How many of them are not counted."""
        return round(self.warm_seconds / self.interval_s)


@dataclass(frozen=True, slots=True)
class LatencyOutcome:
    """Times from due, in seconds: of each request that counts, and of each sample."""

    acknowledged_s: Float64Array
    live_s: Float64Array
    committed_s: Float64Array
    """NaN where it was not seen."""
    achieved_rate: float
    """Readings a second, from the first request due to the last acknowledgement."""
    published: Published
    cpu_seconds: dict[str, float]
    """From the begin of sending until all was committed."""

    @property
    def unseen(self) -> int:
        """Samples that never were live, or never committed."""
        return int(np.isnan(self.live_s).sum() + np.isnan(self.committed_s).sum())


async def latency_once(options: LatencyOptions, progress: BenchProgress) -> LatencyOutcome:
    """One measurement on a stack of its own. Raises BilansError when something does not start or nothing moves."""
    async with running_stack(partitions=options.partitions, clock=options.clock) as stack:
        connection = await connect(stack.settings.database_url, application_name="bilans bench")
        try:
            return await _Latency(options, stack, connection, progress).run()
        finally:
            await connection.close()


class _Latency:
    """The steps."""

    def __init__(
        self, options: LatencyOptions, stack: Stack, connection: asyncpg.Connection, progress: BenchProgress
    ) -> None:
        self._options = options
        self._stack = stack
        self._connection = connection
        self._progress = progress
        self._cluster = Cluster(options.meters)
        self._services = ("ingest", *(f"balancer-{number}" for number in range(options.balancers)))

    async def run(self) -> LatencyOutcome:
        """All of it."""
        options, cluster = self._options, self._cluster
        places = await self._warm_up()
        begin = await log_ends(self._stack.settings)
        self._progress.step(f"sending {options.rate:,} readings a second for {options.seconds:.0f} s")
        times = ProcessorTimes({name: self._stack.process(name) for name in (*self._services, *STORES)})
        await self._send()
        used = times.seconds()
        self._progress.step("checking every total")
        workload = Workload(cluster, options.requests * options.per_request, 0, 0, warm_rounds=1)
        published = await compare_published(self._connection, workload.expected())
        sent, seen = self._read("sent.npz"), self._read("seen.npz")
        samples = choose_samples(cluster, cluster.series, options.requests, options.per_request)
        samples = samples.from_request(options.warm_requests)
        if not len(samples.station):
            raise BilansError("No request holds all series of a station.", "Give a larger --per-request.")
        due_s = sent["due_s"][samples.request]
        live_s = first_live_s(
            samples,
            workload.at(samples.reading).ts_s,
            seen["live_station"].astype(np.int64),
            seen["live_newest_s"].astype(np.int64),
            seen["live_at_s"],
        )
        partition, offset = await self._find_in_log(samples, workload, places, begin)
        committed_s = first_committed_s(
            partition,
            offset,
            seen["progress_partition"].astype(np.int64),
            seen["progress_offset"].astype(np.int64),
            seen["progress_at_s"],
        )
        counted = slice(options.warm_requests, None)
        return LatencyOutcome(
            acknowledged_s=(sent["acknowledged_s"] - sent["due_s"])[counted],
            live_s=live_s - due_s,
            committed_s=committed_s - due_s,
            achieved_rate=self._achieved_rate(sent["due_s"][counted], sent["acknowledged_s"][counted]),
            published=published,
            cpu_seconds=used,
        )

    def _achieved_rate(self, due_s: Float64Array, acknowledged_s: Float64Array) -> float:
        """Readings a second, from the first request due to the last acknowledgement or the end of what was offered."""
        ended_s = max(acknowledged_s.max(), due_s[-1] + self._options.interval_s)
        return len(due_s) * self._options.per_request / float(ended_s - due_s[0])

    async def _warm_up(self) -> Places:
        """Starts the services and has the first round committed."""
        self._progress.step("starting Kafka, PostgreSQL and the services")
        number = await self._stack.load_topology(self._cluster.write(self._stack.folder / "topology"))
        places = places_of(self._cluster, await read_topology(self._connection, number))
        await self._stack.start(*self._services)
        warm_up = Workload(self._cluster, 0, warm_rounds=1).warm_up()
        await fill_log(self._stack.settings, places, [warm_up], MESSAGE_READINGS_MAX)
        await wait_received(self._connection, len(warm_up))
        return places

    async def _send(self) -> None:
        """Sends all, and returns when all is committed and has had the time to be live."""
        options = self._options
        loop = OpenLoop(
            url=self._stack.ingest,
            format=options.format,
            meters=options.meters,
            first_reading=self._cluster.series,
            requests=options.requests,
            per_request=options.per_request,
            interval_s=options.interval_s,
        )
        folder = str(self._stack.folder)
        async with (
            self._helper("deploy.bench.open_loop", loop.to_json(), folder, says="prepared") as sender,
            self._helper("deploy.bench.latency_observer", folder, says="watching") as observer,
        ):
            await _let_end(sender)
            await wait_received(self._connection, self._cluster.series + options.requests * options.per_request)
            await asyncio.sleep(_LIVE_S)
            await _let_end(observer)

    @asynccontextmanager
    async def _helper(self, module: str, *arguments: str, says: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A process beside, once it says that it is ready."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            env=self._stack.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            if await process.stdout.readline() != f"{says}\n".encode():
                raise BilansError(f"{module} ended with {await process.wait()}.", "What it said is above.")
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _find_in_log(
        self, samples: Samples, workload: Workload, places: Places, begin: dict[int, int]
    ) -> tuple[Int64Array, Int64Array]:
        """Partition and offset of the message that has each sample's first reading."""
        place_of = np.full(workload.readings, -1, np.int64)
        place_of[samples.reading] = np.arange(len(samples.reading))
        partition, offset = np.zeros((2, len(samples.reading)), np.int64)
        series_of = {number: places.inverse(number) for number in begin}
        async for record, columns in readings_from(self._stack.settings, begin):
            number = workload.number_of(series_of[record.partition][columns.slot], columns.ts_s)
            found = place_of[number]
            partition[found[found >= 0]] = record.partition
            offset[found[found >= 0]] = record.offset
        return partition, offset

    def _read(self, name: str) -> dict[str, Float64Array]:
        with np.load(Path(self._stack.folder) / name) as columns:
            return dict(columns)


async def _let_end(process: asyncio.subprocess.Process) -> None:
    """Gives a helper its line and waits for its end."""
    await process.communicate(b"\n")
    if process.returncode != 0:
        raise BilansError(f"A helper ended with {process.returncode}.", "What it said is above.")
