"""The questions that `bilans rejected` asks a real PostgreSQL: filters, pages of a retry, marks."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from deploy.rejected.selection import Selection, read_selection
from deploy.rejected.store import count_by_reason, mark_retried, newest, next_originals, to_retry
from shared.database.engine import make_engine
from shared.database.migrate import migrate
from shared.database.tables import rejected_reading
from shared.topics import REJECTED
from shared.words import RejectReason

BEGINNING = datetime(2026, 5, 1, tzinfo=UTC)
ROWS = 30
REASONS = (RejectReason.UNKNOWN_METER, RejectReason.BAD_VALUE, RejectReason.UNKNOWN_METER)


@pytest.fixture
async def connection(embedded_postgres: str) -> AsyncIterator[AsyncConnection]:
    """Thirty rejected readings, number k rejected in minute k, of k + 1 bytes."""
    await asyncio.to_thread(migrate, embedded_postgres)
    engine = make_engine(embedded_postgres)
    rows = [
        {
            "topic": REJECTED,
            "partition": 0,
            "log_offset": k,
            "reason": REASONS[k % 3].value,
            "detail": "",
            "meter": f"meter {k % 2}",
            "position": f"http:index {k}",
            "original": b"x" * (k + 1),
            "rejected_at": BEGINNING + timedelta(minutes=k),
        }
        for k in range(ROWS)
    ]
    try:
        async with engine.begin() as connection:
            await connection.execute(insert(rejected_reading), rows)
            yield connection
    finally:
        await engine.dispose()


async def numbers(connection: AsyncConnection, selection: Selection, limit: int = 100) -> list[int]:
    return [one.number for one in await newest(connection, selection, limit)]


async def test_filters_hold_together_and_the_newest_come_first(connection: AsyncConnection) -> None:
    assert await numbers(connection, Selection(), 3) == [29, 28, 27]
    assert await numbers(connection, read_selection(numbers=[4, 2, 900])) == [4, 2]
    both = read_selection(reasons=[RejectReason.BAD_VALUE], meter="meter 1", since="2026-05-01T00:04:00Z")
    assert await numbers(connection, both) == [25, 19, 13, 7]
    half_open = read_selection(since="2026-05-01T02:04:00+02:00", until="2026-05-01T00:06:00Z")
    assert await numbers(connection, half_open) == [5, 4]
    assert await count_by_reason(connection, Selection()) == {"unknown_meter": 20, "bad_value": 10}


@pytest.mark.parametrize(("rows_max", "bytes_max"), [(7, 10**6), (100, 40), (100, 1), (1, 1), (30, 465)])
async def test_pages_of_a_retry_hold_each_one_once_in_order(
    connection: AsyncConnection, rows_max: int, bytes_max: int
) -> None:
    """Pages end once their bytes are reached, and hold at least one however long that is."""
    selection, found, after = read_selection(reasons=[RejectReason.UNKNOWN_METER]), list[int](), -1
    while page := await next_originals(
        connection, selection, again=False, after=after, last=28, rows_max=rows_max, bytes_max=bytes_max
    ):
        assert len(page) <= rows_max
        assert sum(len(one.content) for one in page[:-1]) < bytes_max
        found += [one.number for one in page]
        assert all(len(one.content) == one.number + 1 for one in page)
        after = found[-1]
    assert found == [k for k in range(29) if REASONS[k % 3] == RejectReason.UNKNOWN_METER]


async def test_what_was_sent_again_is_left_out_unless_asked_for(connection: AsyncConnection) -> None:
    selection = read_selection(meter="meter 0")
    before = await to_retry(connection, selection, again=False)
    assert (before.counts, before.already_retried) == ({"unknown_meter": 10, "bad_value": 5}, 0)
    assert before.last_number == 28
    await mark_retried(connection, [0, 4, 6])  # 4 is a bad value
    after = await to_retry(connection, selection, again=False)
    assert (after.counts, after.already_retried) == ({"unknown_meter": 8, "bad_value": 4}, 3)
    again = await to_retry(connection, selection, again=True)
    assert (again.counts, again.already_retried) == (before.counts, 0)
    for asked, first in ((False, [2, 8]), (True, [0, 2])):
        page = await next_originals(connection, selection, again=asked, after=-1, last=28, rows_max=2, bytes_max=10**6)
        assert [one.number for one in page] == first
