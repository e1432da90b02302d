"""The fuse's row in a real PostgreSQL: one process's blown fuse stops all, and after it was mended all begin anew."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from services.ingest.fuse_keeper import FuseKeeper
from services.ingest.intake import Receipt
from shared.database.engine import connect
from shared.database.fuse_row import read_fuse, take_fuse_row
from shared.database.migrate import migrate
from shared.limits import FUSE_LINES
from shared.topics import READINGS_JSON
from shared.words import RejectReason
from tests.integration.ingest_process import settings_of


def _all_bad(lines: int) -> Receipt:
    return Receipt(rejected=lines, rejected_places={RejectReason.MALFORMED: list(range(lines))})


async def _until(true: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if true():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come true")


async def test_one_blows_it_for_all_and_mended_it_begins_anew(embedded_postgres: str) -> None:
    await asyncio.to_thread(migrate, embedded_postgres)
    settings = settings_of("127.0.0.1:1", embedded_postgres)
    # The second never blows it, and obeys all the same.
    one, other = FuseKeeper(settings, lambda: 0.0), FuseKeeper(replace(settings, fuse=False), lambda: 0.0)
    assert not one.may_read()  # the row was not looked for yet
    tasks = [asyncio.create_task(keeper.run()) for keeper in (one, other)]
    connection = await connect(embedded_postgres, application_name="test")
    try:
        await _until(lambda: one.may_read() and other.may_read())
        one.judge(FUSE_LINES, _all_bad(FUSE_LINES))
        assert not one.may_read()  # at once, before the row is there
        await _until(lambda: not other.may_read())
        row = await read_fuse(connection, READINGS_JSON)
        assert row is not None
        assert row.reason in one.stopped_because == other.stopped_because
        assert await take_fuse_row(connection, READINGS_JSON) == row
        await _until(lambda: one.may_read() and other.may_read())
        one.judge(FUSE_LINES - 1, _all_bad(FUSE_LINES - 1))
        assert one.may_read()
        one.judge(1, _all_bad(1))
        assert not one.may_read()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await connection.close()
