"""Reads one batch ahead, in a thread, while the one before is being sent."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pyarrow as pa


async def read_ahead(batches: Iterator[pa.RecordBatch]) -> AsyncIterator[pa.RecordBatch]:
    """The batches of `batches`; the following one is read while the caller works on this one."""
    following = asyncio.create_task(asyncio.to_thread(next, batches, None))
    try:
        while (batch := await following) is not None:
            following = asyncio.create_task(asyncio.to_thread(next, batches, None))
            yield batch
    finally:
        following.cancel()
