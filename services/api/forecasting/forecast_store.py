"""Forecasts and their errors in PostgreSQL: written by the instance that leads, read by all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import NamedTuple

import asyncpg
import numpy as np

from shared.forecast.errors import DayErrors
from shared.forecast.history import Whole
from shared.forecast.model import HORIZON_QUARTERS

_NUMBERS, _REASON = b"\x01", b"\x00"
"""What a content's first byte says is in it."""

_WRITE = """
INSERT INTO forecast (zone_id, issued_at, content)
SELECT zone_id, $2, content FROM unnest($1::integer[], $3::bytea[]) AS zone (zone_id, content)
ON CONFLICT (zone_id, issued_at) DO UPDATE SET content = excluded.content
"""
_WRITE_ERRORS = """
INSERT INTO forecast_error (zone_id, day, windows, error_wh, naive_error_wh, covered)
SELECT zone_id, $2, windows, error_wh, naive_error_wh, covered
FROM unnest($1::integer[], $3::integer[], $4::bigint[], $5::bigint[], $6::integer[])
    AS zone (zone_id, windows, error_wh, naive_error_wh, covered)
ON CONFLICT (zone_id, day) DO UPDATE SET windows = excluded.windows, error_wh = excluded.error_wh,
    naive_error_wh = excluded.naive_error_wh, covered = excluded.covered
"""
_READ_ERRORS = """
SELECT zone_id, sum(windows)::bigint, sum(error_wh)::bigint, sum(naive_error_wh)::bigint
FROM forecast_error WHERE day >= $1 AND day < $2 GROUP BY zone_id
"""


@dataclass(frozen=True, slots=True)
class ZonesForecast:
    """What was issued at one instant for Z zones, by their permanent numbers."""

    zone_id: Whole
    """[Z]"""
    power_w: Whole
    """[Z, HORIZON_QUARTERS, 3] P10, P50, P90, positive for import; 0 where there is none."""
    reason: list[str]
    """[Z] why there is none; empty where there is one."""


class ErrorSums(NamedTuple):
    """Over the windows of some days."""

    windows: int
    error_wh: int
    naive_error_wh: int


def pack(power_w: Whole, reason: str) -> bytes:
    """The content of one zone's row: big-endian numbers of 8 bytes, or the reason why there are none."""
    return _REASON + reason.encode() if reason else _NUMBERS + power_w.astype(">i8").tobytes()


def unpack(content: bytes) -> tuple[Whole, str]:
    """The forecast of a row [HORIZON_QUARTERS, 3], and the reason why it is all 0."""
    if content[:1] == _REASON:
        return np.zeros((HORIZON_QUARTERS, 3), np.int64), content[1:].decode()
    return np.frombuffer(content, ">i8", offset=1).reshape(HORIZON_QUARTERS, 3).astype(np.int64), ""


async def read_event_now_s(connection: asyncpg.Connection) -> int:
    """How far event time has come in the rows; 0 before the first reading."""
    reached: int = await connection.fetchval(
        "SELECT COALESCE(extract(epoch FROM max(event_now)), 0)::bigint FROM progress"
    )
    return reached


async def read_issues(connection: asyncpg.Connection) -> list[int]:
    """The instants at which the kept forecasts were issued, in order."""
    rows = await connection.fetch("SELECT DISTINCT issued_at FROM forecast ORDER BY 1")
    return [int(row[0].timestamp()) for row in rows]


async def read_forecast(connection: asyncpg.Connection, issued_s: int) -> ZonesForecast:
    """What was issued at an instant."""
    rows = await connection.fetch(
        "SELECT zone_id, content FROM forecast WHERE issued_at = $1 ORDER BY 1", _instant(issued_s)
    )
    found = [unpack(row["content"]) for row in rows]
    power_w = np.stack([power_w for power_w, _ in found]) if found else np.zeros((0, HORIZON_QUARTERS, 3), np.int64)
    return ZonesForecast(np.array([row["zone_id"] for row in rows], np.int64), power_w, [why for _, why in found])


async def write_forecast(
    connection: asyncpg.Connection, issued_s: int, forecast: ZonesForecast, kept: Iterable[int]
) -> None:
    """Writes what was issued, and deletes all but the forecasts that are kept."""
    contents = [pack(power_w, reason) for power_w, reason in zip(forecast.power_w, forecast.reason, strict=True)]
    await connection.execute(_WRITE, forecast.zone_id.tolist(), _instant(issued_s), contents)
    instants = [_instant(at_s) for at_s in kept]
    await connection.execute("DELETE FROM forecast WHERE issued_at <> ALL($1::timestamptz[])", instants)


async def write_errors(connection: asyncpg.Connection, zone_id: Whole, errors: Mapping[date, DayErrors]) -> None:
    """Writes what days' forecasts were worth, for the zones of which anything is known."""
    for day, one in errors.items():
        some = np.flatnonzero(one.windows)
        columns = (one.windows, one.error_wh, one.naive_error_wh, one.covered)
        await connection.execute(
            _WRITE_ERRORS, zone_id[some].tolist(), day.isoformat(), *(column[some].tolist() for column in columns)
        )


async def read_errors(connection: asyncpg.Connection, since: date, before: date) -> dict[int, ErrorSums]:
    """The sums of each zone over the local days since ≤ day < before."""
    rows = await connection.fetch(_READ_ERRORS, since.isoformat(), before.isoformat())
    return {row[0]: ErrorSums(*row[1:]) for row in rows}


def _instant(instant_s: int) -> datetime:
    return datetime.fromtimestamp(instant_s, UTC)
