"""Sends bodies to ingest at instants that were fixed beforehand, however long ingest takes. A process of its own.

`python -m deploy.bench.open_loop OPTIONS FOLDER`: OPTIONS is JSON, an `OpenLoop`. Bodies are made first, then it says
`prepared`, waits for a line on standard input, and sends. FOLDER gets `sent.npz`: when each request was due and when it
was acknowledged (monotonic time, the same for all processes). A request that is due goes out beside those that wait
for their answer, on another connection where need be: a slow answer delays nobody else's clock.
"""

import asyncio
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import orjson

from deploy.bench.cluster import Cluster
from deploy.bench.encode import arrow_body, ndjson_body
from deploy.bench.workload import Workload
from services.ingest.description import ARROW, NDJSON
from shared.errors import BilansError

_LEAD_S = 0.5
"""The first request is due so long after the start."""
_REFUSED = (429, 503)
_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """What is sent: `requests` bodies, each with the `per_request` readings that follow the ones before."""

    url: str
    format: str
    """`ndjson` or `arrow`."""
    meters: int
    first_reading: int
    """The number of the first reading in the undisturbed stream."""
    requests: int
    per_request: int
    interval_s: float
    """Between the instants at which two requests are due."""

    def to_json(self) -> str:
        """As the process takes it."""
        return orjson.dumps(asdict(self)).decode()

    def bodies(self) -> list[bytes]:
        """All bodies, in the order of sending."""
        cluster = Cluster(self.meters)
        workload = Workload(cluster, 0)
        encode = ndjson_body if self.format == "ndjson" else arrow_body
        begins = range(self.first_reading, self.first_reading + self.requests * self.per_request, self.per_request)
        return [encode(cluster, workload.at(np.arange(begin, begin + self.per_request))) for begin in begins]


class _Connections:
    """Connections that wait for the next request; a new one is made where none waits."""

    def __init__(self, url: str, content_type: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 80
        self._head = f"POST /v1/readings HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: {content_type}\r\n"
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Status and content of the answer; a connection that ingest closed while it waited is replaced."""
        while True:
            reader, writer = await self._take()
            try:
                writer.write(f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode())
                writer.write(body)
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                content = await reader.readexactly(int(_field(head, b"content-length")))
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                continue
            self._idle.append((reader, writer))
            return int(head.split(b" ", 2)[1]), content

    async def _take(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)

    def close(self) -> None:
        """Closes those that wait."""
        for _, writer in self._idle:
            writer.close()


def _field(head: bytes, name: bytes) -> bytes:
    """The value of a header field; `head` is in lower case."""
    return head.partition(name + b":")[2].partition(b"\r\n")[0]


async def send(options: OpenLoop, bodies: list[bytes], folder: Path) -> None:
    """Sends all; returns when all are acknowledged. Raises BilansError when ingest takes only some of a body."""
    connections = _Connections(options.url, NDJSON if options.format == "ndjson" else ARROW)
    due_s = time.monotonic() + _LEAD_S + np.arange(len(bodies)) * options.interval_s
    acknowledged_s = np.zeros(len(bodies))

    async def send_one(number: int) -> None:
        while True:
            status, content = await connections.post(bodies[number])
            if status == 202 and orjson.loads(content)["rejected"] == 0:
                acknowledged_s[number] = time.monotonic()
                return
            if status not in _REFUSED:
                raise BilansError(f"Ingest answered {status}: {content[:300]!r}")
            await asyncio.sleep(_PAUSE_S)

    async with asyncio.TaskGroup() as group:
        for number, at_s in enumerate(due_s.tolist()):
            await asyncio.sleep(max(0.0, at_s - time.monotonic()))
            group.create_task(send_one(number))
    connections.close()
    np.savez(folder / "sent.npz", due_s=due_s, acknowledged_s=acknowledged_s)


def main() -> None:
    """The process."""
    options, folder = OpenLoop(**orjson.loads(sys.argv[1])), Path(sys.argv[2])
    bodies = options.bodies()
    print("prepared", flush=True)
    sys.stdin.readline()
    asyncio.run(send(options, bodies, folder))


if __name__ == "__main__":
    main()
