"""The ingest service: its routes, and the tasks that run beside them."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from starlette.responses import Response

from services.ingest.description import ABOUT, PARAMETERS, REQUEST_BODY, Answer
from services.ingest.fuse_keeper import FuseKeeper
from services.ingest.http_door import HttpDoor
from services.ingest.intake import Intake
from services.ingest.json_topic import JsonTopic
from services.ingest.log_writer import LogWriter
from services.ingest.topology_follower import TopologyFollower
from shared.api_key import ApiKeyMiddleware
from shared.clock import Clock, SystemClock
from shared.metrics import INGEST_REQUESTS, exposition
from shared.problem import Problem, busy, install_problem_handlers, problem_responses
from shared.settings import Settings

_log = logging.getLogger(__name__)


class IngestService:
    """All parts of one ingest process. The kernels were compiled when their modules were imported."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Makes the parts; nothing runs yet."""
        self.log = LogWriter(settings)
        self.intake = Intake(self.log, clock)
        self.fuse = FuseKeeper(settings, time.monotonic)
        self.follower = TopologyFollower(settings, self.intake.in_thread, self.state)
        self.door = HttpDoor(self.intake, lambda: self.follower.lookup)
        self._topic = JsonTopic(settings, self.intake, lambda: self.follower.lookup, self.fuse)

    def state(self) -> tuple[bool, str]:
        """Whether the HTTP door takes readings; and what an operator should know: why not, or of a blown fuse."""
        missing = []
        if self.follower.lookup is None:
            missing.append("no topology yet" if self.follower.connected else "PostgreSQL cannot be reached")
        if not self.log.reachable:
            missing.append("Kafka cannot be reached")
        return not missing, "; ".join([*missing, self.fuse.stopped_because] if self.fuse.stopped_because else missing)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs the tasks beside the routes."""
        tasks = [
            asyncio.create_task(part.run(), name=type(part).__name__)
            for part in (self.log, self.follower, self.fuse, self._topic)
        ]
        for task in tasks:
            task.add_done_callback(_end_process_on_bug)
        try:
            yield
        finally:
            for task in reversed(tasks):  # the log last: the others still use it
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            self.intake.close()


RunningService = Callable[[], IngestService]
"""Gives the service of the application's lifespan."""


def build_app(settings: Settings, clock: Clock | None = None) -> FastAPI:
    """The application of one ingest process."""
    service: IngestService | None = None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        nonlocal service
        service = IngestService(settings, clock or SystemClock())
        async with service.running():
            yield

    def running_service() -> IngestService:
        assert service is not None  # no request comes before the lifespan has begun
        return service

    app = FastAPI(
        title="Bilans ingest",
        description="The door for meter readings.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    install_problem_handlers(app)
    app.add_middleware(ApiKeyMiddleware, api_key=settings.api_key)
    _add_door(app, running_service)
    _add_probes(app, running_service)
    return app


def _add_door(app: FastAPI, running_service: RunningService) -> None:
    @app.post(
        "/v1/readings",
        status_code=202,
        summary="Take readings",
        description=ABOUT,
        response_model=Answer,
        responses=problem_responses(400, 401, 408, 413, 415, 429, 503),
        openapi_extra={"requestBody": REQUEST_BODY, "parameters": PARAMETERS},
    )
    async def post_readings(request: Request) -> Response:
        try:
            receipt = await running_service().door.take(request)
        except Problem as problem:
            INGEST_REQUESTS.labels(str(problem.status)).inc()
            raise
        INGEST_REQUESTS.labels("202").inc()
        return Response(receipt.to_json(), 202, media_type="application/json")


def _add_probes(app: FastAPI, running_service: RunningService) -> None:
    @app.get("/healthz", summary="The process answers")
    async def healthz() -> dict[str, bool]:
        return {"alive": True}

    @app.get("/readyz", summary="All doors take readings", responses=problem_responses(503))
    async def readyz() -> dict[str, bool | int]:
        service = running_service()
        ready, detail = service.state()
        if not ready or service.fuse.stopped_because:
            raise busy(f"Ingest is not ready: {detail}.")
        lookup = service.follower.lookup
        return {"ready": True, "topology": lookup.number if lookup else 0}

    @app.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
    async def metrics() -> Response:
        text, content_type = exposition()
        return Response(text, headers={"Content-Type": content_type})


def _end_process_on_bug(task: asyncio.Task[None]) -> None:
    """A part that fell over is a bug: the process ends and is started again, rather than live on without the part."""
    if not task.cancelled() and task.exception() is not None:
        _log.critical("%s failed; ingest ends", task.get_name(), exc_info=task.exception())
        os.kill(os.getpid(), signal.SIGTERM)
