"""The live view, the event stream and the signals: all from memory, none touches the database."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from services.api.answers import LiveAnswer, LiveZonesAnswer, SignalsAnswer, zone_not_found
from services.api.service import ApiService, Service
from services.api.viewer import Viewer, ViewerResponse
from services.api.zone_answers import ZoneNow, live_answer
from shared import metrics
from shared.instants import format_instant
from shared.limits import LIVE_VIEWERS_MAX
from shared.problem import busy, problem_responses

router = APIRouter(tags=["live"])

_NOT_KEPT = {"Cache-Control": "no-store"}


@router.get(
    "/v1/zones/{zone}/live",
    summary="A zone now",
    response_model=LiveAnswer,
    responses=problem_responses(401, 404),
)
async def zone_live(service: Service, zone: str) -> Response:
    """Power now, energy of the running window and where it will end, loading, traffic light, freshness."""
    return _json(live_answer(_zone_now(service, zone)))


@router.get("/v1/live", summary="All zones now", response_model=LiveZonesAnswer, responses=problem_responses(401))
async def live(service: Service) -> Response:
    """The live view of every zone, parents before children."""
    now_s = service.view.now_s()
    zones = [live_answer(service.answers.now(zone)) for zone in service.answers.zones()]
    return _json({"at": None if now_s is None else format_instant(now_s), "zones": zones})


@router.get(
    "/v1/live/stream",
    summary="What changes, as server-sent events",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {"example": 'event: live\ndata: {"at":…,"zones":[…]}\nid: 7\n\n'}}},
        **problem_responses(401, 404, 503),
    },
)
async def live_stream(
    service: Service,
    zones: Annotated[
        list[str] | None, Query(description="Zones to follow, separated by commas; all when left out.")
    ] = None,
) -> Response:
    """First `hello` with the state of the zones and the server's time. Then `live` with the zones that changed.

    `live` comes at most five times a second and at least once. `balance` says that rows changed (a run of windows of
    one zone): ask for them. Its `restated`, unless they are many, has the figures of those windows that were closed
    already: `[{"window_start", "revision", "before": {…}, "after": {…}}]`. `signal` has the signals of a zone whose
    state changed. A viewer that was slow gets the present, not a backlog; where changes can no longer be told one by
    one, `hello` comes again.
    """
    followed = _followed(zones)
    for zone in followed or ():
        if zone not in service.shelf.newest.zone_index:
            raise zone_not_found(zone)
    if service.stream.viewers >= LIVE_VIEWERS_MAX:
        metrics.LIVE_VIEWERS_REFUSED.inc()
        raise busy(f"All {LIVE_VIEWERS_MAX} places of the event stream are taken.", retry_after_s=5)
    return ViewerResponse(Viewer(service.stream, followed))


@router.get(
    "/v1/zones/{zone}/signals",
    summary="A zone's traffic light and the room that is left",
    response_model=SignalsAnswer,
    responses=problem_responses(401, 404),
)
async def signals(service: Service, zone: str) -> Response:
    """Amber above 80 % of a limit until below 75 % for 3 minutes; red above 100 % until below 95 % for 1 minute.

    Amber, too, when the forecast passes 80 % within 4 hours (P90 for import, P10 for export); `expected_at` says when.
    `envelope` is what the assets in and below the zone can hold for so many minutes, a change from what they do now: up
    is less withdrawal or more injection. It is clipped by the headroom now of every zone on their paths; zones with a
    limit of which it is not known what flows clip nothing and stand in `unclipped_by`. Assets that are not heard hold
    nothing. Of it is told what is expected to come and what comes in nine of ten cases (`firm`, P10) by how often the
    assets did what they were asked, and what is not promised to anybody yet (`available`).
    """
    return _json(service.board.signals(_zone_now(service, zone)))


def _zone_now(service: ApiService, zone: str) -> ZoneNow:
    try:
        return service.answers.now(zone)
    except KeyError:
        raise zone_not_found(zone) from None


def _followed(zones: list[str] | None) -> frozenset[str] | None:
    if zones is None:
        return None
    names = frozenset(name for part in zones for name in part.split(",") if name)
    return names or None


def _json(answer: object) -> Response:
    return Response(orjson.dumps(answer), headers=_NOT_KEPT, media_type="application/json")
