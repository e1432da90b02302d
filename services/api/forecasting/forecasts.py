"""Forecasts of all zones: the instance that leads makes one each quarter of an hour, all of them answer from memory."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import numpy as np

from services.api.forecasting.forecast_maker import ERROR_DAYS, ForecastMaker, kept_issues
from services.api.forecasting.forecast_store import (
    ErrorSums,
    ZonesForecast,
    read_errors,
    read_event_now_s,
    read_forecast,
    read_issues,
    write_errors,
    write_forecast,
)
from services.api.leadership import Leadership
from services.api.live_view import LiveView
from services.api.topology_shelf import TopologyShelf
from shared.database.engine import DATABASE_TROUBLE, connect
from shared.forecast.history import Whole
from shared.forecast.model import HORIZON_QUARTERS
from shared.instants import local_day, window_start
from shared.limits import QUARTER_S

NOT_YET = "no forecast has been made yet"

_LOOK_S = 1.0
_PAUSE_S_MIN = 3.0
_SHARE = 10
"""Forecasts take a tenth of the time at most: a fast replay goes through many quarters a second."""
_SETTLE_S = 10
"""By the wall clock so long is waited after a quarter has ended: its last readings are on their way."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ZoneForecast:
    """The newest forecast of one zone: net power, positive for import, a row for each of 192 windows."""

    issued_s: int
    window_start_s: Whole
    p10_w: Whole
    p50_w: Whole
    p90_w: Whole


class Forecasts:
    """Keeps the newest forecast of each zone, and those that tell how good the ones before were."""

    def __init__(self, database_url: str, shelf: TopologyShelf, view: LiveView, leadership: Leadership) -> None:
        """Has none until `run`."""
        self._database_url = database_url
        self._connection: asyncpg.Connection | None = None
        self._shelf = shelf
        self._view = view
        self._leadership = leadership
        self._maker = ForecastMaker()
        self._kept: dict[int, ZonesForecast] = {}
        """By their issue; all that PostgreSQL keeps."""
        self._newest: dict[int, ZoneForecast] = {}
        self._reasons: dict[int, str] = {}
        self._errors: dict[int, ErrorSums] = {}
        self.issued_s: int | None = None
        """When the newest was issued: the start of its first window, seconds since 1970."""

    def of(self, zone: str) -> ZoneForecast | None:
        """The newest forecast of `zone`, the same object until there is another; None where there is none."""
        return self._newest.get(self._zone_id(zone))

    def reason(self, zone: str) -> str | None:
        """Why `zone` has no forecast; None where it has one."""
        number = self._zone_id(zone)
        return None if number in self._newest else self._reasons.get(number, NOT_YET)

    def errors(self, zone: str) -> ErrorSums | None:
        """What the day-ahead forecasts of the last seven local days were worth; None before there are any."""
        return self._errors.get(self._zone_id(zone))

    def forecaster_of(self, zone: str) -> Callable[[int, Whole], Whole | None]:
        """Tells P50 (Wh) of the windows that start at given instants, as issued by an instant; None: it is not kept."""
        number = self._zone_id(zone)
        kept = dict(self._kept)

        def middle_wh(issued_by_s: int, start_s: Whole) -> Whole | None:
            for issued_s in sorted((at_s for at_s in kept if at_s <= issued_by_s), reverse=True):
                found = kept[issued_s]
                place = np.flatnonzero(found.zone_id == number)
                window = (start_s - issued_s) // QUARTER_S
                inside = len(window) and window.min() >= 0 and window.max() < HORIZON_QUARTERS
                if len(place) and inside and not found.reason[place[0]]:
                    return np.asarray((2 * found.power_w[place[0], window, 1] + 4) // 8, np.int64)
            return None

        return middle_wh

    async def run(self) -> None:
        """Keeps forecasts new until cancelled; while PostgreSQL is away the newest stands."""
        away = False
        try:
            while True:
                began_s = time.monotonic()
                worked = False
                try:
                    worked = await self.step()
                    away = False
                except (*DATABASE_TROUBLE, asyncpg.UndefinedTableError) as trouble:
                    if not away:
                        _log.warning("Forecasts cannot be read or written: %s", trouble)
                    away = True
                    self.close()
                took_s = time.monotonic() - began_s
                await asyncio.sleep(max(_PAUSE_S_MIN, (_SHARE - 1) * took_s) if worked else _LOOK_S)
        finally:
            self.close()

    def close(self) -> None:
        """Lets go of PostgreSQL."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def step(self) -> bool:
        """Takes what another instance has made; makes what is due when this one leads. Whether there was anything."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._database_url, application_name="bilans-forecasts")
        connection = self._connection
        taken = await self._take_kept(connection)
        return (self._leadership.leads and await self._make(connection)) or taken

    async def _make(self, connection: asyncpg.Connection) -> bool:
        terms = self._shelf.newest
        quarter_s = await self._quarter(connection)
        if quarter_s is None or not terms.topology.zone or quarter_s == self.issued_s:
            return False
        # Now never goes back. Forecasts ahead of it are of another clock: the system has run by the wall's before.
        before = {at_s: one for at_s, one in self._kept.items() if at_s < quarter_s}
        made = await self._maker.make(connection, terms, before, quarter_s)
        kept = kept_issues([*before, quarter_s], quarter_s)
        async with connection.transaction():
            await write_forecast(connection, quarter_s, made.zones, kept)
            await write_errors(connection, made.zones.zone_id, made.errors)
        self._kept = {at_s: one for at_s, one in (before | {quarter_s: made.zones}).items() if at_s in kept}
        await self._show_newest(connection)
        return True

    async def _quarter(self, connection: asyncpg.Connection) -> int | None:
        """The start of the quarter from which on a forecast is due; None while there is no now."""
        if self._view.event_mode:  # the live view of a fast replay runs ahead of the rows
            return window_start(await read_event_now_s(connection)) or None
        now_s = self._view.now_s()
        return None if now_s is None else window_start(now_s - _SETTLE_S)

    async def _take_kept(self, connection: asyncpg.Connection) -> bool:
        """Takes the forecasts that are stored and not at hand; whether there were any."""
        issues = await read_issues(connection)
        unknown = [at_s for at_s in issues if at_s not in self._kept]
        for at_s in unknown:
            self._kept[at_s] = await read_forecast(connection, at_s)
        self._kept = {at_s: self._kept[at_s] for at_s in issues}
        if unknown:
            await self._show_newest(connection)
        return bool(unknown)

    async def _show_newest(self, connection: asyncpg.Connection) -> None:
        issued_s = max(self._kept)
        today = local_day(issued_s)
        self._errors = await read_errors(connection, today - timedelta(days=ERROR_DAYS), today)
        zones = self._kept[issued_s]
        start_s = issued_s + QUARTER_S * np.arange(HORIZON_QUARTERS, dtype=np.int64)
        numbers = zones.zone_id.tolist()
        self._newest = {
            number: ZoneForecast(issued_s, start_s, *np.moveaxis(power_w, -1, 0))
            for number, power_w, reason in zip(numbers, zones.power_w, zones.reason, strict=True)
            if not reason
        }
        self._reasons = {number: reason for number, reason in zip(numbers, zones.reason, strict=True) if reason}
        self.issued_s = issued_s

    def _zone_id(self, zone: str) -> int:
        terms = self._shelf.newest
        index = terms.zone_index.get(zone)
        return -1 if index is None else int(terms.topology.zone_id[index])
