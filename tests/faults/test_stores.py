"""Kafka and PostgreSQL end, stand still, are slow, refuse and forget to answer, while readings come in.

The tests of this file run in their order, on one cluster; each is judged with all that came before it.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.faults.cluster import Cluster, eventually
from tests.faults.scene import Scene
from tests.faults.tier import either, times

RESUMED_S_MAX = 60
"""Kafka is back: balances go on within so long."""
HEALED_S_MAX = 10
"""PostgreSQL is back: balances go on within so long."""
LOG_LINES_PER_S_MAX = 10
"""A fault must not fill the disk with complaints."""
BLACKHOLE_S = 30
SERVICES = ("ingest", "balancer-0", "api")
FLUSH = "balancer-0 flush"
SESSIONS_MAX = 22
"""All that the services may hold open at once: the API 10, the balancer 4 and some single ones; and the reader's."""


# --- Kafka ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [signal.SIGTERM] * either(ci=1, full=3) + [signal.SIGKILL] * either(ci=1, full=5),
    ids=lambda how: how.name,
)
async def test_kafka_ends_and_starts_again(scene: Scene, how: signal.Signals) -> None:
    async with scene.load(), _few_log_lines(scene.cluster):
        await asyncio.to_thread(scene.cluster.kill_kafka, how)
        await asyncio.sleep(2)
        await scene.cluster.start_kafka()
        assert await scene.first_commit_after(time.time()) <= RESUMED_S_MAX
        await scene.get_on(2)


@pytest.mark.parametrize("number", times(ci=1, full=5))
async def test_the_network_to_kafka_swallows_everything(scene: Scene, number: int) -> None:
    async with scene.load(), _few_log_lines(scene.cluster):
        scene.cluster.kafka_proxy.blackhole()
        await asyncio.sleep(BLACKHOLE_S)
        scene.cluster.kafka_proxy.pass_on()
        assert await scene.first_commit_after(time.time()) <= RESUMED_S_MAX
        await scene.get_on(2)


@pytest.mark.parametrize("number", times(ci=1, full=5))
async def test_the_network_to_kafka_is_slow_and_breaks(scene: Scene, number: int) -> None:
    proxy = scene.cluster.kafka_proxy
    async with scene.load(), _few_log_lines(scene.cluster):
        proxy.delay_s, proxy.jitter_s = 0.2, 0.2
        await scene.get_on(8)
        proxy.reset_share = 0.05
        await asyncio.sleep(15)
        proxy.pass_on()
        assert await scene.first_commit_after(time.time()) <= RESUMED_S_MAX
        await scene.get_on(2)


@asynccontextmanager
async def _few_log_lines(cluster: Cluster) -> AsyncIterator[None]:
    """Each service writes fewer than LOG_LINES_PER_S_MAX lines a second in the block."""
    before = {name: _log_lines(cluster, name) for name in SERVICES}
    began_s = time.monotonic()
    yield
    took_s = time.monotonic() - began_s
    for name in SERVICES:
        rate = (_log_lines(cluster, name) - before[name]) / took_s
        assert rate < LOG_LINES_PER_S_MAX, f"{name} wrote {rate:.0f} lines a second"


def _log_lines(cluster: Cluster, name: str) -> int:
    return cluster.log_of(name).read_bytes().count(b"\n")


# --- PostgreSQL -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", times(ci=1, full=5))
async def test_postgres_stops_at_once_and_starts_again(scene: Scene, number: int) -> None:
    async with scene.load():
        await asyncio.to_thread(scene.cluster.kill_postgres, signal.SIGQUIT)
        await asyncio.sleep(1)
        await scene.cluster.start_postgres()
        assert await scene.first_commit_after(time.time()) <= HEALED_S_MAX
        await scene.get_on(2)


@pytest.mark.parametrize("number", times(ci=5, full=50))
async def test_our_sessions_are_terminated(scene: Scene, number: int) -> None:
    async with scene.load(), _session(scene) as connection:
        ended = await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert ended >= 3
        assert await scene.first_commit_after(time.time()) <= HEALED_S_MAX
        await scene.get_on(2)
        sessions = await connection.fetch(
            "SELECT application_name, count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() GROUP BY 1"
        )
        assert dict(sessions)[FLUSH] == 1
        assert sum(number for _, number in sessions) <= SESSIONS_MAX, sessions  # none leaks, however often it happens


@pytest.mark.parametrize("number", times(ci=3, full=30))
async def test_the_answer_to_a_commit_is_lost(scene: Scene, number: int) -> None:
    proxy = scene.cluster.postgres_proxy
    async with scene.load():
        done = proxy.commits_cut
        proxy.cut_commits(1 + number % 2, "flush")  # the second of two meets the flush that asks or goes on
        await eventually(lambda: proxy.commits_cut > done + number % 2, 30, "no commit was cut")
        assert await scene.first_commit_after(time.time()) <= HEALED_S_MAX
        await scene.get_on(2)


# --- what PostgreSQL refuses ----------------------------------------------------------------------------------------

_RAISE = """
CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'injected' USING ERRCODE = '{code}'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON partial_revision FOR EACH STATEMENT EXECUTE FUNCTION refuse()
"""


async def _refused(connection: asyncpg.Connection, code: str) -> None:
    """Every flush fails with the SQLSTATE `code` for two seconds."""
    await connection.execute(_RAISE.format(code=code))
    try:
        await asyncio.sleep(2)
    finally:
        await connection.execute("DROP TRIGGER refuse ON partial_revision")


async def serialization_failure(connection: asyncpg.Connection) -> None:
    await _refused(connection, "40001")


async def too_little_memory(connection: asyncpg.Connection) -> None:
    await _refused(connection, "53200")


async def table_is_locked(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        await connection.execute("LOCK TABLE partial IN EXCLUSIVE MODE")  # readers go on
        await _wait_blocked(connection)
        await asyncio.sleep(7)  # longer than the flush waits for a lock


async def progress_is_locked(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        await connection.execute("SELECT FROM progress FOR UPDATE")
        await _wait_blocked(connection)
        await asyncio.sleep(7)


async def deadlock(connection: asyncpg.Connection) -> None:
    """The flush waits for rows of the books, their holder for the progress rows that the flush holds."""
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    before = await connection.fetchval(deadlocks)
    async with connection.transaction():
        await connection.execute("SET LOCAL deadlock_timeout = '30s'")  # the flush notices first, and gives way
        await connection.execute("SELECT FROM books FOR UPDATE")
        await _wait_blocked(connection)
        await connection.execute("SELECT FROM progress FOR UPDATE", timeout=20)
    for _ in range(50):  # statistics come a little later
        if await connection.fetchval(deadlocks) > before:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("there was no deadlock")


async def statement_is_cancelled(connection: asyncpg.Connection) -> None:
    for _ in range(20):
        await connection.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND state <> 'idle'", FLUSH
        )
        await asyncio.sleep(0.05)


async def _wait_blocked(connection: asyncpg.Connection) -> None:
    """Waits until the flush waits for a lock."""
    for _ in range(200):
        if await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'", FLUSH
        ):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the flush was not blocked")


@pytest.mark.parametrize("number", times(ci=1, full=8))
@pytest.mark.parametrize(
    "refusal",
    [
        serialization_failure,
        too_little_memory,
        table_is_locked,
        progress_is_locked,
        deadlock,
        statement_is_cancelled,
    ],
    ids=lambda refusal: refusal.__name__,
)
async def test_postgres_refuses(
    scene: Scene, refusal: Callable[[asyncpg.Connection], Awaitable[None]], number: int
) -> None:
    async with scene.load(), _session(scene) as connection, _few_log_lines(scene.cluster):
        process_id = scene.cluster.process_id("balancer-0")
        await refusal(connection)
        assert await scene.first_commit_after(time.time()) <= HEALED_S_MAX
        await scene.get_on(2)
        assert scene.cluster.process_id("balancer-0") == process_id and scene.cluster.runs("balancer-0")


@asynccontextmanager
async def _session(scene: Scene) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(scene.cluster.settings.database_url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_all_of_it_is_in_the_archive(scene: Scene) -> None:
    async with scene.load():
        pass
    await asyncio.sleep(12)  # the follower waits for more, 10 s at most
    await scene.judge(archive=True)
