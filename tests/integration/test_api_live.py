"""The live view and the event stream of a real API process, fed over a real Kafka."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from aiokafka import TopicPartition

from deploy.embedded.kafka import EmbeddedKafka
from services.api.answers import LiveAnswer, SignalsAnswer
from shared.database.engine import connect
from shared.database.migrate import migrate
from shared.kafka_client import make_consumer
from shared.settings import Settings, read_settings
from shared.topics import LIVE, READINGS, READINGS_JSON, SIGNALS, ensure_topics
from shared.words import Register
from tests.contract.cluster import load_cluster
from tests.integration.api_process import Api, Balancer, running_api, viewing

WINDOW_S = 1_777_888_800
ASSETS = """asset,meter,kind,up_kw,down_kw,energy_kwh
battery,bat,storage,8,6,10
"""


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A Kafka of its own, since what stands in `bilans.live` decides."""
    folder = tmp_path_factory.mktemp("api-kafka")
    kafka = EmbeddedKafka(folder / "data", folder / "kafka.log")
    kafka.prepare()
    kafka.start()
    try:
        asyncio.run(kafka.wait_ready())
        yield kafka
    finally:
        kafka.stop()


@pytest.fixture(scope="module")
def settings(
    kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str]
) -> Settings:
    """In event mode, so that now stands still."""
    database_url = new_database()
    migrate(database_url)
    folder = tmp_path_factory.mktemp("api-cluster")
    logged_at = datetime(2026, 1, 1, tzinfo=UTC)
    asyncio.run(load_cluster(database_url, folder, number=1, logged_at=logged_at, assets=ASSETS))
    settings = read_settings(
        {"BILANS_KAFKA": kafka.bootstrap, "BILANS_DATABASE_URL": database_url, "BILANS_CLOCK": "event"}
    )
    asyncio.run(ensure_topics(settings))
    return settings


@pytest.fixture(scope="module")
def api(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(settings, tmp_path_factory.mktemp("api") / "api.log") as running:
        yield running


@pytest.fixture
async def balancer(settings: Settings) -> AsyncIterator[Balancer]:
    async with Balancer(settings).connected() as connected:
        yield connected


async def live(api: Api, zone: str = "S") -> dict[str, Any]:
    async with httpx.AsyncClient() as client:
        response = await client.get(f"{api.url}/v1/zones/{zone}/live")
    LiveAnswer.model_validate_json(response.content)
    answer: dict[str, Any] = response.json()
    return answer


async def test_a_change_reaches_the_viewer_of_its_zone_alone(api: Api, balancer: Balancer) -> None:
    async with viewing(api, "?zones=S,K") as viewer, viewing(api, "?zones=C") as other:
        hello = await viewer.next()
        assert (hello.name, {zone["zone"] for zone in hello.data["zones"]}) == ("hello", {"S", "K"})
        await balancer.live(now_s=WINDOW_S + 60, window_start_s=WINDOW_S, withdrawn_w=4000, withdrawn_wh=66)
        await balancer.live(
            now_s=WINDOW_S + 30, window_start_s=WINDOW_S, partition=1, heard=0, withdrawn_w=0, injected_w=1000
        )
        sent_s = time.monotonic()
        zone = await viewer.until("live", zone="S", withdrawn_w=4000, injected_w=1000)
        assert time.monotonic() - sent_s < 1.0
        assert (zone["state"], zone["import_w"], zone["export_w"], zone["self_sufficiency"]) == ("green", 3000, 0, 0.25)
        assert (zone["at"], zone["loading_import"]) == ("2026-05-04T10:01:00Z", 0.3)
        assert zone["window"]["import_wh"] == 66
        await other.until("live", at="2026-05-04T10:01:00Z")
        assert {zone["zone"] for event in other.seen for zone in event.data["zones"]} == {"C"}
        numbers = [event.number for event in viewer.seen]
        assert numbers == sorted(set(numbers))


async def test_states_and_rows_are_told(api: Api, balancer: Balancer) -> None:
    async with viewing(api) as viewer:
        await balancer.live(now_s=WINDOW_S + 60, partition=1, withdrawn_w=0)
        await balancer.live(now_s=WINDOW_S + 60, withdrawn_w=11_000)
        signal = await viewer.until("signal", zone="S", state="red")
        assert (signal["headroom_import_kw"], signal["headroom_export_kw"]) == (-1, 23.5)
        assert signal["reasons"] == ["import is 11 kW, the limit 10 kW: above 100 %"]
        await balancer.changed(("K", WINDOW_S), kind="one of later versions", partition=2)  # is passed over
        await balancer.changed(("S", WINDOW_S), ("S", WINDOW_S + 900), ("S", WINDOW_S), ("C", WINDOW_S), partition=2)
        rows = await viewer.until("balance", zone="S")
        assert (rows["window_start"], rows["window_end"]) == ("2026-05-04T10:00:00Z", "2026-05-04T10:30:00Z")
        assert [event.data["zone"] for event in viewer.seen if event.name == "balance"] == ["C", "S"]


async def test_a_replaced_owner_is_ignored(api: Api, balancer: Balancer) -> None:
    await balancer.live(now_s=WINDOW_S + 60, epoch=5, withdrawn_w=500)
    await balancer.live(now_s=WINDOW_S + 60, epoch=4, withdrawn_w=9999)
    async with viewing(api, "?zones=S") as viewer:
        await viewer.until("live", withdrawn_w=500)
        await asyncio.sleep(0.5)
        assert (await live(api))["withdrawn_w"] == 500


async def test_a_dead_balancer_makes_the_zone_stale(api: Api, balancer: Balancer) -> None:
    await balancer.live(now_s=WINDOW_S + 60, epoch=5)
    async with viewing(api, "?zones=S") as viewer:
        await viewer.until("signal", state="stale")  # five seconds later, though nobody sends anything
    zone = await live(api)
    assert (zone["heard"], zone["withdrawn_w"]) == (0, 2000)  # the last that was known, and marked
    assert "has not written for" in zone["reasons"][1]


async def test_a_message_that_cannot_be_read_stops_nothing(api: Api, balancer: Balancer) -> None:
    await balancer.raw(LIVE, b"{")
    await balancer.live(now_s=WINDOW_S + 60, epoch=5, withdrawn_w=777)
    async with viewing(api, "?zones=S") as viewer:
        await viewer.until("live", withdrawn_w=777)


async def test_newest_readings_arrive(api: Api, balancer: Balancer) -> None:
    await balancer.newest(partition=0, slot=0, ts_s=WINDOW_S, value=4711, cadence_s=60)
    async with httpx.AsyncClient() as client:
        for _ in range(50):
            rows = (await client.get(f"{api.url}/v1/meters")).json()["rows"]
            if any(newest["value"] == 4711 for row in rows for newest in row["newest"]):
                return
            await asyncio.sleep(0.1)
    raise AssertionError(rows)


async def test_lag_counts_what_stands_in_the_logs(api: Api, balancer: Balancer) -> None:
    async with httpx.AsyncClient() as client:
        before = (await client.get(f"{api.url}/v1/audit")).json()
        await balancer.raw(READINGS_JSON, b"{}")
        await balancer.raw(READINGS, b"")
        after = (await client.get(f"{api.url}/v1/audit")).json()
    assert after["lag"] == before["lag"] + 2
    assert (after["received"], after["difference"]) == (0, 0)


async def test_what_a_change_of_topology_left_to_recompute_is_in_the_books(api: Api, settings: Settings) -> None:
    connection = await connect(settings.database_url, application_name="test")
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{api.url}/v1/audit")).json()["recomputing"] == 0
        await connection.executemany(
            "INSERT INTO recount (partition, log_offset, topology_before, topology_after, windows, content)"
            " VALUES ($1, 7, 1, 2, $2, '')",
            [(0, 30), (2, 12)],
        )
        assert (await client.get(f"{api.url}/v1/audit")).json()["recomputing"] == 42
    await connection.execute("TRUNCATE recount")
    await connection.close()


async def test_signals_tell_what_a_battery_holds_and_go_out_on_their_topic(
    api: Api, settings: Settings, balancer: Balancer
) -> None:
    """8 kW up, 6 kW down, 10 kWh, half full."""
    connection = await connect(settings.database_url, application_name="test")
    partition, slot = await connection.fetchrow(
        "SELECT partition, slot FROM series_identity JOIN meter_identity USING (meter_id)"
        " WHERE meter = 'bat' AND register = $1",
        Register.STATE_OF_CHARGE.code,
    )
    await connection.close()
    consumer = make_consumer(settings)
    await consumer.start()
    place = TopicPartition(SIGNALS, 0)
    consumer.assign([place])
    await consumer.seek_to_end(place)
    end = await consumer.position(place)
    await balancer.newest(partition, slot, ts_s=WINDOW_S + 60, value=5000, cadence_s=900)
    for each in {0, partition}:
        await balancer.live(now_s=WINDOW_S + 60, epoch=5, partition=each, withdrawn_w=2000 if each == 0 else 0)
    expected = [(15, 8, 6), (60, 5, 5), (240, 1.25, 1.25)]
    async with httpx.AsyncClient() as client, asyncio.timeout(10):
        while True:
            answer = (await client.get(f"{api.url}/v1/zones/S/signals")).json()
            if [(row["minutes"], row["up_kw"], row["down_kw"]) for row in answer["envelope"]] == expected:
                break
            await asyncio.sleep(0.1)
        SignalsAnswer.model_validate(answer)
        consumer.seek(place, end)
        told: dict[str, object] = {}
        while told != answer:
            message = await consumer.getone()
            told = orjson.loads(message.value) if message.key == b"S" else told
    await consumer.stop()


async def test_a_new_api_begins_with_what_is_known(
    api: Api, settings: Settings, balancer: Balancer, tmp_path: Path
) -> None:
    """The newest live record, and a light that is still held: it was amber until just now."""
    await balancer.live(now_s=WINDOW_S + 120, epoch=6, withdrawn_w=8500)
    async with viewing(api, "?zones=S") as viewer:
        await viewer.until("live", state="amber")
    connection = await connect(settings.database_url, application_name="test")
    async with asyncio.timeout(10):
        while True:  # until the one that leads has kept it
            if await connection.fetchval("SELECT count(*) FROM zone_light WHERE amber"):
                break
            await asyncio.sleep(0.1)
    await connection.close()
    # However long the second one takes to start, the record is not old when it is read.
    await balancer.live(now_s=WINDOW_S + 120, epoch=6, withdrawn_w=1234, written_at_s=time.time() + 60)
    with running_api(settings, tmp_path / "second.log") as second:
        now = await live(second)
        assert (now["withdrawn_w"], now["state"]) == (1234, "amber")


async def test_it_finds_a_kafka_that_was_killed_again(api: Api, settings: Settings, kafka: EmbeddedKafka) -> None:
    assert kafka.child is not None
    kafka.child.kill()
    await asyncio.to_thread(kafka.child.wait)
    async with httpx.AsyncClient(timeout=10) as client:
        assert (await client.get(f"{api.url}/v1/zones/S/live")).status_code == 200
        assert (await client.get(f"{api.url}/v1/audit")).status_code == 503
        for _ in range(100):
            missing = (await client.get(f"{api.url}/readyz")).json()["missing"]
            if any("live feed" in word for word in missing):
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError(missing)
    kafka.start()  # in this thread: the broker ends with the thread that started it
    await kafka.wait_ready()
    async with Balancer(settings).connected() as balancer, viewing(api, "?zones=S") as viewer:
        await balancer.live(now_s=WINDOW_S + 180, epoch=7, withdrawn_w=4321)
        await viewer.until("live", withdrawn_w=4321)
    async with httpx.AsyncClient(timeout=10) as client:
        assert (await client.get(f"{api.url}/v1/audit")).status_code == 200


async def test_it_stops_at_once_with_viewers_on(settings: Settings, tmp_path: Path) -> None:
    with running_api(settings, tmp_path / "stopping.log") as stopping:
        async with viewing(stopping) as viewer, viewing(stopping, "?zones=S"):
            await viewer.next()
            took_s = await asyncio.to_thread(stopping.stop)
            with pytest.raises(EOFError):
                while True:
                    await viewer.next()
        assert took_s < 3
        assert stopping.process.returncode in (0, -15)
        assert "Traceback" not in stopping.log.read_text()
