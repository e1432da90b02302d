"""Every door is fed with what no sender should send: none of it crashes a process, and none vanishes.

The tests of this file run in their order, on one cluster; each is judged with all that came before it.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pyarrow as pa
import pytest
from aiokafka import AIOKafkaProducer

from shared.topics import READINGS_JSON
from tests.faults.feed import EXTRA_METERS, READINGS_SCHEMA, extra_readings
from tests.faults.fuzz import Fuzz
from tests.faults.history import Body, Refused
from tests.faults.observer import fetch_rejected
from tests.faults.scene import Scene, recent_scene
from tests.faults.sender import plain_register
from tests.faults.tier import either

FUZZED = either(ci=10_000, full=1_000_000)
LINES = 500
"""Of a fuzzed body."""
STREAMS = either(ci=200, full=2_000)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    yield from recent_scene(tmp_path_factory.mktemp("fuzz"))


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
