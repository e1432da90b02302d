"""The ledger of promised power: who changes it holds its lock, so that no two promise the same energy."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
from sqlalchemy import and_, extract, func, or_, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.flexibility.words import Direction, OfferStatus, ReservationStatus
from services.api.partial_sums import instant_of
from shared.database.flexibility_tables import flexibility_offer, flexibility_reservation
from shared.flexibility.promises import Int64Array, Promises
from shared.limits import QUARTER_S
from shared.problem import busy

_LOCK = 0x464C4558  # "FLEX": any number that no other advisory lock of Bilans has

_WAIT_S = 12
"""So long one waits for the ledger: a selection may take eight seconds (SOLVE_S_MAX), and then all else of its step."""

_LOCK_NOT_AVAILABLE = "55P03"


class Promised(NamedTuple):
    """Power of an asset that is promised in a window, summed over offers and orders."""

    asset: str
    window_start_s: int
    up: bool
    power_w: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """N rows of one offer's reservation, a column each."""

    asset: Sequence[str]
    window_start_s: Sequence[int]
    power_w: Sequence[int]
    cost_per_mwh: Sequence[str]
    """Decimal numbers as text."""


async def lock_ledger(connection: AsyncConnection) -> datetime:
    """Waits for the ledger, holds it to the end of the transaction, and gives the time by PostgreSQL's clock.

    Offers expire by that one clock: instances need not agree on theirs. Raises Problem 503 when others hold it for so
    long that the database's lock time-out passes.
    """
    try:
        await connection.execute(text(f"SET LOCAL lock_timeout = '{_WAIT_S}s'"))
        await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise busy("Others are being served; ask again.") from error
        raise
    # A statement of its own, since it must tell the time after the waiting.
    now: datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
    return now


async def read_promised(connection: AsyncConnection, wall: datetime, now_s: int) -> list[Promised]:
    """What is promised in windows that have not ended at `now_s`: ordered, or held by an offer still open at `wall`."""
    row, offer = flexibility_reservation, flexibility_offer
    held = and_(row.c.status == ReservationStatus.HELD, offer.c.status == OfferStatus.OPEN, offer.c.expires_at > wall)
    question = (
        select(
            row.c.asset,
            extract("epoch", row.c.window_start),
            row.c.direction == Direction.UP,
            func.sum(row.c.power_w),
        )
        .join(offer, offer.c.id == row.c.offer_id)
        .where(
            row.c.window_start > instant_of((now_s - QUARTER_S) * 1_000_000),
            or_(row.c.status == ReservationStatus.ORDERED, held),
        )
        .group_by(row.c.asset, row.c.window_start, row.c.direction)
    )
    return [
        Promised(asset, int(start), up, int(power_w))
        for asset, start, up, power_w in await connection.execute(question)
    ]


def promises_of(promised: Sequence[Promised], asset_index: dict[str, int]) -> Promises:
    """The columns of `promised`; an asset that counts no more is left out, since nothing of it is offered."""
    known = [(asset_index[row.asset], row) for row in promised if row.asset in asset_index]
    return Promises(
        asset=_whole([index for index, _ in known]),
        window_start_s=_whole([row.window_start_s for _, row in known]),
        power_w=_whole([row.power_w for _, row in known]),
        up=np.array([row.up for _, row in known], np.bool_),
    )


async def reserve(connection: AsyncConnection, offer_id: str, direction: Direction, rows: Reserved) -> None:
    """Enters the rows as held for the offer."""
    await connection.execute(
        text(
            """
            INSERT INTO flexibility_reservation
                (offer_id, asset, window_start, direction, power_w, cost_per_mwh, status)
            SELECT :offer, asset, to_timestamp(start), :direction, power, cost::numeric, :status
            FROM unnest(CAST(:assets AS text[]), CAST(:starts AS bigint[]), CAST(:powers AS bigint[]),
                        CAST(:costs AS text[])) AS given (asset, start, power, cost)
            """
        ),
        {
            "offer": offer_id,
            "direction": direction.value,
            "status": ReservationStatus.HELD.value,
            "assets": list(rows.asset),
            "starts": list(rows.window_start_s),
            "powers": list(rows.power_w),
            "costs": list(rows.cost_per_mwh),
        },
    )


async def release(connection: AsyncConnection, offer_id: str) -> None:
    """Gives back all that the offer holds."""
    row = flexibility_reservation
    await connection.execute(
        row.update()
        .where(row.c.offer_id == offer_id, row.c.status == ReservationStatus.HELD)
        .values(status=ReservationStatus.RELEASED)
    )


def _whole(numbers: Sequence[int]) -> Int64Array:
    return np.array(numbers, np.int64)
