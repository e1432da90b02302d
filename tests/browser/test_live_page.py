"""The live page in a real browser, against a running system: what it shows is true, moves, and can be reached."""

import asyncio
import os
import re
import signal
import time

import asyncpg
import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from shared.database.fuse_row import blow_fuse, take_fuse_row
from shared.topics import READINGS_JSON
from tests.browser.chromium import Watch
from tests.browser.small_cluster import (
    MARKUP,
    QUARTER,
    a_day,
    battery_days,
    last_edge,
    lines,
    power,
    reading,
    register,
    stored,
    versions,
)
from tests.system import SystemUnderTest

LIVE_MS = 10_000
"""A figure must be on the page this long after its reading was accepted."""

RESTART_MS = 40_000
"""The API is up again this long after it was killed, and the page has tried again."""

FORECAST_S = 20
"""An API that has no forecast has made one this long after it was ready."""


def row(page: Page, zone: str) -> Locator:
    """A zone's row in the tree."""
    return page.locator(f'tr[data-zone="{zone}"]')


@pytest.fixture
def fed(small_cluster: SystemUnderTest) -> SystemUnderTest:
    """The system with a day of registers and fresh power."""
    small_cluster.post_readings(lines(a_day() + power(30_000, 5_000, 7_000)))
    return small_cluster


async def test_an_empty_system_says_which_command_makes_data(page: Page, small_cluster: SystemUnderTest) -> None:
    # It stands first in this file, and no other file of this folder sends readings.
    assert small_cluster.get("/v1/audit")["received"] == 0
    await page.goto("/")
    await expect(page.locator("#empty")).to_contain_text("./bilans demo")
    await expect(row(page, "CLUSTER").locator(".light")).to_have_text("Stale")
    await expect(row(page, "CLUSTER").locator("td.import")).to_have_text("–")


async def test_numbers_move_after_readings_are_posted(page: Page, fed: SystemUnderTest) -> None:
    await page.goto("/#zone/STATION-1")
    await expect(page.locator("#link")).to_have_text("Live", timeout=LIVE_MS)
    await expect(page.locator("#panel-name")).to_have_text("Stacja pierwsza")
    await expect(row(page, "STATION-1").locator("td.import")).to_have_text("25.0", timeout=LIVE_MS)
    await expect(row(page, "STATION-1").locator("td.loading")).to_contain_text("25%")
    await expect(row(page, "CLUSTER").locator("td.import")).to_have_text("32.0")
    await expect(page.locator("#main-figures .import .value")).to_have_text("25.0")

    fed.post_readings(lines(power(20_000, 116_000, 7_000)))
    await expect(row(page, "STATION-1").locator("td.export")).to_have_text("96.0", timeout=LIVE_MS)
    await expect(row(page, "STATION-1").locator(".light")).to_have_text("Amber")
    await expect(page.locator("#main-figures .export .value")).to_have_text("96.0")
    await expect(page.locator("#figures .injected .value")).to_have_text("116.0")
    await expect(page.locator("#power-trace canvas")).to_be_visible()
    await expect(page.locator("#trace-legend")).to_contain_text("Export 96.0 kW")
    await expect(page.locator("#empty")).to_be_hidden()


async def test_in_and_out_are_bars_of_one_length(page: Page, fed: SystemUnderTest) -> None:
    await page.goto("/#zone/STATION-1")
    await expect(row(page, "STATION-1").locator("td.import")).to_have_text("25.0", timeout=LIVE_MS)
    await page.wait_for_timeout(500)  # the bars' own short movement
    incoming, outgoing = [await _length(bar) for bar in await page.locator(".flow-bar").all()]
    assert incoming > 100
    assert incoming == pytest.approx(outgoing, abs=1)


async def _length(bar: Locator) -> float:
    boxes = [await segment.bounding_box() for segment in await bar.locator(".segment").all()]
    return sum(box["width"] for box in boxes if box)


async def test_the_chart_shows_the_published_balance_and_follows_a_correction(page: Page, fed: SystemUnderTest) -> None:
    await page.goto("/#zone/STATION-1")
    legend = page.locator("#balance-legend")
    await expect(page.locator("#balance-chart canvas")).to_be_visible(timeout=LIVE_MS)
    await expect(legend).to_contain_text(
        re.compile(r"import \d+\.\d kWh · export 0\.0 kWh · provisional"), timeout=LIVE_MS
    )
    await expect(legend).to_contain_text("2 measured, 0 estimated, 0 missing of 2")

    # 3 kWh drawn and 1 kWh injected; the corrected edge adds 6 kWh.
    edge, version = last_edge(), next(versions)
    fed.post_readings(lines([reading("HOUSE", "1.8.0", edge, register("HOUSE", edge) + 6_000, version)]))
    await expect(legend).to_contain_text("import 8.0 kWh", timeout=LIVE_MS)


async def test_markup_in_a_name_stays_a_name(page: Page, fed: SystemUnderTest) -> None:
    await page.goto("/#zone/STATION%202")
    await expect(page.locator("#panel-name")).to_have_text(MARKUP, use_inner_text=False)
    await expect(row(page, "STATION 2").locator(".label")).to_have_text(MARKUP)
    assert await page.locator("main img, main b, main script").count() == 0
    assert await page.evaluate("window.marked === undefined")


async def test_the_tree_is_worked_by_keys_and_a_link_leads_to_a_zone(page: Page, fed: SystemUnderTest) -> None:
    await page.goto("/")
    await expect(row(page, "CLUSTER")).to_have_attribute("aria-selected", "true", timeout=LIVE_MS)
    await page.locator("#collapse").focus()
    await page.keyboard.press("Tab")
    await expect(row(page, "CLUSTER")).to_be_focused()
    await page.keyboard.press("ArrowLeft")
    await expect(row(page, "CLUSTER")).to_have_attribute("aria-expanded", "false")
    await expect(row(page, "GPZ")).to_be_hidden()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowDown")
    await expect(row(page, "GPZ")).to_be_focused()
    await page.keyboard.press("End")
    await expect(row(page, "STATION 2")).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    await expect(page.locator("#panel-name")).to_have_text("Stacja pierwsza")
    await expect(row(page, "STATION-1")).to_have_attribute("aria-selected", "true")
    assert page.url.endswith("#zone/STATION-1")
    await page.keyboard.press("ArrowLeft")
    await expect(row(page, "GPZ")).to_be_focused()


async def test_a_zone_is_found_by_its_name(page: Page, fed: SystemUnderTest) -> None:
    await page.goto("/")
    await expect(row(page, "STATION-1")).to_be_visible(timeout=LIVE_MS)
    await page.locator("#find").fill("PIERWSZA")
    await expect(row(page, "STATION-1")).to_be_visible()
    await expect(row(page, "GPZ")).to_be_hidden()
    await page.locator("#find").fill("nowhere")
    await expect(page.locator("#none-found")).to_be_visible()


async def test_polish_is_one_press_away_and_remembered(page: Page, fed: SystemUnderTest) -> None:
    await page.goto("/#zone/STATION-1")
    await expect(page.locator("#zones-title")).to_have_text("Zones")
    await page.locator('[data-language="pl"]').click()
    await expect(page.locator("#zones-title")).to_have_text("Strefy")
    await expect(page.locator("#link")).to_have_text("Na żywo", timeout=LIVE_MS)
    await expect(row(page, "STATION-1").locator("td.import")).to_have_text("25,0", timeout=LIVE_MS)
    await page.reload()
    await expect(page.locator("#zones-title")).to_have_text("Strefy")
    assert await page.evaluate("document.documentElement.lang") == "pl"


async def test_a_silent_stream_is_seen_and_greys_the_figures(page: Page, fed: SystemUnderTest) -> None:
    await page.goto("/#zone/STATION-1")
    await expect(page.locator("#link")).to_have_text("Live", timeout=LIVE_MS)
    api = int((fed.data_dir / "run" / "api.pid").read_text())
    os.kill(api, signal.SIGSTOP)
    try:
        await expect(page.locator("#link")).to_contain_text("No news for", timeout=LIVE_MS)
        await expect(page.locator("body")).to_have_class("out-of-touch")
    finally:
        os.kill(api, signal.SIGCONT)
    await expect(page.locator("#link")).to_have_text("Live", timeout=LIVE_MS)
    await expect(page.locator("body")).not_to_have_class("out-of-touch")


async def test_a_lost_connection_is_said_and_mended(watch: Watch, fed: SystemUnderTest) -> None:
    page = watch.page
    await _make_ready_to_forecast(fed)
    await page.goto("/#zone/STATION-1")
    await expect(page.locator("#link")).to_have_text("Live", timeout=LIVE_MS)
    fed.kill("api")
    await expect(page.locator("#link")).to_contain_text("Connection lost", timeout=LIVE_MS)
    await expect(page.locator("body")).to_have_class("out-of-touch")
    # `up` starts the API again; the page comes back without being loaded anew.
    await expect(page.locator("#link")).to_have_text("Live", timeout=RESTART_MS)
    await expect(row(page, "STATION-1").locator("td.import")).to_have_text("25.0", timeout=LIVE_MS)
    await expect(page.locator("#forecast-legend")).to_contain_text("No forecast: ")
    await asyncio.to_thread(_wait_for_forecast, fed, "STATION-3")
    await row(page, "STATION-3").click()
    await expect(page.locator("#forecast-chart canvas")).to_be_visible(timeout=LIVE_MS)
    await expect(page.locator("#forecast-legend")).to_have_text(
        re.compile(
            r"^error not measured yet · import limit 100 kW · export limit 100 kW · issued \d+ \w+ \d+, \d+:\d\d"
        )
    )
    await page.locator("#forecast-chart .u-over").hover()
    # A battery that always charges with 0.8 kW; P10 and P90 are beside that figure.
    await expect(page.locator("#forecast-legend")).to_contain_text(
        re.compile(r": 0\.\d kW expected, .+ to .+ kW in 8 of")
    )
    # The browser itself notes requests that fail while nobody answers.
    watch.complaints[:] = [text for text in watch.complaints if "Failed to load resource" not in text]


async def _make_ready_to_forecast(fed: SystemUnderTest) -> None:
    """Five days of one zone; and no forecast is kept, so that an API makes one when it starts."""
    fed.post_readings(lines(battery_days(5)))
    await asyncio.to_thread(fed.wait_in_balance, 1)
    connection = await asyncpg.connect(fed.addresses.database_url)
    await connection.execute("DELETE FROM forecast")
    await connection.close()


def _wait_for_forecast(fed: SystemUnderTest, zone: str) -> None:
    until = time.monotonic() + FORECAST_S
    while not fed.get(f"/v1/zones/{zone}/forecast")["rows"]:
        assert time.monotonic() < until, f"no forecast of {zone} within {FORECAST_S} s"
        time.sleep(0.1)


async def test_what_assets_hold_is_shown_and_what_is_ordered_of_it(page: Page, fed: SystemUnderTest) -> None:
    fed.post_readings(lines(stored(5_000)))
    await page.goto("/#zone/STATION-3")
    up, _, up_available, down, *_ = [page.locator("#envelope-rows tr").nth(line).locator("td") for line in range(6)]
    # 5 kWh can be given and 5 taken, with 8 kW and with 6: for 15 minutes, an hour, four hours.
    await expect(up).to_have_text(["8.0", "5.0", "1.3"], timeout=LIVE_MS)
    await expect(down).to_have_text(["6.0", "5.0", "1.3"])
    await expect(page.locator("#envelope-note")).to_have_text("1 of 1 assets heard")
    await expect(page.locator("#orders-note")).to_have_text("No orders in this zone yet.")

    await _order(fed, "STATION-3", 3)
    fed.post_readings(lines(stored(5_000)))  # the balance changes, so the page looks again
    await expect(page.locator("#order-rows tr").first).to_have_text(
        re.compile(r"\d+:\d\d–.*\d+:\d\dup3\.0(accepted|dispatched)–$"), timeout=LIVE_MS
    )
    await expect(page.locator(".window-bar.unknown")).to_have_count(2)
    await expect(up_available.first).to_have_text("5.0", timeout=LIVE_MS)
    await row(page, "STATION-1").click()
    await expect(page.locator("#envelope-note")).to_have_text("No assets in this zone.")
    await expect(page.locator("#orders")).to_be_hidden()


async def _order(fed: SystemUnderTest, zone: str, kw: int) -> None:
    """Orders half an hour of it, from the running quarter on; returns when the signals take it off."""
    period = {"from": last_edge().isoformat(), "to": (last_edge() + 2 * QUARTER).isoformat()}
    async with httpx.AsyncClient(base_url=fed.addresses.api) as dso:
        request = {"zone": zone, "direction": "up", "kw": kw, **period}
        asked = await dso.post("/v1/flexibility/requests", json=request, headers={"Idempotency-Key": "page"})
        offer = asked.raise_for_status().json()["offer"]["id"]
        (await dso.post(f"/v1/flexibility/offers/{offer}/order", json={"kw": kw})).raise_for_status()
        while True:  # the test's own time-out ends it
            now = (await dso.get(f"/v1/zones/{zone}/signals")).json()["envelope"][0]
            if now["up_available_kw"] < now["up_kw"]:
                return
            await asyncio.sleep(0.1)


async def test_books_are_shown_and_agree(page: Page, fed: SystemUnderTest) -> None:
    await page.goto("/")
    await expect(page.locator("#books")).to_contain_text("Received", timeout=LIVE_MS)
    text = (await page.locator("#books").inner_text()).replace("\u202f", "")
    received, *parts = map(int, re.findall(r"\d+", text)[:5])
    assert received == sum(parts) > 0


async def test_a_stopped_topic_is_announced_in_both_languages(page: Page, fed: SystemUnderTest) -> None:
    connection = await asyncpg.connect(fed.addresses.database_url)
    try:
        await blow_fuse(connection, READINGS_JSON, MARKUP)
        await page.goto("/")
        notice = page.locator("#fuse")
        await expect(notice).to_contain_text("Ingest has not read bilans.readings.json since", timeout=LIVE_MS)
        await expect(page.locator("#fuse-reason")).to_have_text(MARKUP)
        await expect(notice).to_contain_text("bilans rejected resume")
        await page.get_by_role("button", name="Polski").click()
        await expect(notice).to_contain_text("nie czyta tematu bilans.readings.json")
    finally:
        await take_fuse_row(connection, READINGS_JSON)
        await connection.close()
    await expect(notice).to_be_hidden(timeout=LIVE_MS)


async def test_a_telephone_shows_it_without_scrolling_sideways(page: Page, fed: SystemUnderTest) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto("/#zone/STATION-3")
    await expect(row(page, "STATION-1").locator("td.import")).to_have_text("25.0", timeout=LIVE_MS)
    await expect(page.locator("#envelope")).to_be_visible()
    for part in ("html", "#panel"):
        assert await page.locator(part).evaluate("element => element.scrollWidth - element.clientWidth") <= 0, part


async def test_the_page_is_bound_to_its_own_address(fed: SystemUnderTest) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{fed.addresses.api}/")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|style=", answer.text)
