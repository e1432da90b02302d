"""Sends readings to ingest until they are acknowledged, and notes what was sent, how often, and what became of it."""

import asyncio
import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import httpx
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tests.faults.feed import READINGS_SCHEMA
from tests.faults.history import Body, History, Refused

RETRY_S = 0.2
NDJSON = "application/x-ndjson"
_OBIS = re.compile(r"^(?:\d+-\d+:)?(\d+\.\d+\.\d+)(?:\*\d+)?$")


class Sender:
    """Posts bodies until they are acknowledged, and notes them."""

    def __init__(self, ingest: Callable[[], str], history: History) -> None:
        self._ingest = ingest
        self._history = history

    async def send(self, client: httpx.AsyncClient, readings: pa.Table, refused: Sequence[Refused] = ()) -> None:
        """Sends the good ones with those to be refused behind them; returns when they are acknowledged."""
        lines = ndjson(readings) + b"".join(one.original + b"\n" for one in refused)
        body = Body(readings, tuple(refused), tries=0, acknowledged=False)
        self._history.bodies.append(body)
        place = len(self._history.bodies) - 1
        tries = 0
        while True:
            tries += 1
            # Noted before it is sent: a try that is broken off may arrive.
            self._history.bodies[place] = Body(readings, tuple(refused), tries, acknowledged=False)
            answer = await self._try(client, lines)
            if answer is not None and answer.status_code == 202:
                break
            assert answer is None or answer.status_code in (429, 503), f"{answer.status_code} {answer.text}"
            await asyncio.sleep(RETRY_S)
        self._history.bodies[place] = Body(readings, tuple(refused), tries, acknowledged=True)
        receipt = answer.json()
        errors = [(error["index"], error["reason"]) for error in receipt["errors"]]
        expected = [(len(readings) + number, one.reason) for number, one in enumerate(refused)]
        assert (receipt["accepted"], errors) == (len(readings), expected), receipt["errors"][:5]

    async def _try(self, client: httpx.AsyncClient, lines: bytes) -> httpx.Response | None:
        """One try; None without an answer."""
        try:
            return await client.post(
                f"{self._ingest()}/v1/readings", content=lines, headers={"Content-Type": NDJSON}, timeout=30
            )
        except httpx.TransportError:
            return None

    async def send_lines(self, client: httpx.AsyncClient, lines: Sequence[bytes], as_array: bool = False) -> Body:
        """Sends lines of whatever content, and notes what the answer makes of them; what became of them."""
        if as_array:
            content, content_type = b"[" + b",".join(lines) + b"]", "application/json"
        else:
            content, content_type = b"\n".join(lines), NDJSON
        headers = {"Content-Type": content_type}
        answer = await client.post(f"{self._ingest()}/v1/readings", content=content, headers=headers, timeout=60)
        assert answer.status_code == 202, answer.text
        receipt = answer.json()
        reasons = {error["index"]: error["reason"] for error in receipt["errors"]}
        assert receipt["accepted"] + len(reasons) == len(lines)
        body = Body(
            readings_of([line for number, line in enumerate(lines) if number not in reasons]),
            tuple(Refused(reason, lines[number]) for number, reason in reasons.items()),
        )
        self._history.bodies.append(body)
        return body


def ndjson(readings: pa.Table) -> bytes:
    """A line for each reading."""
    texts = pc.strftime(readings["ts"], "%Y-%m-%dT%H:%M:%SZ").to_pylist()
    columns = [readings["meter"].to_pylist(), readings["register"].to_pylist(), texts]
    columns += [readings["value"].to_pylist(), readings["version"].to_pylist()]
    names = ("meter", "register", "ts", "value", "version")
    return b"".join(orjson.dumps(dict(zip(names, row, strict=True))) + b"\n" for row in zip(*columns, strict=True))


def readings_of(lines: Sequence[bytes]) -> pa.Table:
    """The readings in good lines, as Python itself reads them."""
    found = [json.loads(line) for line in lines]
    columns: dict[str, Any] = {
        "meter": [reading["meter"] for reading in found],
        "register": [plain_register(reading["register"]) for reading in found],
        "ts": [math.floor(datetime.fromisoformat(reading["ts"]).timestamp()) for reading in found],
        "value": [reading["value"] for reading in found],
        "version": [reading.get("version", 0) for reading in found],
    }
    columns["ts"] = pa.array(columns["ts"], pa.int64()).cast(pa.timestamp("s", tz="UTC"))
    return pa.table(columns, schema=READINGS_SCHEMA)


def plain_register(register: str) -> str:
    """`1-0:1.8.0*255` is read as `1.8.0` (design rule 10)."""
    return _OBIS.sub(r"\1", register)
