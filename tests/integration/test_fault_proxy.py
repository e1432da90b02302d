"""The proxy of the fault runs does what it says to a real PostgreSQL's connections."""

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.faults.proxy import FaultProxy


@pytest.fixture
async def proxy(embedded_postgres: str) -> AsyncIterator[FaultProxy]:
    made = FaultProxy()
    server = urlsplit(embedded_postgres)
    assert server.hostname is not None and server.port is not None
    made.upstream = (server.hostname, server.port)
    yield made
    made.close()


def _through(proxy: FaultProxy, url: str) -> str:
    return url.replace(f":{proxy.upstream[1]}/", f":{proxy.port}/")


async def _connect(proxy: FaultProxy, url: str, application: str = "balancer-0 flush") -> asyncpg.Connection:
    return await asyncpg.connect(
        _through(proxy, url), timeout=2, command_timeout=5, server_settings={"application_name": application}
    )


async def test_a_commit_is_done_and_its_reply_lost(proxy: FaultProxy, embedded_postgres: str) -> None:
    direct = await asyncpg.connect(embedded_postgres)
    await direct.execute("CREATE TABLE kept (number integer)")
    proxy.cut_commits(1, "flush")
    for number, application in enumerate(("balancer-0 flush", "balancer-0 flush", "balancer-0 rejected")):
        connection = await _connect(proxy, embedded_postgres, application)
        if number == 0:
            with pytest.raises((OSError, asyncpg.ConnectionDoesNotExistError)):
                await _insert(connection, number)
            connection.terminate()
        else:
            await _insert(connection, number)
            await connection.close()
    assert proxy.commits_cut == 1
    assert [row["number"] for row in await direct.fetch("SELECT number FROM kept ORDER BY 1")] == [0, 1, 2]
    await direct.close()


async def _insert(connection: asyncpg.Connection, number: int) -> None:
    async with connection.transaction():
        await connection.execute("INSERT INTO kept VALUES ($1)", number)


async def test_blackhole_delay_and_reset(proxy: FaultProxy, embedded_postgres: str) -> None:
    connection = await _connect(proxy, embedded_postgres)
    proxy.blackhole()
    asked = asyncio.create_task(connection.fetchval("SELECT 1"))
    with pytest.raises(TimeoutError):
        await _connect(proxy, embedded_postgres)
    assert not asked.done()
    proxy.pass_on()
    assert await asked == 1
    proxy.delay_s = 0.2
    began_s = time.monotonic()
    assert await connection.fetchval("SELECT 2") == 2
    assert 0.4 <= time.monotonic() - began_s < 2
    proxy.reset_share = 1.0
    with pytest.raises((OSError, asyncpg.ConnectionDoesNotExistError)):
        await connection.fetchval("SELECT 3")
    proxy.pass_on()
    connection.terminate()
    again = await _connect(proxy, embedded_postgres)
    assert await again.fetchval("SELECT 4") == 4
    await again.close()
