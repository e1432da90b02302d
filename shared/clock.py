"""The wall clock as an argument, so that tests can hold it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the wall time."""

    def now_s(self) -> float:
        """Seconds since 1970-01-01T00:00:00Z."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_s(self) -> float:
        """Seconds since 1970-01-01T00:00:00Z."""
        return time.time()


class ManualClock:
    """A clock that stands until it is moved."""

    def __init__(self, now_s: float) -> None:
        """Starts at `now_s`, seconds since 1970."""
        self._now_s = now_s

    def now_s(self) -> float:
        """Seconds since 1970-01-01T00:00:00Z."""
        return self._now_s

    def move(self, seconds: float) -> None:
        """Moves the clock by `seconds`."""
        self._now_s += seconds
