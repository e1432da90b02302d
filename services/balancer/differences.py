"""What a partition has worked out since its last flush: differences of the zones' sums, in tables that grow."""

from collections.abc import Callable

import numpy as np

from shared.balance.changes import Changes, clear, empty_changes
from shared.balance.counting import pour, roll_up
from shared.balance.memory import Int32Array, Int64Array
from shared.balance.placement import Placement

_ROWS = 2**16
"""Room for changes before a flush has to come: its transaction, with the zones above several times as many rows, takes
a second or so. One reading that closes a gap of 400 days may need more; the table is doubled for it."""


class Differences:
    """Differences by the zones' own windows, and those that are summed up the tree already."""

    def __init__(self, rows: int = _ROWS) -> None:
        """Room for `rows` rows each, a power of two."""
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

    def summed(self) -> tuple[Int32Array, Int64Array, Int64Array]:
        """Zone number, window and sums of every row of the tree that is not zero, after `roll_up`."""
        used = int(self._total.used[0])
        rows = np.flatnonzero(self._total.sums[:used].any(axis=1))
        return self._total.zone[rows], self._total.window_s[rows], self._total.sums[rows]

    def clear(self) -> None:
        """Forgets all."""
        clear(self.leaves)
        clear(self._total)


def _doubled(changes: Changes) -> Changes:
    """The same rows in a table of twice the room."""
    larger = empty_changes(2 * len(changes.zone))
    pour(changes, larger)
    return larger
