"""A real API process on a Kafka and a PostgreSQL of its own, fed by hand with what balancers would send."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import pyarrow as pa

from shared.kafka_client import make_producer
from shared.live_record import encode_live_record
from shared.settings import Settings
from shared.topics import BALANCE, LIVE, METERS
from tests.integration.ingest_process import free_port
from tests.live_records import RECORD


@dataclass(frozen=True)
class Api:
    """A running process."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def stop(self) -> float:
        """Tells it to stop; how many seconds it took."""
        began_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        return time.monotonic() - began_s


@contextmanager
def running_api(settings: Settings, log: Path) -> Iterator[Api]:
    """The API as a process, up and answering."""
    port = free_port()
    environment = os.environ | {
        "BILANS_KAFKA": settings.kafka,
        "BILANS_DATABASE_URL": settings.database_url,
        "BILANS_PORT": str(port),
        "BILANS_CLOCK": settings.clock,
        "BILANS_INSTANCE": f"api-{port}",
    }
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "services.api"], env=environment, stdout=out, stderr=out)
    api = Api(process, f"http://127.0.0.1:{port}", log)
    try:
        _wait_up(api)
        yield api
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_up(api: Api) -> None:
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        assert api.process.poll() is None, api.log.read_text()
        try:
            answer = httpx.get(f"{api.url}/v1/status", timeout=5).json()
            if answer["live_feed"] and answer["topology"]:
                return
        except (httpx.TransportError, KeyError):
            pass
        time.sleep(0.1)
    raise AssertionError(f"The API did not come up:\n{api.log.read_text()}")


class Balancer:
    """Sends what a balancer would send."""

    def __init__(self, settings: Settings) -> None:
        self._producer = make_producer(settings)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["Balancer"]:
        await self._producer.start()
        try:
            yield self
        finally:
            await self._producer.stop()

    async def live(self, **fields: Any) -> None:
        """A live record, written now unless told otherwise."""
        now_s = time.time()
        written = {"written_at_s": now_s, "last_received_at_s": now_s} | fields
        record = replace(RECORD, **written)
        await self._producer.send_and_wait(LIVE, encode_live_record(record), key=record.key, partition=0)

    async def changed(self, *windows: tuple[str, int], partition: int = 0, kind: str = "changes") -> None:
        """Rows of (zone, window start) have changed."""
        table = pa.table(
            {
                "zone": pa.array([zone for zone, _ in windows]),
                "window_start": pa.array([start for _, start in windows]).cast(pa.timestamp("s", tz="UTC")),
            }
        )
        headers = [("kind", kind.encode())]
        await self._producer.send_and_wait(BALANCE, _stream(table), partition=partition, headers=headers)

    async def newest(self, partition: int, slot: int, ts_s: int, value: int, cadence_s: int) -> None:
        """The newest reading of a series."""
        table = pa.table(
            {
                "slot": pa.array([slot], pa.int32()),
                "ts": pa.array([ts_s]).cast(pa.timestamp("s", tz="UTC")),
                "value": pa.array([value]),
                "cadence_s": pa.array([cadence_s], pa.int32()),
            }
        )
        await self._producer.send_and_wait(METERS, _stream(table), key=f"{partition}|0".encode(), partition=0)

    async def raw(self, topic: str, value: bytes) -> None:
        """Any message."""
        await self._producer.send_and_wait(topic, value, key=b"any", partition=0)


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


@dataclass
class Event:
    """An event of the stream as a browser would take it."""

    name: str
    number: int
    data: dict[str, Any]


class Viewer:
    """Reads an event stream."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.seen: list[Event] = []

    async def next(self) -> Event:
        """The next event; the stream must bring one within five seconds. Raises EOFError at its end."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(5):
            async for line in self._lines:
                if line:
                    name, _, text = line.partition(": ")
                    fields[name] = text
                elif fields:
                    break
            else:
                raise EOFError
        event = Event(fields["event"], int(fields["id"]), orjson.loads(fields["data"]))
        self.seen.append(event)
        return event

    async def until(self, name: str, **expected: object) -> dict[str, Any]:
        """The first zone in an event `name` whose fields are as expected; it must come within fifteen seconds."""
        async with asyncio.timeout(15):
            while True:
                event = await self.next()
                if event.name != name and (event.name, name) != ("hello", "live"):  # both tell the state of zones
                    continue
                for found in event.data.get("zones", [event.data]):
                    if all(found.get(field) == value for field, value in expected.items()):
                        return dict(found)


@asynccontextmanager
async def viewing(api: Api, query: str = "") -> AsyncIterator[Viewer]:
    """A viewer of the event stream."""
    async with (
        httpx.AsyncClient(timeout=10) as client,
        client.stream("GET", f"{api.url}/v1/live/stream{query}") as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Viewer(response)
