"""`GET /v1/zones/{zone}/signals/history`: the signals as they were, once a minute and at each change of state."""

from datetime import UTC, datetime
from typing import Annotated

import orjson
from fastapi import APIRouter, Query
from sqlalchemy import Text, cast, select
from starlette.responses import Response

from services.api.answers import SignalsHistory, zone_not_found
from services.api.cursor import decode_cursor, encode_cursor
from services.api.moment import BEFORE_ALL_S
from services.api.query_instants import parse_query_instant
from services.api.service import Service
from services.api.signals.signal_packing import unpacked
from shared.database.flexibility_tables import zone_signal
from shared.limits import ROWS_DEFAULT, ROWS_MAX
from shared.problem import Problem, problem_responses

router = APIRouter(tags=["live"])

_DAY_S = 86_400


@router.get(
    "/v1/zones/{zone}/signals/history",
    summary="A zone's signals of the past",
    response_model=SignalsHistory,
    responses=problem_responses(401, 404, 422, 503),
)
async def signals_history(
    service: Service,
    zone: str,
    from_: Annotated[
        str | None,
        Query(alias="from", description="First instant, with an offset. Default: 24 hours before `to`."),
    ] = None,
    to: Annotated[str | None, Query(description="Rows before it. Default: up to now.")] = None,
    limit: Annotated[int, Query(ge=1, le=ROWS_MAX)] = ROWS_DEFAULT,
    cursor: Annotated[str | None, Query(description="`next` of the page before, with the same query.")] = None,
) -> Response:
    """The rows with `at` in [from, to), the oldest first: one a minute of now, and one at each change of state.

    A row is what `/v1/zones/{zone}/signals` answered then, without the cost curve. Rows are kept for 31 days.
    """
    index = service.shelf.newest.zone_index.get(zone)
    if index is None:
        raise zone_not_found(zone)
    now_s = service.view.now_s()
    to_s = (BEFORE_ALL_S if now_s is None else now_s) + 1 if to is None else parse_query_instant("to", to).ceiling_s
    from_s = to_s - _DAY_S if from_ is None else parse_query_instant("from", from_).ceiling_s
    identity = ["signals", zone, from_, to]
    if cursor is not None:
        from_s, to_s = _position(identity, cursor)
    if from_s >= to_s:
        raise Problem(422, "`from` must lie before `to`.")
    table = zone_signal
    question = (
        select(table.c.at, table.c.net_w, cast(table.c.content, Text))
        .where(table.c.zone_id == int(service.shelf.newest.topology.zone_id[index]))
        .where(table.c.at >= _instant(from_s), table.c.at < _instant(to_s))
        .order_by(table.c.at)
        .limit(limit + 1)
    )
    async with service.engine.connect() as connection:
        found = (await connection.execute(question)).all()
    rows = [unpacked(int(at.timestamp()), net_w, content) for at, net_w, content in found[:limit]]
    following = encode_cursor(identity, [int(found[limit][0].timestamp()), to_s]) if len(found) > limit else None
    return Response(orjson.dumps({"zone": zone, "rows": rows, "next": following}), media_type="application/json")


def _position(identity: object, cursor: str) -> tuple[int, int]:
    position = decode_cursor(identity, cursor)
    if not (isinstance(position, list) and len(position) == 2 and all(isinstance(item, int) for item in position)):
        raise Problem(422, "`cursor` is none of ours; take it from `next` as it is.")
    return position[0], position[1]


def _instant(instant_s: int) -> datetime:
    return datetime.fromtimestamp(instant_s, UTC)
