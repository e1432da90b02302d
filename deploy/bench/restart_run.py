"""Restarts of a balancer: a full memory, a checkpoint, then kill -9 with readings on their way.

After the kill a further round of all meters is sent and the balancer is started at once, as `up` does. The clock runs
from the kill until the books count that round: then the replay from the checkpoint and all that was sent are behind it.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

import asyncpg
import numpy as np

from deploy.bench.books_watch import wait_received
from deploy.bench.cluster import Cluster
from deploy.bench.encode import Places, places_of
from deploy.bench.fill import fill_log
from deploy.bench.progress import BenchProgress
from deploy.bench.published import compare_published
from deploy.bench.stack import Stack, running_stack
from deploy.bench.usage import rss_bytes_max
from deploy.bench.workload import Deliveries, Workload
from shared.database.engine import connect
from shared.errors import BilansError
from shared.limits import MESSAGE_READINGS_MAX, QUARTER_S
from shared.topology.store import read_topology

_BALANCER = "balancer-0"
_QUESTION_S, _QUESTIONS_MAX = 0.2, 600


@dataclass(frozen=True, slots=True)
class RestartOptions:
    """How large the memory is, and how often the balancer is killed."""

    meters: int
    hours: int
    kills: int


@dataclass(frozen=True, slots=True)
class RestartOutcome:
    """What came of it."""

    caught_up_s: list[float]
    checkpoint_bytes: int
    """The newest checkpoints of all partitions together."""
    rss_bytes: int
    difference_wh: int


async def restart_once(options: RestartOptions, progress: BenchProgress) -> RestartOutcome:
    """Measures on a stack of its own. Raises BilansError when something does not start or nothing moves."""
    async with running_stack() as stack:
        connection = await connect(stack.settings.database_url, application_name="bilans bench")
        try:
            return await _Restarts(options, stack, connection, progress).run()
        finally:
            await connection.close()


class _Restarts:
    """The steps."""

    def __init__(
        self, options: RestartOptions, stack: Stack, connection: asyncpg.Connection, progress: BenchProgress
    ) -> None:
        self._options = options
        self._stack = stack
        self._connection = connection
        self._progress = progress
        self._cluster = Cluster(options.meters)
        self._rounds = 0
        self._places: Places | None = None

    async def run(self) -> RestartOutcome:
        """All of it."""
        self._progress.step("starting Kafka, PostgreSQL and the balancer")
        number = await self._stack.load_topology(self._cluster.write(self._stack.folder / "topology"))
        self._places = places_of(self._cluster, await read_topology(self._connection, number))
        await self._stack.start(_BALANCER)
        rounds = self._options.hours * 3600 // QUARTER_S + 1
        self._progress.step("filling the memory", rounds)
        await self._send(rounds)
        await self._all_received()
        caught_up_s = []
        for kill in range(self._options.kills):
            self._progress.step(f"waiting for a checkpoint before kill {kill + 1}")
            await self._checkpointed()
            self._progress.step(f"kill {kill + 1} of {self._options.kills}")
            caught_up_s.append(await self._kill())
        newest = [max(folder.glob("*.checkpoint")) for folder in self._stack.settings.checkpoints.iterdir()]
        self._progress.step("checking every total")
        workload = Workload(self._cluster, 0, warm_rounds=self._rounds)
        return RestartOutcome(
            caught_up_s=caught_up_s,
            checkpoint_bytes=sum(path.stat().st_size for path in newest),
            rss_bytes=rss_bytes_max(self._stack.process(_BALANCER)),
            difference_wh=(await compare_published(self._connection, workload.expected())).difference_wh,
        )

    async def _kill(self) -> float:
        """Kills and starts it; seconds until all is committed."""
        began_s = time.time()
        self._stack.process(_BALANCER).kill()
        starting = asyncio.create_task(self._stack.start(_BALANCER))
        await self._send(1)
        caught_up_s = await self._all_received() - began_s
        await starting
        return caught_up_s

    async def _send(self, rounds: int) -> None:
        """Appends the next rounds of every series to the log."""
        assert self._places is not None
        begin, self._rounds = self._rounds, self._rounds + rounds
        await fill_log(self._stack.settings, self._places, self._blocks(begin), MESSAGE_READINGS_MAX)

    def _blocks(self, begin: int) -> Iterator[Deliveries]:
        workload = Workload(self._cluster, 0)
        for number in range(begin, self._rounds):
            yield workload.at(np.arange(number * self._cluster.series, (number + 1) * self._cluster.series))
            self._progress.show(number + 1)

    async def _all_received(self) -> float:
        """The wall time at which the books count all that was sent."""
        return await wait_received(self._connection, self._rounds * self._cluster.series)

    async def _checkpointed(self) -> None:
        """Waits until each partition has a checkpoint of nearly all that was sent."""
        began_s = time.time()
        for partition in range(self._stack.settings.partitions):
            folder = self._stack.settings.checkpoints / f"partition-{partition:03d}"
            for _ in range(_QUESTIONS_MAX):
                if any(path.stat().st_mtime >= began_s for path in folder.glob("*.checkpoint")):
                    break
                await asyncio.sleep(_QUESTION_S)
            else:
                raise BilansError(f"No checkpoint of partition {partition} came within {_QUESTIONS_MAX / 5:.0f} s.")
