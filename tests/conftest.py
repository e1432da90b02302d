"""The real parts that tests share: one Kafka and one PostgreSQL for the whole run."""

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from deploy.cache_folder import kernel_cache_folder
from deploy.embedded.kafka import EmbeddedKafka
from deploy.embedded.postgres import EmbeddedPostgres, ensure_database

# Before any kernel is imported: Numba's own place for its cache does not see changes of other files.
os.environ.setdefault("NUMBA_CACHE_DIR", str(kernel_cache_folder()))

# The same examples in every run, so that a red run speaks of the change at hand; a release's fault runs look for new
# ones. Nothing is timed: the machine may be busy.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("searching", deadline=None, print_blob=True)
settings.load_profile("searching" if os.environ.get("BILANS_TEST_FAULTS") == "full" else "repeatable")


@pytest.fixture(scope="session")
def embedded_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bootstrap address of a Kafka without topics; tests that share it name their topics and groups apart."""
    folder = tmp_path_factory.mktemp("kafka")
    kafka = EmbeddedKafka(folder / "data", folder / "kafka.log")
    kafka.prepare()
    kafka.start()
    try:
        asyncio.run(kafka.wait_ready())
        yield kafka.bootstrap
    finally:
        kafka.stop()


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Makes an empty database at each call and gives its URL; for fixtures of a module or a session."""
    folder = tmp_path_factory.mktemp("postgres")
    postgres = EmbeddedPostgres(folder / "data", folder / "postgres.log")
    postgres.prepare()
    postgres.start()
    numbers = itertools.count(1)

    def make() -> str:
        name = f"test_{next(numbers)}"
        asyncio.run(ensure_database(postgres.url, name))
        return postgres.url_of(name)

    try:
        asyncio.run(postgres.wait_ready())
        yield make
    finally:
        postgres.stop()


@pytest.fixture
def embedded_postgres(new_database: Callable[[], str]) -> str:
    """The URL of an empty database of the test's own."""
    return new_database()
