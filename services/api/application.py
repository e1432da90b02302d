"""The API as one ASGI application: routes, pages, errors, headers."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

from services.api import routes_audit, routes_balance, routes_live, routes_meters, routes_status, routes_zones
from services.api.database_trouble import install_database_handlers
from services.api.flexibility import routes_flexibility, routes_orders
from services.api.forecasting import routes_forecast
from services.api.request_times import RequestTimesMiddleware
from services.api.security_headers import SecurityHeadersMiddleware
from services.api.service import ApiService
from services.api.signals import routes_signals_history
from services.api.verification import routes_verification
from shared.api_key import ApiKeyMiddleware
from shared.problem import install_problem_handlers
from shared.version import VERSION

_HERE = Path(__file__).parent
_PAGE = _HERE / "static"
_DOCS = _HERE / "docs_page"

_DESCRIPTION = """The real-time energy balance of an energy cluster.

All energy is whole Wh, import is what flows into a zone. Intervals are half open, instants are ISO 8601 in UTC.
Errors are `application/problem+json` (RFC 9457). Lists are paged by `limit` and `cursor`."""


def make_application(service: ApiService) -> FastAPI:
    """The application around `service`; the service runs from the application's start to its end."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(
        title="Bilans", version=VERSION, description=_DESCRIPTION, docs_url=None, redoc_url=None, lifespan=lifespan
    )
    app.state.service = service
    for routes in (
        routes_zones,
        routes_balance,
        routes_live,
        routes_signals_history,
        routes_forecast,
        routes_meters,
        routes_audit,
        routes_status,
        routes_flexibility,
        routes_orders,
        routes_verification,
    ):
        app.include_router(routes.router)
    _add_pages(app)
    install_problem_handlers(app)
    install_database_handlers(app)
    # The last added is the outermost: headers stand on every answer, a refusal for want of a key too.
    app.add_middleware(RequestTimesMiddleware)
    app.add_middleware(ApiKeyMiddleware, api_key=service.settings.api_key)
    app.add_middleware(SecurityHeadersMiddleware)
    return app


def _add_pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def live_page() -> FileResponse:
        return FileResponse(_PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/docs", include_in_schema=False)
    async def docs_page() -> FileResponse:
        return FileResponse(_DOCS / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/docs", StaticFiles(directory=_DOCS), name="docs")
    app.mount("/static", StaticFiles(directory=_PAGE), name="static")
