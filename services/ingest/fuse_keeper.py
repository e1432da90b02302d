"""Keeps the fuse of the JSON topic in step with its row in PostgreSQL, which all ingest processes share."""

import asyncio
import logging
from collections.abc import Callable

import asyncpg

from services.ingest.fuse import FuseWindows, verdicts_of
from services.ingest.intake import Receipt
from shared.database.engine import DATABASE_TROUBLE, connect
from shared.database.fuse_row import blow_fuse, read_fuse, stopped_text
from shared.metrics import INGEST_FUSE_BLOWN
from shared.settings import Settings
from shared.topics import READINGS_JSON

_POLL_S = 0.5
"""How soon another process's blown fuse is seen, and that a person has mended it."""

_log = logging.getLogger(__name__)


class FuseKeeper:
    """Says whether the topic may be read, and blows the fuse.

    Nothing is read before the row was looked for once: a fuse that blew before a restart still holds the topic. While
    PostgreSQL is away what was seen last stays true. With BILANS_FUSE=off it never blows; a row that is there counts.
    """

    def __init__(self, settings: Settings, monotonic_s: Callable[[], float]) -> None:
        """`monotonic_s` tells the time in which lines are judged; nothing is connected before `run`."""
        self._settings = settings
        self._monotonic_s = monotonic_s
        self._windows = FuseWindows()
        self._may_read = asyncio.Event()
        self._to_blow = ""
        self.stopped_because = ""
        """Why the topic is not read, for people; empty while the fuse holds."""

    def may_read(self) -> bool:
        """Whether the topic may be read now."""
        return self._may_read.is_set()

    async def wait_until_may_read(self) -> None:
        """Returns when the topic may be read."""
        await self._may_read.wait()

    def judge(self, lines: int, receipt: Receipt) -> None:
        """Takes in what became of so many lines. After it `may_read` is false if they were the last straw."""
        if not self._settings.fuse:
            return
        self._windows.note(verdicts_of(lines, receipt.rejected_places), self._monotonic_s())
        if reason := self._windows.reason_to_blow():
            self._to_blow = reason
            self._stop(reason)

    async def run(self) -> None:
        """Looks for the row, and writes it when the fuse blows, until it is cancelled."""
        while True:
            try:
                await self._follow()
            except DATABASE_TROUBLE as error:
                _log.warning("PostgreSQL cannot be reached, the fuse stays as it is: %s", error)
            await asyncio.sleep(_POLL_S)

    async def _follow(self) -> None:
        connection = await connect(self._settings.database_url, application_name="bilans ingest fuse")
        try:
            while True:
                await self._look(connection)
                await asyncio.sleep(_POLL_S)
        finally:
            connection.terminate()

    async def _look(self, connection: asyncpg.Connection) -> None:
        if blown_for := self._to_blow:
            await blow_fuse(connection, READINGS_JSON, blown_for)
            self._to_blow = ""
        row = await read_fuse(connection, READINGS_JSON)
        if row is not None:
            self._stop(row.reason)
        elif not self._to_blow:  # it may have blown while the question was under way
            self._go_on()

    def _stop(self, reason: str) -> None:
        if not self.stopped_because:
            _log.error("%s", stopped_text(READINGS_JSON, reason))
        self.stopped_because = stopped_text(READINGS_JSON, reason)
        self._may_read.clear()
        INGEST_FUSE_BLOWN.set(1)

    def _go_on(self) -> None:
        if self.stopped_because:
            _log.warning("%s is read again: its fuse was mended", READINGS_JSON)
            self._windows = FuseWindows()  # what was before says nothing of what comes
        self.stopped_because = ""
        self._may_read.set()
        INGEST_FUSE_BLOWN.set(0)
