"""Sums of zones' windows, as tables that can be held against each other. Pure."""

from dataclasses import dataclass

import numpy as np

from shared.balance.changes import SUMS
from shared.balance.memory import Int64Array
from shared.limits import QUARTER_S


@dataclass(frozen=True, slots=True)
class Totals:
    """Rows of sums, ascending by key, each key once."""

    key: Int64Array
    """[n] zone number and window, see `row_keys`."""
    sums: Int64Array
    """[n, SUMS] in the order of SUM_COLUMNS."""


def row_keys(zone_id: Int64Array, window_s: Int64Array) -> Int64Array:
    """Zone numbers (32 bits) and the starts of windows, since 1970, as one number each: in the order of both."""
    return (zone_id.astype(np.int64) << 32) | (window_s // QUARTER_S)


def zone_of(key: Int64Array) -> Int64Array:
    """The zones' numbers."""
    return key >> 32


def window_of(key: Int64Array) -> Int64Array:
    """The starts of the windows, in seconds since 1970."""
    return (key & 0xFFFF_FFFF) * QUARTER_S


def totals(zone_id: Int64Array, window_s: Int64Array, sums: Int64Array) -> Totals:
    """The rows in order; each zone and window must be there once at most."""
    key = row_keys(zone_id, window_s)
    order = np.argsort(key)
    return Totals(key[order], sums[order])


def union(some: Int64Array, others: Int64Array) -> Int64Array:
    """All keys of both, ascending, each once: sorting is several times as fast as the hashing of `np.union1d`."""
    keys: Int64Array = np.sort(np.concatenate([some, others]))
    each: Int64Array = keys[np.diff(keys, prepend=keys[:1] - 1) != 0]
    return each


@dataclass(frozen=True, slots=True)
class Compared:
    """Two tables side by side: every row of either, 0 where one has not got it."""

    key: Int64Array
    """[n] all rows of both."""
    found: Int64Array
    """[n, SUMS]"""
    expected: Int64Array
    """[n, SUMS]"""
    missing: Int64Array
    """Places of the rows that are expected to say something and were not found."""


def compare(found: Totals, expected: Totals) -> Compared:
    """A row that is all 0 says the same as none: a window whose energy went elsewhere may keep its row."""
    if np.array_equal(found.key, expected.key):  # as they nearly always are: nothing need be looked up or copied
        return Compared(expected.key, found.sums, expected.sums, np.zeros(0, np.int64))
    key = union(found.key, expected.key)
    sides, found_there = [], np.zeros(len(key), np.bool_)
    for side in (found, expected):
        sums = np.zeros((len(key), SUMS), np.int64)
        sums[np.searchsorted(key, side.key)] = side.sums
        sides.append(sums)
    found_there[np.searchsorted(key, found.key)] = True
    return Compared(key, sides[0], sides[1], np.flatnonzero(~found_there & sides[1].any(axis=1)))
