"""One viewer of the event stream: `hello`, then what changes (design section 6)."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi.sse import format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Message, Send

from services.api.live_stream import LiveStream
from shared import metrics
from shared.instants import format_instant
from shared.limits import VIEWER_SEND_S_MAX

RETRY_MS = 1000
"""How soon a browser comes again when the stream breaks."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Viewer:
    """Follows some zones (all when `zones` is None)."""

    stream: LiveStream
    zones: frozenset[str] | None
    _sequence: int = 0

    async def events(self) -> AsyncIterator[bytes]:
        """The stream's bytes until the service stops; a `live` event each second at least, so no ping is needed."""
        yield self._hello()
        quiet_ticks = 0
        while not self.stream.stopping.is_set():
            await self.stream.wait_tick()
            news = self._news(quiet_ticks)
            quiet_ticks = 0 if news else quiet_ticks + 1
            if news:
                yield news

    def _hello(self) -> bytes:
        zones = self.stream.zones_now(self.zones)
        self._sequence = self.stream.sequence
        at, wall_s = self.stream.view.now_s(), self.stream.view.wall_s
        head = b'{"at":%s,"server_time":%s,"clock":"%s","zones":[' % (
            _instant(at),
            _instant(int(wall_s)),
            b"event" if self.stream.view.event_mode else b"wall",
        )
        return self._event("hello", head + b",".join(zones) + b"]}", self._sequence, retry=RETRY_MS)

    def _news(self, quiet_ticks: int) -> bytes:
        """What this viewer has not been told yet; empty when nothing happened, but for a sign of life each second."""
        events = self.stream.events_since(self._sequence, self.zones)
        if events is None:
            return self._hello()
        parts = [self._event(event.name, event.body, event.sequence) for event in events]
        zones = self.stream.zones_since(self._sequence, self.zones)
        self._sequence = self.stream.sequence
        if zones or quiet_ticks >= 4:
            body = b'{"at":%s,"zones":[' % _instant(self.stream.view.now_s()) + b",".join(zones) + b"]}"
            parts.append(self._event("live", body, self._sequence))
        return b"".join(parts)

    @staticmethod
    def _event(name: str, body: bytes, sequence: int, *, retry: int | None = None) -> bytes:
        return format_sse_event(data_str=body.decode(), event=name, id=str(sequence), retry=retry)


class ViewerResponse(StreamingResponse):
    """An event stream that lets go of a viewer who takes nothing for VIEWER_SEND_S_MAX."""

    media_type = "text/event-stream"

    def __init__(self, viewer: Viewer) -> None:
        """Streams what `viewer` is told."""
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(viewer.events(), headers=headers)
        self._stream = viewer.stream

    async def stream_response(self, send: Send) -> None:
        """Sends the stream; each part must be taken in time, or the viewer is let go."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(VIEWER_SEND_S_MAX):
                await send(message)

        self._stream.viewers += 1
        metrics.LIVE_VIEWERS.inc()
        try:
            await super().stream_response(send_in_time)
        except TimeoutError:
            metrics.LIVE_VIEWERS_DROPPED.inc()
            _log.info("A viewer took nothing for %d s and was let go.", VIEWER_SEND_S_MAX)
        finally:
            self._stream.viewers -= 1
            metrics.LIVE_VIEWERS.dec()


def _instant(instant_s: int | None) -> bytes:
    return b"null" if instant_s is None else b'"%s"' % format_instant(instant_s).encode()
