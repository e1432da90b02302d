"""A cluster under load with a reader beside it; whatever happens in between, the whole history is judged at the end."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import httpx
import pyarrow as pa

from shared.topics import READINGS
from tests.end_to_end.recompute_topology import read_plain_topology
from tests.faults.checker import problems
from tests.faults.cluster import Cluster, eventually
from tests.faults.feed import Feed, small_topology
from tests.faults.history import History, Refused
from tests.faults.observer import SETTLED_S_MAX, Reader, look, settled
from tests.faults.sender import Sender

ZONES = ["CLUSTER", "GPZ-1", "F-ZYWIEC", "LV-A1"]
"""Those of them that the topology has are looked at."""
WINDOWS_WATCHED = 40
"""The reader looks at so many windows behind the newest, and at some ahead of it."""


class Scene:
    """A running cluster, its feed and all that was sent and seen since its start."""

    def __init__(self, folder: Path, topology: Path, feed: Feed | None = None) -> None:
        """Starts it; blocks until it is ready. `feed` gives what `load` sends."""
        self.plain_topology = read_plain_topology(topology)
        self._zones = [zone for zone in ZONES if zone in self.plain_topology.parents]
        self._feed = feed
        self.history = History()
        self.cluster = Cluster(folder, topology)
        self.sender = Sender(lambda: self.cluster.ingest, self.history)
        self.recoveries_s: list[float] = []
        """From each kill of a balancer to the first commit after it."""
        self._begun_s = time.monotonic()
        try:
            self.cluster.start()
        except BaseException:
            self.cluster.close()
            raise

    @property
    def feed(self) -> Feed:
        assert self._feed is not None
        return self._feed

    # --- load -------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def load(self, quarters_per_s: float = 4.0, *, archive: bool = False) -> AsyncIterator[None]:
        """Quarters are sent and a reader polls inside the block; behind it the whole history is judged."""
        reader = self._reader()
        tasks = [asyncio.create_task(self._send_quarters(reader, quarters_per_s)), asyncio.create_task(reader.run())]
        try:
            await self.get_on(2)
            await self.first_commit_after(0)
            yield
            assert not any(task.done() for task in tasks), [task for task in tasks if task.done()]
            sending = tasks.pop(0)
            await self._end_sending(sending)
            await self.settle()
        except BaseException:
            print(self.cluster.logs())
            raise
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error
        await self.judge(archive=archive)
        assert reader.polls > 0

    @asynccontextmanager
    async def watched(self, from_s: int, to_s: int) -> AsyncIterator[None]:
        """A reader polls those windows inside the block, which sends by itself; then the whole history is judged."""
        reader = self._reader()
        reader.range = _text(from_s), _text(to_s)
        task = asyncio.create_task(reader.run())
        try:
            yield
            await self.settle()
        except BaseException:
            print(self.cluster.logs())
            raise
        finally:
            task.cancel()
            ended = (await asyncio.gather(task, return_exceptions=True))[0]
        if isinstance(ended, Exception):
            raise ended
        await self.judge()

    def _reader(self) -> Reader:
        settings = self.cluster.settings
        return Reader(self.history, lambda: self.cluster.api, settings.database_url, self._zones, self._begun_s)

    def _watch(self, reader: Reader) -> None:
        first, last = self.feed.next - WINDOWS_WATCHED, self.feed.next + 4
        reader.range = _text(self.feed.instant_s(first)), _text(self.feed.instant_s(last))

    async def _send_quarters(self, reader: Reader, quarters_per_s: float) -> None:
        self._stopping = asyncio.Event()
        async with httpx.AsyncClient() as client:
            while not self._stopping.is_set():
                began_s = time.monotonic()
                self._watch(reader)
                await self.sender.send(client, self.feed.take())
                await asyncio.sleep(max(0.0, 1 / quarters_per_s - (time.monotonic() - began_s)))

    async def _end_sending(self, sending: asyncio.Task[None]) -> None:
        self._stopping.set()
        await asyncio.wait_for(sending, SETTLED_S_MAX)

    async def get_on(self, bodies: int, seconds: float = 60) -> None:
        """Waits until so many more bodies are acknowledged."""
        target = self._acknowledged() + bodies
        await eventually(lambda: self._acknowledged() >= target, seconds, f"{bodies} bodies were not taken")

    def _acknowledged(self) -> int:
        return sum(body.acknowledged for body in self.history.bodies)

    async def send(self, readings: pa.Table, refused: Sequence[Refused] = ()) -> None:
        """Sends one body."""
        async with httpx.AsyncClient() as client:
            await self.sender.send(client, readings, refused)

    # --- recovery ---------------------------------------------------------------------------------------------------

    async def first_commit_after(self, at_s: float, seconds: float = 60) -> float:
        """Waits for a flush after the instant `at_s` (wall time); how long after it that was."""
        connection = await asyncpg.connect(self.cluster.settings.database_url)
        try:
            until = time.monotonic() + seconds
            while True:
                newest_s: float = await connection.fetchval(
                    "SELECT extract(epoch FROM max(updated_at))::float8 FROM progress WHERE topic = $1", READINGS
                )
                if newest_s > at_s:
                    return newest_s - at_s
                assert time.monotonic() < until, f"no flush within {seconds} s"
                await asyncio.sleep(0.05)
        finally:
            await connection.close()

    async def kill_and_recover(self, balancer: str) -> None:
        """SIGKILL of a balancer, at once started again; notes how long it took to the next commit."""
        self.cluster.kill(balancer)
        await self.start_and_recover(balancer)

    async def start_and_recover(self, balancer: str) -> None:
        """Starts a balancer that has just died; notes how long it takes to the next commit."""
        at_s = time.time()
        self.cluster.start_service(balancer)
        self.recoveries_s.append(await self.first_commit_after(at_s))

    # --- the end ----------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Waits until all that was acknowledged is handled and nothing is under way."""
        await settled(lambda: self.cluster.api, self.history.acknowledged)

    async def judge(self, *, archive: bool = False) -> None:
        """Holds the whole history and what stands now to the checker."""
        settings, folder = self.cluster.settings, self.cluster.archive
        outcome = await look(settings.kafka, settings.database_url, self.cluster.api, folder if archive else None)
        found = await asyncio.to_thread(problems, self.history, outcome, self.plain_topology)
        assert not found, "\n".join(found)

    def close(self) -> None:
        """Ends the cluster."""
        self.cluster.close()


def rural_scene(folder: Path, first_s: int | None = None) -> Scene:
    """A scene with the small rural topology and its feed."""
    topology = small_topology(folder / "topology")
    return Scene(folder, topology, Feed(topology, first_s))


def _text(instant_s: int) -> str:
    return datetime.fromtimestamp(instant_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def recent_scene(folder: Path) -> Iterator[Scene]:
    """A scene whose feed begins five days ago, for a fixture: it ends the scene when it is done."""
    now_s = int(time.time())
    running = rural_scene(folder, first_s=now_s - now_s % 900 - 5 * 86_400)
    try:
        yield running
    finally:
        running.close()
