"""Measures how long requests take until the first byte of their answer. Pure ASGI, so streams flow as they are."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.metrics import API_REQUEST_SECONDS


class RequestTimesMiddleware:
    """Observes `bilans_api_request_seconds`, by the route's template: a label must not hold what a client sends."""

    def __init__(self, app: ASGIApp) -> None:
        """Wraps `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything through and looks at the clock."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def send_and_observe(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                seconds = time.perf_counter() - began
                API_REQUEST_SECONDS.labels(route, str(message["status"])).observe(seconds)
            await send(message)

        await self._app(scope, receive, send_and_observe)
