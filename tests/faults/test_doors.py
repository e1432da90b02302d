"""The doors: processes killed with requests under way, clients that go, oversized bodies, wrong clocks.

The tests of this file run in their order, on one cluster whose readings are of these days; each is judged with all that
came before it.
"""

import asyncio
import gzip
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import asyncpg
import httpx
import psutil
import pyarrow as pa
import pytest

from shared.limits import BODY_BYTES_MAX, READING_BYTES_MAX
from tests.faults.cluster import eventually
from tests.faults.feed import EXTRA_METERS, READINGS_SCHEMA, extra_readings
from tests.faults.history import Refused
from tests.faults.scene import Scene, recent_scene
from tests.faults.sender import ndjson
from tests.faults.tier import times

VIEWERS = 20
HANG_UPS = 500
RESIDENT_GROWTH_BYTES_MAX = 400_000_000
"""What refusing bodies may leave behind in ingest's memory: about the bodies that it may hold at one moment."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    yield from recent_scene(tmp_path_factory.mktemp("doors"))


# --- kills ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", times(ci=2, full=10))
async def test_ingest_is_killed_in_mid_request(scene: Scene, number: int) -> None:
    cluster = scene.cluster
    async with scene.load(), httpx.AsyncClient() as client:
        cluster.kafka_proxy.delay_s = 0.2  # so long is each request under way: the kill comes before an acknowledgement
        beside = [asyncio.create_task(_send_extra(scene, client, number * 10 + k)) for k in range(3)]
        half_sent = await _half_a_request(cluster.ingest_port)
        await asyncio.sleep(random.Random(number).uniform(0.5, 1.5))
        cluster.kill("ingest")
        cluster.kafka_proxy.pass_on()
        cluster.start_service("ingest")
        await asyncio.gather(*beside)
        half_sent.close()
        await scene.get_on(2)


async def _send_extra(scene: Scene, client: httpx.AsyncClient, number: int) -> None:
    """Bodies of 2,000 readings one after another: one of them is under way whenever the kill comes."""
    meter = EXTRA_METERS[number % len(EXTRA_METERS)]
    first_s = scene.feed.instant_s(scene.feed.next)
    for part in range(6):
        seconds = range(first_s + part * 2_000, first_s + (part + 1) * 2_000)
        await scene.sender.send(client, extra_readings(meter, "1.8.0", seconds, [s // 10 for s in seconds]))


async def _half_a_request(port: int) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /v1/readings HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 999\r\n\r\n{"
    )
    await writer.drain()
    return writer


@pytest.mark.parametrize("number", times(ci=2, full=10))
async def test_the_api_is_killed_in_mid_stream(scene: Scene, number: int) -> None:
    cluster = scene.cluster
    async with scene.load():
        seen: list[set[str]] = [set() for _ in range(VIEWERS)]
        viewers = [asyncio.create_task(_follow(cluster.api, events)) for events in seen]
        await eventually(lambda: all("hello" in events for events in seen), 30, "not every viewer was greeted")
        await asyncio.sleep(random.Random(number).uniform(0, 1))
        cluster.kill("api")
        await asyncio.wait_for(asyncio.gather(*viewers), 10)
        cluster.start_service("api")
        await eventually(cluster.is_ready, 60, "the API was not ready again", pause_s=0.2)
        again: set[str] = set()
        await asyncio.wait_for(_follow(cluster.api, again, enough=3), 30)
        assert "hello" in again
        await scene.get_on(2)


async def _follow(api: str, seen: set[str], enough: int = 10**9) -> None:
    """Follows the event stream until it breaks or so many events came; puts their names into `seen`."""
    count = 0
    try:
        async with (
            httpx.AsyncClient(timeout=30) as client,
            client.stream("GET", f"{api}/v1/live/stream?zones=CLUSTER,F-ZYWIEC") as answer,
        ):
            async for line in answer.aiter_lines():
                if line.startswith("event:"):
                    seen.add(line.removeprefix("event:").strip())
                    count += 1
                    if count == enough:
                        break
    except httpx.TransportError:
        pass  # the stream broke, as it had to


@pytest.mark.parametrize("number", times(ci=1, full=5))
async def test_clients_hang_up_in_mid_query(scene: Scene, number: int) -> None:
    async with scene.load(quarters_per_s=2):
        for _ in range(HANG_UPS // 50):
            await asyncio.gather(*(_hang_up(scene) for _ in range(50)))
        # A busy machine may still have abandoned queries to end: it says so with Retry-After, and then it answers.
        await eventually(lambda: _is_answered(scene), 30, "no query is answered any more", pause_s=0.5)
        assert await _left_behind(scene) == 0
    log = scene.cluster.log_of("api").read_text()
    assert "Traceback" not in log and "non-checked-in" not in log


def _is_answered(scene: Scene) -> bool:
    answer = httpx.get(f"{scene.cluster.api}/v1/zones/CLUSTER/balance", params=_everything(scene), timeout=10)
    assert answer.status_code == 200 or "retry-after" in answer.headers, answer.text
    return answer.status_code == 200


async def _left_behind(scene: Scene) -> int:
    """Sessions of PostgreSQL that have been at the same statement for long, or hold a transaction of nobody."""
    await asyncio.sleep(5)
    connection = await asyncpg.connect(scene.cluster.settings.database_url)
    try:
        number: int = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state <> 'idle' AND state_change < clock_timestamp() - interval '5 s'"
        )
    finally:
        await connection.close()
    return number


def _everything(scene: Scene) -> dict[str, str]:
    first, last = (datetime.fromtimestamp(scene.feed.instant_s(n), UTC).isoformat() for n in (0, scene.feed.next))
    return {"from": first, "to": last, "resolution": "hour"}


async def _hang_up(scene: Scene) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", scene.cluster.port)
    query = str(httpx.QueryParams(_everything(scene)))
    writer.write(f"GET /v1/zones/CLUSTER/balance?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await writer.drain()
    await asyncio.sleep(random.uniform(0, 0.02))
    writer.transport.abort()


# --- too much -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", times(ci=1, full=4))
async def test_bodies_that_are_too_large(scene: Scene, number: int) -> None:
    """Five ways: refused whole, nothing of them counted, memory given back."""
    ingest = psutil.Process(scene.cluster.process_id("ingest"))
    resident = ingest.memory_info().rss
    line = b'{"meter":"EXTRA-00","register":"1.8.0","ts":"2026-05-01T10:15:00Z","value":1}\n'
    many = line * (BODY_BYTES_MAX // len(line) + 1)
    bodies = {
        "plain": (many, ""),
        "gzip bomb": (gzip.compress(bytes(20 * BODY_BYTES_MAX), 9), "gzip"),
        "gzip of much": (gzip.compress(many, 1), "gzip"),
        "zstd bomb": (pa.compress(bytes(20 * BODY_BYTES_MAX), "zstd", asbytes=True), "zstd"),
        "array": (b"[" + b",".join([b"{}"] * 1_000_001) + b"]", ""),
    }
    now_s = int(time.time())
    async with scene.watched(now_s - 86_400, now_s), httpx.AsyncClient(timeout=60) as client:
        for name, (body, encoding) in bodies.items():
            headers = {"Content-Type": "application/json" if name == "array" else "application/x-ndjson"}
            headers |= {"Content-Encoding": encoding} if encoding else {}
            answer = await client.post(f"{scene.cluster.ingest}/v1/readings", content=body, headers=headers)
            assert answer.status_code == 413, f"{name}: {answer.status_code} {answer.text[:300]}"
        long = b'{"meter":"EXTRA-00","note":"' + b"x" * READING_BYTES_MAX + b'"}'
        await scene.send(READINGS_SCHEMA.empty_table(), [Refused("oversized", long)])
    assert ingest.memory_info().rss - resident < RESIDENT_GROWTH_BYTES_MAX


# --- wrong clocks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", times(ci=1, full=5))
async def test_meters_whose_clocks_are_wrong(scene: Scene, number: int) -> None:
    """Ten minutes slow counts; up to five minutes fast too; more is refused, and lag and live view stay sane."""
    meters = {name: EXTRA_METERS[10 + k] for k, name in enumerate(("slow", "fast", "too fast"))}
    now_s = int(time.time())
    async with scene.load(quarters_per_s=2):
        for k in range(20):
            at_s = now_s - 900 * (20 - k)
            await scene.send(extra_readings(meters["slow"], "2.8.0", [at_s - 600 + number], [1_000 * number + k]))
        fast = extra_readings(meters["fast"], "2.8.0", [now_s - 900 + number, now_s + 240], [number, number + 77])
        too_fast = extra_readings(meters["too fast"], "2.8.0", [now_s + 600], [5])
        refused = [Refused("future_timestamp", ndjson(too_fast).strip())]
        await scene.send(fast, refused)
        async with httpx.AsyncClient(timeout=10) as client:
            status = (await client.get(f"{scene.cluster.api}/v1/status")).json()
        assert _least(status) >= 0, status


def _least(value: object) -> float:
    """The least number in a JSON answer."""
    if isinstance(value, dict):
        return min((_least(part) for part in value.values()), default=0)
    if isinstance(value, list):
        return min((_least(part) for part in value), default=0)
    return float(value) if isinstance(value, int | float) else 0.0
