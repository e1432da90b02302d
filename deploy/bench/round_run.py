"""One round of all meters: what stands before, when the clock starts and stops.

- Before: the topology is loaded and followed, a first round of every series is committed, archived and in a checkpoint.
  A window needs two readings, so that round makes no rows. The balancer is stopped between them, the round that is
  measured is filled into the log, and the balancer is started again.
- The clock starts with the line in the balancer's log that says that the last partition is its own: the topology is
  read and the checkpoints are back by then, and its next step is the first fetch.
- The clock stops when the books count all deliveries: they are entered in the transaction that writes the rows.
- All guards are on, as in `drain`. What comes before is not in the time; it is told beside it.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import asyncpg
import numpy as np

from deploy.bench.archive_lag import wait_archived
from deploy.bench.books_watch import messages_left, outcomes, received, wait_received
from deploy.bench.cluster import Cluster
from deploy.bench.encode import Places, places_of
from deploy.bench.fill import fill_log
from deploy.bench.log_line import log_size, wait_for_line
from deploy.bench.progress import BenchProgress
from deploy.bench.published import Published, compare_published
from deploy.bench.stack import STORES, Stack, running_stack
from deploy.bench.usage import ProcessorTimes, rss_bytes_max
from deploy.bench.workload import BLOCK_DELIVERIES, Deliveries, Workload, deliveries_of_round
from shared.database.engine import connect
from shared.errors import BilansError
from shared.limits import MESSAGE_READINGS_MAX
from shared.topology.following import wait_until_followed
from shared.topology.store import read_topology

_BALANCER = "balancer-0"
_FOLLOWED_S_MAX = 600.0
_STOPPED_S_MAX = 120.0


@dataclass(frozen=True, slots=True)
class RoundOptions:
    """How many meters, each with two series."""

    meters: int
    partitions: int = 4


@dataclass(frozen=True, slots=True)
class RoundOutcome:
    """What came of it. Processor times are of the time that was measured."""

    seconds: float
    series: int
    before_seconds: dict[str, float]
    """What came before: `load` of the topology, `follow` of it by the balancer, `first_round`, `stop`, `restart`."""
    published: Published
    outcomes: dict[str, int]
    deliveries: int
    messages_left: int
    cpu_seconds: dict[str, float]
    rss_bytes: int
    """The most memory that the balancer held, in the first or in the second of its lives."""

    @property
    def exact(self) -> bool:
        """Whether every total is right and every delivery is in the books."""
        unusual = self.outcomes.get("pending", 0) + self.outcomes.get("rejected:conflict", 0)
        all_received = self.outcomes["received"] == self.deliveries and unusual == self.messages_left == 0
        return all_received and self.published.difference_wh == 0


async def round_once(options: RoundOptions, progress: BenchProgress) -> RoundOutcome:
    """Measures on a stack of its own. Raises BilansError when something does not start or nothing moves."""
    async with running_stack(partitions=options.partitions) as stack:
        connection = await connect(stack.settings.database_url, application_name="bilans bench")
        try:
            return await _Round(options, stack, connection, progress).run()
        finally:
            await connection.close()


class _Round:
    """The steps."""

    def __init__(
        self, options: RoundOptions, stack: Stack, connection: asyncpg.Connection, progress: BenchProgress
    ) -> None:
        self._stack = stack
        self._connection = connection
        self._progress = progress
        cluster = Cluster(options.meters, prosumer_every=1)
        self._workload = Workload(cluster, deliveries_of_round(cluster), warm_rounds=1)
        self._before_seconds: dict[str, float] = {}

    async def run(self) -> RoundOutcome:
        """All of it."""
        cluster, settings = self._workload.cluster, self._stack.settings
        total = cluster.series + self._workload.deliveries
        places, rss_bytes = await self._prepare()
        self._progress.step("filling Kafka with the round", self._workload.deliveries)
        await fill_log(settings, places, self._workload.blocks(), MESSAGE_READINGS_MAX, self._progress.show)
        if await received(self._connection) != cluster.series:
            raise BilansError("Some of the readings were handled while Kafka was filled: nothing can be said.")
        self._progress.step("the round", self._workload.deliveries)
        starting, began_s = await self._begin()
        times = ProcessorTimes({name: self._stack.process(name) for name in (_BALANCER, *STORES)})
        ended_s = await wait_received(
            self._connection, total, lambda count: self._progress.show(count - cluster.series)
        )
        used = times.seconds()
        await starting
        self._progress.step("checking every total")
        return RoundOutcome(
            seconds=ended_s - began_s,
            series=cluster.series,
            before_seconds=self._before_seconds,
            published=await compare_published(self._connection, self._workload.expected()),
            outcomes=await outcomes(self._connection),
            deliveries=total,
            messages_left=await messages_left(self._connection, settings),
            cpu_seconds=used,
            rss_bytes=max(rss_bytes, rss_bytes_max(self._stack.process(_BALANCER))),
        )

    async def _prepare(self) -> tuple[Places, int]:
        """Has the topology followed and the first round committed, archived and in checkpoints.

        Returns where the series stand in the log, and how much memory the balancer held.
        """
        cluster, settings = self._workload.cluster, self._stack.settings
        self._progress.step("loading the topology")
        folder = await asyncio.to_thread(cluster.write, self._stack.folder / "topology")
        with self._timed("load"):
            number = await self._stack.load_topology(folder)
        places = places_of(cluster, await read_topology(self._connection, number))
        self._progress.step("following the topology")
        with self._timed("follow"):
            await self._stack.start(_BALANCER)
            await wait_until_followed(self._connection, number, _FOLLOWED_S_MAX)
        self._progress.step("the first round", cluster.series)
        with self._timed("first_round"):
            await fill_log(settings, places, self._first_round(), MESSAGE_READINGS_MAX)
            await wait_received(self._connection, cluster.series, self._progress.show)
        self._progress.step("waiting for archive and checkpoints")
        await wait_archived(settings)
        rss_bytes = rss_bytes_max(self._stack.process(_BALANCER))
        with self._timed("stop"):
            await self._stack.stop_slowly(_BALANCER, _STOPPED_S_MAX)
        return places, rss_bytes

    def _first_round(self) -> Iterator[Deliveries]:
        series = self._workload.cluster.series
        for begin in range(0, series, BLOCK_DELIVERIES):
            yield self._workload.at(np.arange(begin, min(begin + BLOCK_DELIVERIES, series), dtype=np.int64))

    async def _begin(self) -> tuple["asyncio.Task[None]", float]:
        """Starts the balancer; the wall time at which its last partition was its own."""
        logs = {self._stack.log(_BALANCER): log_size(self._stack.log(_BALANCER))}
        with self._timed("restart"):
            starting = asyncio.create_task(self._stack.start(_BALANCER))
            ours = [f"partition {number} is ours (epoch " for number in range(self._stack.settings.partitions)]
            began_s = max([await wait_for_line(logs, line) for line in ours])
        return starting, began_s

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began_s = time.monotonic()
        yield
        self._before_seconds[name] = time.monotonic() - began_s
