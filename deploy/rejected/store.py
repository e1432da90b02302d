"""The rejected readings in PostgreSQL (table `rejected_reading`): questions, and the mark of a retry."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from deploy.rejected.selection import Selection
from shared.database.tables import rejected_reading
from shared.topics import REJECTED
from shared.words import RejectReason

_TABLE = rejected_reading.c
_TOLD = (
    _TABLE.log_offset,
    _TABLE.rejected_at,
    _TABLE.reason,
    _TABLE.detail,
    _TABLE.meter,
    _TABLE.register,
    _TABLE.ts,
    _TABLE.position,
    _TABLE.retried_at,
)


@dataclass(frozen=True, slots=True)
class RejectedReading:
    """A row, but for the original."""

    number: int
    """Its offset in `bilans.rejected`."""
    rejected_at: datetime
    reason: RejectReason
    detail: str
    meter: str | None
    register: str | None
    ts: str | None
    position: str
    retried_at: datetime | None
    """When it was last sent again."""


@dataclass(frozen=True, slots=True)
class Original:
    """What a retry sends."""

    number: int
    reason: RejectReason
    content: bytes


@dataclass(frozen=True, slots=True)
class ToRetry:
    """What a retry is about to send, as it stood at its beginning."""

    counts: dict[RejectReason, int]
    already_retried: int
    """Of the selection, those that are left out since they were sent again before."""
    last_number: int
    """What is rejected after it is not of this retry, which may itself be the cause."""


async def newest(connection: AsyncConnection, selection: Selection, limit: int) -> list[RejectedReading]:
    """At most `limit` readings of `selection`, the newest first."""
    query = select(*_TOLD).where(*selection.conditions()).order_by(_TABLE.log_offset.desc()).limit(limit)
    return [_reading(row) for row in await connection.execute(query)]


async def count_by_reason(connection: AsyncConnection, selection: Selection) -> dict[RejectReason, int]:
    """How many readings `selection` has for each reason, the most frequent first."""
    count = func.count().label("count")
    query = select(_TABLE.reason, count).where(*selection.conditions())
    rows = await connection.execute(query.group_by(_TABLE.reason).order_by(count.desc(), _TABLE.reason))
    return {RejectReason(reason): number for reason, number in rows}


async def find(connection: AsyncConnection, number: int) -> tuple[RejectedReading, bytes] | None:
    """The reading `number` and its original; None where there is none."""
    query = select(*_TOLD, _TABLE.original).where(*Selection(numbers=(number,)).conditions())
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else (_reading(row), row.original)


async def missing_numbers(connection: AsyncConnection, numbers: Sequence[int]) -> list[int]:
    """Those of `numbers` that name no rejected reading."""
    query = select(_TABLE.log_offset).where(_TABLE.topic == REJECTED, _TABLE.log_offset.in_(numbers))
    found = set((await connection.execute(query)).scalars())
    return sorted(set(numbers) - found)


async def to_retry(connection: AsyncConnection, selection: Selection, *, again: bool) -> ToRetry:
    """What a retry of `selection` would send; with `again` also what was sent again before."""
    retried = func.count(_TABLE.retried_at)
    query = select(_TABLE.reason, func.count(), retried, func.max(_TABLE.log_offset))
    rows = (await connection.execute(query.where(*selection.conditions()).group_by(_TABLE.reason))).all()
    left_out = {reason: 0 if again else before for reason, _, before, _ in rows}
    counts = {RejectReason(reason): count - left_out[reason] for reason, count, _, _ in rows}
    return ToRetry(
        counts={reason: count for reason, count in counts.items() if count},
        already_retried=sum(left_out.values()),
        last_number=max((last for *_, last in rows), default=-1),
    )


async def next_originals(
    connection: AsyncConnection,
    selection: Selection,
    *,
    again: bool,
    after: int,
    last: int,
    rows_max: int,
    bytes_max: int,
) -> list[Original]:
    """The originals of `selection` with numbers from `after` (excluded) to `last`, in their order: the first ones.

    At most `rows_max`, and no more once `bytes_max` are reached; at least one where there is any.
    """
    conditions = [*selection.conditions(), _TABLE.log_offset > after, _TABLE.log_offset <= last]
    if not again:
        conditions.append(_TABLE.retried_at.is_(None))
    query = select(_TABLE.log_offset, _TABLE.reason, _TABLE.original).where(*conditions)
    some = query.order_by(_TABLE.log_offset).limit(rows_max).subquery()
    size = func.octet_length(some.c.original)  # PostgreSQL knows it without reading what it keeps apart
    before = (func.sum(size).over(order_by=some.c.log_offset) - size).label("before")
    sized = select(some, before).subquery()
    kept = select(sized.c.log_offset, sized.c.reason, sized.c.original).where(sized.c.before < bytes_max)
    rows = await connection.execute(kept.order_by(sized.c.log_offset))
    return [Original(number, RejectReason(reason), content) for number, reason, content in rows]


async def mark_retried(connection: AsyncConnection, numbers: Sequence[int]) -> None:
    """Notes that the readings `numbers` were sent again just now."""
    chosen = update(rejected_reading).where(_TABLE.topic == REJECTED, _TABLE.log_offset.in_(numbers))
    await connection.execute(chosen.values(retried_at=func.clock_timestamp()))


def _reading(row: Any) -> RejectedReading:  # a row of _TOLD, by the names of its columns
    return RejectedReading(
        number=row.log_offset,
        rejected_at=row.rejected_at,
        reason=RejectReason(row.reason),
        detail=row.detail,
        meter=row.meter,
        register=row.register,
        ts=row.ts,
        position=row.position,
        retried_at=row.retried_at,
    )
