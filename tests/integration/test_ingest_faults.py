"""Faults under the HTTP door: 503 with Retry-After while a part is away, and right again when it is back."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from deploy.embedded.kafka import EmbeddedKafka
from deploy.embedded.postgres import EmbeddedPostgres, ensure_database
from shared.database.migrate import migrate
from shared.settings import Settings
from tests.integration.ingest_process import (
    METERS,
    Ingest,
    LogWindow,
    free_port,
    meter,
    prepare,
    running_ingest,
    settings_of,
    wait_for,
    write_topology,
)


def _line(value: int) -> bytes:
    fields = {"meter": meter(value % METERS), "register": "1.8.0", "ts": "2026-05-01T10:15:00Z", "value": value}
    return json.dumps(fields).encode()


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    broker = EmbeddedKafka(tmp_path / "kafka", tmp_path / "kafka.log")
    broker.prepare()
    broker.start()
    try:
        asyncio.run(broker.wait_ready())
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def settings(kafka: EmbeddedKafka, new_database: Callable[[], str], tmp_path: Path) -> Settings:
    made = settings_of(kafka.bootstrap, new_database())
    prepare(made, write_topology(tmp_path / "topology"))
    return made


def _refused(response: httpx.Response) -> None:
    assert response.status_code == 503, response.text
    assert int(response.headers["retry-after"]) >= 1
    assert response.json()["status"] == 503


def test_kafka_killed_under_load_loses_nothing_acknowledged(
    settings: Settings, kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    window = LogWindow(settings.kafka)
    ended = threading.Event()

    with running_ingest(settings, tmp_path / "log") as ingest:
        ingest.wait_ready()

        def send(sender: int) -> tuple[set[int], set[int]]:
            """Values answered 202, and those sent at all; every body until it is taken."""
            taken: set[int] = set()
            value = sender * 1_000_000
            while not ended.is_set():
                body = b"\n".join(_line(value + k) for k in range(100))
                response = ingest.post(body)
                if response.status_code == 202:
                    taken.update(range(value, value + 100))
                    value += 100
                else:
                    _refused(response)
                    ended.wait(0.2)
            return taken, set(range(sender * 1_000_000, value + 100))

        with ThreadPoolExecutor(4) as senders:
            sending = [senders.submit(send, number) for number in range(4)]
            try:
                wait_for(lambda: len(window.readings()) > 1000, 20)
                assert kafka.child is not None
                kafka.child.kill()
                kafka.child.wait()
                kafka.start()
                asyncio.run(kafka.wait_ready())
                before = len(window.readings())
                wait_for(lambda: len(window.readings()) > before + 1000, 30)
            finally:
                ended.set()
            results = [future.result() for future in sending]
        logged = {value for *_, value, _ in window.readings()}
        assert set().union(*(taken for taken, _ in results)) <= logged
        assert logged <= set().union(*(sent for _, sent in results))


def test_a_kafka_that_stands_still(settings: Settings, kafka: EmbeddedKafka, tmp_path: Path) -> None:
    with running_ingest(settings, tmp_path / "log") as ingest:
        ingest.wait_ready()
        assert kafka.child is not None
        os.kill(kafka.child.pid, signal.SIGSTOP)
        try:
            _refused(ingest.post(_line(1)))
            # From then on it is known: nobody has to wait for a time-out, and nothing piles up.
            begun = [ingest.post(_line(k)) for k in range(5)]
            assert all(response.elapsed.total_seconds() < 1 for response in begun)
            for response in begun:
                _refused(response)
            assert ingest.answers("/readyz") == 503
            assert ingest.answers("/healthz") == 200
        finally:
            os.kill(kafka.child.pid, signal.SIGCONT)
        ingest.wait_ready()
        wait_for(lambda: ingest.post(_line(2)).status_code == 202, 20)


def test_postgres_away_and_no_topology_yet(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "postgres", tmp_path / "postgres.log")
    postgres.prepare()
    settings = settings_of(kafka.bootstrap, postgres.url_of("own"))
    # Its tables are there, only it is away: ingest ends where it meets a database that was never made.
    _start(postgres)
    asyncio.run(ensure_database(postgres.url, "own"))
    migrate(settings.database_url)
    postgres.stop()
    with running_ingest(settings, tmp_path / "log") as ingest:
        wait_for(lambda: ingest.answers("/healthz") == 200, 30)
        assert "PostgreSQL" in httpx.get(ingest.url + "/readyz").json()["detail"]
        _refused(ingest.post(_line(1)))
        _start(postgres)
        try:
            prepare(settings, write_topology(tmp_path / "topology"))
            ingest.wait_ready()
            assert ingest.post(_line(1)).status_code == 202
        finally:
            postgres.stop()
        # Readings need the topology at hand only: they are taken on while PostgreSQL is away.
        assert ingest.post(_line(2)).status_code == 202


def _start(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    asyncio.run(postgres.wait_ready())


def test_too_many_requests_at_once_and_a_broken_connection(settings: Settings, tmp_path: Path) -> None:
    with running_ingest(settings, tmp_path / "log") as ingest:
        ingest.wait_ready()
        asyncio.run(_hold_all_places(ingest))
        wait_for(lambda: ingest.post(_line(1)).status_code == 202, 10)
        assert "Traceback" not in (tmp_path / "log").read_text()


async def _hold_all_places(ingest: Ingest) -> None:
    """Opens 256 requests that do not end, sees the next one refused, and breaks all connections."""
    host, port = "127.0.0.1", httpx.URL(ingest.url).port
    head = b"POST /v1/readings HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 99\r\n\r\n{"
    writers = []
    try:
        for _ in range(256):
            _, writer = await asyncio.open_connection(host, port)
            writer.write(head)
            await writer.drain()
            writers.append(writer)
        async with httpx.AsyncClient(timeout=10) as client:
            for _ in range(100):
                response = await client.post(
                    ingest.url + "/v1/readings", content=_line(1), headers={"Content-Type": "application/x-ndjson"}
                )
                if response.status_code == 429:
                    break
                await asyncio.sleep(0.05)
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) >= 1
    finally:
        for writer in writers:
            writer.close()


def test_errors_for_people() -> None:
    port = str(free_port())
    command = [sys.executable, "-m", "services.ingest"]
    environment = {name: text for name, text in os.environ.items() if not name.startswith("BILANS_")}
    missing = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert missing.returncode == 2
    assert missing.stderr.startswith("bilans ingest: BILANS_KAFKA is not set.")
    stores = {"BILANS_KAFKA": "127.0.0.1:1", "BILANS_DATABASE_URL": "postgresql://127.0.0.1:1/x"}
    environment |= stores | {"BILANS_INGEST_PORT": port}
    with socket.create_server(("127.0.0.1", int(port))):
        taken = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert taken.returncode == 2
    assert f"port {port}" in taken.stderr and taken.stderr.count("\n") == 1
