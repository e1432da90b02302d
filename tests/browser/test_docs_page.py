"""The page at /docs: served whole from this machine, under its own policy."""

from playwright.async_api import Page, expect

from tests.browser.chromium import Watch
from tests.system import SystemUnderTest


async def test_the_docs_show_every_route_and_ask_nobody_else(
    page: Page, watch: Watch, small_cluster: SystemUnderTest
) -> None:
    routes = [route for path in small_cluster.get("/openapi.json")["paths"].values() for route in path]
    assert len(routes) > 20
    await page.goto("/docs")
    await expect(page.locator(".opblock")).to_have_count(len(routes))
    await page.locator("#operations-balance-balance_v1_zones__zone__balance_get .opblock-summary").click()
    await expect(page.locator(".opblock.is-open .response-col_description").first).to_be_visible()
    watch.assert_clean()
