"""Sends prepared bodies to ingest over keep-alive connections, as fast as they are taken. A process of its own.

`python -m deploy.bench.http_sender URL CONTENT_TYPE CONNECTIONS SECONDS BODY …`: a BODY is a file. It sends each body
once, says `warm`, waits for a line on standard input, and sends them round and round for so many seconds. Its last line
is JSON, an `Outcome`. Connections are plain blocking ones, each in a thread: a sender must not be what limits.
"""

import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from shared.errors import BilansError

_REFUSED = (429, 503)
_PAUSE_S = 0.05
"""A sender that is refused asks again after this: shorter than Retry-After says, since nothing else is to be done."""


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    acknowledged: list[int]
    """How often each body was acknowledged with all of its readings, the warm-up included."""
    timed_acknowledged: list[int]
    """The same, without the warm-up."""
    refused: int = 0
    """Requests that were answered 429 or 503, and sent again."""
    began_s: float = 0.0
    ended_s: float = 0.0
    """Wall time of the begin, and of the last acknowledgement."""
    request_s: list[float] = field(default_factory=list)
    """How long each request took."""


class Sender:
    """The bodies and the connections."""

    def __init__(self, url: str, content_type: str, bodies: list[bytes]) -> None:
        """`url` is ingest's base URL."""
        self._address = urlsplit(url).netloc
        self._headers = {"Content-Type": content_type}
        self._bodies = bodies
        self._next = 0
        self._lock = threading.Lock()
        self._failure: BaseException | None = None
        self.outcome = Outcome([0] * len(bodies), [0] * len(bodies))

    def warm(self) -> None:
        """Sends each body once."""
        connection = HTTPConnection(self._address, timeout=60)
        for number in range(len(self._bodies)):
            self._post(connection, number)
            self.outcome.acknowledged[number] += 1
        connection.close()

    def run(self, connections: int, seconds: float) -> None:
        """Sends for so many seconds; what is under way then is waited for."""
        self.outcome.began_s = time.time()
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=self._send_until, args=(until,)) for _ in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failure is not None:
            raise self._failure

    def _send_until(self, until: float) -> None:
        try:
            connection = HTTPConnection(self._address, timeout=60)
            while time.monotonic() < until:
                with self._lock:
                    number, self._next = self._next, (self._next + 1) % len(self._bodies)
                began_s = time.monotonic()
                self._post(connection, number)
                with self._lock:
                    self._note(number, time.monotonic() - began_s)
            connection.close()
        except BaseException as error:
            self._failure = error

    def _note(self, number: int, took_s: float) -> None:
        self.outcome.acknowledged[number] += 1
        self.outcome.timed_acknowledged[number] += 1
        self.outcome.request_s.append(took_s)
        self.outcome.ended_s = time.time()

    def _post(self, connection: HTTPConnection, number: int) -> None:
        """Returns once the body was acknowledged. Raises BilansError when ingest takes only some of it, or none."""
        while True:
            connection.request("POST", "/v1/readings", self._bodies[number], self._headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status == 202 and orjson.loads(content)["rejected"] == 0:
                return
            if answer.status not in _REFUSED:
                raise BilansError(f"Ingest answered {answer.status}: {content[:300]!r}")
            with self._lock:
                self.outcome.refused += 1
            time.sleep(_PAUSE_S)


def main() -> None:
    """The process."""
    url, content_type, connections, seconds, *files = sys.argv[1:]
    sender = Sender(url, content_type, [Path(file).read_bytes() for file in files])
    sender.warm()
    print("warm", flush=True)
    sys.stdin.readline()
    sender.run(int(connections), float(seconds))
    print(orjson.dumps(asdict(sender.outcome)).decode(), flush=True)


if __name__ == "__main__":
    main()
