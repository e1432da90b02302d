"""One drain: what is filled, when the clock starts and stops, and what is looked at when it has stopped.

- All guards are on: fencing, books, revisions, outbox, late queue, archive, checkpoints and the live view run as ever.
- At least one round of readings is sent, committed and archived before, so that no process starts from nothing.
- `arrow`: then the balancer is stopped, the log is filled, and the balancer is started again and brings its checkpoint
  back. The clock starts with the line in its log that says that the first partition is its own: it fetches next.
- `json`: the fuse of the JSON topic is blown, so that ingest runs and reads nothing while the topic is filled. The
  clock starts with the line in its log that says that the fuse was mended: ingest then makes its consumer and fetches,
  which is in the time.
- The clock stops when the books count all deliveries: they are entered in the transaction that writes the rows. The
  question is put a hundred times a second.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import asyncpg

from deploy.bench.archive_lag import archived_until, readings_behind, wait_archived
from deploy.bench.books_watch import messages_left, outcomes, received, wait_received
from deploy.bench.cluster import STATION_METERS, Cluster
from deploy.bench.encode import Places, places_of
from deploy.bench.fill import fill_json, fill_log
from deploy.bench.json_gate import close_gate, open_gate
from deploy.bench.log_line import log_size, wait_for_line
from deploy.bench.progress import BenchProgress
from deploy.bench.published import Published, compare_published
from deploy.bench.raw_speed import RawSpeed, measure_raw
from deploy.bench.stack import STORES, Stack, running_stack
from deploy.bench.usage import ProcessorTimes, rss_bytes_max
from deploy.bench.workload import Deliveries, Workload
from shared.database.engine import connect
from shared.errors import BilansError
from shared.settings import ClockMode
from shared.topics import READINGS, READINGS_JSON
from shared.topology.store import read_topology

Form = Literal["arrow", "json"]


@dataclass(frozen=True, slots=True)
class DrainOptions:
    """What is drained, and how."""

    readings: int
    meters: int
    format: Form = "arrow"
    per_message: int = 1
    """Readings of a message: lines of `json`, at most so many of `arrow`."""
    partitions: int = 4
    balancers: int = 1
    clock: ClockMode = "wall"
    station_meters: int = STATION_METERS
    warm_rounds: int = 1
    """Rounds that are committed before: with 192 the balancer's memory of 48 hours is full, as it is on every day but
    the first two; with 1 it grows while it is measured."""


@dataclass(frozen=True, slots=True)
class DrainOutcome:
    """What came of it. Processor times are of the time that was measured."""

    seconds: float
    published: Published
    outcomes: dict[str, int]
    """The books: deliveries by what became of them, the warm-up's too."""
    deliveries: int
    """What the books must count as received."""
    messages_left: int
    """Messages of the log that are not in the tables: none, where all went well."""
    archived_seconds: float
    """From the begin until the archive had it all: a longer stream could not be kept up faster."""
    archive_lag: int
    """Readings that were not archived yet when their rows were committed."""
    cpu_seconds: dict[str, float]
    """By `balancer` (all of them), `ingest`, `kafka`, `postgres`, `bench` and `elsewhere`."""
    rss_bytes: int
    """The most memory that a balancer held."""
    raw: RawSpeed

    @property
    def exact(self) -> bool:
        """Whether every total is right and every delivery is in the books."""
        unusual = self.outcomes.get("pending", 0) + self.outcomes.get("rejected:conflict", 0)
        all_received = self.outcomes["received"] == self.deliveries and unusual == self.messages_left == 0
        return all_received and self.published.difference_wh == 0


async def drain_once(options: DrainOptions, progress: BenchProgress) -> DrainOutcome:
    """One drain on a stack of its own. Raises BilansError when something does not start or nothing moves."""
    async with running_stack(partitions=options.partitions, clock=options.clock) as stack:
        connection = await connect(stack.settings.database_url, application_name="bilans bench")
        try:
            return await _Drain(options, stack, connection, progress).run()
        finally:
            await connection.close()


class _Drain:
    """The steps of a drain."""

    def __init__(
        self, options: DrainOptions, stack: Stack, connection: asyncpg.Connection, progress: BenchProgress
    ) -> None:
        self._options = options
        self._stack = stack
        self._connection = connection
        self._progress = progress
        self._workload = Workload(
            Cluster(options.meters, options.station_meters), options.readings, warm_rounds=options.warm_rounds
        )
        self._balancers = [f"balancer-{number}" for number in range(options.balancers)]
        self._parts = [*self._balancers, *(["ingest"] if options.format == "json" else []), *STORES]
        self._places: Places | None = None
        self._starting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._starting.set_result(None)

    async def run(self) -> DrainOutcome:
        """All of it."""
        warm = len(self._workload.warm_up())
        total = warm + self._options.readings
        await self._warm_up(warm)
        self._progress.step(f"filling Kafka with {self._options.readings:,} readings", self._options.readings)
        await self._fill()
        if await received(self._connection) != warm:
            raise BilansError("Some of the readings were handled while Kafka was filled: nothing can be said.")
        self._progress.step("draining", self._options.readings)
        began_s = await self._begin()
        times = ProcessorTimes({name: self._stack.process(name) for name in self._parts})
        ended_s = await wait_received(self._connection, total, lambda count: self._progress.show(count - warm))
        used = times.seconds()
        archived = await asyncio.to_thread(archived_until, self._stack.settings)
        rss_bytes = max(rss_bytes_max(self._stack.process(name)) for name in self._balancers)
        await self._starting
        self._progress.step("waiting for the archive")
        await wait_archived(self._stack.settings)
        archived_seconds = time.time() - began_s
        self._progress.step("checking every total")
        return DrainOutcome(
            seconds=ended_s - began_s,
            published=await compare_published(self._connection, self._workload.expected()),
            outcomes=await outcomes(self._connection),
            deliveries=total,
            messages_left=await messages_left(self._connection, self._stack.settings),
            archived_seconds=archived_seconds,
            archive_lag=await readings_behind(self._stack.settings, archived),
            cpu_seconds=used,
            rss_bytes=rss_bytes,
            raw=await self._measure_raw(),
        )

    async def _warm_up(self, warm: int) -> None:
        """Starts the services and has the first rounds committed."""
        self._progress.step("starting Kafka, PostgreSQL and the services")
        warm_up = [self._workload.warm_up()]
        number = await self._stack.load_topology(self._workload.cluster.write(self._stack.folder / "topology"))
        if self._options.format == "json":
            await self._stack.start(*self._balancers, "ingest")
            await fill_json(self._stack.settings, self._workload.cluster, warm_up, self._options.per_message)
        else:
            self._places = places_of(self._workload.cluster, await read_topology(self._connection, number))
            await self._stack.start(*self._balancers)
            await self._fill_log(warm_up)
        await wait_received(self._connection, warm)
        await wait_archived(self._stack.settings)

    async def _fill(self) -> None:
        """Fills the topic that is drained, while nobody reads it."""
        if self._options.format == "json":
            await close_gate(self._stack, self._connection)
            workload, per_message = self._workload, self._options.per_message
            settings = self._stack.settings
            await fill_json(settings, workload.cluster, workload.blocks(), per_message, self._progress.show)
        else:
            await self._stack.stop(*self._balancers)
            await self._fill_log(self._workload.blocks())

    async def _fill_log(self, blocks: Iterable[Deliveries]) -> None:
        assert self._places is not None
        await fill_log(self._stack.settings, self._places, blocks, self._options.per_message, self._progress.show)

    async def _begin(self) -> float:
        """Lets what is measured begin; the wall time at which it did."""
        if self._options.format == "json":
            return await open_gate(self._stack, self._connection)
        logs = {log: log_size(log) for log in map(self._stack.log, self._balancers)}
        self._starting = asyncio.create_task(self._stack.start(*self._balancers))
        return await wait_for_line(logs, " is ours (epoch ")

    async def _measure_raw(self) -> RawSpeed:
        """The client alone: the services have ended."""
        await self._stack.stop(*(name for name in self._parts if name not in STORES))
        self._progress.step("reading the same topic with the client alone")
        return await measure_raw(self._stack, READINGS_JSON if self._options.format == "json" else READINGS)
