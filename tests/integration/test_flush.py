"""The flush on a real PostgreSQL: fenced, once, with revisions as design rule 9 says."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import numpy as np
import orjson
import pyarrow as pa
import pytest

from services.api.balance_changes import decode_restatements
from services.balancer.flush import PREPARE_CONNECTION, flush, take_over, was_committed
from services.balancer.flush_content import HistoryFlush, LogPlace, NotOwnerError, Ownership, PartitionFlush
from services.balancer.history_tables import read_late_batch
from services.balancer.outgoing import OutgoingMessage
from services.balancer.postgres_store import PostgresStore
from services.balancer.topologies import Topologies
from services.balancer.writer import FlushWriter
from shared.balance.late import LateReadings, joined, unpacked
from shared.database.engine import connect
from shared.database.migrate import migrate
from shared.database.tables import SUM_COLUMNS
from shared.settings import read_settings
from shared.topics import READINGS

WINDOW = 1_772_323_200
MEASURED = SUM_COLUMNS.index("measured")


@pytest.fixture
async def connection(embedded_postgres: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection on which a flush can be written."""
    await asyncio.to_thread(migrate, embedded_postgres)
    opened = await connect(embedded_postgres, application_name="test")
    await opened.execute(PREPARE_CONNECTION)
    await opened.execute("INSERT INTO zone_identity (zone_id, zone) VALUES (10, 'Hill'), (11, 'Town')")
    yield opened
    await opened.close()


def content(
    ownership: Ownership,
    *,
    to_offset: int = 1,
    closed: tuple[int | None, int | None] = (None, None),
    wh: int = 100,
    windows: tuple[int, ...] = (WINDOW,),
    partition: int = 0,
) -> PartitionFlush:
    """A flush that adds `wh` of consumers' withdrawal and one measured series to each of the windows of zone 10."""
    sums = np.zeros((len(windows), len(SUM_COLUMNS)), np.int64)
    sums[:, 0], sums[:, MEASURED] = wh, 1
    return PartitionFlush(
        partition=partition,
        epoch=ownership.epoch,
        start=ownership.next_place,
        end=LogPlace(to_offset),
        topology=3,
        closed_before_s=closed[0],
        closed_until_s=closed[1],
        event_now_s=None,
        zone_id=np.full(len(windows), 10, np.int32),
        window_s=np.array(windows, np.int64),
        sums=sums,
        deliveries={"received": 7, "applied": 6, "unchanged": 1, "pending": 0},
        history=HistoryFlush(ownership.history, ownership.history),
    )


async def rows(connection: asyncpg.Connection, table: str) -> list[tuple[int, int, int]]:
    """Start, revision and withdrawal of a table's rows."""
    return [
        tuple(row)
        for row in await connection.fetch(
            "SELECT extract(epoch FROM window_start)::bigint, revision, consumer_withdrawn_wh"
            f" FROM {table} ORDER BY window_start, revision"
        )
    ]


async def test_open_rows_are_overwritten_and_ended_ones_get_revisions(connection: asyncpg.Connection) -> None:
    ownership = await take_over(connection, READINGS, 0, "a")
    await flush(connection, [content(ownership, to_offset=1, closed=(None, WINDOW))])
    await flush(connection, [content(replace(ownership, next_place=LogPlace(1)), to_offset=2, closed=(WINDOW, WINDOW))])
    assert await rows(connection, "partial") == [(WINDOW, 0, 200)]
    assert await rows(connection, "partial_revision") == []
    # The first flush after its end appends revision 1, though it changes nothing of that window.
    other = content(
        replace(ownership, next_place=LogPlace(2)), to_offset=3, closed=(WINDOW, WINDOW + 900), windows=(WINDOW + 900,)
    )
    await flush(connection, [other])
    assert await rows(connection, "partial") == [(WINDOW, 1, 200), (WINDOW + 900, 0, 100)]
    # Each later one that changes it appends the next.
    late = content(replace(ownership, next_place=LogPlace(3)), to_offset=4, closed=(WINDOW + 900, WINDOW + 900), wh=-50)
    await flush(connection, [late])
    assert await rows(connection, "partial_revision") == [(WINDOW, 1, 200), (WINDOW, 2, 150)]
    known = await connection.fetch("SELECT known_at, log_offset, topology FROM partial_revision ORDER BY revision")
    assert known[0]["known_at"] < known[1]["known_at"]
    assert [(row["log_offset"], row["topology"]) for row in known] == [(3, 3), (4, 3)]


async def test_a_window_that_ended_before_its_first_reading_begins_with_revision_1(
    connection: asyncpg.Connection,
) -> None:
    ownership = await take_over(connection, READINGS, 0, "a")
    await flush(connection, [content(ownership, closed=(None, WINDOW + 9000))])
    assert await rows(connection, "partial_revision") == [(WINDOW, 1, 100)]


async def test_a_replaced_owner_cannot_write_anything(connection: asyncpg.Connection) -> None:
    old = await take_over(connection, READINGS, 0, "a")
    other = await take_over(connection, READINGS, 1, "a")
    new = await take_over(connection, READINGS, 0, "b")
    assert new.epoch == old.epoch + 1
    with pytest.raises(NotOwnerError) as refused:
        await flush(connection, [content(other, partition=1), content(old)])
    assert refused.value.partition == 0
    assert await rows(connection, "partial") == []
    assert await connection.fetchval("SELECT count(*) FROM books") == 0
    await flush(connection, [content(other, partition=1), content(new)])
    assert len(await rows(connection, "partial")) == 2


async def test_the_same_flush_again_is_refused_and_its_outcome_is_known(connection: asyncpg.Connection) -> None:
    ownership = await take_over(connection, READINGS, 0, "a")
    first = content(ownership)
    assert not await was_committed(connection, first)
    await flush(connection, [first])
    assert await was_committed(connection, first)
    with pytest.raises(NotOwnerError):
        await flush(connection, [first])
    assert await rows(connection, "partial") == [(WINDOW, 0, 100)]


async def test_books_late_queue_and_outbox_come_with_the_rows_or_not_at_all(connection: asyncpg.Connection) -> None:
    ownership = await take_over(connection, READINGS, 0, "a")
    late = LateReadings(
        np.array([5, 5], np.int64), np.array([0, 3], np.int32), np.array([1, 2], np.int32),
        np.array([9, 9], np.int64), np.array([4, 5], np.int64), np.zeros(2, np.int32),
    )  # fmt: skip
    message = OutgoingMessage("m-1", "bilans.rejected", b"value", {"reason": "conflict"})
    whole = replace(content(ownership), late=late, messages=[message])
    other = replace(late, log_offset=np.full(2, 7, np.int64))
    broken = replace(whole, late=joined([late, other, late]))  # the same place twice
    with pytest.raises(asyncpg.UniqueViolationError):
        await flush(connection, [broken])
    for table in ("partial", "books", "late_queue", "outbox"):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    await flush(connection, [whole])
    row = await connection.fetchrow("SELECT log_offset, position, readings, content FROM late_queue")
    assert (row["log_offset"], row["position"], row["readings"]) == (5, 0, 2)
    assert unpacked(5, row["content"]).value.tolist() == [4, 5]
    assert await connection.fetchval("SELECT headers ->> 'reason' FROM outbox") == "conflict"
    books = dict(await connection.fetch("SELECT outcome, deliveries FROM books"))
    assert books == {"received": 7, "applied": 6, "unchanged": 1}


async def test_a_message_that_is_flushed_in_parts_is_drained_when_all_of_it_is_there(
    connection: asyncpg.Connection,
) -> None:
    """Else the rest of it would leave the queue with the part, and never be taken."""
    ownership = await take_over(connection, READINGS, 0, "a")
    first = LateReadings(
        np.array([5], np.int64), np.array([2], np.int32), np.array([1], np.int32),
        np.array([9], np.int64), np.array([4], np.int64), np.zeros(1, np.int32),
    )  # fmt: skip
    rest = replace(first, position=np.array([0], np.int32), slot=np.array([2], np.int32))
    await flush(connection, [replace(content(ownership), end=LogPlace(5, 1), late=first)])
    assert await read_late_batch(connection, 0, (0, 9), None, 100) is None
    await flush(connection, [replace(content(ownership), start=LogPlace(5, 1), end=LogPlace(6), late=rest)])
    batch = await read_late_batch(connection, 0, (0, 9), None, 100)
    assert batch is not None
    assert (batch.begin, batch.until, batch.late.slot.tolist()) == (5, 5, [2, 1])


async def test_a_writer_whose_connection_is_cut_writes_once(
    connection: asyncpg.Connection, embedded_postgres: str
) -> None:
    """The sessions are ended between and during flushes; each flush is in the tables once."""
    settings = read_settings(
        {"BILANS_KAFKA": "127.0.0.1:1", "BILANS_DATABASE_URL": embedded_postgres, "BILANS_INSTANCE": "cut"}
    )
    ownership = await take_over(connection, READINGS, 0, "a")
    pool = await asyncpg.create_pool(embedded_postgres, min_size=1, max_size=1)
    store = PostgresStore(settings, pool, Topologies())
    writer = FlushWriter(store)

    async def cut() -> None:
        while True:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cut flush'"
            )
            await asyncio.sleep(0.15)

    cutting = asyncio.create_task(cut())
    try:
        for offset in range(12):
            many = tuple(WINDOW + 900 * k for k in range(1500))
            one = content(replace(ownership, next_place=LogPlace(offset)), to_offset=offset + 1, windows=many)
            assert await writer.write([one]) == set()
    finally:
        cutting.cancel()
        await asyncio.gather(cutting, return_exceptions=True)
        await store.let_go()
        await pool.close()
    assert {row[2] for row in await rows(connection, "partial")} == {1200}
    assert await connection.fetchval("SELECT deliveries FROM books WHERE outcome = 'received'") == 84


async def restatements(connection: asyncpg.Connection) -> list[dict[str, Any]]:
    """The rows of all restatements in the outbox, in the order in which they were decided."""
    found: list[dict[str, Any]] = []
    for row in await connection.fetch("SELECT * FROM outbox WHERE headers ->> 'kind' = 'restatement' ORDER BY id"):
        with pa.ipc.open_stream(row["value"]) as reader:
            found += reader.read_all().to_pylist()
        assert (row["topic"], orjson.loads(row["headers"])) == ("bilans.balance", {"kind": "restatement"})
        assert row["message_id"].startswith("restatement-")
    return found


def figures(row: dict[str, Any]) -> tuple[object, ...]:
    """What a restatement says of one window."""
    names = ("zone", "revision", "before_consumer_withdrawn_wh", "after_consumer_withdrawn_wh")
    return (*(row[name] for name in names), row["before_measured"], row["after_measured"])


async def test_a_change_of_a_closed_window_tells_the_totals_before_and_after(connection: asyncpg.Connection) -> None:
    owners = [await take_over(connection, READINGS, partition, "a") for partition in range(3)]
    closed = (WINDOW + 900, WINDOW + 900)

    def at(partition: int, offset: int, wh: int, windows: tuple[int, ...] = (WINDOW,)) -> PartitionFlush:
        owner = replace(owners[partition], next_place=LogPlace(offset))
        return content(owner, partition=partition, to_offset=offset + 1, wh=wh, windows=windows, closed=closed)

    # What fills a window first is no restatement, also when two partitions do it; nor is a change of an open window.
    await flush(connection, [at(0, 0, 100), at(1, 0, 30)])
    await flush(connection, [at(0, 1, 5, (WINDOW + 900,))])
    await flush(connection, [at(0, 2, 5, (WINDOW + 900,))])
    assert await restatements(connection) == []
    # A partition that was silent until then changes what was told.
    await flush(connection, [at(2, 0, 7)])
    assert [figures(row) for row in await restatements(connection)] == [("Hill", 3, 130, 137, 2, 3)]
    # Two partitions of one flush are one entry, beside the third that does not change.
    await connection.execute("DELETE FROM outbox")
    await flush(connection, [at(0, 3, -40, (WINDOW, WINDOW + 900)), at(1, 1, 1)])
    (row,) = await restatements(connection)
    assert figures(row) == ("Hill", 5, 137, 98, 3, 5)
    assert row["window_start"].timestamp() == WINDOW
    assert row["known_at"] == await connection.fetchval("SELECT max(known_at) FROM partial_revision")
    other = {f"{word}_{name}" for word in ("before", "after") for name in SUM_COLUMNS[1:] if name != "measured"}
    assert {row[name] for name in other} == {0}
    # The API reads it as it was written.
    value = await connection.fetchval("SELECT value FROM outbox WHERE headers ->> 'kind' = 'restatement'")
    (told,) = decode_restatements(value, 9).items()
    assert (told[0], told[1].revision) == (("Hill", WINDOW), 5)
    assert (told[1].before["import_wh"], told[1].after["import_wh"], told[1].after["measured"]) == (137, 98, 5)
    sums = await connection.fetchrow("SELECT sum(consumer_withdrawn_wh), sum(revision) FROM partial WHERE revision > 0")
    assert tuple(sums) == (row["after_consumer_withdrawn_wh"], row["revision"])


async def test_a_partition_for_which_the_window_is_open_still_does_not_hide_that_it_was_closed(
    connection: asyncpg.Connection,
) -> None:
    """With the readings' own time each partition closes its windows by its own now."""
    first, second = [await take_over(connection, READINGS, partition, "a") for partition in (0, 1)]
    closed, still_open = (WINDOW + 900, WINDOW + 900), (WINDOW, WINDOW)
    await flush(connection, [content(first, closed=closed), content(second, partition=1, closed=still_open)])
    again = [replace(owner, next_place=LogPlace(1)) for owner in (first, second)]
    await flush(
        connection,
        [
            content(again[0], to_offset=2, closed=closed, wh=1),
            content(again[1], to_offset=2, closed=still_open, wh=20, partition=1),
        ],
    )
    assert [figures(row) for row in await restatements(connection)] == [("Hill", 2, 200, 221, 2, 4)]


async def test_many_restated_windows_are_told_in_several_messages_of_different_names(
    connection: asyncpg.Connection,
) -> None:
    owner = await take_over(connection, READINGS, 2, "a")
    windows = tuple(WINDOW + 900 * k for k in range(5_000))
    closed = (windows[-1] + 900, windows[-1] + 900)
    await flush(connection, [content(owner, partition=2, windows=windows, closed=closed)])
    again = replace(owner, next_place=LogPlace(1))
    await flush(connection, [content(again, partition=2, to_offset=2, windows=windows, closed=closed, wh=1)])
    told = await restatements(connection)
    assert [row["window_start"].timestamp() for row in told] == list(windows)
    assert {figures(row) for row in told} == {("Hill", 2, 100, 101, 1, 2)}
    sent = await connection.fetch("SELECT message_id, partition, topic_partition FROM outbox")
    assert len({row["message_id"] for row in sent}) == 2
    assert {(row["partition"], row["topic_partition"]) for row in sent} == {(2, 2)}


async def test_a_flush_that_takes_too_long_as_a_whole_is_given_up(
    connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of its statements is too long; its rows would come after an `as_of` answer that should have had them."""
    monkeypatch.setattr("services.balancer.flush.FLUSH_S_MAX", 1)
    await _make_slow(connection, "partial", "books")
    ownership = await take_over(connection, READINGS, 0, "a")
    with pytest.raises(TimeoutError):
        await flush(connection, [replace(content(ownership), deliveries={"received": 1})])
    assert await rows(connection, "partial") == []
    await connection.execute("DROP TRIGGER slow ON books")
    await flush(connection, [content(ownership)])
    assert await rows(connection, "partial") == [(WINDOW, 0, 100)]


async def test_what_is_too_much_at_once_is_written_one_by_one(
    connection: asyncpg.Connection, embedded_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two partitions take over a second together, each of them less."""
    monkeypatch.setattr("services.balancer.flush.FLUSH_S_MAX", 1)
    await _make_slow(connection, "books")
    owners = [await take_over(connection, READINGS, partition, "a") for partition in (0, 1)]
    contents = [
        replace(content(owner, partition=partition), deliveries={"received": 1})
        for partition, owner in enumerate(owners)
    ]
    settings = read_settings({"BILANS_KAFKA": "127.0.0.1:1", "BILANS_DATABASE_URL": embedded_postgres})
    async with asyncpg.create_pool(embedded_postgres, min_size=1, max_size=1) as pool:
        store = PostgresStore(settings, pool, Topologies())
        assert await asyncio.wait_for(FlushWriter(store).write(contents), 20) == set()
        await store.let_go()
    assert await rows(connection, "partial") == [(WINDOW, 0, 100)] * 2
    assert await connection.fetchval("SELECT sum(deliveries) FROM books") == 2


async def _make_slow(connection: asyncpg.Connection, *tables: str) -> None:
    """Lets each statement that inserts into the tables take over half a second."""
    await connection.execute(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.6); RETURN NULL; END $$"
    )
    for table in tables:
        await connection.execute(
            f"CREATE TRIGGER slow AFTER INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION wait()"
        )
