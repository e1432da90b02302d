"""The API key: when one is set, every route but the probes demands it (issue item 6)."""

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.problem import Problem, problem_response

PROBE_PATHS = frozenset({"/healthz", "/readyz"})
"""Open to all: a supervisor or an orchestrator that asks them has no key, and they tell nothing of the data."""


class ApiKeyMiddleware:
    """Pure ASGI, so that streams keep their back pressure. `app.add_middleware(ApiKeyMiddleware, api_key=…)`."""

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        """`api_key` is the key to demand; empty demands none."""
        self._app = app
        self._api_key = api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on when it may be, else answers 401."""
        if self._may_pass(scope):
            await self._app(scope, receive, send)
        else:
            problem = Problem(
                401,
                "Send the API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
                headers={"WWW-Authenticate": "Bearer"},
            )
            await problem_response(scope["path"], problem)(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        if not self._api_key or scope["type"] == "lifespan" or scope["path"] in PROBE_PATHS:
            return True
        presented = _presented_key(Headers(scope=scope))
        # Headers arrive as latin-1 text; back to the bytes that were sent. Constant time: no guessing byte by byte.
        return hmac.compare_digest(presented.encode("latin-1"), self._api_key)


def _presented_key(headers: Headers) -> str:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return headers.get("x-api-key", "")
