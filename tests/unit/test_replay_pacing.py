"""The pace of a replay: no reading before it is due, and all of them in their order."""

import asyncio
import time
from collections.abc import AsyncIterator

import pyarrow as pa
import pytest

from deploy.replay.pacing import paced, parse_speed
from shared.errors import BilansError


@pytest.mark.parametrize(("text", "factor"), [("max", None), ("realtime", 1.0), ("60x", 60.0), ("0.5x", 0.5)])
def test_a_speed_is_read(text: str, factor: float | None) -> None:
    assert parse_speed(text) == factor


@pytest.mark.parametrize("text", ["", "x", "0x", "-1x", "60", "fast", "nanx", "1e3x"])
def test_another_speed_is_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(BilansError, match="multiple like 60x"):
        parse_speed(text)


async def chunks_of(*chunks: list[int | None]) -> AsyncIterator[pa.RecordBatch]:
    for chunk in chunks:
        yield pa.RecordBatch.from_arrays([pa.array(chunk, pa.timestamp("ms", tz="UTC"))], names=["ts"])


async def arrivals(factor: float | None, *chunks: list[int | None]) -> list[tuple[int | None, float]]:
    """Each reading's `ts` in ms and when it came, in seconds after the first question."""
    began = time.monotonic()
    found = []
    async for chunk in paced(chunks_of(*chunks), factor, asyncio.Event()):
        at = time.monotonic() - began
        found += [
            (None if ts is None else ts // 1_000_000, at) for ts in chunk.column("ts").cast(pa.int64()).to_pylist()
        ]
    return found


async def test_readings_come_when_they_are_due() -> None:
    found = await arrivals(100.0, [0, 10_000], [20_000, 20_000])
    for (_, at), due in zip(found, (0.0, 0.1, 0.2, 0.2), strict=True):
        assert due <= at < due + 0.1


async def test_a_reading_earlier_than_one_before_it_does_not_wait() -> None:
    found = await arrivals(100.0, [0, 10_000, None, 5_000], [1_000])
    assert [at < 0.2 for _, at in found] == [True] * 5
    assert found[2][1] == found[1][1]


async def test_at_full_speed_nothing_waits() -> None:
    found = await arrivals(None, [0, 86_400_000], [99_999_999_999])
    assert len(found) == 3
    assert found[-1][1] < 0.1


async def test_a_stop_ends_a_long_wait() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, stop.set)
    began = time.monotonic()
    assert [len(chunk) async for chunk in paced(chunks_of([0, 3_600_000]), 1.0, stop)] == [1]
    assert time.monotonic() - began < 1.0
