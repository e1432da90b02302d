"""The API on a real PostgreSQL, asked through its ASGI application."""

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import httpx
import pytest

from services.api.application import make_application
from services.api.service import ApiService, make_service
from shared.clock import ManualClock
from shared.database.engine import connect
from shared.database.migrate import migrate
from shared.instants import parse_instant
from shared.settings import read_settings
from tests.contract.cluster import LOGGED_AT, load_cluster

NOW = "2026-05-04T12:00:00Z"


@pytest.fixture(scope="session")
def cluster_database(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database that holds the small cluster; for all tests here, which clear what they wrote."""
    url = new_database()
    migrate(url)
    asyncio.run(load_cluster(url, tmp_path_factory.mktemp("cluster"), number=1, logged_at=LOGGED_AT))
    return url


@pytest.fixture
async def database(cluster_database: str) -> AsyncIterator[str]:
    """The URL of the database with the cluster and nothing else."""
    yield cluster_database
    connection = await connect(cluster_database, application_name="test")
    await connection.execute("TRUNCATE partial, partial_revision, progress, books, service_instance, retention")
    await connection.execute("DELETE FROM topology WHERE number > 1")
    await connection.close()


@pytest.fixture
async def rows(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection for writing rows by hand."""
    connection = await connect(database, application_name="test")
    yield connection
    await connection.close()


@pytest.fixture
def clock() -> ManualClock:
    """Stands at NOW."""
    return ManualClock(float(parse_instant(NOW)))


@pytest.fixture
async def service(database: str, clock: ManualClock) -> AsyncIterator[ApiService]:
    """The API's parts with the topology at hand; Kafka is away."""
    settings = read_settings({"BILANS_KAFKA": "127.0.0.1:1", "BILANS_DATABASE_URL": database})
    made = make_service(settings, clock)
    await made.shelf.refresh()
    yield made
    await made.ends.close()
    await made.engine.dispose()


@pytest.fixture
async def api(service: ApiService) -> AsyncIterator[httpx.AsyncClient]:
    """Asks the API."""
    transport = httpx.ASGITransport(make_application(service), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://bilans") as client:
        yield client
