"""Retention of revisions on a real PostgreSQL: what goes, what stays, and that nobody is held up."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from services.balancer import retention
from services.balancer.retention import one_pass
from shared.database.engine import connect
from shared.database.migrate import migrate
from shared.errors import BilansError
from shared.limits import SETTLEMENT_DAYS
from shared.settings import read_settings
from tests.contract.cluster import write_partial

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
DAYS = 1100
SINCE = datetime(2023, 4, 30, tzinfo=UTC)
"""NOW less DAYS, from the beginning of the day on."""


@pytest.fixture
async def connection(embedded_postgres: str) -> AsyncIterator[asyncpg.Connection]:
    """A database in which event time stands at NOW and two zones have windows with three revisions each."""
    await asyncio.to_thread(migrate, embedded_postgres)
    opened = await connect(embedded_postgres, application_name="test")
    await opened.execute("INSERT INTO zone_identity (zone_id, zone) VALUES (10, 'Hill'), (11, 'Town')")
    await opened.execute("INSERT INTO progress (topic, partition, event_now) VALUES ('bilans.readings', 1, $1)", NOW)
    for zone in ("Hill", "Town"):
        for start in _starts():
            for revision in (1, 2, 3):
                known_at = f"2026-05-04T11:00:0{revision}"
                await write_partial(
                    opened, zone, start.isoformat(), revision=revision, known_at=known_at, pv_injected_wh=revision
                )
    yield opened
    await opened.close()


def _starts() -> list[datetime]:
    """Windows long ago, at the edge on both sides, and one of now."""
    edge = [SINCE + timedelta(minutes=15 * k) for k in (-2, -1, 0, 1)]
    return [datetime(2019, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC), *edge, NOW]


async def _kept(connection: asyncpg.Connection) -> dict[datetime, list[int]]:
    """The revisions of each window of Hill; Town has the same."""
    found = {}
    for zone_id in (10, 11):
        rows = await connection.fetch(
            "SELECT window_start, array_agg(revision ORDER BY revision) FROM partial_revision WHERE zone_id = $1"
            " AND pv_injected_wh = revision GROUP BY 1",
            zone_id,
        )
        found[zone_id] = {row[0]: row[1] for row in rows}
    assert found[10] == found[11]
    return found[10]


async def test_old_windows_keep_their_newest_revision_and_younger_ones_all(
    connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_BATCH_ROWS", 3)  # several batches in a slice of time
    newest = await connection.fetch("SELECT * FROM partial ORDER BY zone_id, window_start")
    assert await one_pass(connection, "event", DAYS, pause_s=0) == 2 * 4 * 2
    assert await _kept(connection) == {start: [3] if start < SINCE else [1, 2, 3] for start in _starts()}
    assert await connection.fetch("SELECT * FROM partial ORDER BY zone_id, window_start") == newest
    assert await connection.fetchval("SELECT since FROM retention WHERE content = 'revisions'") == SINCE
    assert await one_pass(connection, "event", DAYS, pause_s=0) == 0


async def test_what_is_kept_since_never_goes_back(connection: asyncpg.Connection) -> None:
    await one_pass(connection, "event", DAYS, pause_s=0)
    await one_pass(connection, "event", 2 * DAYS, pause_s=0)
    assert await connection.fetchval("SELECT since FROM retention") == SINCE


async def test_before_the_first_reading_nothing_goes(connection: asyncpg.Connection) -> None:
    await connection.execute("UPDATE progress SET event_now = NULL")
    assert await one_pass(connection, "event", DAYS, pause_s=0) == 0
    assert await connection.fetchval("SELECT count(*) FROM retention") == 0


async def test_only_one_balancer_is_at_it(connection: asyncpg.Connection, embedded_postgres: str) -> None:
    other = await connect(embedded_postgres, application_name="test")
    await other.execute("SELECT pg_advisory_lock($1)", retention._LOCK)
    assert await one_pass(connection, "event", DAYS, pause_s=0) == 0
    assert (await _kept(connection))[_starts()[0]] == [1, 2, 3]
    await other.close()
    assert await one_pass(connection, "event", DAYS, pause_s=0) > 0


async def test_a_late_correction_of_an_old_window_does_not_wait_for_it(
    connection: asyncpg.Connection, embedded_postgres: str
) -> None:
    other = await connect(embedded_postgres, application_name="test")
    await other.execute("SET lock_timeout = '200ms'")
    async with connection.transaction():  # a batch under way
        removed = await connection.execute(retention._SUPERSEDED, 10, _starts()[0], SINCE, 1000)
        assert removed == "DELETE 8"
        await other.execute("UPDATE partial SET revision = 4, pv_injected_wh = 4")
        await other.execute(
            "INSERT INTO partial_revision SELECT * FROM partial WHERE zone_id = 10 AND window_start = $1", _starts()[0]
        )
    await other.close()
    kept = await connection.fetch(
        "SELECT revision FROM partial_revision WHERE zone_id = 10 AND window_start = $1 ORDER BY 1", _starts()[0]
    )
    assert [row["revision"] for row in kept] == [3, 4]


def test_revisions_are_kept_for_longer_than_settlement_looks_back() -> None:
    stores = {"BILANS_KAFKA": "127.0.0.1:1", "BILANS_DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c"}
    assert read_settings(stores).revisions_days == 1100
    with pytest.raises(BilansError) as refused:
        read_settings({**stores, "BILANS_REVISIONS_DAYS": str(SETTLEMENT_DAYS)})
    assert "settlement looks back over 732 days" in str(refused.value)
    with pytest.raises(BilansError):
        read_settings({**stores, "BILANS_REVISIONS_DAYS": "9999999"})
