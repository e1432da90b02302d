"""What forecasts are made from, out of PostgreSQL: demand and supply of all zones, and which windows are known.

Partial rows are summed over the partitions and packed there, so that nothing is made row by row here.
"""

from datetime import UTC, datetime

import asyncpg
import numpy as np

from services.api.topology_terms import TopologyTerms
from shared.database.tables import SUM_COLUMNS
from shared.forecast.history import DAY_QUARTERS, DAY_S, History, Whole, is_known
from shared.limits import QUARTER_S

_DEMAND = " + ".join(name for name in SUM_COLUMNS if name.endswith("_withdrawn_wh"))
_SUPPLY = " + ".join(name for name in SUM_COLUMNS if name.endswith("_injected_wh") and not name.startswith("pool"))
_COLUMNS = ("zone_id", "window_s", "demand", "supply", "counted")
_ROWS = f"""
SELECT string_agg({" || ".join(f"int8send({name})" for name in _COLUMNS)}, ''::bytea)
FROM (
    SELECT zone_id::bigint, extract(epoch FROM window_start)::bigint AS window_s, sum({_DEMAND})::bigint AS demand,
        sum({_SUPPLY})::bigint AS supply, sum(measured + estimated)::bigint AS counted
    FROM partial WHERE zone_id = ANY($1) AND window_start >= $2 AND window_start < $3
    GROUP BY zone_id, window_start
) AS summed
"""  # noqa: S608 — put together from the names of our own columns only
_WINDOWS_AT_ONCE = 200_000
"""Of one statement: 8 MB, some tenths of a second."""


class ForecastHistory:
    """The newest days of all zones of one topology, kept up with what is published."""

    def __init__(self, terms: TopologyTerms, last_day_s: int, days: int) -> None:
        """`days` days of UTC, the last of which begins at `last_day_s`; nothing is known of them yet."""
        assert last_day_s % DAY_S == 0
        self.terms = terms
        self.first_s = last_day_s - (days - 1) * DAY_S
        shape = len(terms.topology.zone), days * DAY_QUARTERS
        self._demand_wh, self._supply_wh, self._counted = (np.zeros(shape, np.int64) for _ in range(3))
        self._expected = self._expected_series()

    @property
    def end_s(self) -> int:
        """Where the last day ends."""
        return self.first_s + self._counted.shape[1] * QUARTER_S

    def move_to(self, last_day_s: int) -> None:
        """Lets go of the oldest days and makes room for new ones, up to that which begins at `last_day_s`."""
        quarters = (last_day_s + DAY_S - self.end_s) // QUARTER_S
        if quarters <= 0:
            return
        for column in (self._demand_wh, self._supply_wh, self._counted):
            kept = max(column.shape[1] - quarters, 0)
            column[:, :kept] = column[:, column.shape[1] - kept :].copy()
            column[:, kept:] = 0
        self.first_s += quarters * QUARTER_S
        self._expected = self._expected_series()

    async def read(self, connection: asyncpg.Connection, from_s: int) -> None:
        """Reads all windows from `from_s` on anew."""
        from_s = max(from_s, self.first_s)
        windows = (self.end_s - from_s) // QUARTER_S
        zone_ids = self.terms.topology.zone_id
        at_once = max(1, _WINDOWS_AT_ONCE // max(windows, 1))
        begin, end = (datetime.fromtimestamp(instant_s, UTC) for instant_s in (from_s, self.end_s))
        for first in range(0, len(zone_ids), at_once):
            zones = np.arange(first, min(first + at_once, len(zone_ids)))
            packed = await connection.fetchval(_ROWS, zone_ids[zones].tolist(), begin, end)
            self._take(zones, np.frombuffer(packed or b"", ">i8").reshape(-1, len(_COLUMNS)).astype(np.int64))

    def _take(self, zones: Whole, rows: Whole) -> None:
        ids = self.terms.topology.zone_id[zones].astype(np.int64)
        order = np.argsort(ids)
        zone = zones[order[np.searchsorted(ids[order], rows[:, 0])]]
        quarter = (rows[:, 1] - self.first_s) // QUARTER_S
        for column, values in zip((self._demand_wh, self._supply_wh, self._counted), rows.T[2:], strict=True):
            column[zone, quarter] = values

    def history(self) -> History:
        """What has been read, as it is now: later reading does not change it."""
        known = is_known(self._counted, self._expected)
        return History(self.first_s, self._demand_wh.copy(), self._supply_wh.copy(), known)

    def _expected_series(self) -> Whole:
        """[Z, T] how many series each window should have (design rule 6)."""
        starts_s = np.arange(self.first_s, self.end_s, QUARTER_S, dtype=np.int64)
        zones = (self.terms.zone_terms(zone).expected.at(starts_s) for zone in self.terms.topology.zone)
        return np.stack([np.zeros(len(starts_s), np.int64), *zones])[1:]
