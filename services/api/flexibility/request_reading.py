"""Flexibility requests as the API tells them, with what was offered for each."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.flexibility.audit import REQUEST
from services.api.flexibility.words import RequestStatus
from services.api.kilowatts import kilowatts
from services.api.verification.verification_answers import instant_text
from shared.database.flexibility_tables import (
    flexibility_audit,
    flexibility_offer,
    flexibility_order,
    flexibility_request,
)
from shared.database.tables import zone_identity
from shared.instants import format_instant
from shared.limits import QUARTER_S
from shared.problem import Problem

Answer = dict[str, Any]

_request, _offer, _order = flexibility_request, flexibility_offer, flexibility_order


async def request_of(connection: AsyncConnection, request_id: str) -> Answer:
    """The request `request_id`. Raises Problem 404."""
    rows = await requests_where(connection, _request.c.id == known_id(request_id), limit=1)
    if not rows:
        raise Problem(404, f"There is no request {request_id[:64]!r}; GET /v1/flexibility/requests lists them.")
    return rows[0]


async def requests_where(connection: AsyncConnection, *conditions: ColumnElement[bool], limit: int) -> list[Answer]:
    """The newest requests that fulfil all `conditions`."""
    question = _question().where(*conditions).order_by(_request.c.created_at.desc(), _request.c.id.desc()).limit(limit)
    return [_answer(row) for row in await connection.execute(question)]


def older_than(created_at: datetime, request_id: str) -> ColumnElement[bool]:
    """Requests after this one in the list, which begins with the newest."""
    return tuple_(_request.c.created_at, _request.c.id) < tuple_(created_at, request_id)


def known_id(identifier: str) -> str:
    """An identifier of ours as it is stored; what cannot be one is sought as nothing."""
    try:
        return str(UUID(identifier))
    except ValueError:
        return ""


def money(cost: Decimal) -> float:
    """An amount in the currency of the assets' costs, to the millionth."""
    return float(round(cost, 6))


def windows_of(from_at: datetime, to_at: datetime, kw: object) -> list[Answer]:
    """The windows of a period, each with the same power."""
    starts = range(int(from_at.timestamp()), int(to_at.timestamp()), QUARTER_S)
    return [{"window_start": format_instant(start), "kw": kw} for start in starts]


def _question() -> Select[Any]:
    declined = and_(flexibility_audit.c.request_id == _request.c.id, flexibility_audit.c.subject == REQUEST)
    reason = (
        select(flexibility_audit.c.content["reason"].astext)
        .where(declined, flexibility_audit.c.step == RequestStatus.DECLINED)
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(
            _request,
            zone_identity.c.zone,
            reason.label("reason"),
            _offer.c.id.label("offer_id"),
            _offer.c.power_w.label("offer_w"),
            _offer.c.cost,
            _offer.c.status.label("offer_status"),
            _offer.c.expires_at,
            _order.c.id.label("order_id"),
        )
        .join(zone_identity, zone_identity.c.zone_id == _request.c.zone_id)
        .outerjoin(_offer, _offer.c.request_id == _request.c.id)
        .outerjoin(_order, _order.c.offer_id == _offer.c.id)
    )


def _answer(row: Any) -> Answer:
    return {
        "id": row.id,
        "status": row.status,
        "zone": row.zone,
        "direction": row.direction,
        "kw": kilowatts(row.power_w),
        "from": _instant(row.from_at),
        "to": _instant(row.to_at),
        "created_at": instant_text(row.created_at),
        "reason": row.reason,
        "offer": None if row.offer_id is None else _offer_answer(row),
        "order": row.order_id,
    }


def _offer_answer(row: Any) -> Answer:
    kw = kilowatts(row.offer_w)
    return {
        "id": row.offer_id,
        "status": row.offer_status,
        "kw": kw,
        "cost": money(row.cost),
        "expires_at": _instant(row.expires_at),
        "windows": windows_of(row.from_at, row.to_at, kw),
    }


def _instant(instant: datetime) -> str:
    return format_instant(int(instant.timestamp()))


def position_of(rows: Sequence[Answer]) -> list[str]:
    """The place of a list's last row, for a cursor."""
    return [rows[-1]["created_at"], rows[-1]["id"]]
