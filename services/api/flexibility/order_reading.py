"""Orders as the API tells them: set-points with their acknowledgements, the frozen baseline, what was delivered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.flexibility.request_reading import Answer, known_id, money
from services.api.kilowatts import kilowatts
from services.api.topology_terms import TopologyTerms
from services.api.verification.verification_answers import baseline_of, instant_text, verification_of
from shared.database.flexibility_tables import (
    flexibility_dispatch,
    flexibility_offer,
    flexibility_order,
    flexibility_request,
)
from shared.database.tables import zone_identity
from shared.instants import format_instant
from shared.problem import Problem

_request, _offer, _order = flexibility_request, flexibility_offer, flexibility_order


async def order_of(connection: AsyncConnection, order_id: str, terms: TopologyTerms, now_s: int | None) -> Answer:
    """The order `order_id` in full. Raises Problem 404."""
    rows = await orders_where(connection, _order.c.id == known_id(order_id), limit=1)
    if not rows:
        raise Problem(404, f"There is no order {order_id[:64]!r}; GET /v1/flexibility/orders lists them.")
    order = rows[0]
    return {
        **order,
        "dispatch": await _dispatch(connection, order["id"]),
        "verification": await verification_of(connection, order["id"], terms, now_s),
        "baseline": await baseline_of(connection, order["id"]),
    }


async def orders_where(connection: AsyncConnection, *conditions: ColumnElement[bool], limit: int) -> list[Answer]:
    """The newest orders that fulfil all `conditions`, without their set-points."""
    question = _question().where(*conditions).order_by(_order.c.created_at.desc(), _order.c.id.desc()).limit(limit)
    return [_answer(row) for row in await connection.execute(question)]


def older_than(created_at: datetime, order_id: str) -> ColumnElement[bool]:
    """Orders after this one in the list, which begins with the newest."""
    return tuple_(_order.c.created_at, _order.c.id) < tuple_(created_at, order_id)


def _question() -> Select[Any]:
    return (
        select(
            _order,
            _offer.c.request_id,
            _request.c.direction,
            _request.c.from_at,
            _request.c.to_at,
            zone_identity.c.zone,
        )
        .join(_offer, _offer.c.id == _order.c.offer_id)
        .join(_request, _request.c.id == _offer.c.request_id)
        .join(zone_identity, zone_identity.c.zone_id == _request.c.zone_id)
    )


def _answer(row: Any) -> Answer:
    return {
        "id": row.id,
        "status": row.status,
        "offer": row.offer_id,
        "request": row.request_id,
        "zone": row.zone,
        "direction": row.direction,
        "kw": kilowatts(row.power_w),
        "cost": money(row.cost),
        "from": _instant(row.from_at),
        "to": _instant(row.to_at),
        "ordered_at": _instant(row.ordered_at),
        "cancelled_at": None if row.cancelled_at is None else _instant(row.cancelled_at),
        "created_at": instant_text(row.created_at),
    }


async def _dispatch(connection: AsyncConnection, order_id: str) -> list[Answer]:
    table = flexibility_dispatch
    question = select(table).where(table.c.order_id == order_id).order_by(table.c.window_start, table.c.asset)
    return [
        {
            "asset": row.asset,
            "window_start": _instant(row.window_start),
            "setpoint_kw": kilowatts(row.setpoint_w),
            "revision": row.revision,
            "sent_at": None if row.sent_at is None else instant_text(row.sent_at),
            "acknowledged_at": None if row.acknowledged_at is None else instant_text(row.acknowledged_at),
            "acknowledgement": row.acknowledgement,
            "detail": row.detail,
        }
        for row in await connection.execute(question)
    ]


def _instant(instant: datetime) -> str:
    return format_instant(int(instant.timestamp()))


def ids_of(rows: Sequence[Answer]) -> list[str]:
    """The place of a list's last row, for a cursor."""
    return [rows[-1]["created_at"], rows[-1]["id"]]
