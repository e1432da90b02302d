"""Sends readings to ingest's HTTP door as Arrow streams, each series' readings in their order."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.errors import BilansError

LANES = 2
"""Requests in flight. Every meter has one lane, and no request of a chunk starts before all of the
chunk before it are acknowledged: so each series reaches the log in the order in which it is sent."""

SPLIT_READINGS_MIN = 4_096
"""A chunk with fewer readings goes in one request: two small ones would only cost more."""

WITHOUT_ANSWER_S_MAX = 180.0
"""How long a request is repeated while ingest refuses or is gone: a restart of all services takes under a minute."""

_WAIT_S_FIRST, _WAIT_S_MAX = 0.2, 5.0
_REQUEST_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_ARROW = "application/vnd.apache.arrow.stream"
LINES = "application/x-ndjson"


@dataclass(slots=True)
class Deliveries:
    """What ingest has acknowledged so far."""

    sent: int = 0
    """Readings acknowledged, the ones it rejected at the door included: they too stand in the books."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Of these, rejected at the door, by reason, as far as the answers name them."""
    repeated_requests: int = 0
    """Requests sent again, after a refusal (429, 503) or a lost connection."""


class StoppedError(Exception):
    """The replay was told to stop while a request waited to be repeated: it was not acknowledged."""


class ReadingSender:
    """Sends chunks, one after the other; of one chunk, LANES requests at once. Not for use by several tasks."""

    def __init__(self, ingest: str, api_key: str, stop: asyncio.Event) -> None:
        """`ingest` is its base URL; `stop` ends the repeating of requests."""
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.AsyncClient(base_url=ingest, headers=headers, timeout=_REQUEST_TIMEOUT)
        self._ingest = ingest
        self._stop = stop
        self.deliveries = Deliveries()

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def send(self, bodies: list[tuple[int, bytes]]) -> None:
        """Sends the requests of one chunk, from `encode_lanes`; returns when all are acknowledged.

        Raises BilansError when ingest refuses for good, StoppedError when told to stop before it could acknowledge.
        """
        posts = [self.post(readings, body, _ARROW) for readings, body in bodies]
        for answer in await asyncio.gather(*posts, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer

    async def send_lines(self, lines: list[bytes]) -> None:
        """Sends JSON readings; raises as `send` does."""
        for start in range(0, len(lines), 10_000):
            part = lines[start : start + 10_000]
            await self.post(len(part), b"\n".join(part), LINES)

    async def post(self, readings: int, body: bytes, content_type: str) -> dict[str, Any]:
        """One request, repeated until it is acknowledged: a reading that arrives twice changes nothing (rule 1).

        Returns the door's answer (design section 5); raises as `send` does.
        """
        give_up = time.monotonic() + WITHOUT_ANSWER_S_MAX
        wait_s = _WAIT_S_FIRST
        while True:
            try:
                answer = await self._client.post("/v1/readings", content=body, headers={"Content-Type": content_type})
            except httpx.TransportError as error:
                refusal, asked_s = f"{type(error).__name__} {error}".strip(), 0.0
            else:
                if answer.status_code == 202:
                    said: dict[str, Any] = answer.json()
                    self._count(readings, said)
                    return said
                if answer.status_code not in (429, 500, 502, 503, 504):
                    raise _refused(self._ingest, answer)
                refusal, asked_s = _said(answer), _retry_after_s(answer)
            if time.monotonic() > give_up:
                raise BilansError(
                    f"Ingest at {self._ingest} has taken nothing for {WITHOUT_ANSWER_S_MAX:.0f} s: {refusal}.",
                    "Is Bilans running? See its logs, then send again: what was taken already changes nothing.",
                )
            self.deliveries.repeated_requests += 1
            await self._pause(max(wait_s, asked_s))
            wait_s = min(2 * wait_s, _WAIT_S_MAX)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return
        raise StoppedError

    def _count(self, readings: int, said: dict[str, Any]) -> None:
        self.deliveries.sent += readings
        if said["rejected"]:
            self.deliveries.rejected.update(error["reason"] for error in said["errors"])


def encode_lanes(
    chunk: pa.RecordBatch, lanes: int = LANES, split_from: int = SPLIT_READINGS_MIN
) -> list[tuple[int, bytes]]:
    """`chunk` as Arrow streams, at most one for each lane, each with its number of readings."""
    if len(chunk) < split_from:
        return [(len(chunk), _encode(chunk))] if len(chunk) else []
    lane = chunk.column("meter").indices.fill_null(0).to_numpy() % lanes
    parts = [chunk.filter(pa.array(lane == number)) for number in range(lanes)]
    return [(len(part), _encode(part)) for part in parts if len(part)]


def _encode(batch: pa.RecordBatch) -> bytes:
    arrays = [_compact(column) for column in batch.columns]
    compact = pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, compact.schema) as writer:
        writer.write_batch(compact)
    return bytes(sink.getvalue())


def _compact(column: pa.Array) -> pa.Array:
    """A column whose dictionary has no more entries than it has cells: a stream carries all of its dictionary."""
    if not isinstance(column, pa.DictionaryArray) or len(column.dictionary) <= len(column):
        return column
    used, places = np.unique(column.indices.fill_null(0).to_numpy(), return_inverse=True)
    indices = pc.if_else(column.is_valid(), pa.array(places, pa.int32()), pa.scalar(None, pa.int32()))
    return pa.DictionaryArray.from_arrays(indices, column.dictionary.take(pa.array(used)))


def _retry_after_s(answer: httpx.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return min(float(text), 30.0) if text.isdecimal() else 0.0


def _said(answer: httpx.Response) -> str:
    """What a problem document says, on one line."""
    try:
        problem = answer.json()
        text = str(problem.get("detail") or problem.get("title") or "")
    except (ValueError, AttributeError):
        text = answer.text[:200]
    return " ".join(f"{answer.status_code} {text}".split()).rstrip(".")


def _refused(address: str, answer: httpx.Response) -> BilansError:
    if answer.status_code in (401, 403):
        return BilansError(f"{address} wants a key.", "Give --api-key KEY or set BILANS_API_KEY.")
    return BilansError(f"{address} did not take the readings: {_said(answer)}.")
