"""One run of `bench peers`: a topic is filled, Bilans and each peer do the job, and each answer is looked at."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg

from deploy.bench.cluster import Cluster
from deploy.bench.machine import load_average
from deploy.bench.peer_bilans import measure_bilans, start_bilans
from deploy.bench.peer_job import PeerJob, Sums
from deploy.bench.peer_process import PEERS, Peer, run_peer
from deploy.bench.peer_topic import fill_keyed
from deploy.bench.progress import BenchProgress
from deploy.bench.report import Figure
from deploy.bench.stack import Stack, running_stack
from deploy.bench.workload import CONSUMER_WITHDRAWN, LATE_ROUNDS, PROSUMER_INJECTED, PROSUMER_WITHDRAWN, Workload
from shared.database.engine import connect
from shared.errors import BilansError
from shared.limits import QUARTER_S
from shared.topics import READINGS_JSON
from shared.version import VERSION

BILANS = "bilans"
_NAMES = (BILANS, *(peer.name for peer in PEERS))
COLUMNS = (
    "peer",
    "release",
    "readings_per_second",
    "cpu_seconds",
    "rss_bytes",
    "exact",
    "difference_wh",
    "load",
    "note",
)
_LATE_S = 2 * LATE_ROUNDS * QUARTER_S
"""What the peers are told: twice what the workload does, since bytewax's watermark goes on with the wall clock."""


@dataclass(frozen=True, slots=True)
class PeersOptions:
    """What is run."""

    readings: int
    meters: int
    partitions: int
    names: Sequence[str]
    """In the order of _NAMES."""


@dataclass(frozen=True, slots=True)
class PeerRow:
    """What one did."""

    name: str
    release: str
    note: str
    """Why it did not run, or not to the end; else what becomes of its results when it is killed."""
    deliveries: int = 0
    seconds: float | None = None
    """None: it did not run, or not to the end."""
    cpu_seconds: float = 0.0
    rss_bytes: int = 0
    difference_wh: int = 0
    load: float = field(default_factory=load_average)
    """Of the machine when it had done its job: of the minute before."""

    @property
    def figure_name(self) -> str:
        """Its name as figures begin with it."""
        return self.name.replace("-", "_")

    @property
    def exact(self) -> bool:
        """Whether it ran, and its answer is right to the watt-hour."""
        return self.seconds is not None and self.difference_wh == 0

    @property
    def readings_per_second(self) -> int | None:
        """None where the answer was wrong: no speed is told of that."""
        return round(self.deliveries / self.seconds) if self.seconds and self.exact else None

    def cells(self) -> tuple[Figure, ...]:
        """Its row of the table, by COLUMNS."""
        if self.seconds is None:
            return self.name, self.release, None, None, None, None, None, self.load, self.note
        cpu_seconds = round(self.cpu_seconds, 2) if self.exact else None
        measured = self.readings_per_second, cpu_seconds, self.rss_bytes
        return self.name, self.release, *measured, self.exact, self.difference_wh, self.load, self.note


def check_names(only: Sequence[str]) -> tuple[str, ...]:
    """The names that are meant, in the order in which they run; all where none is given.

    Raises BilansError for a name that there is not.
    """
    if unknown := [name for name in only if name not in _NAMES]:
        raise BilansError(f"There is no peer {unknown[0]!r}.", f"Give one of {', '.join(_NAMES)}.")
    return tuple(name for name in _NAMES if not only or name in only)


async def run_peers(options: PeersOptions, progress: BenchProgress) -> list[PeerRow]:
    """Runs all of `options.names`. Raises BilansError when Bilans or its stores do not start or nothing moves."""
    workload = Workload(Cluster(options.meters), options.readings, warm_rounds=1)
    async with running_stack(partitions=options.partitions) as stack:
        connection = await connect(stack.settings.database_url, application_name="bilans bench")
        try:
            rows = await _run_bilans(stack, connection, workload, progress, run_it=BILANS in options.names)
        finally:
            await connection.close()
        for peer in PEERS:
            if peer.name in options.names:
                progress.step(f"{peer.name} does the job")
                rows.append(await _run_peer(peer, stack, workload))
    return rows


async def _run_bilans(
    stack: Stack, connection: asyncpg.Connection, workload: Workload, progress: BenchProgress, *, run_it: bool
) -> list[PeerRow]:
    """Fills the topic; with `run_it` Bilans, which waits for that, does the job and ends before the peers begin."""
    progress.step("starting")
    if run_it:
        await start_bilans(stack, connection, workload)
    else:
        await fill_keyed(stack.settings, workload.cluster, [workload.warm_up()])
    progress.step(f"filling Kafka with {workload.deliveries:,} readings", workload.deliveries)
    await fill_keyed(stack.settings, workload.cluster, workload.blocks(), progress.show)
    if not run_it:
        return []
    progress.step(f"{BILANS} does the job", workload.deliveries)
    outcome = await measure_bilans(stack, connection, workload, progress)
    return [
        PeerRow(
            BILANS,
            VERSION,
            "exactly once, in PostgreSQL",
            workload.deliveries,
            outcome.seconds,
            outcome.cpu_seconds,
            outcome.rss_bytes,
            outcome.difference_wh,
        )
    ]


async def _run_peer(peer: Peer, stack: Stack, workload: Workload) -> PeerRow:
    release = peer.release
    if release is None:
        # The lock file names no bytewax for Python 3.13: it has no wheel for that.
        return PeerRow(peer.name, "–", "not installed")
    folder = stack.folder / f"peer-{peer.name}"
    deliveries = len(workload.warm_up()) + workload.deliveries
    outcome_file = str(folder / "outcome.json")
    job = PeerJob(stack.settings.kafka, READINGS_JSON, deliveries, workload.start_s, _LATE_S, str(folder), outcome_file)
    try:
        outcome = await run_peer(peer, job)
    except BilansError as error:
        return PeerRow(peer.name, release, str(error))
    return PeerRow(
        peer.name,
        release,
        peer.promise,
        deliveries,
        outcome.seconds,
        outcome.cpu_seconds,
        outcome.rss_bytes,
        difference_wh(outcome.sums, expected_sums(workload)),
    )


def expected_sums(workload: Workload) -> Sums:
    """What each station must come to in each window."""
    expected = workload.expected()
    stations = expected.sums_wh[: len(workload.cluster.station)]
    withdrawn = (stations[:, :, CONSUMER_WITHDRAWN] + stations[:, :, PROSUMER_WITHDRAWN]).tolist()
    injected = stations[:, :, PROSUMER_INJECTED].tolist()
    return {
        (zone, window_s): (withdrawn[number][place], injected[number][place])
        for number, zone in enumerate(workload.cluster.station)
        for place, window_s in enumerate(expected.window_s.tolist())
    }


def difference_wh(found: Sums, expected: Sums) -> int:
    """Σ |found − expected| over all zones, windows and both directions; what is not there is 0."""
    nothing = (0, 0)
    return sum(
        abs(one - other)
        for place in found.keys() | expected.keys()
        for one, other in zip(found.get(place, nothing), expected.get(place, nothing), strict=True)
    )
