"""Makes forecasts from what is published: keeps history and model, and says what each day's forecast was worth."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import asyncpg
import numpy as np

from services.api.forecasting.forecast_history import ForecastHistory
from services.api.forecasting.forecast_store import ZonesForecast
from services.api.topology_terms import TopologyTerms
from shared.forecast.all_zones import issue_all
from shared.forecast.calendar import calendar_of
from shared.forecast.errors import DayErrors, NaiveForecasts, day_ahead_issue, day_errors
from shared.forecast.history import DAY_S, History, Whole
from shared.forecast.issue import calendar_days, why_none
from shared.forecast.model import HORIZON_QUARTERS, Model
from shared.instants import local_day, local_midnight
from shared.limits import MEMORY_S, QUARTER_S

HISTORY_DAYS = 112
"""A season to learn from, and three weeks before it to know what is usual: of a zone 260 KB."""
ERROR_DAYS = 7
"""Over so many local days the running error goes."""
_GROWTH = 1.01
"""With so much more known, as after a replay of the past, it is learnt anew before the day is over."""
_WHOLE_SHARE = 50
_WHOLE_S_MIN = 60.0
"""The whole history is read anew now and then, since readings may be late by more than a replay of the newest days
shows: for a fiftieth of the time at most."""


@dataclass(frozen=True, slots=True)
class Made:
    """A forecast, and what those before it were worth."""

    issued_s: int
    zones: ZonesForecast
    errors: Mapping[date, DayErrors]
    """By local day, for the zones of the forecast."""


class ForecastMaker:
    """For one topology after the other."""

    def __init__(self) -> None:
        """Has read and learnt nothing yet."""
        self._history: ForecastHistory | None = None
        self._read_until_s = 0
        self._whole_at_s, self._whole_took_s = float("-inf"), 0.0
        self._model: Model | None = None
        self._learnt: tuple[date, int] | None = None
        """On which local day, and from how many known windows."""

    async def make(
        self, connection: asyncpg.Connection, terms: TopologyTerms, kept: Mapping[int, ZonesForecast], quarter_s: int
    ) -> Made:
        """Reads what is new, and makes the forecast from `quarter_s` on; `kept` are those before it by their issue."""
        history = await self._read(connection, terms, quarter_s)
        return await asyncio.to_thread(self._make, history, terms, kept, quarter_s)

    async def _read(self, connection: asyncpg.Connection, terms: TopologyTerms, quarter_s: int) -> History:
        last_day_s = quarter_s // DAY_S * DAY_S
        began_s = time.monotonic()
        if self._history is None or self._history.terms.topology.number != terms.topology.number:
            self._history = ForecastHistory(terms, last_day_s, HISTORY_DAYS)
            self._whole_at_s, self._model = float("-inf"), None
        self._history.move_to(last_day_s)
        if began_s - self._whole_at_s >= max(_WHOLE_S_MIN, _WHOLE_SHARE * self._whole_took_s):
            await self._history.read(connection, self._history.first_s)
            self._whole_at_s, self._whole_took_s = began_s, time.monotonic() - began_s
        else:
            await self._history.read(connection, (self._read_until_s - MEMORY_S) // QUARTER_S * QUARTER_S)
        self._read_until_s = quarter_s
        return self._history.history()

    def _make(self, history: History, terms: TopologyTerms, kept: Mapping[int, ZonesForecast], quarter_s: int) -> Made:
        zone_id = terms.topology.zone_id.astype(np.int64)
        quarter = history.quarter_of(quarter_s)
        calendar = calendar_of(history.first_s, calendar_days(history))
        reason = why_none(history, calendar, quarter)
        if all(reason):
            nothing = np.zeros((history.zones, HORIZON_QUARTERS, 3), np.int64)
            return Made(quarter_s, ZonesForecast(zone_id, nothing, reason), {})
        day, known = local_day(quarter_s), int(history.known.sum())
        if self._learnt is None or self._learnt[0] != day or known > _GROWTH * self._learnt[1]:
            self._model, self._learnt = None, (day, known)
        issued, self._model = issue_all(history, quarter, self._model)
        zones = ZonesForecast(zone_id, issued.power_w, list(issued.reason))
        return Made(quarter_s, zones, _errors(history, zone_id, kept, quarter_s))


def kept_issues(issues: list[int], quarter_s: int) -> set[int]:
    """Of the instants of all forecasts those that are still needed: the newest, and the day-ahead ones."""
    ahead = (day_ahead_issue(issues, local_midnight(day)) for day in _error_days(quarter_s, days_after=2))
    return {max(issues)} | {at_s for at_s in ahead if at_s is not None}


def _error_days(quarter_s: int, days_after: int = 0) -> list[date]:
    """The local days whose errors are told: those before that of `quarter_s`; and so many from that one on."""
    today = local_day(quarter_s)
    return [today + timedelta(days=step) for step in range(-ERROR_DAYS, days_after)]


def _errors(
    history: History, zone_id: Whole, kept: Mapping[int, ZonesForecast], quarter_s: int
) -> dict[date, DayErrors]:
    naive, errors = NaiveForecasts(history), {}
    for day in _error_days(quarter_s):
        midnight_s = local_midnight(day)
        issued_s = day_ahead_issue(kept, midnight_s)
        if issued_s is None or issued_s < history.first_s:
            continue
        quarters = range(history.quarter_of(midnight_s), history.quarter_of(local_midnight(day + timedelta(days=1))))
        power_w, there = _for_zones(kept[issued_s], zone_id)
        errors[day] = day_errors(history, naive, power_w, there, history.quarter_of(issued_s), quarters)
    return errors


def _for_zones(forecast: ZonesForecast, zone_id: Whole) -> tuple[Whole, np.ndarray]:
    """The forecast in the order of other zones, and which of them have one."""
    places = {number: place for place, number in enumerate(forecast.zone_id.tolist())}
    power_w = np.zeros((len(zone_id), HORIZON_QUARTERS, 3), np.int64)
    there = np.zeros(len(zone_id), np.bool_)
    for row, number in enumerate(zone_id.tolist()):
        place = places.get(number)
        if place is not None and not forecast.reason[place]:
            power_w[row], there[row] = forecast.power_w[place], True
    return power_w, there
