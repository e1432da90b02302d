"""How far a balancer is behind its log: whether what works beside it should rest."""

from collections.abc import Mapping


class Backlog:
    """Behind from when `much` messages wait until none does: work beside that began at the last few would be too soon.

    So it is, too, from the beginning, and whenever partitions come.
    """

    def __init__(self, much: int) -> None:
        """`much` is what one fetch takes."""
        self._much = much
        self._ends: dict[int, int] = {}
        self.behind = True

    def note_end(self, partition: int, end_offset: int | None) -> None:
        """Notes where a partition's log ends, if that is known."""
        if end_offset is not None:
            self._ends[partition] = end_offset

    def note_next(self, next_offsets: Mapping[int, int]) -> None:
        """Looks how far the partitions are that are owned now."""
        waiting = sum(max(0, self._ends.get(partition, 0) - offset) for partition, offset in next_offsets.items())
        self.behind = waiting > (0 if self.behind else self._much)
