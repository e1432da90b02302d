"""What `bilans verify` expects: the totals of the plain reference, whatever the files and however far publishing is."""

import uuid
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.verify.books import check_books
from deploy.verify.recompute import Extent, count_archived, recompute
from deploy.verify.snapshot import Books
from deploy.verify.totals import Totals, compare, totals, window_of, zone_of
from shared.archive.files import Archive
from shared.archive.merge import merge
from shared.archive.message import ArchivedMessage
from shared.balance.memory import Int32Array, Int64Array
from shared.balance.reference import ReferenceBalance, ReferenceExchange, ReferencePlace, ReferenceSeries
from shared.readings_message import ReadingColumns
from shared.topology.index import Topology
from shared.words import MeterKind, Register
from tests.unit.small_topology import OTHER, STATION, small_topology

DAY = 1_772_323_200  # 2026-03-01T00:00:00Z
MOVES_S = DAY + 6 * 900
EXCHANGED_S = DAY + 10 * 900 + 77
Reading = tuple[int, int, int, int]
"""Slot, instant, value, version."""


def topology_with_exchange() -> Topology:
    """The small topology, in which `load` moves and its 1.8.0 register is exchanged."""
    return replace(
        small_topology(load_moves_at_s=MOVES_S),
        exchange_series=np.array([0], np.int32),
        exchange_at_s=np.array([EXCHANGED_S], np.int64),
        exchange_last_wh=np.array([900], np.int64),
        exchange_first_wh=np.array([5], np.int64),
        exchange_blank=np.array([False]),
    )


def reference() -> ReferenceBalance:
    """The same in plain Python; memory without an end, so that nothing is late."""

    def place(zone: int, kind: MeterKind, pool: bool, **valid: int) -> ReferencePlace:
        return ReferencePlace(zone, kind, pool, 5000, **valid)

    before = place(STATION, MeterKind.CONSUMER, True, valid_to_s=MOVES_S)
    after = place(OTHER, MeterKind.CONSUMER, True, valid_from_s=MOVES_S)
    battery = place(OTHER, MeterKind.STORAGE, False)
    series = [
        ReferenceSeries(Register.WITHDRAWN, (before, after), (ReferenceExchange(EXCHANGED_S, 900, 5),)),
        ReferenceSeries(Register.INJECTED, (place(STATION, MeterKind.PV, False),)),
        ReferenceSeries(Register.WITHDRAWN, (battery,)),
        ReferenceSeries(Register.INJECTED, (battery,)),
        ReferenceSeries(Register.STATE_OF_CHARGE, (battery,)),
        ReferenceSeries(Register.POWER_WITHDRAWN, (before, after)),
    ]
    return ReferenceBalance(series, [-1, 0, 0], memory_s=2**40)


def message(offset: int, readings: list[Reading]) -> ArchivedMessage:
    slot, ts_s, value, version = (list(column) for column in zip(*readings, strict=True))
    return ArchivedMessage(
        offset,
        ReadingColumns(
            np.array(slot, np.int32), np.array(ts_s, np.int64), np.array(value, np.int64), np.array(version, np.int32)
        ),
    )


READINGS = st.tuples(
    st.integers(0, 5),
    st.one_of(st.integers(0, 16).map(lambda k: DAY + 900 * k), st.integers(0, 16 * 900).map(lambda s: DAY + s)),
    st.integers(0, 3000),
    st.integers(0, 2),
)


@given(
    contents=st.lists(st.lists(READINGS, min_size=1, max_size=8), min_size=1, max_size=12),
    merged=st.sampled_from(["nothing", "what is published", "all"]),
    part=st.integers(0, 7),
    waiting=st.sets(st.tuples(st.integers(0, 11), st.integers(0, 7)), max_size=4),
    ahead=st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_the_totals_are_those_of_the_reference(
    contents: list[list[Reading]], merged: str, part: int, waiting: set[tuple[int, int]], ahead: int
) -> None:
    """`part` readings of the next message are published, `ahead` messages are archived beyond it, some readings wait.

    What waits is late, so its doubles that came later wait too.
    """
    next_offset = max(0, len(contents) - 1 - ahead)
    part = 0 if merged == "all" else min(part, len(contents[next_offset]) - 1)
    published = [(offset, k) for offset in range(next_offset) for k in range(len(contents[offset]))]
    published += [(next_offset, k) for k in range(part)]
    waits_too = {contents[o][k][:2] for o, k in waiting if (o, k) in published}
    late = [(o, k) for o, k in published if contents[o][k][:2] in waits_too]
    expected = reference()
    for offset, k in published:
        if (offset, k) not in late:
            expected.apply(*contents[offset][k])
    extent = Extent(0, next_offset, part, *_columns(late))
    archive = Archive(f"memory://verify-{uuid.uuid4()}")
    for offset, readings in enumerate(contents):
        archive.write(0, offset, offset + 1, [message(offset, readings)], small_topology())
    pieces = archive.cover(0, None if merged == "all" else next_offset)
    if merged != "nothing" and len(pieces) > 1:
        merge(archive, 0, pieces, small_topology())
    found = recompute(archive, extent, topology_with_exchange(), lambda series: None)
    number, exact = count_archived(archive, extent)
    assert exact or merged == "all"
    if exact:
        assert number == len(published)
    assert as_rows(found) == {(10 + zone, start_s): sums for (zone, start_s), sums in expected.totals().items()}


def _columns(places: list[tuple[int, int]]) -> tuple[Int64Array, Int32Array]:
    return np.array([o for o, _ in places], np.int64), np.array([k for _, k in places], np.int32)


def as_rows(found: Totals) -> dict[tuple[int, int], list[int]]:
    """Zone number and window → sums."""
    keys = zip(zone_of(found.key).tolist(), window_of(found.key).tolist(), strict=True)
    return dict(zip(keys, found.sums.tolist(), strict=True))


def test_a_row_of_nothing_is_as_good_as_none_and_any_other_is_not() -> None:
    zone_id, window_s = np.array([7, 5]), np.array([DAY, DAY + 900])
    sums = np.zeros((2, 25), np.int64)
    sums[1, 3] = 4
    nothing = totals(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 25), np.int64))
    missing = compare(nothing, totals(zone_id, window_s, sums))
    assert zone_of(missing.key).tolist() == [5, 7]
    assert window_of(missing.key).tolist() == [DAY + 900, DAY]
    assert np.argwhere(missing.found != missing.expected).tolist() == [[0, 3]]
    assert missing.missing.tolist() == [0]
    surplus = compare(totals(zone_id, window_s, sums), nothing)
    assert np.argwhere(surplus.found != surplus.expected).tolist() == [[0, 3]]
    assert surplus.missing.tolist() == []


def test_each_figure_of_the_books_is_held_to_what_it_counts() -> None:
    log, rejected = ("bilans.readings", 0), ("bilans.rejected", 0)
    entries = {
        log: {"received": 10, "applied": 5, "unchanged": 2, "pending": 2, "rejected:conflict": 1},
        rejected: {"received": 3, "rejected:malformed": 3},
    }
    right = Books(entries, {"malformed": 3})
    assert check_books(right, {0: 2}, {0: 10}) == []
    assert check_books(right, {0: 2}, {}) == []
    wrong = [
        (right, {0: 1}, {0: 10}, "pending against the late queue: found 2, expected 1"),
        (right, {0: 2}, {0: 9}, "received against the archive: found 10, expected 9"),
        (Books(entries, {"malformed": 2}), {0: 2}, {0: 10}, "malformed against the rejected readings: found 3"),
        (
            Books(entries, {"malformed": 3, "bad_value": 1}),
            {0: 2},
            {0: 10},
            "bad_value against the rejected readings: found 0, expected 1",
        ),
        (
            Books(entries | {log: entries[log] | {"applied": 6}}, {"malformed": 3}),
            {0: 2},
            {0: 10},
            "bilans.readings/0, received against all outcomes: found 10, expected 11",
        ),
    ]
    for books, waiting, archived, line in wrong:
        (difference,) = check_books(books, waiting, archived)
        assert line in str(difference)
