"""Partial rows added over the partitions, one statement a question; the columns come packed, not row by row."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import BigInteger, ColumnElement, Subquery, cast, extract, func, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by, distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database.tables import SUM_COLUMNS, partial, partial_revision

Whole = npt.NDArray[np.int64]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PartialSums:
    """A zone's windows of which something is known, in order: what its partitions say, added up."""

    start_s: Whole
    revision: Whole
    known_at_us: Whole
    """Microseconds since 1970."""
    sums: Mapping[str, Whole]
    """The columns of `SUM_COLUMNS`."""


def instant_of(microseconds: int) -> datetime:
    """The instant `microseconds` after 1970 began."""
    return _EPOCH + timedelta(microseconds=microseconds)


async def read_partial_sums(
    connection: AsyncConnection, zone_id: int, start_s: int, end_s: int, *, windows_max: int, as_of_us: int | None
) -> PartialSums:
    """The first `windows_max` windows of the zone that start in [start_s, end_s).

    With `as_of_us` (microseconds since 1970), of each partial row the newest revision that was known then (rule 9).
    """
    known = _newest() if as_of_us is None else _known_at(instant_of(as_of_us))
    where = (
        known.c.zone_id == zone_id,
        known.c.window_start >= instant_of(start_s * 1_000_000),
        known.c.window_start < instant_of(end_s * 1_000_000),
    )
    summed = (
        select(
            known.c.window_start,
            func.sum(known.c.revision).label("revision"),
            func.max(known.c.known_at).label("known_at"),
            *(func.sum(known.c[name]).label(name) for name in SUM_COLUMNS),
        )
        .where(*where)
        .group_by(known.c.window_start)
        .order_by(known.c.window_start)
        .limit(windows_max)
        .subquery()
    )
    names = ("revision", *SUM_COLUMNS)
    packed = select(
        _packed(summed, extract("epoch", summed.c.window_start)),
        _packed(summed, extract("epoch", summed.c.known_at) * 1_000_000),
        *(_packed(summed, summed.c[name]) for name in names),
    )
    row = (await connection.execute(packed)).one()
    start, known_at, *columns = (_unpacked(value) for value in row)
    by_name = dict(zip(names, columns, strict=True))
    return PartialSums(start, by_name.pop("revision"), known_at, by_name)


def _newest() -> Subquery:
    return select(partial).subquery()


def _known_at(as_of: datetime) -> Subquery:
    """Of each partial row the newest revision known at `as_of`."""
    table = partial_revision
    return (
        select(table)
        .ext(distinct_on(table.c.zone_id, table.c.window_start, table.c.partition))
        .where(table.c.known_at <= as_of)
        .order_by(table.c.zone_id, table.c.window_start, table.c.partition, table.c.revision.desc())
        .subquery()
    )


def _packed(summed: Subquery, column: ColumnElement[Any]) -> ColumnElement[bytes]:
    """The whole column, in the order of the windows, as one run of 8-byte integers: nothing is made row by row."""
    nothing: ColumnElement[bytes] = literal_column("''::bytea")
    return func.string_agg(func.int8send(cast(column, BigInteger)), aggregate_order_by(nothing, summed.c.window_start))


def _unpacked(value: bytes | None) -> Whole:
    return np.frombuffer(value or b"", ">i8").astype(np.int64)
