"""A balancer's process: its loop, its followers, its heartbeat, and its probes and metrics over HTTP."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
from fastapi import FastAPI, Response

from services.balancer.archive_follower import ArchiveFollower
from services.balancer.compaction import Compaction
from services.balancer.giving_way import GivingWay
from services.balancer.loop import BalancerLoop
from services.balancer.rejected_follower import follow_rejected
from services.balancer.retention import keep_newest_of_old
from services.balancer.topologies import Topologies
from shared.api_key import ApiKeyMiddleware
from shared.clock import SystemClock
from shared.database.engine import DATABASE_TROUBLE
from shared.heartbeat import HEARTBEAT_S, beat, farewell
from shared.metrics import exposition
from shared.problem import install_problem_handlers
from shared.settings import Settings

_log = logging.getLogger(__name__)


async def _beat(pool: asyncpg.Pool, settings: Settings, loop: BalancerLoop) -> None:
    """Says once a second that the balancer is there."""
    while True:
        try:
            await beat(pool, "balancer", settings.instance, topology=loop.topology_in_use, ready=loop.ready)
        except DATABASE_TROUBLE as error:
            _log.debug("a heartbeat was missed: %s", error)
        await asyncio.sleep(HEARTBEAT_S)


class _Crew:
    """The tasks of the process. One that fails ends the process: its supervisor starts it again, from the log."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._look)
        self._tasks.append(task)
        return task

    def _look(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            _log.error("the balancer cannot go on", exc_info=task.exception())
            os.kill(os.getpid(), signal.SIGTERM)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def make_app(settings: Settings) -> FastAPI:
    """The process as an ASGI application; its lifespan runs the loop."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pool = await _patient_pool(settings)
        topologies = Topologies()
        loop = BalancerLoop(settings, SystemClock(), pool, topologies)
        crew = _Crew()
        app.state.loop = loop
        running = crew.start(loop.run())
        crew.start(_beat(pool, settings, loop))
        crew.start(follow_rejected(settings))
        newest_topology = partial(topologies.learn_newest, pool)
        giving_way = GivingWay(lambda: loop.behind)
        follower = ArchiveFollower(settings, newest_topology, giving_way)
        crew.start(follower.run())
        crew.start(keep_newest_of_old(settings))
        crew.start(Compaction(follower.archive, newest_topology, follower.written, giving_way).run())
        try:
            yield
        finally:
            loop.stop()
            await asyncio.wait([running], timeout=8)
            await crew.end()
            try:
                await farewell(pool, "balancer", settings.instance)
                await asyncio.wait_for(pool.close(), 2)
            except DATABASE_TROUBLE:
                pool.terminate()

    app = FastAPI(title="Bilans balancer", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    install_problem_handlers(app)
    app.add_middleware(ApiKeyMiddleware, api_key=settings.api_key)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz(response: Response) -> dict[str, str]:
        ready = app.state.loop.ready
        response.status_code = 200 if ready else 503
        return {"status": "ready" if ready else "taking over partitions"}

    @app.get("/metrics")
    async def metrics() -> Response:
        content, media_type = exposition()
        return Response(content, media_type=media_type)

    return app


async def _patient_pool(settings: Settings) -> asyncpg.Pool:
    """A pool, as soon as the database answers."""
    while True:
        try:
            return await asyncpg.create_pool(
                settings.database_url,
                min_size=1,
                max_size=4,
                command_timeout=10,
                timeout=5,
                server_settings={"application_name": settings.instance, "timezone": "UTC", "lock_timeout": "5000"},
            )
        except DATABASE_TROUBLE as error:
            _log.warning("PostgreSQL does not answer yet: %s", error)
            await asyncio.sleep(0.5)
