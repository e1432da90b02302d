"""How a replay sends: it repeats what was refused, waits as long as it was asked to, and stops when it is told to."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import orjson
import pytest

from deploy.replay.sender import ReadingSender, StoppedError
from shared.errors import BilansError

Answer = tuple[int, dict[str, str], object] | None
"""Status, headers and JSON body; None: the connection is cut without an answer."""
ACCEPTED: Answer = (202, {}, {"accepted": 2, "rejected": 0, "errors": []})


@asynccontextmanager
async def door(answers: list[Answer]) -> AsyncIterator[tuple[str, list[float]]]:
    """A door on loopback that gives `answers` one after the other, the last one for ever; and when it was asked."""
    asked_at: list[float] = []
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        while head := await _head(reader):
            length = next(int(line.split(":")[1]) for line in head.split("\r\n") if "content-length" in line.lower())
            await reader.readexactly(length)
            answer = answers[min(len(asked_at), len(answers) - 1)]
            asked_at.append(time.monotonic())
            if answer is None:
                break
            status, headers, body = answer
            text = orjson.dumps(body)
            lines = [f"HTTP/1.1 {status} .", f"Content-Length: {len(text)}", *(f"{k}: {v}" for k, v in headers.items())]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + text)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked_at
    finally:
        server.close()
        await asyncio.gather(*(task for task in serving if task is not None))


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return ""


async def send(
    answers: list[Answer], before: Callable[[asyncio.Event], object] = lambda stop: None
) -> tuple[int, int, list[float]]:
    """Sends one request of two readings: readings acknowledged, requests repeated, and when the door was asked."""
    stop = asyncio.Event()
    async with door(answers) as (address, asked_at):
        sender = ReadingSender(address, "", stop)
        try:
            before(stop)
            await sender.send([(2, b"stream")])
        finally:
            await sender.close()
        return sender.deliveries.sent, sender.deliveries.repeated_requests, asked_at


async def test_what_was_refused_is_sent_again_after_the_time_asked_for() -> None:
    sent, repeated, asked_at = await send([(503, {"Retry-After": "1"}, {"detail": "busy"}), ACCEPTED])
    assert (sent, repeated) == (2, 1)
    assert asked_at[1] - asked_at[0] >= 1.0


async def test_a_lost_connection_is_made_again() -> None:
    sent, repeated, _ = await send([None, (429, {}, {}), ACCEPTED])
    assert (sent, repeated) == (2, 2)


async def test_what_ingest_cannot_take_ends_the_replay_with_what_it_said() -> None:
    with pytest.raises(BilansError, match="400 no column `ts`"):
        await send([(400, {}, {"title": "Bad Request", "detail": "no column `ts`"})])
    with pytest.raises(BilansError, match="BILANS_API_KEY"):
        await send([(401, {}, {"detail": "a key is needed"})])


async def test_a_stop_ends_the_repeating() -> None:
    def soon(stop: asyncio.Event) -> None:
        asyncio.get_running_loop().call_later(0.1, stop.set)

    began = time.monotonic()
    with pytest.raises(StoppedError):
        await send([(503, {"Retry-After": "20"}, {})], before=soon)
    assert time.monotonic() - began < 5


async def test_rejections_at_the_door_are_counted_by_reason() -> None:
    stop = asyncio.Event()
    errors = [{"index": 0, "reason": "bad_value", "detail": ""}]
    async with door([(202, {}, {"accepted": 1, "rejected": 1, "errors": errors})]) as (address, _):
        sender = ReadingSender(address, "", stop)
        await sender.send_lines([b"{}", b"{}"])
        await sender.close()
        assert sender.deliveries.sent == 2
        assert sender.deliveries.rejected == {"bad_value": 1}
