"""Once a second: what PostgreSQL knows of assets is read; the instance that leads tells and stores the signals.

Stored are the lights' memory when it changed, and each zone's signals once a minute of now and when its state changed.
What could not be told or stored is told and stored by a later round: nothing here is counted, the newest stands.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

import asyncpg
from aiokafka.errors import KafkaError

from services.api.leadership import Leadership
from services.api.signals.asset_history import AssetHistory
from services.api.signals.signal_board import SignalBoard
from services.api.signals.signal_packing import packed
from services.api.signals.signal_store import (
    StoredSignal,
    delete_old_signals,
    read_answers,
    read_lights,
    read_promised,
    write_lights,
    write_signals,
)
from services.api.signals.signals_sweep import SignalsSweep, ZoneSignal
from services.api.signals.signals_topic import SignalsTopic
from services.api.signals.zone_lights import ZoneLights
from shared import metrics
from shared.database.engine import DATABASE_TROUBLE, connect
from shared.settings import Settings

_ROUND_S = 1.0
_SHARE = 4
"""A quarter of the time goes into looking at zones at most, however many there are."""
_PUBLISH_S_MAX = 5.0
"""A round that Kafka holds up for longer is given up; the next tells of all zones."""
_MINUTE_S = 60
_CLEAN_S = 3600.0
_KAFKA_TROUBLE = (KafkaError, OSError, TimeoutError)

_log = logging.getLogger(__name__)


class SignalsRound:
    """Goes round all zones."""

    def __init__(
        self, settings: Settings, sweep: SignalsSweep, board: SignalBoard, lights: ZoneLights, leadership: Leadership
    ) -> None:
        """Connects to nothing yet."""
        self._settings = settings
        self._sweep = sweep
        self._board = board
        self._lights = lights
        self._leadership = leadership
        self._topic = SignalsTopic(settings)
        self._connection: asyncpg.Connection | None = None
        self._restored = False
        self._minute_stored: int | None = None
        """The minute of now that is stored of all zones …"""
        self._stored_at_s: int | None = None
        """… and the now at which it was. As long as that stands the row of a zone that changes is made anew: where now
        is the time of readings, the newest ones come a moment after it has moved, and it may stand for long."""
        self._answers_at_s = self._told_all_at_s = self._cleaned_at_s = float("-inf")
        self._cost_s = 0.0
        self._in_trouble: set[str] = set()

    async def restore(self) -> None:
        """Takes up the lights as they were before a restart; when PostgreSQL is away a later round does."""
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect(self._settings.database_url, application_name="bilans-signals")
            if not self._restored:
                self._lights.restore(await read_lights(self._connection))
                self._restored = True
            self._well("PostgreSQL")
        except (*DATABASE_TROUBLE, asyncpg.UndefinedTableError) as trouble:
            self._let_go(trouble)

    async def run(self) -> None:
        """Goes round once a second until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                began_s = loop.time()
                await self.restore()
                await self.read_history()
                if self._leadership.leads:
                    await self._publish(await self.look_and_store())
                    await self._clean()
                else:
                    self._sweep.forget()
                await asyncio.sleep(max(began_s + _ROUND_S - loop.time(), (_SHARE - 1) * self._cost_s))
        finally:
            await self.close()

    async def close(self) -> None:
        """Lets go of Kafka and PostgreSQL."""
        await self._topic.close()
        if self._connection is not None:
            self._connection.terminate()

    async def read_history(self) -> None:
        """Reads what is promised of the assets, and once a minute what they answered."""
        now_s, clock_s = self._board.now_s, time.monotonic()
        if self._connection is None or now_s is None:
            return
        try:
            known = self._board.history
            answers = known.answers
            if clock_s - self._answers_at_s >= _MINUTE_S:
                answers = await read_answers(self._connection)
                self._answers_at_s = clock_s
            history = AssetHistory(answers, await read_promised(self._connection, now_s))
            if history != known:
                self._board.history = history
        except DATABASE_TROUBLE as trouble:
            self._let_go(trouble)

    async def look_and_store(self) -> Sequence[ZoneSignal]:
        """Sweeps all zones and stores what is due; what changed, or all of it once a minute, is to be told."""
        now_s, clock_s = self._board.now_s, time.monotonic()
        minute = None if now_s is None else now_s // _MINUTE_S
        store_all = minute is not None and minute != self._minute_stored
        everything = store_all or clock_s - self._told_all_at_s >= _MINUTE_S
        began_cpu_s = time.thread_time()
        with metrics.SIGNALS_SWEEP_SECONDS.time():
            told = self._sweep.sweep(everything=everything)
        self._cost_s = time.thread_time() - began_cpu_s
        if everything:
            self._told_all_at_s = clock_s
        if now_s is not None and await self._store(told, now_s, minute=store_all or now_s == self._stored_at_s):
            self._minute_stored = minute
            self._stored_at_s = now_s if store_all else self._stored_at_s
        return told

    async def _publish(self, told: Sequence[ZoneSignal]) -> None:
        try:
            if told:
                async with asyncio.timeout(_PUBLISH_S_MAX):
                    await self._topic.publish(told)
                metrics.SIGNALS_PUBLISHED.inc(len(told))
            self._well("Kafka")
        except _KAFKA_TROUBLE as trouble:
            self._warn("Kafka", trouble)
            self._sweep.forget()
            await self._topic.close()

    async def _store(self, told: Sequence[ZoneSignal], now_s: int, *, minute: bool) -> bool:
        """Writes the lights that changed, a row of each change of state, and with `minute` one of the minute."""
        if self._connection is None or not self._restored:
            return False
        lights = self._lights.take_changed()
        numbers = {zone: self._board.zone_id(zone) for zone in lights}
        try:
            kept = {number: lights[zone] for zone, number in numbers.items() if number is not None}
            if kept:
                await write_lights(self._connection, kept, now_s)
            rows = [_row(one, now_s) for one in told if one.turned]
            if minute:
                rows += [_row(one, now_s // _MINUTE_S * _MINUTE_S) for one in told]
            if rows:
                await write_signals(self._connection, rows)
        except DATABASE_TROUBLE as trouble:
            self._lights.put_back(lights)
            self._let_go(trouble)
            return False
        return True

    async def _clean(self) -> None:
        now_s, clock_s = self._board.now_s, time.monotonic()
        if self._connection is None or now_s is None or clock_s - self._cleaned_at_s < _CLEAN_S:
            return
        self._cleaned_at_s = clock_s
        try:
            await delete_old_signals(self._connection, now_s)
        except DATABASE_TROUBLE as trouble:
            self._let_go(trouble)

    def _let_go(self, trouble: Exception) -> None:
        self._warn("PostgreSQL", trouble)
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def _warn(self, what: str, trouble: Exception) -> None:
        """Says once that something is away."""
        if what not in self._in_trouble:
            _log.warning("Signals wait for %s: %s", what, trouble)
        self._in_trouble.add(what)

    def _well(self, what: str) -> None:
        self._in_trouble.discard(what)


def _row(one: ZoneSignal, at_s: int) -> StoredSignal:
    return StoredSignal(one.zone_id, at_s, one.state, one.net_w, packed(one.answer))
