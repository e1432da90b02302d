"""Senders of a simulation: readings in disorder, late, doubled, corrected, in conflict."""

from random import Random

import numpy as np

from shared.readings_message import ReadingColumns
from tests.simulation.network import SLOTS

BEGIN_S = 1_772_323_200  # 2026-03-01T00:00:00Z
DAYS = 14
Reading = tuple[int, int, int, int]
"""Slot, instant, value, version."""


class Sender:
    """Says what comes next; its time goes on by hours."""

    def __init__(self, random: Random) -> None:
        """`random` is the seed's."""
        self._random = random
        self._now_s = BEGIN_S
        self._sent: list[Reading] = []
        self._doubled_percent = random.randrange(50)
        self._late_percent = random.randrange(70)
        self._readings_max = random.choice((6, 6, 25))
        self._pace_s = random.choice((1, 6, 20)) * 3600
        self._late_s_max = random.choice((3, 5, DAYS)) * 86400

    def message(self) -> ReadingColumns:
        """A message of a few readings."""
        random = self._random
        self._now_s = min(self._now_s + random.randrange(self._pace_s), BEGIN_S + DAYS * 86400)
        readings = [self._reading() for _ in range(random.choice((1, 2, 3, 4, 6, self._readings_max)))]
        self._sent += readings
        slot, ts, value, version = zip(*readings, strict=True)
        return ReadingColumns(
            np.array(slot, np.int32), np.array(ts, np.int64), np.array(value, np.int64), np.array(version, np.int32)
        )

    def _reading(self) -> Reading:
        random = self._random
        if self._sent and random.randrange(100) < self._doubled_percent:
            slot, ts_s, value, version = random.choice(self._sent)
            change = random.randrange(4)
            if change == 0:
                return slot, ts_s, value + random.randrange(-5, 6) + 5, version + 1  # a correction
            if change == 1:
                return slot, ts_s, value + 1, version  # a conflict, where it decides an edge
            return slot, ts_s, value, version
        behind_s = random.randrange(4 * 3600)
        if random.randrange(100) < self._late_percent:
            behind_s = random.randrange(self._late_s_max)
        ts_s = max(BEGIN_S, self._now_s - behind_s)
        ts_s = ts_s // 900 * 900 if random.random() < 0.7 else ts_s + random.randrange(-600, 600)
        slot = random.randrange(SLOTS)
        return slot, ts_s, (ts_s - BEGIN_S + 600) * (slot + 1) // 700, 0
