"""A running system with a small cluster, and a page of the system's Chromium that fails a test on any complaint."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from deploy.running_system import RunningSystem, find_running_system
from tests.browser.chromium import ARGUMENTS, Watch, find_chromium
from tests.browser.small_cluster import write_topology

ROOT = Path(__file__).parents[2]
STOP_S_MAX = 30


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_ready(lines: IO[str], log: Path) -> None:
    for line in lines:
        if line.strip() == "ready":
            return
    raise AssertionError(f"`bilans up` ended before it was ready:\n{log.read_text(encoding='utf-8')}")


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the small cluster's system keeps its data and its `run/NAME.pid`."""
    return tmp_path_factory.mktemp("page") / "data"


@pytest.fixture(scope="session")
def small_cluster(data_dir: Path) -> Iterator[RunningSystem]:
    """`bilans up` with the small cluster: real Kafka, real PostgreSQL, all services."""
    log = data_dir.with_name("up.log")
    topology = write_topology(data_dir.with_name("topology"))
    command = [sys.executable, "-m", "deploy.command_line", "up"]
    command += ["--topology", str(topology), "--data-dir", str(data_dir)]
    command += ["--port", str(_free_port()), "--ingest-port", str(_free_port())]
    with log.open("wb") as errors:
        system = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)
    assert system.stdout is not None
    try:
        _wait_ready(system.stdout, log)
        yield find_running_system(data_dir)
    finally:
        system.terminate()
        system.wait(STOP_S_MAX)
        system.stdout.close()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium, one for each test: no test sees another's storage."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@pytest.fixture
async def context(browser: Browser, small_cluster: RunningSystem) -> BrowserContext:
    """An English desktop; addresses are relative to the running API."""
    return await browser.new_context(
        base_url=small_cluster.api, locale="en-GB", viewport={"width": 1440, "height": 1000}
    )


@pytest.fixture
async def watch(context: BrowserContext, small_cluster: RunningSystem) -> AsyncIterator[Watch]:
    """A page that is not opened yet; after the test it must have complained of nothing and asked nobody else."""
    page = await context.new_page()
    watch = Watch(page, urlsplit(small_cluster.api).netloc)
    watch.start()
    yield watch
    watch.assert_clean()


@pytest.fixture
def page(watch: Watch) -> Page:
    """The watched page."""
    return watch.page
