"""The HTTP door on real parts: what a body says is in the log when 202 is answered; else nothing was promised."""

import asyncio
import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import httpx
import pyarrow as pa
import pytest
import zstandard

from shared.limits import BODY_BYTES_MAX, BODY_DELIVERIES_MAX, MESSAGE_BYTES_MAX, ORIGINAL_BYTES_MAX
from shared.problem import MEDIA_TYPE
from shared.rejected_message import decode_rejected
from shared.settings import Settings
from shared.topology.load import load_folder
from shared.topology.store import read_topology
from shared.words import REGISTERS
from tests.integration.ingest_process import (
    METERS,
    Ingest,
    LogWindow,
    meter,
    prepare,
    running_ingest,
    settings_of,
    wait_for,
    write_topology,
)

TS = "2026-05-01T10:15:00Z"
TS_S = 1_777_630_500


@pytest.fixture(scope="module")
def settings(embedded_kafka: str, new_database: Callable[[], str]) -> Settings:
    return settings_of(embedded_kafka, new_database())


@pytest.fixture(scope="module")
def ingest(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    folder = tmp_path_factory.mktemp("ingest")
    prepare(settings, write_topology(folder / "topology"))
    with running_ingest(settings, folder / "ingest.log") as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def places(settings: Settings, ingest: Ingest) -> dict[tuple[str, str], tuple[int, int]]:
    """(meter, register) → (partition, slot), as the topology has them."""

    async def read() -> dict[tuple[str, str], tuple[int, int]]:
        connection = await asyncpg.connect(settings.database_url)
        try:
            topology = await read_topology(connection, 1)
        finally:
            await connection.close()
        return {
            (topology.meter[topology.series_meter[k]], REGISTERS[topology.series_register[k]].value): (
                int(topology.series_partition[k]),
                int(topology.series_slot[k]),
            )
            for k in range(len(topology.series_meter))
        }

    return asyncio.run(read())


@pytest.fixture
def window(settings: Settings, ingest: Ingest) -> LogWindow:
    return LogWindow(settings.kafka)


def _line(number: int, value: object = 5, register: str = "1.8.0", ts: str = TS, **more: object) -> bytes:
    return json.dumps({"meter": meter(number), "register": register, "ts": ts, "value": value, **more}).encode()


def _problem(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    detail: str = response.json()["detail"]
    return detail


def _taken(response: httpx.Response, accepted: int) -> None:
    assert response.status_code == 202, response.text
    assert response.json() == {"accepted": accepted, "rejected": 0, "errors": []}


def _arrow(table: pa.Table, rows_a_batch: int = 7) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows_a_batch)
    return sink.getvalue()


def test_lines_are_in_the_log_in_their_order(
    ingest: Ingest, window: LogWindow, places: dict[tuple[str, str], tuple[int, int]]
) -> None:
    lines = [_line(k % METERS, value=k, version=k % 3) for k in range(500)]
    _taken(ingest.post(b"\n".join(lines) + b"\r\n\r\n\n"), 500)
    expected = [(*places[meter(k % METERS), "1.8.0"], TS_S, k, k % 3) for k in range(500)]
    found = window.readings()
    assert len({partition for partition, *_ in found}) > 1
    for partition in range(4):
        assert [row for row in found if row[0] == partition] == [row for row in expected if row[0] == partition]


def test_every_door_and_encoding_says_the_same(ingest: Ingest, settings: Settings) -> None:
    numbers = list(range(1, 20, 2))
    lines = [_line(k, value=k * 10, register="2.8.0") for k in numbers]
    table = pa.table(
        {
            "meter": pa.array([meter(k) for k in numbers]).dictionary_encode(),
            "register": pa.array(["1-0:2.8.0*255"] * len(numbers), pa.large_string()),
            "ts": pa.array([TS_S * 1000 + 999] * len(numbers), pa.timestamp("ms", tz="Europe/Warsaw")),
            "value": pa.array([k * 10 for k in numbers], pa.uint32()),
            "extra": pa.array([[1.5]] * len(numbers)),
        }
    )
    bodies = [
        (b"\n".join(lines), "application/x-ndjson"),
        (b" [" + b" ,\n".join(lines) + b"]\n", "application/json; charset=utf-8"),
        (_arrow(table), "application/vnd.apache.arrow.stream"),
    ]
    logged = []
    for body, content_type in bodies:
        for encoding, compressed in (
            ("identity", body),
            ("gzip", gzip.compress(body)),
            ("zstd", zstandard.compress(body)),
        ):
            window = LogWindow(settings.kafka)
            _taken(ingest.post(compressed, content_type, Content_Encoding=encoding), len(numbers))
            logged.append(window.readings())
    assert len(logged[0]) == len(numbers)
    assert all(rows == logged[0] for rows in logged)


def test_rejected_ones_are_named_and_kept(ingest: Ingest, window: LogWindow) -> None:
    bad = [
        (b'{"meter":"' + b"x" * 4096 + b'"}', "oversized"),
        (b"\xff", "malformed"),
        (b'{"meter":"1","register":"1.8.0","ts":"x","value":1,"version":null}', "malformed"),
        (_line(METERS), "unknown_meter"),
        (_line(0, register="2.8.0"), "unknown_register"),
        (_line(0, ts="2026-05-01T10:15:00"), "bad_timestamp"),
        (_line(0, ts="1999-12-31T23:59:59Z"), "bad_timestamp"),
        (_line(0, ts="2999-01-01T00:00:00Z"), "future_timestamp"),
        (_line(0).replace(b"5}", b"5.0}"), "bad_value"),
        (_line(0, value=True), "bad_value"),
    ]
    body = b"\n".join([_line(0), *(line for line, _ in bad), _line(1)])
    response = ingest.post(body)
    assert response.status_code == 202, response.text
    answer = response.json()
    assert (answer["accepted"], answer["rejected"]) == (2, len(bad))
    assert [(error["index"], error["reason"]) for error in answer["errors"]] == [
        (index, reason) for index, (_, reason) in enumerate(bad, start=1)
    ]
    assert all(error["detail"] for error in answer["errors"])
    kept = [decode_rejected(record.headers, record.value or b"") for record in window.rejected()]
    assert [(item.original, item.reason, item.position, item.source) for item in kept] == [
        (line, reason, f"http:index {index}", "ingest") for index, (line, reason) in enumerate(bad, start=1)
    ]
    assert (kept[3].meter, kept[3].register, kept[3].ts) == (meter(METERS), "1.8.0", TS)
    assert len(window.readings()) == 2


def test_a_line_longer_than_a_message_is_kept_as_far_as_one_holds_it(ingest: Ingest, window: LogWindow) -> None:
    """It must not stop the door, which could never log all of it."""
    endless = b"[" * (MESSAGE_BYTES_MAX + 1)
    answer = ingest.post(b"\n".join([_line(0), endless, _line(1)])).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 1)
    assert answer["errors"][0]["reason"] == "oversized"
    (record,) = window.rejected()
    kept = decode_rejected(record.headers, record.value or b"")
    assert kept.original == endless[:ORIGINAL_BYTES_MAX]
    assert kept.detail.startswith(f"{len(endless)} bytes; ")


def test_unreadable_bodies_count_nothing(ingest: Ingest, window: LogWindow) -> None:
    good = _line(0)
    table = pa.table({"meter": [meter(0)], "register": ["1.8.0"], "value": [1]})
    for body, content_type, encoding in (
        (good, "application/x-ndjson", "gzip"),
        (gzip.compress(good)[:-4], "application/x-ndjson", "gzip"),
        (zstandard.compress(good)[:-1], "application/x-ndjson", "zstd"),
        (b"[" + good, "application/json", ""),
        (b"[" + good + b",nul]", "application/json", ""),
        (good, "application/json", ""),
        (_arrow(table), "application/vnd.apache.arrow.stream", ""),
        (b"junk", "application/vnd.apache.arrow.stream", ""),
    ):
        assert "nothing of it was taken" in _problem(ingest.post(body, content_type, Content_Encoding=encoding), 400)
    assert window.readings() == [] and window.rejected() == []


def test_what_is_not_taken_at_all(ingest: Ingest, window: LogWindow) -> None:
    assert "x-ndjson" in _problem(ingest.post(_line(0), "text/csv"), 415)
    assert "zstd" in _problem(ingest.post(_line(0), Content_Encoding="br"), 415)
    _problem(httpx.get(ingest.url + "/v1/readings"), 405)
    _problem(httpx.get(ingest.url + "/v1/nothing"), 404)
    bomb = gzip.compress(b"\n" * (BODY_BYTES_MAX + 1), 1)
    assert "too large" in _problem(ingest.post(bomb, Content_Encoding="gzip"), 413)
    many = gzip.compress(b"x\n" * (BODY_DELIVERIES_MAX + 1), 1)
    assert "too large" in _problem(ingest.post(many, Content_Encoding="gzip"), 413)
    assert window.readings() == [] and window.rejected() == []


def test_description_metrics_and_heartbeat(ingest: Ingest, settings: Settings) -> None:
    description = httpx.get(ingest.url + "/openapi.json").json()
    operation = description["paths"]["/v1/readings"]["post"]
    assert set(operation["requestBody"]["content"]) == {
        "application/x-ndjson",
        "application/json",
        "application/vnd.apache.arrow.stream",
    }
    _taken(ingest.post(operation["requestBody"]["content"]["application/x-ndjson"]["example"][:0].encode()), 0)
    assert {"202", "400", "413", "415", "429", "503"} <= set(operation["responses"])
    assert "bilans_ingest_readings_total" in httpx.get(ingest.url + "/metrics").text
    assert ingest.answers("/healthz") == 200

    async def beats() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(settings.database_url)
        try:
            return list(await connection.fetch("SELECT *, now() - seen_at AS age FROM service_instance"))
        finally:
            await connection.close()

    (row,) = asyncio.run(beats())
    assert (row["service"], row["ready"]) == ("ingest", True)
    assert row["age"].total_seconds() < 3


def test_a_new_topology_is_taken_up(ingest: Ingest, settings: Settings, tmp_path: Path) -> None:
    newcomer = _line(METERS)
    assert ingest.post(newcomer).json()["errors"][0]["reason"] == "unknown_meter"
    number = asyncio.run(load_folder(settings, write_topology(tmp_path / "more", METERS + 1)))
    wait_for(lambda: httpx.get(ingest.url + "/readyz").json()["topology"] == number, 5)
    _taken(ingest.post(newcomer), 1)


def test_with_a_key_only_probes_answer_without(settings: Settings, ingest: Ingest, tmp_path: Path) -> None:
    with running_ingest(settings, tmp_path / "log", BILANS_API_KEY="secret", BILANS_INSTANCE="other") as guarded:
        guarded.wait_ready()
        _problem(guarded.post(_line(0)), 401)
        assert guarded.answers("/metrics") == 401
        _taken(guarded.post(_line(0), Authorization="Bearer secret"), 1)
        _taken(guarded.post(_line(0), X_API_Key="secret"), 1)
