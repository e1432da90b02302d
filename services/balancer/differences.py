"""What a partition has worked out since its last flush: differences of the zones' sums, in tables that grow."""

from collections.abc import Callable

import numpy as np

from services.balancer.deferred import WindowChanges, split
from shared.balance.changes import RECENT_RECORD, Changes, clear, empty_changes
from shared.balance.counting import pour, roll_up
from shared.balance.placement import Placement
from shared.limits import FLUSH_ROWS_MAX

_ROWS = 2**16
"""Room for changes before a flush has to come: its transaction, with the zones above several times as many rows, takes
a second or so. One reading that closes a gap of 400 days may need more; the table is doubled for it."""


class Differences:
    """Differences by the zones' own windows, and those that are summed up the tree already."""

    def __init__(self, rows: int = _ROWS, flush_rows_max: int = FLUSH_ROWS_MAX) -> None:
        """Room for `rows` rows each, a power of two; a flush writes `flush_rows_max` at most."""
        self._flush_rows_max = flush_rows_max
        self.leaves: Changes = empty_changes(rows)
        """By a zone's index in the topology that is followed."""
        self._total: Changes = empty_changes(rows)

    @property
    def rows(self) -> int:
        """How many rows wait for the flush."""
        return int(self.leaves.used[0] + self._total.used[0])

    def make_room(self) -> None:
        """Doubles the room for the zones' own windows."""
        self.leaves = _doubled(self.leaves)

    def count(self, kernel: Callable[[Changes], int]) -> None:
        """Lets `kernel` add to the zones' own windows; it answers 0 while there is too little room."""
        while kernel(self.leaves) == 0:
            self.make_room()

    def roll_up(self, placement: Placement) -> None:
        """Sums the zones' own windows up the tree of `placement`, whose zones they are."""
        while roll_up(placement, self.leaves, self._total) == 0:
            self._total = _doubled(self._total)
        clear(self.leaves)

    def add(self, changes: WindowChanges) -> None:
        """Adds what a flush before has put off."""
        while len(self._total.zone) - int(self._total.used[0]) < len(changes):
            self._total = _doubled(self._total)
        used, no_buckets, none_recent = np.array([len(changes)]), np.zeros(0, np.int32), np.zeros(0, RECENT_RECORD)
        rows = Changes(used, changes.zone_id, changes.window_s, changes.sums, no_buckets, none_recent)
        pour(rows, self._total)

    def summed(self) -> tuple[WindowChanges, list[WindowChanges]]:
        """Every row of the tree that is not zero, after `roll_up`: what a flush writes, and what it puts off."""
        used = int(self._total.used[0])
        rows = np.flatnonzero(self._total.sums[:used].any(axis=1))
        changes = WindowChanges(self._total.zone[rows], self._total.window_s[rows], self._total.sums[rows])
        return split(changes, self._flush_rows_max)

    def clear(self) -> None:
        """Forgets all."""
        clear(self.leaves)
        clear(self._total)


def _doubled(changes: Changes) -> Changes:
    """The same rows in a table of twice the room."""
    larger = empty_changes(2 * len(changes.zone))
    pour(changes, larger)
    return larger
