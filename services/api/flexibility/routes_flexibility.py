"""`/v1/flexibility/requests`: a DSO asks for flexibility, and is offered what can be held."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import ColumnElement
from starlette.responses import Response

from services.api.cursor import decode_cursor, encode_cursor
from services.api.flexibility.audit import read_steps
from services.api.flexibility.bodies import RequestBody
from services.api.flexibility.idempotency import KeyHeader
from services.api.flexibility.list_place import place_in, zone_id_of
from services.api.flexibility.models import RequestAnswer, RequestsAnswer, StepsAnswer
from services.api.flexibility.request_reading import known_id, older_than, position_of, request_of, requests_where
from services.api.flexibility.simulation_bodies import SimulationBody
from services.api.flexibility.simulation_models import SimulationAnswer
from services.api.flexibility.words import RequestStatus
from services.api.service import Service
from shared.database.flexibility_tables import flexibility_request
from shared.limits import ROWS_DEFAULT, ROWS_MAX
from shared.problem import problem_responses

router = APIRouter(tags=["flexibility"])


@router.post(
    "/v1/flexibility/requests",
    summary="Ask for flexibility",
    status_code=201,
    response_model=RequestAnswer,
    responses=problem_responses(400, 401, 422, 503),
)
async def ask(service: Service, body: RequestBody, idempotency_key: KeyHeader = None) -> Response:
    """Offers what the zone's assets can hold all of the period, at least cost, and holds it until `expires_at`.

    `Idempotency-Key` is needed: a retry with the same key and body gets the first answer again
    (`Idempotency-Replayed: true`), and nothing is held twice. Where nothing can be held `offer` is null, and `reason`
    says why.
    """
    return (await service.flexibility.requests.ask(body, idempotency_key)).response()


@router.get(
    "/v1/flexibility/requests",
    summary="Requests, the newest first",
    response_model=RequestsAnswer,
    responses=problem_responses(401, 422, 503),
)
async def requests(
    service: Service,
    zone: Annotated[str | None, Query(description="Only requests for this zone.")] = None,
    status: Annotated[RequestStatus | None, Query(description="Only requests that stand so.")] = None,
    limit: Annotated[int, Query(ge=1, le=ROWS_MAX)] = ROWS_DEFAULT,
    cursor: Annotated[str | None, Query(description="`next` of the page before, with the same query.")] = None,
) -> dict[str, object]:
    """All requests, or those of a zone, or of a status."""
    identity = ["requests", zone, status]
    conditions: list[ColumnElement[bool]] = []
    if zone is not None:
        conditions.append(flexibility_request.c.zone_id == zone_id_of(service.shelf.newest, zone))
    if status is not None:
        conditions.append(flexibility_request.c.status == status)
    if cursor is not None:
        conditions.append(older_than(*place_in(decode_cursor(identity, cursor))))
    async with service.engine.connect() as connection:
        rows = await requests_where(connection, *conditions, limit=limit + 1)
    page = rows[:limit]
    return {"rows": page, "next": encode_cursor(identity, position_of(page)) if len(rows) > limit else None}


@router.get(
    "/v1/flexibility/requests/{request_id}",
    summary="One request",
    response_model=RequestAnswer,
    responses=problem_responses(401, 404, 503),
)
async def request(service: Service, request_id: str) -> dict[str, object]:
    """A request, and what was offered for it."""
    async with service.engine.connect() as connection:
        return await request_of(connection, request_id)


@router.post(
    "/v1/flexibility/requests/{request_id}/cancel",
    summary="Give an offer back",
    response_model=RequestAnswer,
    responses=problem_responses(401, 404, 409, 503),
)
async def cancel(service: Service, request_id: str) -> dict[str, object]:
    """What was held for the request is free again. A request that is cancelled already stays so."""
    return await service.flexibility.requests.cancel(request_id)


@router.get(
    "/v1/flexibility/requests/{request_id}/audit",
    summary="What became of a request, step by step",
    response_model=StepsAnswer,
    responses=problem_responses(401, 404, 503),
)
async def audit(service: Service, request_id: str) -> dict[str, object]:
    """Each step of the request, its offer and its order, with the figures on which it was decided."""
    async with service.engine.connect() as connection:
        await request_of(connection, request_id)
        return {"request": known_id(request_id), "rows": await read_steps(connection, known_id(request_id))}


@router.post(
    "/v1/flexibility/simulate",
    summary="What if",
    response_model=SimulationAnswer,
    responses=problem_responses(401, 409, 422, 503),
)
async def simulate(service: Service, body: SimulationBody) -> dict[str, object]:
    """What a request would be offered, or given set-points would do: to each zone on the paths, window by window.

    Nothing is stored, held or sent. States are those of the thresholds alone, without their hold times; what is ordered
    already is in them only where the power now stands for a forecast.
    """
    return await service.flexibility.simulation.simulate(body)
