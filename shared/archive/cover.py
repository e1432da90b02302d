"""Which files of a partition hold every offset exactly once. Pure.

Files may overlap: after a hand-over two followers may have written the same messages, and a compacted file stands
beside those that it replaces until they are deleted.
"""

from collections.abc import Sequence
from typing import NamedTuple


class ArchiveFile(NamedTuple):
    """A file: it holds the readings of every message from `first_offset` up to and without `end_offset`."""

    first_offset: int
    end_offset: int
    path: str


class Piece(NamedTuple):
    """What to take of a file: the readings of its messages from `first_offset` up to and without `end_offset`."""

    file: ArchiveFile
    first_offset: int
    end_offset: int

    @property
    def whole(self) -> bool:
        """Whether nothing of the file is left out."""
        return (self.first_offset, self.end_offset) == (self.file.first_offset, self.file.end_offset)


def cover(files: Sequence[ArchiveFile], first_offset: int, end_offset: int | None) -> list[Piece]:
    """The pieces, in the order of offsets, that hold each archived offset in [first_offset, end_offset) once.

    Of the files that go on from where the last piece ended, the one that reaches furthest comes next; the cover is thus
    a function of the names. What no file holds stays out: then a piece does not begin where the one before it ended.

    The first of each slot, ts and version is in a cover even where a piece cuts a compacted file: such a file leaves
    out only what came later in its own range than what it keeps.
    """
    pieces: list[Piece] = []
    reached = first_offset
    best: ArchiveFile | None = None
    for file in sorted(files):
        if file.end_offset <= reached:
            continue
        if best is not None and file.first_offset > reached:
            pieces.append(Piece(best, max(best.first_offset, reached), best.end_offset))
            reached, best = best.end_offset, None
        if file.end_offset <= reached:
            continue
        if file.first_offset > reached:
            reached = file.first_offset  # nobody has what lies between
        if best is None or file.end_offset > best.end_offset:
            best = file
    if best is not None:
        pieces.append(Piece(best, max(best.first_offset, reached), best.end_offset))
    if end_offset is None:
        return pieces
    return [
        piece._replace(end_offset=min(piece.end_offset, end_offset))
        for piece in pieces
        if piece.first_offset < end_offset
    ]


def contained(files: Sequence[ArchiveFile]) -> list[ArchiveFile]:
    """The files all of whose offsets one other file holds: each may go, whoever else deletes some of them.

    The largest of those that hold an offset is in no other, so it always stays.
    """
    found = []
    reached = -1
    for file in sorted(files, key=lambda file: (file.first_offset, -file.end_offset)):
        if file.end_offset <= reached:
            found.append(file)
        reached = max(reached, file.end_offset)
    return found
