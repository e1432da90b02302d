"""An order's life after it is bought, on a real PostgreSQL: a frozen baseline, revisions, settlement."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import text

from services.api.application import make_application
from services.api.live_view import LiveView
from services.api.service import ApiService, make_service
from services.api.topology_terms import TopologyTerms
from services.api.verification.baseline_content import digest_of
from services.api.verification.baseline_freezing import OrderFacts, freeze_baseline
from services.api.verification.verification_answers import baseline_of, verification_of
from services.api.verification.verification_round import VerificationRound
from shared.clock import ManualClock
from shared.database.migrate import migrate
from shared.database.tables import SUM_COLUMNS
from shared.settings import read_settings
from shared.topology.rows import Asset
from shared.words import AssetKind
from tests.live_records import RECORD
from tests.unit.small_topology import small_topology

TOWN = 10


def instant(local: str) -> int:
    return int(datetime.fromisoformat(local).replace(tzinfo=ZoneInfo("Europe/Warsaw")).timestamp())


NOON = instant("2026-05-20T12:00")
"""A Wednesday. The hour from then on is ordered at 11:00: 5 kW up, by the battery, for 3.00."""
HOUR = [NOON + 900 * place for place in range(4)]


def battery_town() -> TopologyTerms:
    nothing = dict.fromkeys(
        ("up_kw", "down_kw", "energy_kwh", "efficiency", "cost_per_mwh", "reserve_kwh", "due_kwh", "due_at", "rebound")
    )
    battery = Asset("battery", "battery", AssetKind.STORAGE, **nothing)
    return TopologyTerms(replace(small_topology(), assets=[battery]))


@dataclass
class Town:
    """The service's parts on a database of which this test alone is the balancer and the seller."""

    service: ApiService
    clock: ManualClock
    leading: VerificationRound

    async def run(self, sql: str, **values: Any) -> Any:
        async with self.service.engine.begin() as connection:
            return await connection.execute(text(sql), values)

    async def knows(self, first_s: int, windows: int, net_wh: str, *, measured: int = 4, estimated: int = 0) -> None:
        """So many windows of the town, with consumption as the SQL expression says; `at` is a window's start."""
        columns = [name for name in SUM_COLUMNS if name not in ("consumer_withdrawn_wh", "measured", "estimated")]
        await self.run(
            "INSERT INTO partial (partition, zone_id, window_start, revision, known_at, log_offset, topology,"
            f" consumer_withdrawn_wh, measured, estimated, {', '.join(columns)})"
            f" SELECT 0, {TOWN}, at, 1, clock_timestamp(), 0, 1, {net_wh}, {measured}, {estimated}"
            f"{', 0' * len(columns)}"
            " FROM (SELECT to_timestamp(:first + 900 * n) AS at FROM generate_series(0, :windows - 1) AS n) AS _"
            " ON CONFLICT (zone_id, window_start, partition) DO UPDATE SET revision = partial.revision + 1,"
            " known_at = excluded.known_at, consumer_withdrawn_wh = excluded.consumer_withdrawn_wh,"
            " measured = excluded.measured, estimated = excluded.estimated",
            first=first_s,
            windows=windows,
        )

    async def buys(self, order: str, from_s: int, ordered_s: int) -> dict[str, Any]:
        """The hour from `from_s` on, with everything that an order's transaction writes; gives the frozen baseline."""
        async with self.service.engine.begin() as connection:
            for sql in (
                "INSERT INTO flexibility_request (id, zone_id, direction, power_w, from_at, to_at, status)"
                f" VALUES (:order, {TOWN}, 'up', 5000, to_timestamp(:from_s), to_timestamp(:from_s + 3600), 'ordered')",
                "INSERT INTO flexibility_offer (id, request_id, power_w, cost, status, expires_at)"
                " VALUES (:order, :order, 5000, 3.00, 'ordered', now())",
                "INSERT INTO flexibility_order (id, offer_id, power_w, cost, status, ordered_at)"
                " VALUES (:order, :order, 5000, 3.00, 'delivered', to_timestamp(:ordered_s))",
                "INSERT INTO flexibility_dispatch (order_id, asset, window_start, setpoint_w)"
                " SELECT :order, 'battery', to_timestamp(:from_s + 900 * n), 5000 FROM generate_series(0, 3) AS n",
            ):
                needed = {"order": order, "from_s": from_s, "ordered_s": ordered_s}
                await connection.execute(
                    text(sql), {name: value for name, value in needed.items() if f":{name}" in sql}
                )
            facts = OrderFacts(order, "Town", from_s, from_s + 3600, ordered_s)
            return await freeze_baseline(connection, facts, self.service.shelf.newest)

    async def verify(self, now_s: int, instance: VerificationRound | None = None) -> int:
        """A round at `now_s`, of the instance that leads or of another."""
        self.clock.move(now_s - self.clock.now_s())
        return await (instance or self.leading).verify()

    async def verification(self, order: str, now_s: int) -> list[dict[str, Any]]:
        async with self.service.engine.connect() as connection:
            return await verification_of(connection, order, self.service.shelf.newest, now_s)

    async def settlement(self, order: str, query: str = "") -> httpx.Response:
        transport = httpx.ASGITransport(make_application(self.service))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.get(f"/v1/flexibility/orders/{order}/settlement{query}")


def round_of(service: ApiService, clock: ManualClock) -> VerificationRound:
    return VerificationRound(service.engine, service.shelf, LiveView(clock, "wall"), service.leadership, 100)


@pytest.fixture
async def town(embedded_postgres: str, tmp_path: Path) -> AsyncIterator[Town]:
    await asyncio.to_thread(migrate, embedded_postgres)
    settings = read_settings(
        {"BILANS_KAFKA": "127.0.0.1:1", "BILANS_DATABASE_URL": embedded_postgres, "BILANS_DATA_DIR": str(tmp_path)}
    )
    clock = ManualClock(NOON)
    service = make_service(settings, clock)
    service.shelf.newest = battery_town()
    made = Town(service, clock, round_of(service, clock))
    await made.run(f"INSERT INTO zone_identity (zone_id, zone) VALUES ({TOWN}, 'Town')")
    yield made
    await service.engine.dispose()


OF_DAY = "CASE WHEN extract(hour FROM at AT TIME ZONE 'Europe/Warsaw') BETWEEN 12 AND 17 THEN 3000 ELSE 1000 END"


async def test_the_story_of_a_battery(town: Town) -> None:
    await town.knows(NOON - 70 * 86400, 70 * 96 - 4, OF_DAY)
    frozen = await town.buys("A", NOON, NOON - 3600)
    assert frozen["method"] == "caiso-10-of-10" and [row["baseline_wh"] for row in frozen["windows"]] == [3000] * 4

    assert await town.verify(NOON) == 0
    assert [row["actual_kw"] for row in await town.verification("A", NOON)] == [None] * 4

    await town.knows(HOUR[0], 2, "1750")  # the battery gives its 5 kW
    await town.knows(HOUR[2], 1, "2000")  # here 4, as it seems
    await town.knows(HOUR[3], 1, "1500", measured=3)  # and here a meter is silent
    assert await town.verify(NOON + 3600) == 3
    assert await town.verify(NOON + 3660) == 0
    assert await town.verify(NOON + 3660, round_of(town.service, town.clock)) == 0
    told = await town.verification("A", NOON + 3600)
    assert [row["delivered_kw"] for row in told] == [5.0, 5.0, 4.0, None]
    assert [row["deficiency_kw"] for row in told] == [0.0, 0.0, 1.0, None]
    assert [row["amount"] for row in told] == [0.75, 0.75, 0.45, None]
    assert told[3]["missing"] == 1 and told[3]["baseline_kw"] == 12.0

    await town.knows(HOUR[2], 1, "1750")  # the reading was wrong
    assert await town.verify(NOON + 4000) == 1
    assert (await town.verification("A", NOON + 4000))[2]["note"] == "actual 2000 → 1750 Wh; amount 0.45 → 0.75 (+0.3)"

    assert await town.verify(instant("2026-05-21T09:00")) == 4  # now the last has to do with what is known
    assert (await town.verification("A", NOON + 86400))[3] | {"note": ""} == {
        "window_start": "2026-05-20T10:45:00Z",
        "baseline_kw": 12.0,
        "actual_kw": 6.0,
        "ordered_kw": 5.0,
        "delivered_kw": 5.0,
        "deficiency_kw": 0.0,
        "stage": "D+1",
        "revision": 1,
        "amount": 0.75,
        "missing": 1,
        "note": "",
    }
    await town.knows(NOON + 3600, 16, OF_DAY.replace("3000", "3100"))  # what the battery gave, it takes again
    assert await town.verify(instant("2026-05-27T00:00")) == 4
    answer = (await town.settlement("A")).json()
    assert answer["status"] == "settled" and answer["price_per_kwh"] == 0.6
    assert answer["totals"] == {
        "windows": 4,
        "ordered_wh": 5000,
        "delivered_wh": 5000,
        "deficiency_wh": 0,
        "amount": 3.0,
        "performance": 1.0,
        "rebound_wh": 1600,
        "rebound_windows": 16,
    }
    assert [(row["window_start"][11:16], row["revision"], row["stage"]) for row in answer["rows"]][6:] == [
        ("10:30", 1, "live"),
        ("10:30", 2, "live"),
        ("10:30", 3, "D+1"),
        ("10:30", 4, "D+7"),
        ("10:45", 1, "D+1"),
        ("10:45", 2, "D+7"),
    ]
    page = (await town.settlement("A", "?limit=7")).json()
    rest = (await town.settlement("A", f"?limit=7&cursor={page['next']}")).json()
    assert page["rows"] + rest["rows"] == answer["rows"] and rest["next"] is None
    steps = await town.run("SELECT step FROM flexibility_audit WHERE request_id = 'A'")
    assert steps.scalars().all() == ["settled"]


async def test_a_frozen_baseline_stays_and_its_checksum_holds(town: Town) -> None:
    await town.knows(NOON - 70 * 86400, 70 * 96 - 4, OF_DAY)
    frozen = await town.buys("A", NOON, NOON - 3600)
    await town.knows(NOON - 70 * 86400, 70 * 96, "7777")
    async with town.service.engine.begin() as connection:
        facts = OrderFacts("A", "Town", NOON, NOON + 3600, NOON - 3600)
        again = await freeze_baseline(connection, facts, town.service.shelf.newest)
        answer = await baseline_of(connection, "A")
    assert again == frozen
    assert answer is not None and answer["digest"] == digest_of(frozen)
    assert answer["method"] == "caiso-10-of-10" and answer["measured"] and answer["rrmse"] == 0.0
    assert answer["windows"][0] == {"window_start": "2026-05-20T10:00:00Z", "baseline_kw": 12.0}


async def test_hours_of_orders_are_in_no_baseline_and_a_second_order_is_paid_for_more_only(town: Town) -> None:
    await town.knows(NOON - 70 * 86400, 71 * 96, OF_DAY)
    await town.buys("A", NOON, NOON - 3600)
    await town.buys("B", NOON, NOON - 1800)
    for place in range(4):
        await town.knows(HOUR[place], 1, "1700")  # of two orders of 5 kW 5.2 are there
    await town.verify(NOON + 3600)
    first, second = await town.verification("A", NOON + 3600), await town.verification("B", NOON + 3600)
    assert {(row["baseline_kw"], row["delivered_kw"], row["deficiency_kw"]) for row in first} == {(12.0, 5.0, 0.0)}
    assert {(row["baseline_kw"], row["delivered_kw"], row["deficiency_kw"]) for row in second} == {(7.0, 0.2, 4.8)}
    await town.run(
        "UPDATE flexibility_dispatch SET setpoint_w = 0, revision = 1 WHERE order_id = 'A' AND window_start ="
        " to_timestamp(:last)",
        last=HOUR[3],
    )
    await town.run("UPDATE flexibility_order SET status = 'cancelled', cancelled_at = now() WHERE id = 'A'")
    assert await town.verify(NOON + 3660) == 1
    freed = (await town.verification("B", NOON + 3660))[3]
    assert (freed["baseline_kw"], freed["delivered_kw"]) == (12.0, 5.0)
    assert freed["note"] == "baseline 1750 → 3000 Wh; amount -0.69 → 0.75 (+1.44)"
    await town.knows(NOON + 3600, 92, OF_DAY)
    tomorrow = await town.buys("C", NOON + 86400, NOON + 86400 - 3600)
    assert [row["baseline_wh"] for row in tomorrow["windows"]] == [3000] * 4
    assert "2026-05-20" not in tomorrow["inputs"]["days"] and "2026-05-19" in tomorrow["inputs"]["days"]


async def test_a_young_town_is_held_against_the_hour_before(town: Town) -> None:
    await town.knows(NOON - 6 * 3600, 20, "2400", measured=1, estimated=3)
    frozen = await town.buys("A", NOON, NOON - 3600)
    assert (frozen["method"], frozen["measured"]) == ("meter-before", False)
    assert "fewer than 5 days" in frozen["reason"] and frozen["inputs"]["estimated_windows"]
    assert [row["baseline_wh"] for row in frozen["windows"]] == [2400] * 4


async def test_in_event_mode_a_window_has_ended_when_the_rows_say_so(town: Town) -> None:
    await town.knows(NOON - 6 * 3600, 28, "2400")
    await town.buys("A", NOON, NOON - 3600)
    view = LiveView(town.clock, "event")
    view.take(replace(RECORD, now_s=NOON + 3600))
    service = town.service
    instance = VerificationRound(service.engine, service.shelf, view, service.leadership, 100)
    assert await instance.verify() == 0
    progress = "INSERT INTO progress (topic, partition, event_now) VALUES ('t', 0, to_timestamp(:now))"
    await town.run(progress, now=NOON + 1860)
    assert await instance.verify() == 2


async def test_without_any_reading_there_is_no_baseline_and_nothing_is_settled(town: Town) -> None:
    frozen = await town.buys("A", NOON, NOON - 3600)
    assert frozen["method"] == "none"
    await town.knows(HOUR[0], 4, "1750")
    assert await town.verify(NOON + 3600) == 0
    told = await town.verification("A", NOON + 3600)
    assert [row["note"] for row in told] == ["There is no baseline, so nothing can be verified."] * 4
    assert (await town.settlement("nobody")).status_code == 404
