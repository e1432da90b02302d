"""A running system with a small cluster, and a page of the system's Chromium that fails a test on any complaint."""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.browser.chromium import ARGUMENTS, Watch, find_chromium
from tests.browser.small_cluster import write_topology
from tests.system import SystemUnderTest, running_bilans


@pytest.fixture(scope="session")
def small_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemUnderTest]:
    """`bilans up` with the small cluster: real Kafka, real PostgreSQL, all services."""
    folder = tmp_path_factory.mktemp("page")
    with running_bilans(folder, write_topology(folder / "topology")) as system:
        yield system


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
async def context(browser: Browser, small_cluster: SystemUnderTest) -> BrowserContext:
    """An English desktop; addresses are relative to the running API."""
    return await browser.new_context(
        base_url=small_cluster.addresses.api, locale="en-GB", viewport={"width": 1440, "height": 1000}
    )


@pytest.fixture
async def watch(context: BrowserContext, small_cluster: SystemUnderTest) -> AsyncIterator[Watch]:
    """A page that is not opened yet; after the test it must have complained of nothing and asked nobody else."""
    page = await context.new_page()
    watch = Watch(page, urlsplit(small_cluster.addresses.api).netloc)
    watch.start()
    yield watch
    watch.assert_clean()


@pytest.fixture
def page(watch: Watch) -> Page:
    """The watched page."""
    return watch.page
