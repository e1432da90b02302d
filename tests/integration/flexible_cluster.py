"""A cluster of stations with two batteries each, told to a real API as balancers would; and a DSO that asks it."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pyarrow as pa

from shared.database.engine import connect
from shared.kafka_client import make_producer
from shared.live_record import encode_live_record
from shared.settings import Settings
from shared.topics import LIVE, METERS
from shared.topology.check import check_folder
from shared.topology.write import write_topology
from shared.words import Register
from tests.live_records import RECORD

NOW_S = 1_777_888_860
"""2026-05-04T10:01:00Z."""
PARTITIONS = 2
NET_W = 2000
"""What each station imports; its limits are 10 kW import and 12.5 kW export."""


async def load(database_url: str, folder: Path, stations: list[str]) -> None:
    """Writes the topology: in each station a consumer and two batteries of 10 kWh, 8 kW up, 6 kW down, one dearer."""
    content = await asyncio.to_thread(_checked, folder, stations)
    connection = await connect(database_url, application_name="test")
    async with connection.transaction():
        await write_topology(connection, 1, "digest", content, PARTITIONS)
        await connection.execute("UPDATE topology SET logged_at = $1", datetime(2026, 1, 1, tzinfo=UTC))
    await connection.close()


def _checked(folder: Path, stations: list[str]) -> Any:
    folder.mkdir(exist_ok=True)
    zones = [f"{station},C,station,,10,12.5,," for station in stations]
    meters, assets = [], []
    for station in stations:
        meters.append(f"load-{station},{station},,consumer,1.8.0,20,,")
        for number, cost in ((1, 300), (2, 400)):
            meters.append(f"m{number}-{station},{station},,storage,1.8.0|2.8.0|soc,20,,")
            assets.append(f"A{number}-{station},m{number}-{station},storage,8,6,10,1,{cost},0,,,")
    head = "zone,parent,kind,name,import_limit_kw,export_limit_kw,lat,lon"
    (folder / "zones.csv").write_text("\n".join([head, "C,,cluster,,,,,", *zones]))
    head = "meter,zone,member,kind,registers,max_kw,valid_from,valid_to"
    (folder / "meters.csv").write_text("\n".join([head, *meters]))
    head = "asset,meter,kind,up_kw,down_kw,energy_kwh,efficiency,cost_per_mwh,reserve_kwh,due_kwh,due_at,rebound"
    (folder / "assets.csv").write_text("\n".join([head, *assets]))
    return check_folder(folder)


async def tell(settings: Settings, stations: list[str], now_s: int = NOW_S) -> None:
    """Tells what balancers would: at `now_s` each station imports NET_W, and every battery is half full."""
    connection = await connect(settings.database_url, application_name="test")
    contents = await connection.fetch(
        "SELECT partition, slot FROM series_identity WHERE register = $1 ORDER BY partition, slot",
        Register.STATE_OF_CHARGE.code,
    )
    await connection.close()
    producer = make_producer(settings)
    await producer.start()
    try:
        for partition in range(PARTITIONS):
            slots = [row["slot"] for row in contents if row["partition"] == partition]
            key = f"{partition}|0".encode()
            await producer.send_and_wait(METERS, _contents(slots, now_s), key=key, partition=0)
            for station in stations:
                record = replace(
                    RECORD,
                    zone=station,
                    partition=partition,
                    now_s=now_s,
                    newest_s=now_s,
                    meters=3,
                    heard=3,
                    withdrawn_w=NET_W // PARTITIONS,
                    written_at_s=time.time() + 600,  # for all tests of the module
                    last_received_at_s=time.time() + 600,
                )
                await producer.send_and_wait(LIVE, encode_live_record(record), key=record.key, partition=0)
    finally:
        await producer.stop()


def _contents(slots: list[int], now_s: int) -> bytes:
    table = pa.table(
        {
            "slot": pa.array(slots, pa.int32()),
            "ts": pa.array([now_s] * len(slots)).cast(pa.timestamp("s", tz="UTC")),
            "value": pa.array([5000] * len(slots), pa.int64()),
            "cadence_s": pa.array([900] * len(slots), pa.int32()),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


class Dso:
    """Asks for the flexibility of one station."""

    def __init__(self, client: httpx.AsyncClient, zone: str) -> None:
        self.client = client
        self.zone = zone

    async def post(self, path: str, body: object = None, *, key: str | None = None) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.client.post(f"/v1/flexibility/{path}", json=body, headers=headers)

    async def get(self, path: str) -> Any:
        response = await self.client.get(f"/v1/flexibility/{path}")
        assert response.status_code == 200, response.text
        return response.json()

    def body(self, kw: float, direction: str = "up", start: str = "11:00", end: str = "12:00") -> dict[str, Any]:
        """An hour of today."""
        day = "2026-05-04T"
        return {
            "zone": self.zone,
            "direction": direction,
            "kw": kw,
            "from": f"{day}{start}:00Z",
            "to": f"{day}{end}:00Z",
        }

    async def ask(self, kw: float, direction: str = "up", start: str = "11:00", end: str = "12:00") -> Any:
        """The answer to a new request."""
        response = await self.post("requests", self.body(kw, direction, start, end), key=str(uuid4()))
        assert response.status_code == 201, response.text
        return response.json()

    async def order(self, offer: Any, kw: float) -> Any:
        """The order of an offer."""
        response = await self.post(f"offers/{offer['id']}/order", {"kw": kw})
        assert response.status_code == 201, response.text
        return response.json()
