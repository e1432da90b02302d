"""A stream of readings in stretches of time, each at its own speed, whole instants at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from deploy.replay.pacing import UNITS_A_SECOND, paced
from deploy.replay.time_order import instants


@dataclass(frozen=True, slots=True)
class Stretch:
    """Readings up to an instant, at a multiple of real time."""

    until_s: int | None
    """Its last instant, included; None: it has no end."""
    speed: float | None
    """None: as fast as it goes."""


async def whole_instants(chunks: AsyncIterator[pa.RecordBatch]) -> AsyncIterator[pa.RecordBatch]:
    """The readings of `chunks`, which come in the order of time, cut anew so that no instant is divided."""
    kept: pa.RecordBatch | None = None
    async for chunk in chunks:
        joined = chunk if kept is None else _joined(kept, chunk)
        at = instants(joined)
        end = int(np.searchsorted(at, at[-1], side="left"))
        kept = joined.slice(end)
        if end:
            yield joined.slice(0, end)
    if kept is not None:
        yield kept


async def in_stretches(
    chunks: AsyncIterator[pa.RecordBatch],
    stretches: list[Stretch],
    stop: asyncio.Event,
    begins: Callable[[Stretch], None],
) -> AsyncIterator[pa.RecordBatch]:
    """The readings of `chunks` in the order of time, each stretch at its speed; `begins` is called with each."""
    source = _Source(chunks)
    for stretch in stretches:
        begins(stretch)
        async for part in paced(source.until(stretch.until_s), stretch.speed, stop):
            yield part


class _Source:
    """Gives a stream in pieces: what lies behind an instant waits for the next piece."""

    def __init__(self, chunks: AsyncIterator[pa.RecordBatch]) -> None:
        self._chunks = chunks
        self._kept: pa.RecordBatch | None = None

    async def until(self, until_s: int | None) -> AsyncIterator[pa.RecordBatch]:
        while True:
            chunk, self._kept = self._kept, None
            if chunk is None:
                chunk = await anext(self._chunks, None)
            if chunk is None:
                return
            if until_s is None:
                yield chunk
                continue
            until = until_s * UNITS_A_SECOND[chunk.column("ts").type.unit]
            end = int(np.searchsorted(instants(chunk), until, side="right"))
            if end:
                yield chunk.slice(0, end)
            if end < len(chunk):
                self._kept = chunk.slice(end)
                return


def _joined(first: pa.RecordBatch, second: pa.RecordBatch) -> pa.RecordBatch:
    (joined,) = pa.Table.from_batches([first, second]).unify_dictionaries().combine_chunks().to_batches()
    return joined
