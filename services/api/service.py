"""The API service: its parts, how they start and stop, and how a route gets at them."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request

from services.api.flexibility.parts import Flexibility, make_flexibility
from services.api.forecasting.forecasts import Forecasts
from services.api.leadership import Leadership
from services.api.live_feed import LiveFeed
from services.api.live_stream import LiveStream
from services.api.live_view import LiveView
from services.api.log_ends import LogEnds
from services.api.newest_readings import NewestReadings
from services.api.signals.asset_view import AssetView
from services.api.signals.outlooks import Outlooks
from services.api.signals.signal_board import SignalBoard
from services.api.signals.signals_round import SignalsRound
from services.api.signals.signals_sweep import SignalsSweep
from services.api.signals.zone_lights import ZoneLights
from services.api.topology_shelf import TopologyShelf
from services.api.verification.verification_round import VerificationRound
from services.api.zone_answers import ZoneAnswers
from shared.clock import Clock
from shared.database.engine import make_engine
from shared.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ApiService:
    """The parts of a running API."""

    settings: Settings
    clock: Clock
    engine: AsyncEngine
    shelf: TopologyShelf
    view: LiveView
    answers: ZoneAnswers
    newest: NewestReadings
    board: SignalBoard
    stream: LiveStream
    ends: LogEnds
    feed: LiveFeed
    leadership: Leadership
    forecasts: Forecasts
    signals: SignalsRound
    assets: AssetView
    verification: VerificationRound
    flexibility: Flexibility

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps topology, live view and stream going; ends them, and closes all connections, on leaving."""
        await self.signals.restore()
        tasks = [
            asyncio.create_task(work, name=name)
            for name, work in (
                ("topology", self.shelf.keep_fresh()),
                ("leadership", self.leadership.run()),
                ("forecasts", self.forecasts.run()),
                ("signals", self.signals.run()),
                ("verification", self.verification.run()),
                ("dispatch", self.flexibility.sender.run()),
                ("flexibility", self.flexibility.round.run()),
                ("feed", self.feed.run()),
                ("feed-watch", self.feed.watch()),
                ("stream", self.stream.run()),
            )
        ]
        for task in tasks:
            task.add_done_callback(_end_with)
        try:
            yield
        finally:
            self.stream.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.ends.close()
            await self.engine.dispose()


def _end_with(task: asyncio.Task[None]) -> None:
    """Ends the process when a part of it ended by a bug: started anew it is whole, going on it would be half dead."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.critical("The API ends: its part %r failed.", task.get_name(), exc_info=error)
        signal.raise_signal(signal.SIGTERM)


def make_service(settings: Settings, clock: Clock) -> ApiService:
    """The parts, not yet running; nothing is connected."""
    engine = make_engine(settings.database_url)
    shelf = TopologyShelf(engine)
    view = LiveView(clock, settings.clock)
    leadership = Leadership(settings.database_url)
    forecasts = Forecasts(settings.database_url, shelf, view, leadership)
    lights, outlooks = ZoneLights(), Outlooks(forecasts.of)
    answers = ZoneAnswers(shelf, view, lights, outlooks)
    newest = NewestReadings()
    assets = AssetView(shelf, newest, view)
    board = SignalBoard(shelf, view, assets)
    stream = LiveStream(answers, board, view, sequence=int(clock.now_s() * 1000))
    ends = LogEnds(settings)
    feed = LiveFeed(settings, clock, ends, view, newest, stream)
    sweep = SignalsSweep(answers, board, lights, outlooks)
    signals = SignalsRound(settings, sweep, board, lights, leadership)
    verification = VerificationRound(engine, shelf, view, leadership, settings.penalty_percent)
    flexibility = make_flexibility(
        settings,
        engine,
        shelf,
        view,
        assets,
        leadership,
        forecast_of=forecasts.of,
        forecaster_of=forecasts.forecaster_of,
    )
    return ApiService(
        settings=settings,
        clock=clock,
        engine=engine,
        shelf=shelf,
        view=view,
        answers=answers,
        newest=newest,
        board=board,
        stream=stream,
        ends=ends,
        feed=feed,
        leadership=leadership,
        forecasts=forecasts,
        signals=signals,
        assets=assets,
        verification=verification,
        flexibility=flexibility,
    )


def _service_of(request: Request) -> ApiService:
    service: ApiService = request.app.state.service
    return service


Service = Annotated[ApiService, Depends(_service_of)]
"""A route's parameter of this type is the service."""
