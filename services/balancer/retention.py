"""Retention: of windows that started long ago only the newest revision is kept (BILANS_REVISIONS_DAYS).

Slowly, in small batches with pauses, by one balancer at a time. A flush is never held up: it appends revisions and
reads none, and the newest one, which is its row's, stays.
"""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import asyncpg

from shared.database.engine import DATABASE_TROUBLE, connect
from shared.settings import ClockMode, Settings
from shared.topics import READINGS

_log = logging.getLogger(__name__)

REVISIONS = "revisions"
"""The row of table `retention` that says since when all revisions are kept."""

_PASS_S = 6 * 3600.0
"""Between two passes: a day's windows come of age a day."""
_FIRST_PASS_S = 600.0
"""After a start there is more urgent work."""
_PAUSE_S = 0.1
_BATCH_ROWS = 2_000
_SLICE = timedelta(days=92)
"""Windows of a zone that are looked through at once: some ten thousand rows of each partition."""
_LOCK = 0x72657461  # "reta": any number that no other advisory lock of Bilans has

_SUPERSEDED = """
WITH superseded AS (
    SELECT zone_id, window_start, partition, old.revision
    FROM partial_revision AS old JOIN partial AS newest USING (zone_id, window_start, partition)
    WHERE zone_id = $1 AND window_start >= $2 AND window_start < $3 AND old.revision < newest.revision
    LIMIT $4
)
DELETE FROM partial_revision USING superseded
WHERE partial_revision.zone_id = superseded.zone_id AND partial_revision.window_start = superseded.window_start
    AND partial_revision.partition = superseded.partition AND partial_revision.revision = superseded.revision
"""


async def keep_newest_of_old(settings: Settings) -> None:
    """Passes over the old windows now and then, until cancelled."""
    await asyncio.sleep(_FIRST_PASS_S)
    while True:
        try:
            connection = await connect(settings.database_url, application_name=f"{settings.instance} retention")
            try:
                removed = await one_pass(connection, settings.clock, settings.revisions_days)
            finally:
                await connection.close()
            if removed:
                _log.info("%d revisions of windows older than %d days are gone", removed, settings.revisions_days)
        except DATABASE_TROUBLE as error:
            _log.warning("old revisions are kept for now: %s", error)
        await asyncio.sleep(_PASS_S)


async def one_pass(connection: asyncpg.Connection, clock: ClockMode, days: int, pause_s: float = _PAUSE_S) -> int:
    """Removes what windows that started more than `days` ago have beside their newest revision; how many rows.

    Does nothing while another balancer is at it. "Ago" is from now by `clock`, in event mode the readings' own time.
    """
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
        return 0
    try:
        since = await _move_on(connection, clock, days)
        if since is None:
            return 0
        removed = 0
        for row in await connection.fetch("SELECT zone_id FROM zone_identity ORDER BY zone_id"):
            removed += await _pass_zone(connection, row["zone_id"], since, pause_s)
        return removed
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _move_on(connection: asyncpg.Connection, clock: ClockMode, days: int) -> datetime | None:
    """Says since when revisions are kept, before any is removed; a whole day in UTC, so that it moves once a day."""
    now: datetime | None = await connection.fetchval(
        "SELECT max(event_now) FROM progress WHERE topic = $1" if clock == "event" else "SELECT clock_timestamp()",
        *([READINGS] if clock == "event" else []),
    )
    if now is None:
        return None
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since: datetime = await connection.fetchval(
        """
        INSERT INTO retention AS r (content, since) VALUES ($1, $2)
        ON CONFLICT (content) DO UPDATE SET since = greatest(r.since, excluded.since) RETURNING since
        """,
        REVISIONS,
        day - timedelta(days=days),
    )
    return since


async def _pass_zone(connection: asyncpg.Connection, zone_id: int, since: datetime, pause_s: float) -> int:
    removed = 0
    begin: datetime | None = await connection.fetchval(
        "SELECT min(window_start) FROM partial WHERE zone_id = $1 AND window_start < $2", zone_id, since
    )
    while begin is not None and begin < since:
        end = min(begin + _SLICE, since)
        gone = int((await connection.execute(_SUPERSEDED, zone_id, begin, end, _BATCH_ROWS)).split()[-1])
        removed += gone
        if gone < _BATCH_ROWS:
            begin = end
        await asyncio.sleep(pause_s)
    return removed
