"""A TCP proxy that stands before Kafka or PostgreSQL and does to their connections what networks do.

It runs in a thread of its own, so a test may block. `delay_s`, `jitter_s` and `reset_share` may be changed at any time;
`blackhole` holds everything back, also what new connections send, until `pass_on`; `cut_commits` forwards the next
COMMITs of PostgreSQL, and drops their replies with the connection: the client cannot know what became of them.
"""

import asyncio
import random
import socket
import struct
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from deploy.embedded.ports import LOOPBACK

COMMIT = b"Q\x00\x00\x00\x0cCOMMIT;\x00"
"""How asyncpg ends a transaction: a simple query."""
_CHUNK_BYTES = 64 * 1024
_CHUNKS_HELD = 64
"""Chunks that wait for their time in one direction; then the sender has to wait, as in a full socket."""
_Result = TypeVar("_Result")


class _Connection:
    """Both ends of one proxied connection."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.ends = (client, server)
        self.first_bytes = b""
        """What the client said first: PostgreSQL's start-up packet, which names the application."""
        self.reply_is_dropped = False

    def reset(self) -> None:
        """Ends it as a router that lost its table does: both sides get a reset."""
        for end in self.ends:
            peer = end.get_extra_info("socket")
            if peer is not None and peer.fileno() >= 0:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.transport.abort()


class FaultProxy:
    """A port of the loopback address before `upstream`."""

    def __init__(self, seed: int = 0) -> None:
        """Listens at once; `upstream` is to be set before anybody connects."""
        self.upstream = (LOOPBACK, 0)
        self.delay_s = 0.0
        self.jitter_s = 0.0
        """Each chunk waits for `delay_s` ± `jitter_s`; their order stays."""
        self.reset_share = 0.0
        """The share of chunks at which the connection is reset instead."""
        self.commits_cut = 0
        """How many replies to a COMMIT were dropped since the start."""
        self._commits_to_cut = 0
        self._application = b""
        self._chance = random.Random(seed)
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy", daemon=True)
        self._thread.start()
        self._server, self._passing = self._run(self._listen()).result(5)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def _run(self, work: Coroutine[Any, Any, _Result]) -> Future[_Result]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _listen(self) -> tuple[asyncio.Server, asyncio.Event]:
        passing = asyncio.Event()
        passing.set()
        return await asyncio.start_server(self._accept, LOOPBACK, 0), passing

    # --- what tests say ---------------------------------------------------------------------------------------------

    def blackhole(self) -> None:
        """From now on nothing comes through, and nothing is closed either."""
        self._loop.call_soon_threadsafe(self._passing.clear)

    def pass_on(self) -> None:
        """Ends `blackhole` and every other fault; what was held back comes through."""
        self.delay_s = self.jitter_s = self.reset_share = 0.0
        self._loop.call_soon_threadsafe(self._passing.set)

    def cut_commits(self, count: int, application: str) -> None:
        """Cuts the next `count` COMMITs of sessions whose application name ends with `application`."""
        self._application = application.encode() + b"\0"
        self._commits_to_cut = count

    def close(self) -> None:
        """Ends all connections and the thread."""
        self._run(self._end()).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    # --- what the thread does ---------------------------------------------------------------------------------------

    def _accept(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(client_reader, client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        await self._passing.wait()
        try:
            server_reader, server = await asyncio.open_connection(*self.upstream)
        except OSError:
            client.transport.abort()
            return
        connection = _Connection(client, server)
        self._connections.add(connection)
        try:
            directions = [
                asyncio.create_task(self._forward(client_reader, server, connection, from_client=True)),
                asyncio.create_task(self._forward(server_reader, client, connection, from_client=False)),
            ]
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
        finally:
            self._connections.discard(connection)
            for end in connection.ends:
                end.close()

    async def _forward(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, connection: _Connection, *, from_client: bool
    ) -> None:
        """Forwards one direction until it ends; each chunk at its time."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_HELD)
        filling = asyncio.create_task(self._fill(source, waiting))
        try:
            while True:
                due_s, chunk = await waiting.get()
                if not chunk:
                    return
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                await self._passing.wait()
                if self._is_fatal(connection, chunk, from_client):
                    connection.reset()
                    return
                sink.write(chunk)
                await sink.drain()
        except OSError:
            return
        finally:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)

    async def _fill(self, source: asyncio.StreamReader, waiting: asyncio.Queue[tuple[float, bytes]]) -> None:
        """Reads chunks and notes when each is to go on; an empty one is the end."""
        chunk = b"-"
        while chunk:
            try:
                chunk = await source.read(_CHUNK_BYTES)
            except OSError:
                chunk = b""
            wait_s = self.delay_s + self._chance.uniform(-1, 1) * self.jitter_s
            await waiting.put((time.monotonic() + max(0.0, wait_s), chunk))

    def _is_fatal(self, connection: _Connection, chunk: bytes, from_client: bool) -> bool:
        """Whether the connection ends instead of forwarding `chunk`."""
        if self.reset_share and self._chance.random() < self.reset_share:
            return True
        if not from_client:
            if connection.reply_is_dropped:
                self.commits_cut += 1
            return connection.reply_is_dropped
        if len(connection.first_bytes) < 4096:
            connection.first_bytes += chunk[:4096]
        if self._commits_to_cut and COMMIT in chunk and self._application in connection.first_bytes:
            self._commits_to_cut -= 1
            connection.reply_is_dropped = True
        return False

    async def _end(self) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.05)  # transports close in the next turns of the loop
