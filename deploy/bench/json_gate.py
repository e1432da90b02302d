"""Holds the JSON topic back while it is filled, by the means that Bilans has for it: the fuse.

Ingest runs on, with its topology and its kernels at hand, and reads nothing of the topic until the fuse is mended.
"""

import asyncio
import time

import asyncpg
import httpx

from deploy.bench.log_line import log_size, wait_for_line
from deploy.bench.stack import Stack
from shared.database.fuse_row import blow_fuse, take_fuse_row
from shared.errors import BilansError
from shared.topics import READINGS_JSON

_SEEN_S_MAX = 30.0


async def close_gate(stack: Stack, connection: asyncpg.Connection) -> None:
    """Returns when ingest reads nothing of the topic any more."""
    await blow_fuse(connection, READINGS_JSON, "a benchmark fills the topic")
    until = time.monotonic() + _SEEN_S_MAX
    async with httpx.AsyncClient(timeout=5) as client:
        while (await client.get(f"{stack.ingest}/readyz")).status_code == 200:
            if time.monotonic() > until:
                raise BilansError(f"Ingest does not see the fuse within {_SEEN_S_MAX:.0f} s.")
            await asyncio.sleep(0.1)


async def open_gate(stack: Stack, connection: asyncpg.Connection) -> float:
    """Mends the fuse; the wall time at which ingest says that it reads on. Its consumer is made after that."""
    log = stack.log("ingest")
    size = log_size(log)
    await take_fuse_row(connection, READINGS_JSON)
    return await wait_for_line({log: size}, "is read again: its fuse was mended")
