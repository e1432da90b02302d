"""How much ingest takes in at one moment: bounded requests and bounded bytes, else the sender is asked to wait."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from shared.limits import BODIES_BYTES_MAX, REQUESTS_MAX


class FullError(Exception):
    """No room now; `requests` tells which bound was met: that on requests, else that on bytes."""

    def __init__(self, *, requests: bool) -> None:
        """`requests`: too many requests at once, else too many bytes."""
        super().__init__("too many requests at once" if requests else "too many bytes at once")
        self.requests = requests


class Lease:
    """The bytes that one request holds."""

    def __init__(self, admission: "Admission") -> None:
        """Holds nothing yet."""
        self._admission = admission
        self.held_bytes = 0

    def hold(self, count: int) -> None:
        """Holds `count` more bytes; from any thread. Raises FullError when there is no room."""
        self._admission._move(count)
        self.held_bytes += count


class Admission:
    """The door-keeper of one ingest process."""

    def __init__(self, *, requests_max: int = REQUESTS_MAX, bytes_max: int = BODIES_BYTES_MAX) -> None:
        """Empty."""
        self._requests_max, self._bytes_max = requests_max, bytes_max
        self._lock = threading.Lock()
        self.requests = 0
        self.held_bytes = 0

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """A place for one request; it and all it holds are given back at the end. Raises FullError without room."""
        if self.requests >= self._requests_max:
            raise FullError(requests=True)
        self.requests += 1
        lease = Lease(self)
        try:
            yield lease
        finally:
            self._move(-lease.held_bytes)
            self.requests -= 1

    def _move(self, count: int) -> None:
        with self._lock:
            if count > 0 and self.held_bytes + count > self._bytes_max:
                raise FullError(requests=False)
            self.held_bytes += count
