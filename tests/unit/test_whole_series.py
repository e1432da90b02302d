"""Whole histories, counted many at once, come to the totals of the plain reference, whatever the readings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.verify.count import Counting
from deploy.verify.totals import window_of, zone_of
from shared.balance.changes import SUMS
from shared.balance.memory import Int8Array
from shared.balance.reference import ReferenceBalance, ReferencePlace, ReferenceSeries
from shared.balance.whole_series import OTHER, PLAIN, UNORDERED, SeriesRuns, look_through
from shared.balance.zone_sums import BLOCK, empty_sums
from shared.limits import QUARTER_S
from shared.words import MeterKind, Register
from tests.unit.test_kernel_equals_reference import (
    DAY,
    ZONE_PARENT,
    Reading,
    fresh,
    placement_of,
    series_of_a_meter,
)

DAY_S = 86_400
PAGE_EDGE_S = 481 * BLOCK * QUARTER_S
"""Here a page ends and the next begins, ten days after DAY, around which meters move and are exchanged."""
Rows = dict[tuple[int, int], list[int]]


@st.composite
def readings_of(draw: st.DrawFn, slot: int) -> list[Reading]:
    """Stretches of readings of a series, each at its own pace: many are quarters of an hour on edges."""
    near = st.builds(
        lambda base_s, quarter, off_s: base_s + quarter * QUARTER_S + off_s,
        st.sampled_from([DAY, DAY + DAY_S, PAGE_EDGE_S - 30 * QUARTER_S]),
        st.integers(0, 60),
        st.sampled_from([0, 0, 0, 1, 450]),
    )
    starts = draw(st.lists(near, max_size=4))
    if draw(st.integers(0, 9)) == 0:
        starts.append(PAGE_EDGE_S + draw(st.sampled_from([399, 405])) * DAY_S)
    value, readings = draw(st.integers(0, 10_000)), []
    for start_s in sorted(starts):
        step_s = draw(st.sampled_from([QUARTER_S, QUARTER_S, QUARTER_S, 300, 77, 1800, 6 * 3600]))
        least = draw(st.sampled_from([0, 0, 0, -30]))
        for number, rise in enumerate(draw(st.lists(st.integers(least, 500), min_size=1, max_size=40))):
            readings.append((slot, start_s + number * step_s, value, draw(st.sampled_from([0, 0, 0, 0, 1]))))
            value = max(0, value + rise)
    return readings


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[ReferenceSeries], list[list[Reading]]]:
    """Series of energy, and of each the readings in the order of the log: mostly that of time, some moved or again."""
    series = [one for one in draw(st.lists(series_of_a_meter(), min_size=1, max_size=3)) if one.register.code < 2]
    by_series = [draw(readings_of(slot)) for slot in range(len(series))]
    for readings in by_series:
        for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3])) if readings else 0):
            slot, ts_s, value, version = readings[draw(st.integers(0, len(readings) - 1))]
            again = (slot, ts_s, draw(st.sampled_from([value, value + 7])), draw(st.integers(0, version + 1)))
            readings.insert(draw(st.integers(0, len(readings))), again)
    return series, by_series


def runs_of(by_series: list[list[Reading]], cut: int) -> SeriesRuns:
    """The readings as they come out of the archive: each series in runs of at most `cut`, as files cut them.

    In the columns the last run stands first, and a place that is nobody's stands before each.
    """
    runs = [readings[start : start + cut] for readings in by_series for start in range(0, len(readings), cut)]
    counts = np.array([len(run) for run in runs], np.int64)
    end = np.cumsum(counts[::-1] + 1)[::-1]
    columns = np.full((3, int(counts.sum()) + len(runs)), 7, np.int64)
    for run, last in zip(runs, end.tolist(), strict=True):
        columns[:, last - len(run) : last] = np.array(run, np.int64)[:, 1:].T
    return SeriesRuns(
        np.arange(len(by_series), dtype=np.int32),
        np.cumsum([0, *(-(-len(readings) // cut) for readings in by_series)]).astype(np.int64),
        end - counts,
        end.copy(),
        columns[0],
        columns[1],
        columns[2].astype(np.int32),
    )


def counted(series: list[ReferenceSeries], by_series: list[list[Reading]], cut: int) -> Rows:
    """Zone and window → sums that are not zero."""
    counting = Counting(placement_of(series))
    counting.add(runs_of(by_series, cut))
    found = counting.totals()
    assert (found.key[1:] > found.key[:-1]).all()
    keys = zip(zone_of(found.key).tolist(), window_of(found.key).tolist(), strict=True)
    return dict(zip(keys, found.sums.tolist(), strict=True))


def expected(series: list[ReferenceSeries], by_series: list[list[Reading]]) -> Rows:
    """The same by the plain reference, to which nothing is late."""
    reference = ReferenceBalance(fresh(series), ZONE_PARENT, memory_s=2**40)
    for readings in by_series:
        for reading in readings:
            reference.apply(*reading)
    return {key: sums for key, sums in reference.totals().items() if any(sums)}


@settings(max_examples=150, deadline=None)
@given(log=logs(), cut=st.sampled_from([1, 2, 7, 1000]))
def test_any_histories_give_the_totals_of_the_reference(
    log: tuple[list[ReferenceSeries], list[list[Reading]]], cut: int
) -> None:
    series, by_series = log
    if series:
        assert counted(series, by_series, cut) == expected(series, by_series)


def consumer(**valid: int) -> ReferenceSeries:
    return ReferenceSeries(Register.WITHDRAWN, (ReferencePlace(3, MeterKind.CONSUMER, True, 5000, **valid),))


@pytest.mark.parametrize(("cut", "end"), [(1, 19), (999, 19), (100_000, 19), (100_000, 1), (100_000, 0)])
def test_a_long_regular_series_goes_over_pages(cut: int, end: int) -> None:
    """Energies of 0 to 96 Wh, in three pages of each zone; the meter counts not in the first 20 and the last windows.

    At the end the last window, or none, begins where the meter counts no more.
    """
    quarters = 2 * BLOCK + 100
    first_s = PAGE_EDGE_S - 50 * QUARTER_S
    valid = {"valid_from_s": first_s + 20 * QUARTER_S, "valid_to_s": first_s + (quarters - 1 - end) * QUARTER_S}
    values = np.cumsum(np.arange(quarters) % 97).tolist()
    readings = [(0, first_s + k * QUARTER_S, value, 0) for k, value in enumerate(values)]
    found = counted([consumer(**valid)], [readings], cut)
    assert found == expected([consumer(**valid)], [readings])
    assert len(found) == 3 * (quarters - 20 - 1 - end)


@pytest.mark.parametrize(("gap_days", "rows"), [(399, 399 * 96), (400, 400 * 96), (401, 0)])
def test_a_gap_is_bridged_over_all_its_pages(gap_days: int, rows: int) -> None:
    """Up to 400 days, which are ten pages."""
    readings = [(0, DAY, 5, 0), (0, DAY + gap_days * DAY_S, 10**6, 0)]
    found = counted([consumer()], [readings], 2)
    assert found == expected([consumer()], [readings])
    assert len(found) == 3 * rows


def kinds_of(by_series: list[list[Reading]]) -> Int8Array:
    kind = np.full(len(by_series), -1, np.int8)
    placement = placement_of([consumer() for _ in by_series])
    look_through(runs_of(by_series, 3), placement, empty_sums(len(ZONE_PARENT)), kind)
    return kind


def test_a_series_out_of_order_is_seen_at_any_place() -> None:
    """Also where two runs meet, and where an instant comes twice."""
    ordered = [(0, DAY + 60 * k, k, 0) for k in range(7)]
    assert kinds_of([ordered, []]).tolist() == [PLAIN, PLAIN]
    for k in range(6):
        swapped = [*ordered[:k], ordered[k + 1], ordered[k], *ordered[k + 2 :]]
        doubled = [*ordered[: k + 1], *ordered[k:]]
        assert kinds_of([swapped, doubled]).tolist() == [UNORDERED, UNORDERED]


def test_instants_beyond_the_pages_are_counted_too() -> None:
    """No door takes them, but what is in the log is in the balance."""
    readings = [[(0, 900 * k + 450, 10 * k, 0) for k in range(5)]]
    assert kinds_of(readings).tolist() == [OTHER]
    found = counted([consumer()], readings, 2)
    assert found == expected([consumer()], readings)
    assert {len(sums) for sums in found.values()} == {SUMS} and len(found) == 3 * 3
