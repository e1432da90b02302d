"""A zone's net energy, window by window, as a run of quarters without gaps: what baselines and verification look at."""

from dataclasses import dataclass

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.partial_sums import PartialSums, Whole, read_partial_sums
from services.api.topology_terms import ZoneTerms
from shared.balance.windows import quarters_between
from shared.limits import QUARTER_S
from shared.words import SUMMED_KINDS


@dataclass(frozen=True, slots=True)
class ZoneNet:
    """Windows of a zone, one after the other."""

    start_s: Whole
    net_wh: Whole
    """Withdrawn and charged less injected and discharged, of the series that are known; positive for import."""
    estimated: Whole
    """Series that are known by interpolation over a longer time (design rule 5)."""
    known: Whole
    """Series that are known and plausible."""
    missing: Whole
    """Series that are not: nothing is known of them, or what is was excluded (design rules 4 and 6)."""


async def read_zone_net(connection: AsyncConnection, terms: ZoneTerms, start_s: int, end_s: int) -> ZoneNet:
    """The windows of the zone in [start_s, end_s), both on quarters; one without a row is missing as a whole."""
    windows = (end_s - start_s) // QUARTER_S
    sums = await read_partial_sums(connection, terms.zone_id, start_s, end_s, windows_max=windows, as_of_us=None)
    return zone_net(sums, terms, start_s, end_s)


def zone_net(sums: PartialSums, terms: ZoneTerms, start_s: int, end_s: int) -> ZoneNet:
    """The same from rows that were read."""
    quarters = quarters_between(start_s, end_s)
    place = (sums.start_s - start_s) // QUARTER_S

    def spread(column: Whole) -> Whole:
        whole = np.zeros(len(quarters), np.int64)
        whole[place] = column
        return whole

    net_wh: Whole = np.sum(
        [sums.sums[f"{kind}_withdrawn_wh"] - sums.sums[f"{kind}_injected_wh"] for kind in SUMMED_KINDS],
        axis=0,
        dtype=np.int64,
    )
    estimated = spread(sums.sums["estimated"])
    known = spread(sums.sums["measured"]) + estimated
    missing = np.maximum(terms.expected.at(quarters) - known, 0)
    return ZoneNet(quarters, spread(net_wh), estimated, known, missing)
