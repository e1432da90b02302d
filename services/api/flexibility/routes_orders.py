"""`/v1/flexibility/offers/{id}/order` and `/v1/flexibility/orders`: what was offered is ordered, and followed."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import ColumnElement
from starlette.responses import Response

from services.api.cursor import decode_cursor, encode_cursor
from services.api.flexibility.bodies import AcknowledgementBody, OrderBody
from services.api.flexibility.idempotency import KeyHeader
from services.api.flexibility.list_place import place_in, zone_id_of
from services.api.flexibility.models import OrderAnswer, OrdersAnswer
from services.api.flexibility.order_acknowledgements import acknowledge
from services.api.flexibility.order_reading import ids_of, older_than, orders_where
from services.api.flexibility.words import OrderStatus
from services.api.service import Service
from shared.database.flexibility_tables import flexibility_order, flexibility_request
from shared.limits import ROWS_DEFAULT, ROWS_MAX
from shared.problem import problem_responses

router = APIRouter(tags=["flexibility"])


@router.post(
    "/v1/flexibility/offers/{offer_id}/order",
    summary="Order an offer",
    status_code=201,
    response_model=OrderAnswer,
    responses=problem_responses(400, 401, 404, 409, 422, 503),
)
async def order(service: Service, offer_id: str, body: OrderBody, idempotency_key: KeyHeader = None) -> Response:
    """Orders all of an offer or a part, which then is the cheapest part; the rest is free again.

    An offer is ordered once: the same order again gets the first answer again, another one 409. The set-points go to
    the topic `bilans.dispatch`, a message each. The topic brings each at least once: who keeps the `id`s it has seen
    takes each once. Of one asset and window the highest `revision` stands.
    """
    return (await service.flexibility.orders.order(offer_id, body, idempotency_key)).response()


@router.get(
    "/v1/flexibility/orders",
    summary="Orders, the newest first",
    response_model=OrdersAnswer,
    responses=problem_responses(401, 404, 422, 503),
)
async def orders(
    service: Service,
    zone: Annotated[str | None, Query(description="Only orders in this zone.")] = None,
    status: Annotated[OrderStatus | None, Query(description="Only orders that stand so.")] = None,
    limit: Annotated[int, Query(ge=1, le=ROWS_MAX)] = ROWS_DEFAULT,
    cursor: Annotated[str | None, Query(description="`next` of the page before, with the same query.")] = None,
) -> dict[str, object]:
    """All orders, or those of a zone, or of a status, without their set-points."""
    identity = ["orders", zone, status]
    conditions: list[ColumnElement[bool]] = []
    if zone is not None:
        conditions.append(flexibility_request.c.zone_id == zone_id_of(service.shelf.newest, zone))
    if status is not None:
        conditions.append(flexibility_order.c.status == status)
    if cursor is not None:
        conditions.append(older_than(*place_in(decode_cursor(identity, cursor))))
    async with service.engine.connect() as connection:
        rows = await orders_where(connection, *conditions, limit=limit + 1)
    page = rows[:limit]
    return {"rows": page, "next": encode_cursor(identity, ids_of(page)) if len(rows) > limit else None}


@router.get(
    "/v1/flexibility/orders/{order_id}",
    summary="One order",
    response_model=OrderAnswer,
    responses=problem_responses(401, 404, 503),
)
async def one_order(service: Service, order_id: str) -> dict[str, object]:
    """An order with its set-points, its frozen baseline, and what was delivered so far."""
    return await service.flexibility.orders.read(order_id)


@router.post(
    "/v1/flexibility/orders/{order_id}/cancel",
    summary="Take an order back",
    response_model=OrderAnswer,
    responses=problem_responses(401, 404, 409, 503),
)
async def cancel(service: Service, order_id: str) -> dict[str, object]:
    """Windows that have not begun get set-points of 0 with a higher revision; what they held is free again."""
    return await service.flexibility.orders.cancel(order_id)


@router.post(
    "/v1/flexibility/orders/{order_id}/acknowledgements",
    summary="What an asset's controller says",
    response_model=OrderAnswer,
    responses=problem_responses(401, 404, 409, 422, 503),
)
async def acknowledgements(service: Service, order_id: str, body: AcknowledgementBody) -> dict[str, object]:
    """Whether an asset will follow its set-points. A refusal is shown and audited; nothing is replaced in silence."""
    async with service.engine.begin() as connection:
        await acknowledge(connection, order_id, body)
    return await service.flexibility.orders.read(order_id)
