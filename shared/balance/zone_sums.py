"""Sums of zones over long stretches of windows: for each zone pages of 4,096 quarters, a column after the other.

A hash table (`changes.py`) finds a window in some 20 ns. Where series after series is counted over the same months, a
page is found once for 42 days, and sums of neighbouring windows lie side by side, so that they are added as vectors.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

from shared.balance.changes import BOUNDARY, BOUNDARY_KNOWN, SUMS
from shared.balance.kernel_types import kernel
from shared.balance.memory import Int32Array, Int64Array
from shared.limits import EARLIEST_INSTANT_S, INSTANT_S_MAX, QUARTER_S

BLOCK_BITS = 12
BLOCK = 1 << BLOCK_BITS
"""Windows of a page: 42 days, 800 KB; a column of it is 32 KB."""
FIRST_BLOCK = (EARLIEST_INSTANT_S // QUARTER_S) >> BLOCK_BITS
BLOCKS = ((INSTANT_S_MAX // QUARTER_S) >> BLOCK_BITS) - FIRST_BLOCK + 1
"""Blocks in which a reading may lie (design rule 10, and 32 bits of seconds)."""

NO_PAGE, WANTED = 0, -1
_SPARE_PAGES_MAX = 2_500
"""2 GB of addresses: more room than that is not made in advance."""
Flags = npt.NDArray[np.bool_]
_NOT_ABOVE = [BOUNDARY, BOUNDARY_KNOWN]
"""What a boundary meter measures is no part of the zones above (rule 8)."""


class ZoneSums(NamedTuple):
    """Z zones, P pages. Pages that were never added to cost no memory."""

    page: Int32Array
    """[Z, BLOCKS] the page of a zone's block; NO_PAGE, or WANTED for one that `with_pages` is to make."""
    sums: Int64Array
    """[P, SUMS, BLOCK]; page 0 is nobody's."""


def empty_sums(zones: int) -> ZoneSums:
    """Sums of zones, by their index, without a page."""
    return ZoneSums(np.full((zones, BLOCKS), NO_PAGE, np.int32), np.zeros((1, SUMS, BLOCK), np.int64))


SUMS_TYPE = nb.typeof(empty_sums(1))


@kernel(nb.int64(nb.int64), inline=True)
def block_of(instant_s: int) -> int:
    """The place in `ZoneSums.page` of the block in which the window of an instant lies."""
    return ((instant_s // QUARTER_S) >> BLOCK_BITS) - FIRST_BLOCK


def with_pages(sums: ZoneSums, zones: int) -> ZoneSums:
    """The same sums with the pages that are wanted; `zones` will have pages in the end.

    Where there is no room, it is made for as many pages as these zones need if each has all blocks that any has now:
    what is not used costs nothing, and what is there already is copied seldom.
    """
    wanted = np.nonzero(sums.page == WANTED)
    first = int(sums.page.max(initial=0)) + 1
    needed = first + len(wanted[0])
    sums.page[wanted] = np.arange(first, needed)
    if needed <= len(sums.sums):
        return sums
    expected = 1 + zones * int((sums.page != NO_PAGE).any(axis=0).sum())
    room = max(needed + needed // 2, min(expected, needed + _SPARE_PAGES_MAX))
    larger = np.zeros((room, SUMS, BLOCK), np.int64)
    larger[1:first] = sums.sums[1:first]
    return ZoneSums(sums.page, larger)


def rolled_up(sums: ZoneSums, zone_parent: Int32Array) -> ZoneSums:
    """The sums with each zone's added to all zones above it; parents stand before their children."""
    for zone in range(len(zone_parent) - 1, -1, -1):
        parent = int(zone_parent[zone])
        blocks = np.flatnonzero(sums.page[zone])
        if parent < 0 or len(blocks) == 0:
            continue
        sums.page[parent, blocks[sums.page[parent, blocks] == NO_PAGE]] = WANTED
        sums = with_pages(sums, len(zone_parent))
        for block in blocks.tolist():
            target, source = sums.sums[sums.page[parent, block]], sums.sums[sums.page[zone, block]]
            kept = target[_NOT_ABOVE].copy()
            target += source
            target[_NOT_ABOVE] = kept
    return sums


@kernel(nb.int64(nb.int64[:, ::1], nb.boolean[::1]))
def find_used(page: Int64Array, used: Flags) -> int:
    """Says of each window of a page whether anything was counted in it; of how many."""
    used[:] = False
    for column in range(page.shape[0]):
        for place in range(page.shape[1]):
            used[place] |= page[column, place] != 0
    count = 0
    for place in range(len(used)):
        count += used[place]
    return count


@kernel(nb.void(nb.int64[:, ::1], nb.boolean[::1], nb.int64[:, ::1]))
def copy_used(page: Int64Array, used: Flags, rows: Int64Array) -> None:
    """Copies a page's windows that are used to rows: [n, SUMS]."""
    row = 0
    for place in range(page.shape[1]):
        if used[place]:
            for column in range(page.shape[0]):
                rows[row, column] = page[column, place]
            row += 1


def rows_of(sums: ZoneSums, zones: Iterable[int]) -> tuple[Int32Array, Int64Array, Int64Array]:
    """The windows in which anything was counted, of zone after zone: the zone, the start, and [n, SUMS] the sums."""
    pages = [(zone, block) for zone in zones for block in np.flatnonzero(sums.page[zone]).tolist()]
    used = np.zeros((len(pages), BLOCK), np.bool_)
    counts = [find_used(sums.sums[sums.page[page]], used[k]) for k, page in enumerate(pages)]
    ends = np.cumsum([0, *counts]).tolist()
    rows = np.empty((ends[-1], SUMS), np.int64)
    for k, page in enumerate(pages):
        copy_used(sums.sums[sums.page[page]], used[k], rows[ends[k] : ends[k + 1]])
    number, place = np.nonzero(used)
    first_window = np.array([(block + FIRST_BLOCK) << BLOCK_BITS for _, block in pages], np.int64)
    zone_of = np.array([zone for zone, _ in pages], np.int32)
    return zone_of[number], (first_window[number] + place) * QUARTER_S, rows
