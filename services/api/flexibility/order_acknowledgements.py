"""What an asset's controller says to its set-points: kept, shown, and never acted on in silence."""

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.flexibility.audit import ORDER, append_step
from services.api.flexibility.bodies import AcknowledgementBody
from services.api.flexibility.request_reading import known_id
from shared.database.flexibility_tables import flexibility_dispatch, flexibility_offer, flexibility_order
from shared.problem import Problem


async def acknowledge(connection: AsyncConnection, order_id: str, body: AcknowledgementBody) -> bool:
    """Enters the answer at the asset's set-points; False when all of them have it already.

    A refusal takes nothing from the order: who ordered sees it, and verification tells what was delivered. Raises
    Problem 404 for an unknown order, 422 for an asset without set-points in it, 409 for a revision that stands no more.
    """
    request_id = await _request_of(connection, order_id)
    table = flexibility_dispatch
    mine = (table.c.order_id == known_id(order_id), table.c.asset == body.asset)
    revisions = set((await connection.execute(select(table.c.revision).where(*mine).with_for_update())).scalars())
    if not revisions:
        raise Problem(422, f"`asset`: the order has no set-point for {body.asset!r}.")
    if body.revision is not None and body.revision not in revisions:
        raise Problem(409, f"`revision`: no set-point of revision {body.revision} stands any more.")
    told = (
        update(table)
        .where(*mine)
        .where(
            or_(
                table.c.acknowledgement.is_distinct_from(body.acknowledgement),
                table.c.detail.is_distinct_from(body.detail),
            )
        )
        .values(acknowledgement=body.acknowledgement, detail=body.detail, acknowledged_at=func.now())
    )
    if body.revision is not None:
        told = told.where(table.c.revision == body.revision)
    changed = (await connection.execute(told)).rowcount
    if changed:
        await append_step(
            connection,
            request_id,
            ORDER,
            order_id,
            body.acknowledgement,
            asset=body.asset,
            detail=body.detail,
            setpoints=changed,
        )
    return bool(changed)


async def _request_of(connection: AsyncConnection, order_id: str) -> str:
    order, offer = flexibility_order, flexibility_offer
    question = (
        select(offer.c.request_id).join(order, order.c.offer_id == offer.c.id).where(order.c.id == known_id(order_id))
    )
    request_id: str | None = (await connection.execute(question)).scalar_one_or_none()
    if request_id is None:
        raise Problem(404, f"There is no order {order_id[:64]!r}; GET /v1/flexibility/orders lists them.")
    return request_id
