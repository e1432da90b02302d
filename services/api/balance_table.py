"""A zone's balance as a table: sums of partial rows held against the topology, one line a window or bucket."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.api.partial_sums import PartialSums, Whole
from services.api.topology_terms import ZoneTerms
from shared.balance.derived import Balance, derive_balance, sum_buckets
from shared.balance.windows import Resolution, quarters_between, window_status
from shared.database.tables import SUM_COLUMNS
from shared.words import Status

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BalanceTable:
    """Lines of a balance, all columns of the same length."""

    start_s: Whole
    end_s: Whole
    balance: Balance
    by_kind: Mapping[str, Whole]
    """The partial rows' columns of energy by kind, such as `pv_injected_wh`."""
    revision: Whole
    known_at_us: Whole
    status: Sequence[Status]
    more: bool
    """Whether further lines follow."""


def make_table(
    known: PartialSums, edges: Whole, resolution: Resolution, terms: ZoneTerms, now_s: int, limit: int
) -> BalanceTable:
    """The first `limit` lines between `edges` (as `bucket_edges` gives them) of which something is known.

    `known` must hold every known window of the first limit + 1 such lines. Rule 7: in an hour, a day or a month every
    quarter that has begun by `now_s` counts, also those of which nothing is known.
    """
    kept: Mask = np.ones(len(known.start_s), np.bool_) if resolution is Resolution.QUARTER else known.start_s <= now_s
    bucket_of_known = np.searchsorted(edges, known.start_s[kept], side="right") - 1
    buckets, first_known = np.unique(bucket_of_known, return_index=True)
    more = len(buckets) > limit
    if more:
        kept[np.flatnonzero(kept)[first_known[limit] :]] = False
        buckets, first_known = buckets[:limit], first_known[:limit]
    quarters = _quarters(known.start_s[kept], edges, buckets, resolution, now_s)
    sums = _spread(known, kept, quarters)
    derived = derive_balance(sums, terms.expected.at(quarters), terms.boundary_registers.at(quarters))
    first = np.searchsorted(quarters, edges[buckets])
    last = np.append(first[1:], len(quarters))[: len(first)] - 1
    return BalanceTable(
        start_s=edges[buckets],
        end_s=edges[buckets + 1],
        balance=sum_buckets(derived, first),
        by_kind={name: _added(sums[name], first) for name in SUM_COLUMNS if name not in _OTHER_SUMS},
        revision=_added(known.revision[kept], first_known),
        known_at_us=np.maximum.reduceat(known.known_at_us[kept], first_known) if len(first_known) else first_known,
        status=[window_status(int(quarters[place]), now_s) for place in last],  # the youngest is the least settled
        more=more,
    )


_OTHER_SUMS = frozenset(
    ("pool_drawn_wh", "pool_injected_wh", "boundary_wh", "boundary_known", "measured", "estimated", "excluded")
)


def _quarters(known_s: Whole, edges: Whole, buckets: Whole, resolution: Resolution, now_s: int) -> Whole:
    """The starts of the quarters that count in `buckets`."""
    if resolution is Resolution.QUARTER or not len(buckets):
        return known_s
    begun = quarters_between(int(edges[buckets[0]]), min(int(edges[buckets[-1] + 1]), now_s + 1))
    counted = np.isin(np.searchsorted(edges, begun, side="right") - 1, buckets)
    return begun[counted]


def _spread(known: PartialSums, kept: Mask, quarters: Whole) -> dict[str, Whole]:
    """The sums laid out on `quarters`, 0 where nothing is known."""
    place = np.searchsorted(quarters, known.start_s[kept])
    sums = {}
    for name, column in known.sums.items():
        sums[name] = np.zeros(len(quarters), np.int64)
        sums[name][place] = column[kept]
    return sums


def _added(column: Whole, first: Whole) -> Whole:
    return np.add.reduceat(column, first) if len(first) else column[:0]
