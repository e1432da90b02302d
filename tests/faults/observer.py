"""Looks at a running system: all the while as a reader does, and at the end at everything that stands."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.readings_message import ReadingColumns, decode_message
from shared.topics import READINGS
from shared.words import REGISTERS
from tests.end_to_end.compare import fetch_sums
from tests.faults.feed import READINGS_SCHEMA
from tests.faults.history import BooksSeen, History, Outcome, RevisionKey, RevisionRow, RowSeen

PARTITIONS = 4
"""Of `bilans.readings`, where nothing else is said (BILANS_PARTITIONS)."""
POLL_S = 0.1
REVISIONS_POLL_S = 1.0
SETTLED_S_MAX = 300
"""A year of late readings on a busy small machine takes minutes; what does not get on at all takes for ever."""
_LOG_SCHEMA = pa.schema(
    [("partition", pa.int16()), ("log_offset", pa.int64()), ("position", pa.int32()), *READINGS_SCHEMA]
)
_META = ("window_start", "window_end", "status", "revision", "known_at")
_REVISIONS = """
SELECT zone_id, extract(epoch FROM window_start)::bigint, partition, revision,
    extract(epoch FROM known_at)::float8, md5(r::text)
FROM partial_revision r WHERE known_at > to_timestamp($1::float8)
"""
_COMMIT_TAKES_S = 15.0
"""A revision's `known_at` is the start of its transaction: it may be seen so much later."""


# --- while it runs --------------------------------------------------------------------------------------------------


class Reader:
    """Polls books, balances and revisions into `history` until it is cancelled; what does not answer is not noted."""

    def __init__(
        self, history: History, api: Callable[[], str], database_url: str, zones: list[str], begun_s: float
    ) -> None:
        """`begun_s` is the monotonic time from which instants are counted."""
        self._history = history
        self._api = api
        self._database_url = database_url
        self._zones = zones
        self._begun_s = begun_s
        self.range: tuple[str, str] | None = None
        """`from` and `to` of the windows that are looked at."""
        self.polls = 0

    async def run(self) -> None:
        """Polls until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(POLL_S, self._poll_api))
            group.create_task(self._poll_revisions())

    async def _every(self, pause_s: float, poll: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
        async with httpx.AsyncClient(timeout=5) as client:
            while True:
                # Away is the API, or what it needs: other checks see to it that it comes back.
                with contextlib.suppress(httpx.HTTPError):
                    await poll(client)
                await asyncio.sleep(pause_s)

    async def _poll_api(self, client: httpx.AsyncClient) -> None:
        answer = await client.get(f"{self._api()}/v1/audit")
        if answer.status_code == 200:
            self._history.books.append(BooksSeen(self._since_s(), answer.json()))
        if self.range is None:
            return
        zone = self._zones[self.polls % len(self._zones)]
        query = {"from": self.range[0], "to": self.range[1], "limit": "1000"}
        answer = await client.get(f"{self._api()}/v1/zones/{zone}/balance", params=query)
        assert answer.status_code in (200, 503), answer.text
        if answer.status_code == 200:
            self._history.rows += [_row_seen(self._since_s(), zone, row) for row in answer.json()["rows"]]
            self.polls += 1

    def _since_s(self) -> float:
        return time.monotonic() - self._begun_s

    async def _poll_revisions(self) -> None:
        known_until_s = 0.0
        while True:
            try:
                found = await fetch_revisions(self._database_url, known_until_s - _COMMIT_TAKES_S)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                found = {}  # the database is away
            for key, row in found.items():
                self._history.revisions.setdefault(key, row)
                known_until_s = max(known_until_s, row.known_at_s)
            await asyncio.sleep(REVISIONS_POLL_S)


def _row_seen(at_s: float, zone: str, row: dict[str, Any]) -> RowSeen:
    figures = orjson.dumps({name: figure for name, figure in row.items() if name not in _META}).decode()
    return RowSeen(at_s, zone, row["window_start"], row["status"], row["revision"], row["known_at"], figures)


async def settled(api: Callable[[], str], received: int) -> None:
    """Waits until so many deliveries are handled and nothing is under way: neither in the logs nor late nor to recount.

    The API may be away for a while.
    """
    until = time.monotonic() + SETTLED_S_MAX
    said = ""
    async with httpx.AsyncClient(timeout=10) as client:
        while True:
            try:
                answer = await client.get(f"{api()}/v1/audit")
                said = answer.text
                if answer.status_code == 200 and _is_settled(answer.json(), received):
                    return
            except httpx.TransportError as error:
                said = repr(error)
            assert time.monotonic() < until, f"not settled within {SETTLED_S_MAX} s: {said}"
            await asyncio.sleep(0.1)


def _is_settled(books: dict[str, Any], received: int) -> bool:
    return bool(books["received"] >= received and books["lag"] == books["pending"] == books["recomputing"] == 0)


# --- at the end -----------------------------------------------------------------------------------------------------


async def look(kafka: str, database_url: str, api: str, archive: Path | None) -> Outcome:
    """Everything that stands; `archive` is its folder, None where it need not have got so far."""
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.get(f"{api}/v1/audit")
    assert answer.status_code == 200, answer.text
    log = await fetch_log(kafka, database_url)
    return Outcome(
        log=log,
        archive=None if archive is None else await asyncio.to_thread(read_archive, archive),
        rejected=await fetch_rejected(database_url),
        books=answer.json(),
        sums=await fetch_sums(database_url),
        revisions=await fetch_revisions(database_url),
    )


async def fetch_revisions(database_url: str, known_after_s: float = 0.0) -> dict[RevisionKey, RevisionRow]:
    """The rows of `partial_revision` that are known since then."""
    connection = await asyncpg.connect(database_url, timeout=5)
    try:
        rows = await connection.fetch(_REVISIONS, known_after_s)
    finally:
        await connection.close()
    return {RevisionKey(*row[:4]): RevisionRow(*row[4:]) for row in map(tuple, rows)}


async def fetch_rejected(database_url: str) -> Counter[tuple[str, bytes]]:
    """How many rejected readings there are of each reason and original."""
    connection = await asyncpg.connect(database_url, timeout=5)
    try:
        # A conflict's message may be sent again after a crash: its place in the log tells that it is the same.
        rows = await connection.fetch(
            "SELECT reason, original, CASE reason WHEN 'conflict' THEN count(DISTINCT position) ELSE count(*) END"
            " FROM rejected_reading GROUP BY 1, 2"
        )
    finally:
        await connection.close()
    return Counter({(reason, original): n for reason, original, n in rows})


async def fetch_log(kafka: str, database_url: str) -> pa.Table:
    """All readings of `bilans.readings` in the order of the log, with the names of their series."""
    names = await _series_names(database_url)
    parts: list[pa.Table] = []
    records = await read_topic(kafka, READINGS, PARTITIONS)
    for record in sorted(records, key=lambda record: (record.partition, record.offset)):
        content = decode_message(record.headers, record.value or b"")
        if isinstance(content, ReadingColumns):
            count = len(content)
            meters, registers = names[record.partition]
            columns = {
                "partition": np.full(count, record.partition, np.int16),
                "log_offset": np.full(count, record.offset, np.int64),
                "position": np.arange(count, dtype=np.int32),
                "meter": meters.take(pa.array(content.slot)),
                "register": registers.take(pa.array(content.slot)),
                "ts": pa.array(content.ts_s, pa.int64()).cast(pa.timestamp("s", tz="UTC")),
                "value": content.value,
                "version": content.version,
            }
            parts.append(pa.table(columns, schema=_LOG_SCHEMA))
    return pa.concat_tables(parts or [_LOG_SCHEMA.empty_table()])


async def _series_names(database_url: str) -> dict[int, tuple[pa.Array, pa.Array]]:
    """Of each partition the meters and the registers of its slots, in their order."""
    connection = await asyncpg.connect(database_url, timeout=5)
    try:
        rows = await connection.fetch(
            "SELECT partition, slot, meter, register FROM series_identity JOIN meter_identity USING (meter_id)"
            " ORDER BY partition, slot"
        )
    finally:
        await connection.close()
    found: dict[int, tuple[list[str], list[str]]] = {}
    for row in rows:
        meters, registers = found.setdefault(row["partition"], ([], []))
        assert row["slot"] == len(meters), "slots are dense"
        meters.append(row["meter"])
        registers.append(REGISTERS[row["register"]].value)
    return {number: (pa.array(meters), pa.array(registers)) for number, (meters, registers) in found.items()}


async def read_topic(kafka: str, topic: str, partitions: int) -> "list[ConsumerRecord[bytes, bytes]]":
    """All messages of a topic that exist now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, request_timeout_ms=10_000)
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(places)
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        for place in places:
            consumer.seek(place, begins[place])
        found: list[ConsumerRecord[bytes, bytes]] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
        return found
    finally:
        await consumer.stop()


def read_archive(folder: Path) -> pa.Table:
    """All rows of the archive's files."""
    tables = [pq.read_table(file, columns=READINGS_SCHEMA.names) for file in sorted(folder.rglob("*.parquet"))]
    return pa.concat_tables([table.cast(READINGS_SCHEMA) for table in tables] or [READINGS_SCHEMA.empty_table()])
