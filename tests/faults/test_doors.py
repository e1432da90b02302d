"""The doors: processes killed with requests under way, clients that go, fuzzed and oversized bodies, wrong clocks.

The tests of this file run in their order, on one cluster whose readings are of these days; each is judged with all that
came before it.
"""

import asyncio
import gzip
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import asyncpg
import httpx
import psutil
import pyarrow as pa
import pytest
from aiokafka import AIOKafkaProducer

from shared.limits import BODY_BYTES_MAX, READING_BYTES_MAX
from shared.topics import READINGS_JSON
from tests.faults.cluster import eventually
from tests.faults.feed import EXTRA_METERS, READINGS_SCHEMA
from tests.faults.fuzz import Fuzz
from tests.faults.history import Body, Refused
from tests.faults.observer import fetch_rejected
from tests.faults.scene import Scene, rural_scene
from tests.faults.sender import ndjson, plain_register
from tests.faults.tier import either, times

FUZZED = either(ci=10_000, full=1_000_000)
LINES = 500
"""Of a fuzzed body."""
STREAMS = either(ci=200, full=2_000)
VIEWERS = 20
HANG_UPS = 500
RESIDENT_GROWTH_BYTES_MAX = 400_000_000
"""What refusing bodies may leave behind in ingest's memory: about the bodies that it may hold at one moment."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    now_s = int(time.time())
    running = rural_scene(tmp_path_factory.mktemp("doors"), first_s=now_s - now_s % 900 - 5 * 86_400)
    try:
        yield running
    finally:
        running.close()


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


def extra_readings(meter: str, register: str, seconds: range | list[int], values: list[int]) -> pa.Table:
    """Readings of one of EXTRA_METERS."""
    count = len(values)
    return pa.table(
        [
            pa.repeat(meter, count),
            pa.repeat(register, count),
            pa.array(list(seconds), pa.int64()).cast(pa.timestamp("s", tz="UTC")),
            pa.array(values, pa.int64()),
            pa.repeat(pa.scalar(0, pa.int32()), count),
        ],
        schema=READINGS_SCHEMA,
    )


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
        async with httpx.AsyncClient(timeout=10) as client:
            answer = await client.get(f"{scene.cluster.api}/v1/zones/CLUSTER/balance", params=_everything(scene))
        assert answer.status_code == 200, answer.text
        assert await _left_behind(scene) == 0
    log = scene.cluster.log_of("api").read_text()
    assert "Traceback" not in log and "non-checked-in" not in log


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


# --- fuzz -----------------------------------------------------------------------------------------------------------


async def test_fuzzed_lines_at_every_door(scene: Scene) -> None:
    """None crashes a process, none vanishes, and the three doors of JSON judge alike."""
    fuzz = Fuzz(seed=1, now_s=int(time.time()) - 3_600)
    ingest = scene.cluster.process_id("ingest")
    now_s = int(time.time())
    async with (
        scene.watched(now_s - 2 * 86_400, now_s),
        httpx.AsyncClient() as client,
        AIOKafkaProducer(bootstrap_servers=scene.cluster.settings.kafka) as producer,
    ):
        reasons: set[str] = set()
        for _ in range(0, FUZZED, LINES):
            lines = fuzz.lines(LINES)
            judged = await scene.sender.send_lines(client, lines)
            reasons |= {refused.reason for refused in judged.refused}
            await _send_as_array(scene, client, judged, lines)
            for line in lines:
                await producer.send(READINGS_JSON, line)
            scene.history.bodies.append(judged)  # what the topic's door has to make of them too
        await producer.flush()
        assert len(reasons) == 7, f"the fuzz reaches {reasons} only"
    assert scene.cluster.process_id("ingest") == ingest and scene.cluster.runs("ingest")
    for name in ("ingest", "balancer-0", "api"):
        assert "Traceback" not in scene.cluster.log_of(name).read_text()


async def _send_as_array(scene: Scene, client: httpx.AsyncClient, judged: Body, lines: list[bytes]) -> None:
    """Sends those of the lines that can stand in a JSON array; they must be judged as before."""
    malformed = {refused.original for refused in judged.refused if refused.reason in ("malformed", "oversized")}
    some = [line for line in lines if line not in malformed]
    again = await scene.sender.send_lines(client, some, as_array=True)
    assert [refused.reason for refused in again.refused] == [
        refused.reason for refused in judged.refused if refused.original not in malformed
    ]


async def test_fuzzed_arrow_streams(scene: Scene) -> None:
    """Cells by chance, and good streams of an unknown meter bitten by chance: none vanishes, and none is a 500."""
    chance = random.Random(2)
    database_url = scene.cluster.settings.database_url
    now_s = int(time.time())
    async with scene.watched(now_s - 2 * 86_400, now_s), httpx.AsyncClient(timeout=60) as client:
        before = await fetch_rejected(database_url)
        refused = 0
        for _ in range(STREAMS):
            table = _arrow_cells(chance, now_s, 40)
            receipt = (await _post_arrow(client, scene, _stream(table))).json()
            bad = {error["index"] for error in receipt["errors"]}
            assert receipt["accepted"] + len(bad) == len(table)
            refused += len(bad)
            good = table.take([k for k in range(len(table)) if k not in bad]).cast(READINGS_SCHEMA)
            registers = [plain_register(name) for name in good["register"].to_pylist()]
            scene.history.bodies.append(Body(good.set_column(1, "register", pa.array(registers))))
        nobody = _stream(extra_readings("NOBODY", "1.8.0", range(now_s - 50, now_s), list(range(50))))
        unreadable = 0
        for _ in range(STREAMS):
            answer = await _post_arrow(client, scene, _bitten(chance, nobody))
            assert answer.status_code in (202, 400, 413), answer.text
            unreadable += answer.status_code == 400
            refused += answer.json()["rejected"] if answer.status_code == 202 else 0
        assert 0 < unreadable < STREAMS
        new = await _rejected_since(database_url, before, refused)
        scene.history.bodies.append(Body(READINGS_SCHEMA.empty_table(), tuple(Refused(*key) for key in new.elements())))
    assert "Traceback" not in scene.cluster.log_of("ingest").read_text()


async def _rejected_since(
    database_url: str, before: Counter[tuple[str, bytes]], count: int
) -> Counter[tuple[str, bytes]]:
    """What was rejected since `before`, once it is `count`."""
    until = time.monotonic() + 30
    while True:
        new = await fetch_rejected(database_url) - before
        for key in [key for key in new if key[0] == "conflict"]:
            del new[key]
        if new.total() >= count:
            assert new.total() == count
            return new
        assert time.monotonic() < until, f"{new.total()} of {count} are among the rejected"
        await asyncio.sleep(0.2)


def _arrow_cells(chance: random.Random, now_s: int, count: int) -> pa.Table:
    def pick(*some: object) -> list[object]:
        return [chance.choice(some) for _ in range(count)]

    meters = pick(*EXTRA_METERS, "NOBODY", "", None, "x" * 5_000, "EXTRA-00\0")
    registers = pick(*["1.8.0"] * 9, "2.8.0", "1-0:1.8.0*255", "9.9.9", None, "")
    instants = pick(*[now_s - chance.randrange(86_400) for _ in range(20)], now_s + 900, 0, -1, None)
    values = pick(*range(100, 120), -1, 10**13, 10**13 + 1, 2**63 - 1, -(2**63), None)
    versions = pick(*[0] * 9, 1, 2**31 - 1, -1, None)
    return pa.table(
        {
            "meter": pa.array(meters, pa.string()),
            "register": pa.array(registers, pa.string()),
            "ts": pa.array(instants, pa.int64()).cast(pa.timestamp("s", tz="UTC")),
            "value": pa.array(values, pa.int64()),
            "version": pa.array(versions, pa.int32()),
        }
    )


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _bitten(chance: random.Random, stream: bytes) -> bytes:
    bitten = bytearray(stream)
    for _ in range(chance.choice((1, 1, 2, 8))):
        bitten[chance.randrange(len(bitten))] ^= 1 << chance.randrange(8)
    return bytes(bitten[: chance.choice((len(bitten), len(bitten), chance.randrange(len(bitten))))])


async def _post_arrow(client: httpx.AsyncClient, scene: Scene, stream: bytes) -> httpx.Response:
    headers = {"Content-Type": "application/vnd.apache.arrow.stream"}
    return await client.post(f"{scene.cluster.ingest}/v1/readings", content=stream, headers=headers)


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
