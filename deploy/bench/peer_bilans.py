"""Bilans at the job of the peers: from the JSON topic through ingest and a balancer to rows committed in PostgreSQL.

Everything is on that is on in `up`. The clock starts and stops as in `bilans bench drain --format json`: services run
and have one round of readings behind them, the fuse holds the topic while it is filled, and the time is from ingest's
line that the fuse was mended to the transaction with which the books count every delivery.
"""

from dataclasses import dataclass

import asyncpg

from deploy.bench.books_watch import wait_received
from deploy.bench.json_gate import close_gate, open_gate
from deploy.bench.peer_topic import fill_keyed
from deploy.bench.progress import BenchProgress
from deploy.bench.published import compare_published
from deploy.bench.stack import Stack
from deploy.bench.usage import cpu_seconds, rss_bytes_max
from deploy.bench.workload import Workload

_SERVICES = ("balancer-0", "ingest")
_WORKING = (*_SERVICES, "postgres")
"""PostgreSQL's processor time counts, too; Kafka's does not, with nobody."""


@dataclass(frozen=True, slots=True)
class BilansOutcome:
    """What came of it."""

    seconds: float
    cpu_seconds: float
    """Of ingest, balancer and PostgreSQL."""
    rss_bytes: int
    """The most memory that ingest and balancer held."""
    difference_wh: int
    """Over all zones, those above the stations too, and all windows."""


async def start_bilans(stack: Stack, connection: asyncpg.Connection, workload: Workload) -> None:
    """Starts the services, has the warm-up committed, and closes the topic's gate."""
    await stack.load_topology(workload.cluster.write(stack.folder / "topology"))
    await stack.start(*_SERVICES)
    warm_up = workload.warm_up()
    await fill_keyed(stack.settings, workload.cluster, [warm_up])
    await wait_received(connection, len(warm_up))
    await close_gate(stack, connection)


async def measure_bilans(
    stack: Stack, connection: asyncpg.Connection, workload: Workload, progress: BenchProgress
) -> BilansOutcome:
    """Opens the gate and measures; the services have ended afterwards."""
    warm = len(workload.warm_up())
    began_s = await open_gate(stack, connection)
    cpu_began_s = sum(cpu_seconds(stack.process(name)) for name in _WORKING)
    ended_s = await wait_received(
        connection, warm + workload.deliveries, lambda count: progress.show(max(0, count - warm))
    )
    cpu_ended_s = sum(cpu_seconds(stack.process(name)) for name in _WORKING)
    rss_bytes = sum(rss_bytes_max(stack.process(name)) for name in _SERVICES)
    published = await compare_published(connection, workload.expected())
    await stack.stop("ingest")
    await stack.stop("balancer-0")
    return BilansOutcome(ended_s - began_s, cpu_ended_s - cpu_began_s, rss_bytes, published.difference_wh)
