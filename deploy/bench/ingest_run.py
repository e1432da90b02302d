"""One measurement of ingest: bodies over HTTP, or the JSON topic; then the log is held against what was acknowledged.

Kafka and ingest run, the balancer only where it is asked for: what is told is how fast readings get into the log.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import asyncpg
import numpy as np
import orjson

from deploy.bench.cluster import Cluster
from deploy.bench.committed import wait_committed
from deploy.bench.encode import Places, arrow_body, ndjson_body, places_of
from deploy.bench.fill import fill_json
from deploy.bench.http_sender import Outcome
from deploy.bench.json_gate import close_gate, open_gate
from deploy.bench.log_check import LogCheck, check_log
from deploy.bench.log_content import log_ends
from deploy.bench.progress import BenchProgress
from deploy.bench.stack import STORES, Stack, running_stack
from deploy.bench.usage import ProcessorTimes, rss_bytes_max
from deploy.bench.workload import Workload
from services.ingest.description import ARROW, NDJSON
from shared.database.engine import connect
from shared.errors import BilansError
from shared.topology.store import read_topology

Form = Literal["ndjson", "arrow", "json-topic"]

BODIES = 32
"""Bodies of each sender; they go round and round."""
_WARM_READINGS = 100_000
"""The JSON topic holds so many before, so that ingest does not start from nothing."""


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """What is sent, and how."""

    format: Form
    seconds: float
    """How long is sent over HTTP."""
    readings: int
    """How many stand in the JSON topic."""
    per_message: int
    """Readings of a body, or of a message of the JSON topic."""
    meters: int
    senders: int
    """Processes that send over HTTP."""
    connections: int
    """Connections of each of them."""
    partitions: int = 4
    balancer: bool = False
    """Whether a balancer handles at the same time what is taken."""


@dataclass(frozen=True, slots=True)
class IngestOutcome:
    """What came of it. Processor times are of the time that was measured."""

    readings: int
    """Acknowledged in the time."""
    seconds: float
    bytes: int
    """Bodies, or values of messages."""
    log: LogCheck
    cpu_seconds: dict[str, float]
    rss_bytes: int
    """The most memory that ingest held."""
    refused: int
    request_s: list[float]
    """How long each request took; empty for the topic."""


async def ingest_once(options: IngestOptions, progress: BenchProgress) -> IngestOutcome:
    """One measurement on a stack of its own. Raises BilansError when something does not start or is refused."""
    async with running_stack(partitions=options.partitions) as stack:
        connection = await connect(stack.settings.database_url, application_name="bilans bench")
        try:
            progress.step("starting Kafka, PostgreSQL and ingest")
            cluster = Cluster(options.meters)
            number = await stack.load_topology(cluster.write(stack.folder / "topology"))
            places = places_of(cluster, await read_topology(connection, number))
            await stack.start("ingest", *(["balancer-0"] if options.balancer else []))
            work = _Ingest(options, stack, cluster, places, progress)
            return await (work.run_topic(connection) if options.format == "json-topic" else work.run_http())
        finally:
            await connection.close()


class _Ingest:
    """The steps."""

    def __init__(
        self, options: IngestOptions, stack: Stack, cluster: Cluster, places: Places, progress: BenchProgress
    ) -> None:
        self._options = options
        self._stack = stack
        self._cluster = cluster
        self._places = places
        self._progress = progress

    async def run_http(self) -> IngestOutcome:
        """Bodies over HTTP."""
        options = self._options
        self._progress.step("preparing bodies")
        files = [self._write_body(number) for number in range(BODIES * options.senders)]
        begin = await log_ends(self._stack.settings)
        async with self._senders(files) as senders:
            self._progress.step(f"sending for {options.seconds:.0f} s")
            times = self._times()
            outcomes = await asyncio.gather(*map(_let_send, senders))
            used = times.seconds()
        self._progress.step("holding the log against what was acknowledged")
        timed = [count for outcome in outcomes for count in outcome.timed_acknowledged]
        acknowledged = np.array([count for outcome in outcomes for count in outcome.acknowledged])
        sent = np.repeat(acknowledged, options.per_message)  # each body has the readings that follow the one before
        workload = Workload(self._cluster, len(sent), double_percent=0, disorder_percent=0)
        return IngestOutcome(
            readings=sum(timed) * options.per_message,
            seconds=max(outcome.ended_s for outcome in outcomes) - min(outcome.began_s for outcome in outcomes),
            bytes=sum(count * file.stat().st_size for count, file in zip(timed, files, strict=True)),
            log=await check_log(self._stack.settings, begin, workload, self._places, sent),
            cpu_seconds=used,
            rss_bytes=rss_bytes_max(self._stack.process("ingest")),
            refused=sum(outcome.refused for outcome in outcomes),
            request_s=[took_s for outcome in outcomes for took_s in outcome.request_s],
        )

    async def run_topic(self, connection: asyncpg.Connection) -> IngestOutcome:
        """The JSON topic, from the moment that ingest may read it to the commit of its last offset."""
        options = self._options
        settings = self._stack.settings
        begin = await log_ends(settings)
        workload = Workload(self._cluster, options.readings, warm_rounds=-(-_WARM_READINGS // self._cluster.series))
        await fill_json(settings, self._cluster, [workload.warm_up()], options.per_message)
        await wait_committed(settings)
        await close_gate(self._stack, connection)
        self._progress.step(f"filling the topic with {options.readings:,} readings", options.readings)
        size = await fill_json(settings, self._cluster, workload.blocks(), options.per_message, self._progress.show)
        self._progress.step("reading the topic")
        began_s = await open_gate(self._stack, connection)
        times = self._times()
        ended_s = await wait_committed(settings)
        used = times.seconds()
        self._progress.step("holding the log against what was sent")
        sent = np.zeros(workload.readings, np.int64)
        for block in chain([workload.warm_up()], workload.blocks()):
            sent += np.bincount(workload.number_of(block.series, block.ts_s), minlength=len(sent))
        return IngestOutcome(
            readings=options.readings,
            seconds=ended_s - began_s,
            bytes=size,
            log=await check_log(settings, begin, workload, self._places, sent),
            cpu_seconds=used,
            rss_bytes=rss_bytes_max(self._stack.process("ingest")),
            refused=0,
            request_s=[],
        )

    def _times(self) -> ProcessorTimes:
        names = ("ingest", *(["balancer-0"] if self._options.balancer else []), *STORES)
        return ProcessorTimes({name: self._stack.process(name) for name in names})

    def _write_body(self, number: int) -> Path:
        size = self._options.per_message
        body = Workload(self._cluster, 0).at(np.arange(number * size, (number + 1) * size))
        encode = ndjson_body if self._options.format == "ndjson" else arrow_body
        file = self._stack.folder / f"body-{number}"
        file.write_bytes(encode(self._cluster, body))
        return file

    @asynccontextmanager
    async def _senders(self, files: Sequence[Path]) -> AsyncIterator[list[asyncio.subprocess.Process]]:
        """The sending processes, each with bodies of its own, all of them warm."""
        options = self._options
        content_type = NDJSON if options.format == "ndjson" else ARROW
        command = [sys.executable, "-m", "deploy.bench.http_sender", self._stack.ingest, content_type]
        command += [str(options.connections), str(options.seconds)]
        senders = []
        try:
            for number in range(options.senders):
                own = map(str, files[number * BODIES : (number + 1) * BODIES])
                senders.append(
                    await asyncio.create_subprocess_exec(
                        *command,
                        *own,
                        env=self._stack.environment,
                        stdin=asyncio.subprocess.PIPE,
                        stdout=asyncio.subprocess.PIPE,
                        limit=64 * 1024 * 1024,
                    )
                )
            for sender in senders:
                await _expect_warm(sender)
            yield senders
        finally:
            for sender in senders:
                if sender.returncode is None:
                    sender.kill()
                await sender.wait()


async def _expect_warm(sender: asyncio.subprocess.Process) -> None:
    assert sender.stdout is not None
    if await sender.stdout.readline() != b"warm\n":
        raise BilansError(f"A sender ended with {await sender.wait()}.", "What it said is above.")


async def _let_send(sender: asyncio.subprocess.Process) -> Outcome:
    out, _ = await sender.communicate(b"go\n")
    if sender.returncode != 0:
        raise BilansError(f"A sender ended with {sender.returncode}.", "What it said is above.")
    return Outcome(**orjson.loads(out.splitlines()[-1]))
