"""Orders and the revisions of their windows, in PostgreSQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Row, Select, Text, and_, cast, func, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.partial_sums import instant_of
from services.api.verification.order_setpoints import OrderPlace
from services.api.verification.settled_order import SettledOrder
from services.api.verification.verified_window import VerifiedWindow
from shared.database.flexibility_tables import (
    flexibility_audit,
    flexibility_baseline,
    flexibility_offer,
    flexibility_order,
    flexibility_request,
    flexibility_verification,
)
from shared.database.tables import partial, progress


async def read_event_now_s(connection: AsyncConnection) -> int:
    """How far event time has come in the rows; 0 before the first reading."""
    reached = (await connection.execute(select(func.max(progress.c.event_now)))).scalar_one()
    return 0 if reached is None else int(reached.timestamp())


async def read_order(connection: AsyncConnection, order_id: str) -> SettledOrder | None:
    """The order `order_id` with its frozen baseline; None when there is none."""
    row = (await connection.execute(_orders().where(flexibility_order.c.id == order_id))).one_or_none()
    return None if row is None else _order(row)


async def read_orders_to_verify(connection: AsyncConnection, begun_by_s: int, ended_after_s: int) -> list[SettledOrder]:
    """The orders that had begun by one instant and end after the other, as they were bought."""
    request = flexibility_request
    question = (
        _orders()
        .where(request.c.from_at <= instant_of(begun_by_s * 1_000_000))
        .where(request.c.to_at > instant_of(ended_after_s * 1_000_000))
        .order_by(flexibility_order.c.created_at, flexibility_order.c.id)
    )
    return [_order(row) for row in await connection.execute(question)]


async def read_marks(connection: AsyncConnection, orders: Sequence[SettledOrder], ended_s: int) -> dict[str, object]:
    """For each order something that changes with its windows before `ended_s`, or when any order is cancelled.

    The window that runs changes with every flush; it is not looked at before it has ended.
    """
    order, offer, request = flexibility_order, flexibility_offer, flexibility_request
    cancelled = select(func.count(order.c.cancelled_at)).scalar_subquery()
    question = (
        select(order.c.id, func.count(), func.sum(partial.c.revision), func.max(partial.c.known_at), cancelled)
        .join_from(order, offer, offer.c.id == order.c.offer_id)
        .join(request, request.c.id == offer.c.request_id)
        .join(
            partial,
            and_(
                partial.c.zone_id == request.c.zone_id,
                partial.c.window_start >= request.c.from_at,
                partial.c.window_start < func.least(request.c.to_at, instant_of(ended_s * 1_000_000)),
            ),
        )
        .where(order.c.id == func.any(cast([one.order_id for one in orders], ARRAY(Text))))
        .group_by(order.c.id)
    )
    return {order_id: tuple(mark) for order_id, *mark in await connection.execute(question)}


async def newest_revisions(connection: AsyncConnection, order_id: str) -> dict[int, VerifiedWindow]:
    """The newest revision of each window of the order that has any."""
    table = flexibility_verification
    question = (
        select(table)
        .ext(distinct_on(table.c.window_start))
        .where(table.c.order_id == order_id)
        .order_by(table.c.window_start, table.c.revision.desc())
    )
    rows = [verified_of(row) for row in await connection.execute(question)]
    return {row.start_s: row for row in rows}


async def append_revisions(connection: AsyncConnection, order_id: str, rows: Sequence[VerifiedWindow]) -> None:
    """Appends revisions; one that another instance has appended already stands."""
    values = [
        {
            "order_id": order_id,
            "window_start": instant_of(row.start_s * 1_000_000),
            "revision": row.revision,
            "baseline_wh": row.baseline_wh,
            "actual_wh": row.actual_wh,
            "ordered_wh": row.ordered_wh,
            "delivered_wh": row.delivered_wh,
            "deficiency_wh": row.deficiency_wh,
            "amount": row.amount,
            "missing": row.missing,
            "stage": row.stage,
            "note": row.note,
        }
        for row in rows
    ]
    await connection.execute(insert(flexibility_verification).values(values).on_conflict_do_nothing())


async def mark_settled(connection: AsyncConnection, order: SettledOrder) -> None:
    """Takes an order that has been delivered to `settled`, once."""
    table = flexibility_order
    marked = await connection.execute(
        table.update().where(table.c.id == order.order_id, table.c.status == "delivered").values(status="settled")
    )
    if marked.rowcount:
        step = {"request_id": order.request_id, "subject": "order", "subject_id": order.order_id, "step": "settled"}
        await connection.execute(flexibility_audit.insert().values(**step))


def verified_of(row: Row[Any]) -> VerifiedWindow:
    """A row of the table."""
    return VerifiedWindow(
        start_s=int(row.window_start.timestamp()),
        revision=row.revision,
        baseline_wh=row.baseline_wh,
        actual_wh=row.actual_wh,
        ordered_wh=row.ordered_wh,
        delivered_wh=row.delivered_wh,
        deficiency_wh=row.deficiency_wh,
        amount=row.amount,
        missing=row.missing,
        stage=row.stage,
        note=row.note,
    )


def _orders() -> Select[Any]:
    order, offer, request, baseline = flexibility_order, flexibility_offer, flexibility_request, flexibility_baseline
    columns: list[ColumnElement[Any]] = [
        order.c.id,
        order.c.status,
        order.c.power_w,
        order.c.cost,
        order.c.created_at,
        offer.c.request_id,
        request.c.zone_id,
        request.c.direction,
        request.c.from_at,
        request.c.to_at,
        baseline.c.content,
    ]
    return (
        select(*columns)
        .join_from(order, offer, offer.c.id == order.c.offer_id)
        .join(request, request.c.id == offer.c.request_id)
        .join(baseline, baseline.c.order_id == order.c.id)
    )


def _order(row: Row[Any]) -> SettledOrder:
    return SettledOrder(
        place=OrderPlace(row.created_at, row.id),
        request_id=row.request_id,
        status=row.status,
        zone_id=row.zone_id,
        up=row.direction == "up",
        power_w=row.power_w,
        cost=row.cost,
        from_s=int(row.from_at.timestamp()),
        to_s=int(row.to_at.timestamp()),
        baseline=row.content,
    )
