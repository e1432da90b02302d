"""`GET /v1/zones/{zone}/balance`."""

import hashlib
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from services.api.answers import BalanceAnswer, zone_not_found
from services.api.balance_table import BalanceTable, make_table
from services.api.balance_text import balance_csv, balance_json, balance_rows
from services.api.cursor import decode_cursor, encode_cursor
from services.api.kept_revisions import hold_to_kept_revisions
from services.api.moment import BEFORE_ALL_S, Moment, past_moment, present_moment
from services.api.negotiation import prefers_csv
from services.api.partial_sums import read_partial_sums
from services.api.query_instants import QueryInstant, parse_query_instant, parse_time_zone
from services.api.service import ApiService, Service
from services.api.topology_terms import ZoneTerms
from shared.balance.windows import Resolution, bucket_edges
from shared.limits import RANGE_S_MAX, ROWS_DEFAULT, ROWS_MAX
from shared.problem import Problem, problem_responses

router = APIRouter(tags=["balance"])

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class BalanceQuery:
    """What is asked, understood."""

    zone: str
    from_s: int
    """The first start that may be in the answer; a cursor moves it on."""
    to_s: int
    resolution: Resolution
    time_zone: str
    as_of: QueryInstant | None
    limit: int
    identity: object
    """What a cursor is bound to: the query as it was asked."""


@router.get(
    "/v1/zones/{zone}/balance",
    summary="A zone's balance per window, hour, day or month",
    response_model=BalanceAnswer,
    responses={
        200: {"content": {"text/csv": {"example": "window_start,window_end,withdrawn_wh,…\n"}}},
        304: {"description": "Nothing has changed since the answer with this `ETag`."},
        **problem_responses(401, 404, 422, 503),
    },
)
async def balance(
    request: Request,
    service: Service,
    zone: str,
    from_: Annotated[
        str | None,
        Query(
            alias="from",
            description="First instant, with an offset. Default: 24 hours before `to`.",
            examples=["2026-05-04T10:00:00Z"],
        ),
    ] = None,
    to: Annotated[
        str | None,
        Query(description="Rows that start before it. Default: now.", examples=["2026-05-04T10:45:00Z"]),
    ] = None,
    resolution: Annotated[Resolution, Query(description="How long a row is.")] = Resolution.QUARTER,
    tz: Annotated[str, Query(description="Where days and months begin.")] = "Europe/Warsaw",
    as_of: Annotated[
        str | None,
        Query(
            description="What was known then, at least 15 s ago; of windows older than three years it cannot be told.",
            examples=["2026-05-05T00:00:00Z"],
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=ROWS_MAX)] = ROWS_DEFAULT,
    cursor: Annotated[str | None, Query(description="`next` of the page before, with the same query.")] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The rows whose start lies in [from, to), each for its whole span. Energies are whole Wh, import is what flows in.

    `Accept: text/csv` gives the same as CSV. `next`, null at the end, is the `cursor` of the next page.
    """
    now_s = _now_s(service)
    query = _understood(zone, from_, to, resolution, tz, as_of, limit, cursor, now_s)
    moment, terms, table = await _answer(service, query, now_s)
    rows = balance_rows(table, terms.kinds)
    following = encode_cursor(query.identity, [int(table.start_s[-1]) + 1, query.to_s]) if table.more else None
    as_csv = prefers_csv(request.headers.get("accept", ""))
    body = balance_csv(rows) if as_csv else balance_json(zone, resolution, rows, following)
    return _response(request, body, as_csv, following, moment, if_none_match)


def _now_s(service: ApiService) -> int:
    now_s = service.view.now_s()
    return BEFORE_ALL_S if now_s is None else now_s


def _understood(
    zone: str,
    from_: str | None,
    to: str | None,
    resolution: Resolution,
    tz: str,
    as_of: str | None,
    limit: int,
    cursor: str | None,
    now_s: int,
) -> BalanceQuery:
    parse_time_zone(tz)
    to_s = now_s if to is None else parse_query_instant("to", to).ceiling_s
    from_s = to_s - _DAY_S if from_ is None else parse_query_instant("from", from_).ceiling_s
    then = None if as_of is None else parse_query_instant("as_of", as_of)
    identity = [zone, from_, to, resolution, tz, as_of]
    if from_s >= to_s:
        raise Problem(422, "`from` must lie before `to`.")
    if to_s - from_s > RANGE_S_MAX:
        raise Problem(422, f"`from` and `to` lie more than {RANGE_S_MAX // _DAY_S} days apart; ask for less at a time.")
    if cursor is not None:
        position = decode_cursor(identity, cursor)
        if not (isinstance(position, list) and len(position) == 2 and all(isinstance(item, int) for item in position)):
            raise Problem(422, "`cursor` is none of ours; take it from `next` as it is.")
        from_s, to_s = position
    return BalanceQuery(zone, from_s, to_s, resolution, tz, then, limit, identity)


async def _answer(service: ApiService, query: BalanceQuery, now_s: int) -> tuple[Moment, ZoneTerms, BalanceTable]:
    clock = service.settings.clock
    async with service.engine.connect() as connection:
        if query.as_of is None:
            moment = await present_moment(connection, service.shelf, clock, now_s)
        else:
            moment = await past_moment(connection, service.shelf, clock, query.as_of)
        if query.zone not in moment.terms.zone_index:
            raise zone_not_found(query.zone)
        terms = moment.terms.zone_terms(query.zone)
        edges = bucket_edges(query.resolution, parse_time_zone(query.time_zone), query.from_s, query.to_s)
        first_s = int(edges[0]) if len(edges) else query.from_s
        known = await read_partial_sums(
            connection,
            terms.zone_id,
            first_s,
            int(edges[-1]) if len(edges) else query.from_s,
            windows_max=(query.limit + 1) * query.resolution.quarters_max,
            as_of_us=moment.as_of_us,
        )
        if query.as_of is not None:
            await hold_to_kept_revisions(connection, first_s)
    return moment, terms, make_table(known, edges, query.resolution, terms, moment.now_s, query.limit)


def _response(
    request: Request, body: bytes, as_csv: bool, following: str | None, moment: Moment, if_none_match: str | None
) -> Response:
    # Strong: the tag is of the very bytes, so it changes exactly when they do.
    tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    headers = {
        "ETag": tag,
        "Vary": "Accept",
        # What was known at an instant never changes; everything else may, final rows too (rule 9).
        "Cache-Control": "private, no-cache" if moment.as_of_us is None else "private, max-age=86400, immutable",
    }
    if following:
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        headers["Link"] = f'<{quote(request.url.path)}?{urlencode([*query, ("cursor", following)])}>; rel="next"'
    if if_none_match and _matches(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    media_type = "text/csv; charset=utf-8; header=present" if as_csv else "application/json"
    return Response(body, headers=headers, media_type=media_type)


def _matches(if_none_match: str, tag: str) -> bool:
    candidates = [candidate.strip().removeprefix("W/") for candidate in if_none_match.split(",")]
    return tag in candidates or "*" in candidates
