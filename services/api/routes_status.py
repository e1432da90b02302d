"""`GET /v1/status`, the probes and the metrics."""

from collections.abc import Mapping
from datetime import datetime

from fastapi import APIRouter
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import JSONResponse, Response

from services.api.answers import FuseAnswer, InstanceRow, PartitionRow, ProbeAnswer, ReadyAnswer, StatusAnswer
from services.api.database_trouble import DATABASE_TROUBLE
from services.api.lag import UNTOUCHED, Progress, handled_topics, lag_of, read_progress
from services.api.log_ends import PartitionOf
from services.api.service import ApiService, Service
from shared import metrics
from shared.database.fuse_row import stopped_text
from shared.database.tables import fuse, service_instance
from shared.heartbeat import GONE_AFTER_S
from shared.instants import format_instant
from shared.problem import Problem, problem_responses
from shared.settings import Settings
from shared.topics import READINGS, READINGS_JSON
from shared.version import VERSION

router = APIRouter(tags=["status"])

_NEEDED_SERVICES = ("ingest", "balancer")


@router.get("/v1/status", summary="How the service stands", responses=problem_responses(401, 503))
async def status(service: Service) -> StatusAnswer:
    """Versions, now, lag, partitions and their owners, running instances. Lags are null while Kafka does not answer."""
    async with service.engine.connect() as connection:
        handled = await read_progress(connection)
        instances = await _read_instances(connection)
        blown = await _read_fuse(connection)
    try:
        ends = await service.ends.end_offsets(handled_topics(service.settings))
    except Problem:  # the rest is all the more worth knowing
        ends = {}
    now_s = service.view.now_s()
    return StatusAnswer(
        version=VERSION,
        clock=service.settings.clock,
        now=None if now_s is None else format_instant(now_s),
        topology=service.shelf.newest_number,
        live_feed=service.feed.connected,
        viewers=service.stream.viewers,
        lag=lag_of(ends, handled) if ends else None,
        fuse=blown,
        partitions=_partition_rows(service.settings, handled, ends),
        instances=instances,
    )


@router.get("/healthz", summary="Whether the process runs")
async def healthz() -> ProbeAnswer:
    """200 as long as the process serves requests."""
    return ProbeAnswer(status="ok", missing=[])


@router.get(
    "/readyz",
    summary="Whether everything is ready",
    response_model=ReadyAnswer,
    responses={503: {"model": ReadyAnswer, "description": "Something is missing; `missing` names it."}},
)
async def readyz(service: Service) -> Response:
    """200 only when ingest, balancers, PostgreSQL and Kafka are ready, every partition has an owner, the fuse holds."""
    missing, blown = await _missing(service)
    answer = ReadyAnswer(status="not ready" if missing else "ok", missing=missing, fuse=blown)
    headers = {"Retry-After": "1"} if missing else {}
    return JSONResponse(answer.model_dump(), 503 if missing else 200, headers)


@router.get("/metrics", summary="Metrics of this process for Prometheus", response_class=Response)
async def prometheus_metrics() -> Response:
    """The text format of Prometheus."""
    body, content_type = metrics.exposition()
    return Response(body, headers={"Content-Type": content_type})


async def _missing(service: ApiService) -> tuple[list[str], FuseAnswer | None]:
    """What is not ready, in words, and the fuse where it has blown."""
    found = [] if service.feed.connected else ["the live feed: Kafka does not answer or is still being read"]
    try:
        async with service.engine.connect() as connection:
            handled = await read_progress(connection)
            instances = await _read_instances(connection)
            blown = await _read_fuse(connection)
    except DATABASE_TROUBLE:
        return ["PostgreSQL does not answer", *found], None
    for needed in _NEEDED_SERVICES:
        of_kind = [instance for instance in instances if instance.service == needed]
        if not any(instance.ready and instance.fresh for instance in of_kind):
            details = [instance.detail for instance in of_kind if instance.fresh and instance.detail]
            found.append(": ".join([f"no {needed} is ready", *details]))
    without_owner = [
        number for number in range(service.settings.partitions) if not handled.get((READINGS, number), UNTOUCHED).owner
    ]
    if without_owner:
        found.append(f"partitions without an owner: {', '.join(map(str, without_owner))}")
    if blown is not None:
        found.append(stopped_text(blown.topic, blown.reason))
    return found, blown


async def _read_fuse(connection: AsyncConnection) -> FuseAnswer | None:
    """The fuse of the JSON topic where it has blown."""
    row = (await connection.execute(select(fuse).where(fuse.c.topic == READINGS_JSON))).one_or_none()
    if row is None:
        return None
    return FuseAnswer(topic=row.topic, reason=row.reason, blown_at=_instant(row.blown_at) or "")


async def _read_instances(connection: AsyncConnection) -> list[InstanceRow]:
    table = service_instance
    age = func.extract("epoch", func.clock_timestamp() - table.c.seen_at).label("age_s")
    rows = (await connection.execute(select(table, age).order_by(table.c.instance))).all()
    return [
        InstanceRow(
            instance=row.instance,
            service=row.service,
            topology=row.topology,
            ready=row.ready,
            detail=row.detail,
            seen_at=_instant(row.seen_at) or "",
            fresh=row.age_s <= GONE_AFTER_S,
        )
        for row in rows
    ]


def _partition_rows(
    settings: Settings, handled: Mapping[PartitionOf, Progress], ends: Mapping[PartitionOf, int]
) -> list[PartitionRow]:
    rows = []
    for topic, count in handled_topics(settings).items():
        for number in range(count):
            row = handled.get((topic, number), UNTOUCHED)
            end = ends.get((topic, number))
            rows.append(
                PartitionRow(
                    topic=topic,
                    partition=number,
                    owner=row.owner or None,
                    owner_epoch=row.owner_epoch,
                    next_offset=row.next_offset,
                    end_offset=end,
                    lag=None if end is None else max(end - row.next_offset, 0),
                    event_now=_instant(row.event_now),
                    topology=row.topology,
                )
            )
    return rows


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(int(instant.timestamp()))
