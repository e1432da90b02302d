"""The counting of whole histories: by the kernels of `whole_series.py`, and what is not for them series by series."""

import numpy as np

from deploy.verify.totals import Totals, row_keys
from services.balancer.differences import Differences
from shared.balance.changes import Changes
from shared.balance.history import History, count_ranges, narrow_placement, standing, whole_memory
from shared.balance.memory import Int64Array
from shared.balance.placement import Placement
from shared.balance.whole_series import OTHER, UNORDERED, SeriesRuns, count_plain, look_through
from shared.balance.zone_sums import empty_sums, rolled_up, rows_of, with_pages

_ROWS = 2**12
"""Room for sums of series that are counted alone, at first; it is doubled as the windows ask for it."""
_ALL_ROWS = 2**62
"""Nothing is put off: there is no transaction to hold it."""
_ALWAYS = (np.array([-(2**62)], np.int64), np.array([2**62], np.int64))
"""The range of all windows."""
_NO_KEY = -(2**63)
"""A key that no row has."""


class Counting:
    """Counts all that series hold in all windows, of one partition."""

    def __init__(self, placement: Placement) -> None:
        """`placement` says where the partition's series count."""
        self._placement = placement
        self._sums = empty_sums(len(placement.zone_id))
        self._zones = _zones_with_series(placement)
        self._alone = Differences(_ROWS, flush_rows_max=_ALL_ROWS)

    def add(self, runs: SeriesRuns) -> None:
        """Counts series with all their readings; each series comes once."""
        kind = np.zeros(len(runs.slot), np.int8)
        look_through(runs, self._placement, self._sums, kind)
        self._sums = with_pages(self._sums, self._zones)
        count_plain(runs, self._placement, self._sums, kind)
        for k in np.flatnonzero(kind == OTHER).tolist():
            self._count_alone(int(runs.slot[k]), _history(runs, k))
        unordered = np.flatnonzero(kind == UNORDERED).tolist()
        if unordered:
            self.add(_ordered([(int(runs.slot[k]), _history(runs, k)) for k in unordered]))

    def _count_alone(self, slot: int, history: History) -> None:
        memory, narrow = whole_memory(history), narrow_placement(self._placement, slot)

        def kernel(leaves: Changes) -> int:
            return int(count_ranges(memory, narrow, leaves, *_ALWAYS, 1))

        self._alone.count(kernel)

    def totals(self) -> Totals:
        """All that was counted, summed up the zones' tree."""
        sums = rolled_up(self._sums, self._placement.zone_parent)
        zone, window_s, rows = rows_of(sums, np.argsort(self._placement.zone_id).tolist())
        key = row_keys(self._placement.zone_id[zone].astype(np.int64), window_s)
        self._alone.roll_up(self._placement)
        more, _ = self._alone.summed()
        return _added(Totals(key, rows), row_keys(more.zone_id.astype(np.int64), more.window_s), more.sums)


def _zones_with_series(placement: Placement) -> int:
    """How many zones have series in them or in a zone below."""
    has = np.zeros(len(placement.zone_parent), np.bool_)
    has[placement.zone] = True
    for zone in range(len(has) - 1, -1, -1):  # parents stand before their children
        if has[zone] and placement.zone_parent[zone] >= 0:
            has[placement.zone_parent[zone]] = True
    return int(has.sum())


def _added(totals: Totals, key: Int64Array, sums: Int64Array) -> Totals:
    """The totals with further rows, each key of which is there once, added to them."""
    place = np.searchsorted(totals.key, key)
    there = np.append(totals.key, _NO_KEY)[place] == key
    totals.sums[place[there]] += sums[there]
    if there.all():
        return totals
    all_keys, all_sums = np.r_[totals.key, key[~there]], np.concatenate([totals.sums, sums[~there]])
    order = np.argsort(all_keys)
    return Totals(all_keys[order], all_sums[order])


def _history(runs: SeriesRuns, k: int) -> History:
    """What stands of a series (rule 1)."""
    parts = [slice(runs.begin[run], runs.end[run]) for run in range(runs.first_run[k], runs.first_run[k + 1])]
    if not parts:
        return History(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int32))
    columns = (np.concatenate([column[part] for part in parts]) for column in (runs.ts_s, runs.value, runs.version))
    return standing(*columns)


def _ordered(series: list[tuple[int, History]]) -> SeriesRuns:
    """Series with one run each."""
    ends = np.cumsum([0, *(len(history.ts_s) for _, history in series)])
    return SeriesRuns(
        np.array([slot for slot, _ in series], np.int32),
        np.arange(len(series) + 1),
        ends[:-1],
        ends[1:],
        np.concatenate([history.ts_s for _, history in series]),
        np.concatenate([history.value for _, history in series]),
        np.concatenate([history.version for _, history in series]),
    )
