"""The end of a partition's log that the archive may not have yet: what the late lane needs besides the archive."""

from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from shared.archive.history import ArchivedReadings
from shared.balance.memory import Int32Array, Int64Array
from shared.limits import TAIL_READINGS_MAX
from shared.readings_message import ReadingColumns


class LoggedReadings(NamedTuple):
    """Readings in the order of (slot, place in the log), a column each."""

    slot: Int32Array
    ts_s: Int64Array
    value: Int64Array
    version: Int32Array
    log_offset: Int64Array

    def keep(self, which: npt.NDArray[np.bool_]) -> "LoggedReadings":
        """Those where `which` is true."""
        return LoggedReadings(
            self.slot[which], self.ts_s[which], self.value[which], self.version[which], self.log_offset[which]
        )


def logged_in(archived: ArchivedReadings) -> LoggedReadings:
    """What the archive has, without the places inside messages."""
    return LoggedReadings(archived.slot, archived.ts_s, archived.value, archived.version, archived.log_offset)


class Tail:
    """The last messages that were applied, in memory, bounded: what falls out of it the archive must have first."""

    def __init__(self, begin: int, readings_max: int = TAIL_READINGS_MAX) -> None:
        """`begin` is the first offset that comes into it; it holds `readings_max` readings at most."""
        self._readings_max = readings_max
        self.begin = begin
        """All messages from here on are in it."""
        self._messages: deque[tuple[int, ReadingColumns]] = deque()
        self._readings = 0

    def append(self, offset: int, readings: ReadingColumns) -> None:
        """Takes a message that was applied; its readings of one series are in their order."""
        self._messages.append((offset, readings))
        self._readings += len(readings)
        while self._readings > self._readings_max:
            self._drop()

    def forget_before(self, offset: int) -> None:
        """Lets go of messages before `offset`: the archive has them."""
        while self._messages and self._messages[0][0] < offset:
            self._drop()

    def after(self, archived: ArchivedReadings, archived_until: int, slots: Int32Array) -> LoggedReadings:
        """All readings of `slots` up to now.

        They are those of the archive, which has the messages before `archived_until`, and the tail's from there on.
        """
        parts = [logged_in(archived)]
        for offset, readings in self._messages:
            if offset >= archived_until:
                mine = readings.take(np.flatnonzero(np.isin(readings.slot, slots)))
                places = np.full(len(mine), offset, np.int64)
                parts.append(LoggedReadings(mine.slot, mine.ts_s, mine.value, mine.version, places))
        if len(parts) == 1:
            return parts[0]
        together = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
        order = np.argsort(together[0], kind="stable")  # the tail comes after the archive, so places stay in order
        return LoggedReadings(*(column[order] for column in together))

    def _drop(self) -> None:
        offset, readings = self._messages.popleft()
        self._readings -= len(readings)
        self.begin = max(self.begin, offset + 1)
